"""What a validation counted: one pooled confusion matrix, and of every image what intervals need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.learning.scores.bootstrap import Counts, Units
from core.learning.scores.calibration import PixelSample
from core.learning.scores.metrics import ConfusionMatrix

PARTS_A_SIDE: Final = 4
"""An only image is drawn from in so many times so many parts: small enough to be several, large enough that
most objects lie in one or two of them."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One image that was counted.

    Attributes:
        key: its name. digest: of its labels, "" where nobody asks.
    """

    key: str
    digest: str = ""


class CountedImages:
    """Counts images one after the other.

    Attributes:
        judged: pixels by which confidence can be judged, of those images that came with probabilities.

    Args:
        classes: how many (then values are 0..classes - 1), or the mask values themselves, in class order.
    """

    def __init__(self, classes: int | Sequence[int]) -> None:
        self.confusion = ConfusionMatrix(classes)
        self._images: list[Unit] = []
        self._rows: list[Counts] = []
        self._parts: list[Counts] = []
        self.judged = PixelSample()

    def __len__(self) -> int:
        return len(self._images)

    @property
    def images(self) -> tuple[Unit, ...]:
        """What was counted, in order."""
        return tuple(self._images)

    @property
    def per_image(self) -> Counts:
        """(N, 3, C) int64: right, true and predicted pixels of every class; see `bootstrap.py`."""
        return _stacked(self._rows, len(self.confusion.values))

    @property
    def units(self) -> tuple[Counts, Units]:
        """What can be drawn: the images, or the labelled parts of the only one."""
        if len(self._images) == 1:
            return _stacked(self._parts, len(self.confusion.values)), "parts"
        return self.per_image, "images"

    def update(
        self,
        truth: NDArray[np.uint8],
        predicted: NDArray[np.uint8],
        *,
        key: str = "",
        digest: str = "",
        probabilities: NDArray[np.floating] | None = None,
    ) -> None:
        """Count one image in, both maps (H, W) of mask values; one without a labelled pixel says nothing.

        Args:
            truth: what is labelled.
            predicted: what a network says.
            key: of the image; decides which of its pixels are judged.
            digest: of its labels.
            probabilities: (C, H, W), with which calibration can be judged, where values are channels.

        Raises:
            ValueError: as `ConfusionMatrix.update`; nothing is counted then.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"the truth is {truth.shape} and the prediction {predicted.shape}")
        whole = ConfusionMatrix(self.confusion.values)
        parts: list[Counts] = []
        if self._images:
            whole.update(truth, predicted)
        else:
            # Parts cost no more than the whole, and only the first image can turn out to be the only one.
            for rows in np.array_split(np.arange(truth.shape[0]), PARTS_A_SIDE):
                for columns in np.array_split(np.arange(truth.shape[1]), PARTS_A_SIDE):
                    if not (len(rows) and len(columns)):
                        continue
                    part = ConfusionMatrix(self.confusion.values)
                    there = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                    part.update(truth[there], predicted[there])
                    if part.counts.any():
                        parts.append(_row(part))
                        whole.add_counts(part.counts)
        if not whole.counts.any():
            return
        self._parts += parts
        self.confusion.add_counts(whole.counts)
        if probabilities is not None:
            self.judged.add(probabilities, truth, key=key)
        self._images.append(Unit(key, digest))
        self._rows.append(_row(whole))

    def add_counted(self, other: CountedImages) -> None:
        """Count in, after these, the images that another one of the same classes has counted."""
        if not self._images:
            self._parts += other._parts
        self.confusion.add_counts(other.confusion.counts)
        self.judged.add_sample(other.judged)
        self._images += other._images
        self._rows += other._rows


def _row(confusion: ConfusionMatrix) -> Counts:
    counts = confusion.counts
    return np.stack([np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)])


def _stacked(rows: Sequence[Counts], classes: int) -> Counts:
    return np.stack(rows) if rows else np.zeros((0, 3, classes), np.int64)
