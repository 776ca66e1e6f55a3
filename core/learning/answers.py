"""Answers of the engine: what a person asked about runs, networks and crops, without changing anything.

They come between two steps of training, once for each question. Frozen, picklable, torch-free.

::

    PreviewCrops    CropsPreviewed      what training makes of an image
    CompareLabels   LabelsCompared      what runs have not seen
    PredictWithRun  RunPrediction       what a run sees in an image
    ExplainModel    ModelExplained      what a network is made of
    ShowMaps        ModelMaps           what its layers make of an image

The questions are in `core.learning.commands`; an answer that could not be found says in `problem` why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from core.annotation.model import ClassList
from core.learning.explain.explained import Explanation, Pictures
from core.learning.labels.packed_mask import PackedMask
from core.learning.labels.revisions import Unseen

ImageRole: TypeAlias = Literal["held out", "learned", "new", "unknown"]
"""What an image was to a run: scored on, learned from, not labelled then, or the run did not note it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropsPreviewed:
    """Crops of one image, augmented.

    Attributes:
        count, side, scale: so many squares of this side, of the image resized by `scale`.
        pixels: RGB (count, side, side, 3), uint8. labels: class indices (count, side, side), 255 unlabelled.
        problem: why there are none, for people.
    """

    key: str
    count: int = 0
    side: int = 0
    scale: float = 1.0
    pixels: bytes = b""
    labels: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsCompared:
    """What runs have not seen, by their folders; None for a run that did not note down what it saw."""

    unseen: Mapping[str, Unseen | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPrediction:
    """What a run's best weights see in an image.

    Attributes:
        labels: class indices (H, W) of the project as they are drawn now; None for an unlabelled image.
        role: what the image was to the run.
        prediction: class indices (H, W) of `classes`, the run's own; None where there is a problem. Of a huge
            image this and `labels` are thinned out.
        miou: on this image; None without labels, or where the run knows other classes than the project.
        problem: why there is no prediction, in one sentence.
    """

    run: str
    key: str
    labels: PackedMask | None = None
    role: ImageRole = "unknown"
    prediction: PackedMask | None = None
    classes: ClassList | None = None
    miou: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelExplained:
    """What a network is made of; None where there is a `problem`, one sentence.

    Attributes:
        scale: by which a run would resize the images it has now.
    """

    name: str
    encoder: str | None
    tile: int
    scale: float = 1.0
    explanation: Explanation | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMaps:
    """What a network makes of a piece of an image.

    Attributes:
        maps: which were asked for.
        source: whose weights: a run's name, or that they are untrained.
        box: the piece: left, top, right, bottom, pixels of the image.
        shape: (channels, height, width) of the maps as they are.
        features: the channels that vary most, as `Pictures`; each has its own lightest and darkest.
        channels: which ones these are.
        scores: probability of each class, 0..255, as `Pictures`. classes: what these stand for.
        problem: why there are none, one sentence.
    """

    name: str
    key: str
    maps: int
    source: str = ""
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    shape: tuple[int, int, int] = (0, 0, 0)
    features: Pictures | None = None
    channels: tuple[int, ...] = ()
    scores: Pictures | None = None
    classes: ClassList | None = None
    problem: str = ""
