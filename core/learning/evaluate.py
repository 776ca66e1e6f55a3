"""Score a network on labelled images: the numbers of `maskloop evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.learning.metrics import BoundaryScore, ConfusionMatrix
from core.learning.predict import Predictor


@dataclass(frozen=True, slots=True)
class LabelledPixels:
    """One image and its truth.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        truth: (H, W) uint8: class indices, 255 where nothing is known.
    """

    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores from one confusion matrix over all images.

    Attributes:
        miou, mean_dice, boundary_f1: means over the classes that have a true pixel; None without any.
        per_class_iou, dice: None for a class without a true pixel.
        images: how many were scored.
        model: the network's name.
        run: the run folder it comes from; None for a bare file of weights.
    """

    miou: float | None
    per_class_iou: dict[str, float | None]
    dice: dict[str, float | None]
    mean_dice: float | None
    pixel_accuracy: float | None
    boundary_f1: float | None
    images: int
    model: str
    run: str | None

    def as_dict(self) -> dict[str, object]:
        """The fields of `evaluate --json`, where `dice` is the mean."""
        return {
            "miou": self.miou,
            "per_class_iou": self.per_class_iou,
            "dice": self.mean_dice,
            "pixel_accuracy": self.pixel_accuracy,
            "boundary_f1": self.boundary_f1,
            "images": self.images,
            "model": self.model,
            "run": self.run,
        }


def evaluate(predictor: Predictor, pairs: Iterable[LabelledPixels], *, run: str | None = None) -> Evaluation:
    """Predict every image and compare.

    Args:
        predictor: the network.
        pairs: taken one at a time, so that they can be read as they are needed.
        run: the run folder the weights come from.

    Raises:
        UsageError: there is no image, or none with a labelled pixel.
        ValueError: a truth of another size than its image, or with an index the network has no class for.
    """
    classes = predictor.header.classes
    confusion = ConfusionMatrix(classes.indices)
    boundaries = BoundaryScore(classes.indices)
    images = 0
    for pair in pairs:
        predicted = predictor.predict(pair.pixels).classes
        confusion.update(pair.truth, predicted)
        boundaries.update(pair.truth, predicted)
        images += 1
    if not confusion.counts.any():
        raise UsageError("there is nothing to score: none of the masks has a labelled pixel")
    return Evaluation(
        miou=confusion.miou(),
        per_class_iou=dict(zip(classes.names, confusion.iou(), strict=True)),
        dice=dict(zip(classes.names, confusion.dice(), strict=True)),
        mean_dice=confusion.mean_dice(),
        pixel_accuracy=confusion.pixel_accuracy(),
        boundary_f1=boundaries.mean_f1(),
        images=images,
        model=predictor.header.architecture,
        run=run,
    )
