"""How far a score can be trusted: bootstrap intervals over images. Needs no torch.

The images that were scored are drawn again, as many as there are and with repetition, a few hundred times;
the middle 95 % of the scores so found is the interval (Efron 1979, "Bootstrap methods: another look at the
jackknife", percentile method). It says what other images of the same kind could give, not what other weights
could. Of a single image its parts are drawn instead, which says nothing about other images.

What is drawn are counts (N, 3, C) int64, one row a unit: pixels that are right, true pixels and predicted
pixels of every class. They hold all that IoU needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Units: TypeAlias = Literal["images", "parts"]
"""What was drawn: whole images, or the parts of the only one."""

Counts: TypeAlias = NDArray[np.int64]

RESAMPLES: Final = 400
LEVEL: Final = 0.95
FEWEST_UNITS: Final = 2


class Interval(NamedTuple):
    """Where a score lies with LEVEL of the probability; of a difference it may be below 0."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value lies in it."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of one validation.

    Attributes:
        miou: None where there are fewer than FEWEST_UNITS units.
        per_class: in class order; None also for a class with true pixels in fewer units than that.
        over: what was drawn.
        units: how many there are.
    """

    miou: Interval | None
    per_class: tuple[Interval | None, ...]
    over: Units
    units: int


def intervals(counts: Counts, over: Units, *, resamples: int = RESAMPLES, seed: int = 0) -> Intervals:
    """Intervals of mIoU and of every class's IoU.

    Args:
        counts: (N, 3, C), a row a unit.
        over: what the units are.
        resamples: how often the units are drawn.
        seed: the same units and seed give the same intervals.
    """
    units, _, classes = counts.shape
    if units < FEWEST_UNITS:
        return Intervals(None, (None,) * classes, over, units)
    found = iou_of(_resampled(counts, _draws(units, resamples, seed)))
    present_in = (counts[:, 1] > 0).sum(axis=0)
    per_class = tuple(_middle(found[:, k]) if present_in[k] >= FEWEST_UNITS else None for k in range(classes))
    return Intervals(_middle(_mean_of_present(found)), per_class, over, units)


def difference(
    before: Counts, after: Counts, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Interval of the gain in mIoU on the same units, which are drawn together (paired bootstrap).

    What makes one image harder than another affects both scores and so cancels out.

    Args:
        before: (N, 3, C).
        after: of the same units in the same order.
        resamples: how often the units are drawn.
        seed: as in `intervals`.

    Returns:
        None where there are fewer than FEWEST_UNITS units.

    Raises:
        ValueError: they are not of the same units.
    """
    if before.shape != after.shape:
        raise ValueError(f"counts of the same units have one shape, not {before.shape} and {after.shape}")
    if len(before) < FEWEST_UNITS:
        return None
    draws = _draws(len(before), resamples, seed)
    earlier = _mean_of_present(iou_of(_resampled(before, draws)))
    later = _mean_of_present(iou_of(_resampled(after, draws)))
    return _middle(later - earlier)


def iou_of(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """IoU (..., C) of pooled counts (..., 3, C); NaN for a class without a true pixel."""
    right, true, predicted = (counts[..., row, :].astype(np.float64) for row in range(3))
    union = true + predicted - right
    return np.where(true > 0, right / np.maximum(union, 1.0), np.nan)


def _draws(units: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each unit is drawn, (resamples, units)."""
    chances = np.full(units, 1.0 / units)
    return np.random.default_rng(seed).multinomial(units, chances, size=resamples).astype(np.float64)


def _resampled(counts: Counts, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pooled counts of every drawing, (resamples, 3, C)."""
    units, rows, classes = counts.shape
    pooled = draws @ counts.reshape(units, rows * classes).astype(np.float64)
    return pooled.reshape(len(draws), rows, classes)


def _mean_of_present(iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean IoU (resamples,) over the classes that have a true pixel in a drawing; NaN without any."""
    present = ~np.isnan(iou)
    total = np.where(present, iou, 0.0).sum(axis=1)
    return np.where(present.any(axis=1), total / np.maximum(present.sum(axis=1), 1), np.nan)


def _middle(values: NDArray[np.float64]) -> Interval | None:
    """The middle LEVEL of the values that are numbers; None without any."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return None
    low, high = np.quantile(numbers, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(low), float(high))
