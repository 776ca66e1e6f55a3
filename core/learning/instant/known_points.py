"""The points of an image that the head learns from, and what they were drawn for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.learning.instant.points import Points
from core.learning.labels.data import ImageLabels

FRESH_FITS: Final = 8
"""Fits after which a label that changed counts as all others in any case."""


@dataclass(frozen=True, slots=True)
class KnownPoints:
    """Points of one image, and what they were drawn for.

    Attributes:
        labels: the image's, then.
        of: the stamp of its file.
        weak: weight of undrawn pixels that stand in for background; None: they say nothing.
        count: how many were asked for.
        corrected: (H, W), bool, which of the labels are fresh; None: none.
        fits: since they are.
    """

    labels: ImageLabels
    of: str
    weak: float | None
    count: int
    points: Points
    corrected: NDArray[np.bool_] | None = None
    fits: int = 0

    def hold(self, labels: ImageLabels, of: str, weak: float | None, count: int) -> bool:
        """Whether they need not be drawn anew for these; a few too many or too few are no reason."""
        same = (self.labels.version, self.of, self.weak) == (labels.version, of, weak)
        return same and self.count <= 2 * count

    def settled(self) -> KnownPoints:
        """The same, none of them fresh."""
        return replace(self, points=self.points.settled(), corrected=None, fits=0)


def corrected_since(known: KnownPoints | None, labels: ImageLabels) -> NDArray[np.bool_] | None:
    """Which labels of an image are new, or were not learned yet, (H, W); None: none."""
    if known is None or known.labels.mask.shape != labels.mask.shape:
        return np.asarray(labels.mask != UNLABELLED)
    corrected = known.labels.mask != labels.mask
    if known.corrected is not None:
        corrected |= known.corrected
    corrected &= labels.mask != UNLABELLED
    return corrected if corrected.any() else None
