"""The points of an image that the head learns from, and what they were drawn for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.learning.instant.points import Points, thinned
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
        fresh_for: (H, W), uint8, fits for which a label counts as fresh; None: for none of them.
    """

    labels: ImageLabels
    of: str
    weak: float | None
    count: int
    points: Points
    fresh_for: NDArray[np.uint8] | None = None

    def hold(self, labels: ImageLabels, of: str, weak: float | None) -> bool:
        """Whether they need not be drawn anew for these."""
        return (self.labels.version, self.of, self.weak) == (labels.version, of, weak)

    def of_about(self, count: int) -> KnownPoints:
        """Evenly fewer of them, where they are many more than this; a few too many or too few stay."""
        if self.count <= 2 * count:
            return self
        fewer = thinned((self.points,), max(1, len(self.points) * count // self.count))
        return replace(self, count=count, points=fewer)

    def settled(self) -> KnownPoints:
        """The same, none of them fresh."""
        return replace(self, points=self.points.settled(), fresh_for=None)

    def older(self) -> KnownPoints:
        """The same after a fit in which what is fresh was not learned yet."""
        assert self.fresh_for is not None
        left = np.maximum(self.fresh_for, 1) - np.uint8(1)
        return replace(self, points=self.points.older(), fresh_for=left if left.any() else None)


def fresh_since(known: KnownPoints | None, labels: ImageLabels) -> NDArray[np.uint8] | None:
    """For how many fits each label of an image counts as fresh, new or not learned yet; as `fresh_for`."""
    if known is None or known.labels.mask.shape != labels.mask.shape:
        fits = np.full(labels.mask.shape, FRESH_FITS, np.uint8)
    else:
        before = np.uint8(0) if known.fresh_for is None else known.fresh_for
        fits = np.where(known.labels.mask != labels.mask, np.uint8(FRESH_FITS), before)
    fits[labels.mask == UNLABELLED] = 0
    return fits if fits.any() else None
