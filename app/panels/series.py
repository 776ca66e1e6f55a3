"""A curve that grows for hours and never takes more than a fixed number of points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

CAPACITY: Final = 4000
"""Points kept: more than a chart has pixels, few enough to draw in a millisecond."""


class Series:
    """Points (step, seconds, value) with a running mean, oldest first.

    When `capacity` is reached, neighbours are joined pairwise: the past gets coarser, the present stays fine.

    Args:
        capacity: the most points ever kept, an even number.
        smoothing: share 0..1 of the running mean that stays at each new point; 0 gives the values themselves.
    """

    def __init__(self, *, capacity: int = CAPACITY, smoothing: float = 0.0) -> None:
        self._table: NDArray[np.float64] = np.empty((4, capacity))
        self._smoothing = smoothing
        self._mean = 0.0
        self._weight = 0.0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, step: float, seconds: float, value: float) -> None:
        """Add one point; one that is not finite is left out, and later steps are forgotten.

        A run that goes on from its checkpoint, after its engine died, does its last steps again.
        """
        if not np.isfinite(value):
            return
        if self._length and step < self.steps[-1]:
            self._forget_from(step)
        if self._length == self._table.shape[1]:
            self._halve()
        # Divided by its weight, the mean starts at the first value instead of at zero.
        self._mean = self._smoothing * self._mean + (1 - self._smoothing) * value
        self._weight = self._smoothing * self._weight + (1 - self._smoothing)
        self._table[:, self._length] = step, seconds, value, self._mean / self._weight
        self._length += 1

    def prepend(self, points: Iterable[tuple[float, float, float]]) -> None:
        """Put earlier points (step, seconds, value) in front; those that are not earlier are left out."""
        later = list(
            zip(*(column.tolist() for column in (self.steps, self.seconds, self.values)), strict=True)
        )
        first = later[0][0] if later else np.inf
        self.clear()
        for point in points:
            if point[0] < first:
                self.append(*point)
        for point in later:
            self.append(*point)

    def clear(self) -> None:
        """Forget every point."""
        self._length = 0
        self._mean = self._weight = 0.0

    @property
    def steps(self) -> NDArray[np.float64]:
        """Steps (N,), a view."""
        return self._table[0, : self._length]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Training seconds (N,), a view."""
        return self._table[1, : self._length]

    @property
    def values(self) -> NDArray[np.float64]:
        """Values as they came, or means of neighbours (N,), a view."""
        return self._table[2, : self._length]

    @property
    def smooth(self) -> NDArray[np.float64]:
        """Running mean at each point (N,), a view."""
        return self._table[3, : self._length]

    def _forget_from(self, step: float) -> None:
        self._length = int(np.searchsorted(self.steps, step))
        self._mean = float(self.smooth[-1]) * self._weight if self._length else 0.0
        if not self._length:
            self._weight = 0.0

    def _halve(self) -> None:
        half = self._table.shape[1] // 2
        left, right = self._table[:, 0 : 2 * half : 2], self._table[:, 1 : 2 * half : 2]
        joined = right.copy()
        joined[2] = (left[2] + right[2]) / 2
        self._table[:, :half] = joined
        self._length = half
