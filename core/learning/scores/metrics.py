"""Scores of a segmentation: one pooled confusion matrix, and boundary F1. Needs no torch.

Pixels that are UNLABELLED in the truth count nowhere. A class without a true pixel has no IoU and no Dice
(None) and is left out of the means, neither 0 nor 1; pixels wrongly given to it are missing from the classes
they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED

Scores = tuple[float | None, ...]
"""One value per class, None where the class has no true pixel."""

_NO_CLASS: Final = -1


class ConfusionMatrix:
    """Counts of (true class, predicted class), pooled over all images.

    Args:
        classes: how many (then values are 0..classes - 1), or the mask values themselves, in class order.
    """

    def __init__(self, classes: int | Sequence[int]) -> None:
        values = range(classes) if isinstance(classes, int) else classes
        self.values = tuple(values)
        self.counts: NDArray[np.int64] = np.zeros((len(self.values), len(self.values)), dtype=np.int64)
        """(C, C): true class by row, predicted class by column."""
        self._position = np.full(256, _NO_CLASS, dtype=np.int64)
        self._position[list(self.values)] = range(len(self.values))

    def update(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Add one image, both (H, W) of mask values.

        Raises:
            ValueError: sizes differ, or a labelled pixel has a value of no class (on either side).
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"the truth is {truth.shape} and the prediction {predicted.shape}")
        labelled = truth != UNLABELLED
        rows = self._position[truth[labelled]]
        columns = self._position[predicted[labelled]]
        for side, positions, mask in (("truth", rows, truth), ("prediction", columns, predicted)):
            if (positions == _NO_CLASS).any():
                strange = mask[labelled][positions == _NO_CLASS][0]
                raise ValueError(f"the {side} has the value {strange}, which no class has")
        size = len(self.values)
        self.counts += np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)

    def add_counts(self, counts: NDArray[np.int64]) -> None:
        """Add another matrix (C, C) of the same classes."""
        self.counts += counts

    def iou(self) -> Scores:
        """Intersection over union of each class."""
        hits = np.diag(self.counts)
        return self._where_present(hits, self.counts.sum(axis=0) + self.counts.sum(axis=1) - hits)

    def dice(self) -> Scores:
        """Dice coefficient (F1) of each class."""
        return self._where_present(
            2 * np.diag(self.counts), self.counts.sum(axis=0) + self.counts.sum(axis=1)
        )

    def miou(self) -> float | None:
        """Mean IoU over the classes that have a true pixel; None without any."""
        return mean_of_present(self.iou())

    def mean_dice(self) -> float | None:
        """Mean Dice over the classes that have a true pixel; None without any."""
        return mean_of_present(self.dice())

    def pixel_accuracy(self) -> float | None:
        """Share of the labelled pixels that are right; None without any."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts)) / total if total else None

    def _where_present(self, numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> Scores:
        true_pixels = self.counts.sum(axis=1)
        return tuple(
            float(n / d) if true > 0 else None
            for n, d, true in zip(numerator, denominator, true_pixels, strict=True)
        )


def mean_of_present(scores: Scores) -> float | None:
    """Mean of the values that are not None; None when all are."""
    present = [score for score in scores if score is not None]
    return float(np.mean(present)) if present else None


class BoundaryScore:
    """Boundary F1 (Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?").

    A boundary pixel of a class has a 4-neighbour of another class; neighbours that are UNLABELLED or outside
    the image make no boundary. It is matched when the other side has a boundary pixel of the same class
    within the tolerance: 0.75 % of the image's diagonal, but at least 2 pixels. Matches are pooled over
    all images before precision and recall are taken.
    """

    TOLERANCE_SHARE: Final = 0.0075
    MIN_TOLERANCE_PX: Final = 2.0

    def __init__(self, classes: int | Sequence[int]) -> None:
        self.values = tuple(range(classes)) if isinstance(classes, int) else tuple(classes)
        # Per class: predicted boundary pixels and those matched, true boundary pixels and those matched.
        self._counts: NDArray[np.int64] = np.zeros((len(self.values), 4), dtype=np.int64)
        self._present = np.zeros(len(self.values), dtype=np.bool_)

    def update(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Add one image, both (H, W) of mask values."""
        tolerance = max(self.MIN_TOLERANCE_PX, self.TOLERANCE_SHARE * float(np.hypot(*truth.shape)))
        labelled = truth != UNLABELLED
        for row, value in enumerate(self.values):
            self._present[row] |= bool((truth == value).any())
            expected = _boundary(truth == value, labelled)
            found = _boundary(predicted == value, labelled)
            self._counts[row] += (
                found.sum(),
                (found & _near(expected, tolerance)).sum(),
                expected.sum(),
                (expected & _near(found, tolerance)).sum(),
            )

    def f1(self) -> Scores:
        """F1 of each class; None for a class without a true pixel, or without a boundary on either side."""
        return tuple(
            self._f1(*(int(count) for count in counts)) if present else None
            for counts, present in zip(self._counts, self._present, strict=True)
        )

    def mean_f1(self) -> float | None:
        """Mean over the classes that have one."""
        return mean_of_present(self.f1())

    @staticmethod
    def _f1(found: int, found_right: int, expected: int, expected_met: int) -> float | None:
        if found == 0 and expected == 0:
            return None
        precision = found_right / found if found else 0.0
        recall = expected_met / expected if expected else 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(region: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a region, labelled, next to a labelled pixel outside it."""
    inside, outside = region & labelled, ~region & labelled
    boundary = np.zeros_like(inside)
    boundary[1:] |= inside[1:] & outside[:-1]
    boundary[:-1] |= inside[:-1] & outside[1:]
    boundary[:, 1:] |= inside[:, 1:] & outside[:, :-1]
    boundary[:, :-1] |= inside[:, :-1] & outside[:, 1:]
    return boundary


def _near(pixels: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    """Where the nearest of these pixels is at most `tolerance` away."""
    if not pixels.any():
        return np.zeros_like(pixels)
    distance = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= tolerance)
