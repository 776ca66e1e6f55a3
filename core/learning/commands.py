"""What the window says to the engine process. Frozen, picklable, torch-free.

Masks travel packed (`core.learning.labels.packed_mask`). Images never travel: the engine reads them itself.

::

    window --Command--> engine:  OpenProject CloseProject ClassesChanged LabelsChanged ImageRemoved
                                 Train Pause Resume Stop LearnLive PostProcess Shutdown
                                 Watch WantUncertainty Predict PredictFolder HoldFolder PreviewCrops
                                 UseWeights Export RateImages AuditLabels CompareLabels PredictWithRun
                                 ExplainModel ShowMaps

The engine answers with `core.learning.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from core.annotation.model import AnnotationState, ClassList
from core.images.upright import Box
from core.learning.config import TrainConfig
from core.learning.labels.packed_mask import PackedMask
from core.learning.prediction.folder_job import PredictionJob
from core.learning.prediction.uncertainty import UncertaintySource
from core.models.specs import Option


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProject:
    """Read this project's classes and labels; replaces whatever was open."""

    root: str


@dataclass(frozen=True, slots=True)
class CloseProject:
    """Let go of the open project and all that was read of it; a run ends, saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesChanged:
    """The project's classes were renamed, merged, added or removed."""

    classes: ClassList


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsChanged:
    """One image's labels as they are now (the engine does not race the mask writer).

    `mask` holds class indices with 255 for unlabelled; `revision` is the document's.
    """

    key: str
    image_path: str
    revision: int
    state: AnnotationState
    mask: PackedMask


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRemoved:
    """The image is gone from the project; forget its labels."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """Start (or with `resume_run` continue) a run. One run at a time.

    `as_chosen`: a person chose the whole `config` for what follows; see `TrainState.resume`.
    """

    config: TrainConfig
    resume_run: str | None = None
    as_chosen: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold after the current step; predictions go on."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish the step, validate, save, answer `Finished`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Keep this image's prediction fresh: at once, then about every second while training; None ends it.

    `view` is the part of it that is on the screen, x0, y0, x1, y1 in its pixels: of a large image that part
    is predicted first, of a huge one nothing else. None: all of it, or not known.
    """

    key: str | None
    image_path: str | None = None
    revision: int = 0
    view: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnLive:
    """Whether the instant learner follows the labels, and has its say in predictions."""

    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcess:
    """What is done to every `Prediction` from now on, as text; see `core.postprocess.pipeline`.

    The watched image is predicted anew. It does not concern `RunPrediction` and `PredictFolder`.
    """

    steps: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Predict:
    """Predict one image once, ahead of training steps (the next image, say)."""

    key: str
    image_path: str
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictFolder:
    """Predict images into files between more urgent work; it takes the place of an earlier job.

    `FolderProgress` and `FolderProblem` follow, and one `FolderEnded`, each with the `number` that is given
    here. `held`: wait for `HoldFolder`.
    """

    job: PredictionJob
    number: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFolder:
    """Hold the job, go on with it, or give it up."""

    wanted: Literal["hold", "go on", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCrops:
    """Show crops of an image as a run of this configuration would see them: `CropsPreviewed`."""

    key: str
    config: TrainConfig
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UseWeights:
    """Predict with the weights of a safetensors file; None: with those of the project's best run again."""

    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Write the best weights as safetensors or ONNX to the folder `out`, noting what `PostProcess` said."""

    format: Literal["weights", "onnx"]
    out: str
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateImages:
    """Say how useful labelling each of these images would be, in spare moments: `ImagesRated` follow.

    `images` are paths by key, of all images of the project: which are done the engine knows.
    """

    images: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLabels:
    """Look for labels that are probably wrong: `AuditProgress` and one `AuditEnded` follow.

    `on` False gives up an audit that goes on; `number` comes back in what is told of this one.
    """

    on: bool = True
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WantUncertainty:
    """Whether an `Uncertainty` should follow each prediction of the watched image, and one come now.

    `source` is what the refined one is taken from; see `core.learning.overlay.doubt_sources`.
    """

    on: bool
    source: UncertaintySource = "tta"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareLabels:
    """Say which labels these runs (their folders) have not seen: `LabelsCompared` follows."""

    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictWithRun:
    """Predict one image with the best weights of a run: `RunPrediction` follows."""

    run: str
    key: str
    image_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainModel:
    """Say what a network of the registry is made of, for tiles of this side: `ModelExplained` follows.

    `config` is what a run of it would be told; only what decides at which scale it sees images matters.
    """

    name: str
    tile: int
    encoder: str | None = None
    options: tuple[tuple[str, Option], ...] = ()
    config: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowMaps:
    """Show what a network makes of an image: `ModelMaps` follows.

    Attributes:
        model: the network, and how large a piece of the image it is asked about.
        maps: which of its maps: `Block.maps` of its explanation.
        at_xy: middle of the piece, pixels of the image; None: the image's own.
    """

    model: ExplainModel
    key: str
    image_path: str
    maps: int
    at_xy: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop, save and leave the process."""


Command: TypeAlias = (
    OpenProject
    | CloseProject
    | ClassesChanged
    | LabelsChanged
    | ImageRemoved
    | Train
    | Pause
    | Resume
    | Stop
    | LearnLive
    | PostProcess
    | Watch
    | WantUncertainty
    | Predict
    | PredictFolder
    | HoldFolder
    | PreviewCrops
    | UseWeights
    | Export
    | RateImages
    | AuditLabels
    | CompareLabels
    | PredictWithRun
    | ExplainModel
    | ShowMaps
    | Shutdown
)
