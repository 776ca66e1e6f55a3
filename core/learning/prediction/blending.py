"""What is shown where both learners have something to say: each by its share, as `core.models.blend` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import ClassList
from core.learning.prediction.class_maps import PredictedMap

EVEN: Final = 0.5
FAR_BEHIND: Final = 0.1
"""A learner whose mIoU is this much lower than the other's has no say: it would only blur."""
FEWEST_CLASSES: Final = 2
"""That both have scores for: how well one class is told from nothing says little."""
_FLOOR: Final = 1e-6


def instant_share(
    deep_miou: float | None, instant_miou: float | None, *, learning: bool, tested: bool = True
) -> float:
    """The instant learner's share in what is shown, 0..1.

    A deep network without a score is in its first steps: there the instant learner speaks alone. With both
    scored they speak together, for their mistakes differ, unless one of them is far behind.

    Args:
        deep_miou: of the deep network, on images it does not know; None: it has no score.
        instant_miou: of the instant learner, by cross-fitting; None: not scored yet.
        learning: the deep network is still being trained: nobody knows what its first scores are worth.
        tested: the deep network's score is on images it does not know. On those it learns from it is
            flattered: it never silences the other, and gives no say to a network that is still learning.
    """
    if deep_miou is None:
        return 1.0
    if instant_miou is None:
        return 1.0 if learning else EVEN
    gap = deep_miou - instant_miou
    if not tested:
        return EVEN if gap >= 0 and not learning else 1.0
    if abs(gap) <= FAR_BEHIND:
        return EVEN
    return 0.0 if gap > 0 else 1.0


def by_index(named: Mapping[str, object], classes: ClassList) -> dict[int, float]:
    """The scores by class index, of those classes that have one."""
    scores = ((known.index, named.get(known.name)) for known in classes)
    return {index: score for index, score in scores if isinstance(score, float)}


def compared_mious(deep: Mapping[int, float], instant: Mapping[int, float]) -> tuple[float, float] | None:
    """The mIoU of each learner over the classes that both have scores for, by class index.

    None: these are fewer than FEWEST_CLASSES, and means over other classes compare with nothing.
    """
    both = sorted(deep.keys() & instant.keys())
    if len(both) < FEWEST_CLASSES:
        return None
    return fmean(deep[index] for index in both), fmean(instant[index] for index in both)


def mixed(
    deep: NDArray[np.float16],
    instant: NDArray[np.float16],
    share: float,
    values: NDArray[np.uint8],
    *,
    temperature: float = 1.0,
) -> PredictedMap:
    """The geometric mean of two maps of probabilities.

    Args:
        deep: (C, H, W).
        instant: (C, H, W), of the same classes in the same order.
        share: of `instant`, 0..1.
        values: (C,) the class index of each channel.
        temperature: of the mixture's confidence; see `core.learning.scores.calibration`.
    """
    height, width = deep.shape[1:]
    classes = np.empty((height, width), np.uint8)
    confidence = np.empty((height, width), np.uint8)
    for rows, logs in _mixed_logs(deep, instant, share):
        best = logs.argmax(axis=0)
        logs -= np.take_along_axis(logs, best[None], axis=0)
        classes[rows] = values[best]
        confidence[rows] = np.round(255.0 / np.exp(logs / temperature).sum(axis=0)).astype(np.uint8)
    return PredictedMap(classes, confidence)


def mixed_probabilities(
    deep: NDArray[np.floating], instant: NDArray[np.floating], share: float
) -> NDArray[np.float16]:
    """As `mixed`, but the mixture's probabilities (C, H, W), at temperature 1."""
    found = np.empty(deep.shape, np.float16)
    for rows, logs in _mixed_logs(deep, instant, share):
        likely = np.exp(logs - logs.max(axis=0))
        found[:, rows] = likely / likely.sum(axis=0)
    return found


def _mixed_logs(
    deep: NDArray[np.floating], instant: NDArray[np.floating], share: float
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Logarithms (C, rows, W) of the mixture, not normalised, some rows at a time."""
    rows_at_once = max(1, (1 << 22) // (deep.shape[0] * deep.shape[2]))
    for top in range(0, deep.shape[1], rows_at_once):
        rows = slice(top, top + rows_at_once)
        logs = (1.0 - share) * np.log(deep[:, rows].astype(np.float32) + _FLOOR)
        logs += share * np.log(instant[:, rows].astype(np.float32) + _FLOOR)
        yield rows, logs
