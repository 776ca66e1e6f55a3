"""Score a network on labelled images: the numbers of `maskloop evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.errors import UsageError
from core.learning.machine.pieces import drained
from core.learning.prediction.looks import looked_again
from core.learning.prediction.postprocessed import check_classes_for, postprocessed
from core.learning.prediction.predict import Predictor
from core.learning.scores.bootstrap import Interval, Units
from core.learning.scores.calibration import Reliability, worth_sampling
from core.learning.scores.counted import CountedImages
from core.learning.scores.metrics import BoundaryScore
from core.learning.validation.validation import Score
from core.postprocess.pipeline import Pipeline

UNPROCESSED = Pipeline()


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
        images: how many were scored: those with a labelled pixel.
        model: the network's name.
        run: the run folder it comes from; None for a bare file of weights.
        interval, class_intervals: bootstrap intervals of mIoU and IoU; None where there is too little to draw
            from. interval_over: what they were drawn from.
        confusion: pixels by true class (rows) and predicted class, in the order of `per_class_iou`.
        notes: what limits the score. class_notes: why a class has no IoU, or a doubtful one.
        ece, ece_uncalibrated: expected calibration error (15 bins) at the network's temperature and without
            it, 0..1; the second one of images up to the size that `worth_sampling` says, None without any.
        post: the post-processing that was scored, as text.
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
    interval: Interval | None
    class_intervals: dict[str, Interval | None]
    interval_over: Units
    confusion: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]
    class_notes: dict[str, str]
    ece: float | None
    ece_uncalibrated: float | None
    temperature: float
    post: str = ""

    def as_dict(self) -> dict[str, object]:
        """The fields of `evaluate --json`, where `dice` is the mean; an interval is its two ends."""
        return {
            "miou": self.miou,
            "per_class_iou": self.per_class_iou,
            "dice": self.mean_dice,
            "pixel_accuracy": self.pixel_accuracy,
            "boundary_f1": self.boundary_f1,
            "images": self.images,
            "model": self.model,
            "run": self.run,
            "miou_interval": self.interval,
            "per_class_iou_interval": self.class_intervals,
            "interval_over": self.interval_over,
            "confusion": {"classes": list(self.per_class_iou), "pixels": self.confusion},
            "notes": list(self.notes),
            "class_notes": self.class_notes,
            "ece": self.ece,
            "ece_uncalibrated": self.ece_uncalibrated,
            "temperature": self.temperature,
            "post": self.post,
        }


def evaluate(
    predictor: Predictor,
    pairs: Iterable[LabelledPixels],
    *,
    run: str | None = None,
    post: Pipeline = UNPROCESSED,
) -> Evaluation:
    """Predict every image and compare.

    Args:
        predictor: the network.
        pairs: taken one at a time, so that they can be read as they are needed.
        run: the run folder the weights come from.
        post: done to every prediction before it is compared.

    Raises:
        UsageError: there is no image, or none with a labelled pixel; or the post-processing cannot be done.
        ValueError: a truth of another size than its image, or with an index the network has no class for.
    """
    classes = predictor.header.classes
    check_classes_for(post, classes)
    counted = CountedImages(classes.indices)
    boundaries = BoundaryScore(classes.indices)
    sure, sure_before = Reliability(), Reliability()
    unlabelled = 0
    for pair in pairs:
        labelled = pair.truth != UNLABELLED
        if not labelled.any():
            unlabelled += 1
            continue
        size_hw = pair.pixels.shape[:2]
        shares = bool(post) or (predictor.temperature != 1.0 and worth_sampling(size_hw))
        plain = predictor.predict(pair.pixels, probabilities=shares)
        predicted = postprocessed(
            post,
            drained(looked_again(predictor, pair.pixels, plain, post.looks)),
            pair.pixels,
            classes,
            temperature=predictor.temperature,
            device=predictor.device,
        )
        counted.update(pair.truth, predicted.classes)
        boundaries.update(pair.truth, predicted.classes)
        right = (predicted.classes == pair.truth)[labelled]
        sure.update(predicted.confidence[labelled].astype(np.float32) / 255, right)
        if plain.probabilities is not None:
            right = (plain.classes == pair.truth)[labelled]
            sure_before.update(plain.probabilities.max(axis=0)[labelled], right)
    confusion = counted.confusion
    if not confusion.counts.any():
        raise UsageError("there is nothing to score: none of the masks has a labelled pixel")
    score = Score.of(counted, classes.names)
    left_out = f"without a labelled pixel, and not scored: {unlabelled} of the masks" if unlabelled else ""
    return Evaluation(
        miou=score.miou,
        per_class_iou=dict(score.per_class_iou),
        dice=dict(zip(classes.names, confusion.dice(), strict=True)),
        mean_dice=confusion.mean_dice(),
        pixel_accuracy=score.pixel_accuracy,
        boundary_f1=boundaries.mean_f1(),
        images=score.images,
        model=predictor.header.architecture,
        run=run,
        interval=score.interval,
        class_intervals=dict(score.class_intervals),
        interval_over=score.interval_over,
        confusion=score.confusion,
        notes=(*score.trust.notes, *filter(None, [left_out])),
        class_notes=dict(score.trust.class_notes),
        ece=sure.error(),
        ece_uncalibrated=sure.error() if predictor.temperature == 1.0 else sure_before.error(),
        temperature=predictor.temperature,
        post=str(post),
    )
