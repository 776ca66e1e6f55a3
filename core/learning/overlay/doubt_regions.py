"""Where a person's look is worth most: connected areas of high uncertainty, largest and most doubtful first.

Along every border between two classes a thin line is uncertain, and nobody needs to be led there. So the map
is smoothed before it is cut: what is left of a line a few pixels wide is below the threshold, while areas
keep their height. Torch-free: the window finds the regions, for it has the newest labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SMOOTHING: Final = 0.006
"""Standard deviation of the smoothing, as a share of the image's diagonal."""
LEAST_DOUBT: Final = 0.3
"""Bits, after smoothing: 95 against 5 percent over an area. What is surer is not worth a visit."""
MOST_SHARE: Final = 0.15
"""Of the free pixels that may be doubtful: where all is uncertain the worst of it is shown."""
LEAST_SHARE: Final = 4e-4
"""Of the image's pixels that make a region, at least."""
LEAST_PX: Final = 25
MOST_PIXELS: Final = 1 << 20
"""Larger maps are searched at a coarser scale."""
_NOISE: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class DoubtfulRegion:
    """One connected area.

    Attributes:
        box: (x0, y0, x1, y1) in image pixels, the last two outside.
        mask: bool (h, w), cropped to the box.
        weight: doubt summed over its pixels, bits: what regions are ordered by.
        peak: its most doubtful pixel (x, y).
    """

    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    weight: float
    peak: tuple[int, int]

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.mask.sum())


def doubtful_regions(
    uncertainty: NDArray[np.uint8],
    disagreement: NDArray[np.uint8] | None = None,
    settled: NDArray[np.bool_] | None = None,
) -> tuple[DoubtfulRegion, ...]:
    """Regions of an image, the one most worth a look first.

    Args:
        uncertainty: (H, W) uint8, 0..255 for 0..1 bit.
        disagreement: (H, W) uint8, of the learners: counts on top.
        settled: bool (H, W): pixels that are labelled already, which nobody needs to look at.
    """
    height, width = uncertainty.shape
    step = max(1, math.ceil(math.sqrt(height * width / MOST_PIXELS)))
    small = max(1, width // step), max(1, height // step)
    doubt = uncertainty.astype(np.float32) / 255.0
    if disagreement is not None:
        doubt *= 1.0 + disagreement.astype(np.float32) / 255.0
    free = np.ones((height, width), np.float32) if settled is None else (~settled).astype(np.float32)
    if step > 1:
        doubt = cv2.resize(doubt * free, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        free = cv2.resize(free, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    else:
        doubt *= free
    smooth = _smoothed(doubt, free)
    smooth[free < 0.5] = 0.0
    candidates = smooth[free >= 0.5]
    if not len(candidates):
        return ()
    doubtful = smooth >= LEAST_DOUBT
    worst = float(np.quantile(candidates, 1.0 - MOST_SHARE)) + _NOISE
    if worst > LEAST_DOUBT and (smooth >= worst).any():  # not where all is equally doubtful
        doubtful = smooth >= worst
    least_px = max(LEAST_PX, LEAST_SHARE * height * width) / step**2
    count, marks, figures, _ = cv2.connectedComponentsWithStats(doubtful.astype(np.uint8))
    found = [
        _region(
            smooth,
            np.asarray(marks, np.int32),
            np.asarray(figures[number], np.int32),
            number,
            (height, width),
        )
        for number in range(1, count)
        if figures[number][cv2.CC_STAT_AREA] >= least_px
    ]
    return tuple(sorted(found, key=lambda region: -region.weight))


def _smoothed(doubt: NDArray[np.float32], free: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blurred over the free pixels only: what is settled neither lends nor takes doubt."""
    sigma = max(1.0, SMOOTHING * math.hypot(*doubt.shape))
    blurred = cv2.GaussianBlur(doubt, (0, 0), sigma)
    weight = cv2.GaussianBlur(free, (0, 0), sigma)
    return np.asarray(blurred / np.maximum(weight, 0.05), np.float32)


def _region(
    smooth: NDArray[np.float32],
    marks: NDArray[np.int32],
    figures: NDArray[np.int32],
    number: int,
    size_hw: tuple[int, int],
) -> DoubtfulRegion:
    left, top, wide, high = (
        int(figures[which])
        for which in (cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)
    )
    mask = marks[top : top + high, left : left + wide] == number
    values = np.where(mask, smooth[top : top + high, left : left + wide], 0.0)
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    down, across = size_hw[0] / smooth.shape[0], size_hw[1] / smooth.shape[1]
    x0, y0 = round(left * across), round(top * down)
    x1, y1 = max(x0 + 1, round((left + wide) * across)), max(y0 + 1, round((top + high) * down))
    if mask.shape != (y1 - y0, x1 - x0):
        grown = cv2.resize(mask.astype(np.uint8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        mask = grown.astype(np.bool_)
    return DoubtfulRegion(
        box=(x0, y0, x1, y1),
        mask=mask,
        weight=float(values.sum()) * across * down,
        peak=(int((left + column + 0.5) * across), int((top + row + 0.5) * down)),
    )
