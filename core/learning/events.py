"""What the engine process says to the window. Frozen, picklable, torch-free.

Maps travel packed (`core.learning.labels.packed_mask`). Answers to what a person asks beside the training are
in `core.learning.answers`.

::

    engine --Event--> window:    EngineReady ProjectOpened Notice Failed
                                 TrainingStarted StepDone Validated Checkpointed Paused Resumed Finished
                                 Prediction Uncertainty OverlayCompared WeightsGone Exported
                                 FolderProgress FolderProblem FolderEnded ImagesRated AuditProgress AuditEnded
    answers:                     CropsPreviewed LabelsCompared RunPrediction ModelExplained ModelMaps

What the window says is in `core.learning.commands`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from core.annotation.model import ClassList
from core.images.upright import Box
from core.learning.answers import CropsPreviewed, LabelsCompared, ModelExplained, ModelMaps, RunPrediction
from core.learning.labels.packed_mask import PackedMask
from core.learning.labels.suspects import Suspect
from core.learning.scores.bootstrap import Interval, Units
from core.learning.scores.calibration import Calibration
from core.learning.scores.gain import Gain

ScoredOn: TypeAlias = Literal["validation", "training", "cross-fit"]
"""Images held out from training; images it trained on; or every image, by a head that did not see it."""
EndReason: TypeAlias = Literal["budget", "stopped", "patience"]
"""Why a run is over: its time or steps are spent, a person ended it, or it has stopped getting better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReady:
    """The engine is up. `device` reads like "NVIDIA RTX 4090" or "CPU, 2 threads"."""

    pid: int
    device: str
    torch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOpened:
    """What was said before is of the project before, what comes now of the one in this folder."""

    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted:
    """A run has begun.

    Attributes:
        run: run folder. classes: what the network's channels mean, in order.
        train_images, validation_images: their keys; empty validation means scores are on training images.
        weak_background: undrawn pixels stand in for background until enough of it is drawn.
    """

    run: str
    model: str
    encoder: str | None
    device: str
    classes: ClassList
    train_images: tuple[str, ...]
    validation_images: tuple[str, ...]
    weak_background: bool
    resumed_step: int | None = None
    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """Progress, a few times a second: `loss` is the mean over the steps since the last one.

    `seconds` is training time so far, pauses left out. `memory_bytes` is device memory in use, None on a CPU.
    """

    step: int
    seconds: float
    loss: float
    lr: float
    steps: int | None
    time_budget_s: float | None
    images_per_s: float
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """Scores from one pooled confusion matrix. A class without a true pixel is None and not in the mean.

    Attributes:
        interval, class_intervals: bootstrap intervals, None where there is too little to draw from.
        interval_over: drawn from whole images, or from the parts of the only one.
        confusion: pixels by true (row) and predicted class, in the order of `per_class_iou`.
        notes: what limits the score, for people. class_notes: why a class has no IoU, or a doubtful one.
        gain: against earlier scores on the same images and labels.
        calibration: how far its confidence can be believed; None where no image is held out.
    """

    step: int
    seconds: float
    miou: float | None
    per_class_iou: Mapping[str, float | None]
    pixel_accuracy: float | None
    on: ScoredOn
    images: int
    best: bool
    interval: Interval | None = None
    class_intervals: Mapping[str, Interval | None] = field(default_factory=dict)
    interval_over: Units = "images"
    confusion: tuple[tuple[int, ...], ...] = ()
    notes: tuple[str, ...] = ()
    class_notes: Mapping[str, str] = field(default_factory=dict)
    gain: Gain | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the network sees in one image.

    Attributes:
        classes: class indices (H, W); confidence: 0..255, the winning probability.
        region: x0, y0, x1, y1: what is on the screen, predicted ahead of the rest, of which the maps are
            then; those of a huge image may be coarser than its pixels. None: the whole image.
        revision: revision of this image's labels the engine knew. weights_version: grows with the weights.
        source: whose weights, for people: "U-Net, step 840" of the run that is going on, "U-Net, run of
            06:12" of an earlier one, "U-Net, weights.safetensors" of a file.
        run: folder of the run whose weights they are; None for a file from elsewhere.
        miou: the score these weights were saved with; None where they are not saved, or were never scored.
        scored_on, scored_images: what its learners' scores are on; of two learners the kind that proves
            least, "training" before all. None: one of them has no score, or nobody knows how many images.
        calibration_error: how far the confidence is from what is right, 0..1; None: nobody knows.
        post: the post-processing that was done, as text; "" for none.
        weak_background: the instant learner has its say, and for it undrawn pixels stand in for background.
        bent: it has its say, and follows what is drawn in this image more closely than in any other.
    """

    key: str
    revision: int
    weights_version: int
    classes: PackedMask
    confidence: PackedMask
    source: str
    seconds: float
    run: str | None = None
    miou: float | None = None
    scored_on: ScoredOn | None = None
    scored_images: int | None = None
    calibration_error: float | None = None
    post: str = ""
    weak_background: bool = False
    bent: bool = False
    region: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """How little a prediction of the watched image can be relied on: `core.learning.prediction.uncertainty`.

    Attributes:
        revision, weights_version: those of the prediction.
        entropy: (H, W) 0..255 for 0..1 bit.
        disagreement: of the two learners, likewise; None where only one has a say.
        refined: the mirrored image was looked at as well.
    """

    key: str
    revision: int
    weights_version: int
    entropy: PackedMask
    disagreement: PackedMask | None
    refined: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayCompared:
    """Older weights and those of a run, scored on the same labels; the better ones are shown.

    Sent while older weights are still shown, whenever one of the scores is new, and when the run takes over.

    Attributes:
        older: as in `Prediction.source`. run: the run's folder.
        older_miou, run_miou: on `images` images that are held out (`on` "validation") or learned from.
        run_is_shown: from now on the run's weights predict.
    """

    older: str
    older_miou: float | None
    run: str
    run_miou: float | None
    run_is_shown: bool
    on: ScoredOn
    images: int


@dataclass(frozen=True, slots=True)
class WeightsGone:
    """Nothing predicts any more, what it was learned from is gone; nor does what was predicted count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """`last.ckpt`, and with `best` also `best.safetensors`, are on disk."""

    run: str
    step: int
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An export is written."""

    format: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProgress:
    """How far the prediction of a folder is, a few times a second.

    Attributes:
        number: of the job.
        done: images dealt with: predicted, `known` from before, or `failed`. total: 0: not counted yet.
        images_per_s, seconds_left: None before they can be said.
        image: the name of the last one. held: it waits for the person.
    """

    number: int
    done: int
    total: int
    known: int
    failed: int
    images_per_s: float | None
    seconds_left: float | None
    image: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderProblem:
    """An image that is left out of the prediction of a folder, job `number`; the rest goes on."""

    number: int
    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderEnded:
    """The prediction of a folder, job `number`, is over; `problem` says why it failed."""

    number: int
    reason: Literal["done", "cancelled", "failed"]
    predicted: int = 0
    known: int = 0
    failed: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One line for the person: a download's progress, a smaller batch after out-of-memory, ..."""

    text: str
    level: Literal["info", "warning"] = "info"
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """Training holds."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Training goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A command could not be done. `text` is one sentence; `detail` a traceback for the log."""

    during: str
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run has ended, by its budget, by Stop or by its patience; everything is saved."""

    run: str
    model: str
    steps: int
    seconds: float
    best_miou: float | None
    per_class_iou: Mapping[str, float | None]
    resumed_step: int | None
    reason: EndReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesRated:
    """How useful labelling would be, by image.

    Attributes:
        scores: by key, 0..1; the best of them has 1. Images that are done have none.
        weights_version: of the newest weights that were asked.
        images: how many could be rated in all.
    """

    scores: Mapping[str, float]
    weights_version: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditProgress:
    """An audit, `number` as asked, goes on: `done` of `steps`, now "`doing`"; `found` is what is new."""

    done: int
    steps: int
    doing: str
    found: tuple[Suspect, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEnded:
    """An audit is over.

    Attributes:
        images, regions: how many were judged.
        left_out: how many regions could not be, because the images of other folds do not show their class.
        passed_over: how many labelled images could not be: too large, not to be read, or gone.
        complete: False: it was given up.
        number: as asked.
    """

    images: int
    regions: int
    left_out: int
    passed_over: int
    complete: bool
    number: int = 0


Event: TypeAlias = (
    EngineReady
    | ProjectOpened
    | TrainingStarted
    | StepDone
    | Validated
    | Prediction
    | Uncertainty
    | OverlayCompared
    | WeightsGone
    | Checkpointed
    | Exported
    | FolderProgress
    | FolderProblem
    | FolderEnded
    | CropsPreviewed
    | Notice
    | Paused
    | Resumed
    | Failed
    | LabelsCompared
    | RunPrediction
    | ModelExplained
    | ModelMaps
    | Finished
    | ImagesRated
    | AuditProgress
    | AuditEnded
)
