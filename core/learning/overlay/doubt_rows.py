"""The uncertainty of a picture of any size, as rows from top to bottom, in little memory.

All looks of a network at an image have probabilities of their own, which for a large image and many classes
do not fit into memory together. Such a picture is cut into windows that overlap, each asked about as an image
by itself; what lies near a window's inner edge, where the network sees less of the surroundings, is left to
the neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.images.reader import HUGE_PIXELS
from core.images.rows import PixelRows
from core.learning.overlay.doubt_sources import PASSES, asked_again
from core.learning.prediction.predict import Predictor
from core.learning.prediction.tiling import TileGrid
from core.learning.prediction.uncertainty import UncertaintySource, uncertainty_map

MOST_VALUES: Final = 1 << 29
"""Probabilities of all looks that are in memory at a time: 1 GB."""
LARGEST_SIDE: Final = 2048
"""Of a window: a strip of the picture as high as it is in memory, too."""
_CONTEXT: Final = 64
"""What a window's inner edge has around it at least, in pixels as the network sees them."""


def uncertain_rows(
    source: UncertaintySource, predictor: Predictor, picture: PixelRows, others: Sequence[Predictor] = ()
) -> Iterator[NDArray[np.uint8]]:
    """Rows (n, W) of the uncertainty, uint8, 0..255 for 0..1 bit, from the top.

    Of a picture that fits into memory with all looks they are exactly `uncertainty_map`'s. In windows they
    differ a little: beyond a window a network that takes in more of the picture at once sees nothing.

    Raises:
        ImageFileError: from the picture.
        MaskloopError: as `asked_again`.
    """
    looks = {"tta": 2, "mc_dropout": PASSES, "ensemble": 1 + len(others)}[source]
    height, width = picture.size_hw
    most_pixels = MOST_VALUES // (looks * len(predictor.header.classes))
    if height * width <= min(most_pixels, HUGE_PIXELS):
        down, across = [_Span(0, height, 0, height)], [_Span(0, width, 0, width)]
    else:
        side = min(isqrt(most_pixels), LARGEST_SIDE)
        down, across = (_spans(length, side, predictor) for length in (height, width))
    for rows in down:
        strip = picture.rows(rows.start, rows.end)
        found = np.empty((rows.last - rows.first, width), np.uint8)
        for columns in across:
            voice = asked_again(source, predictor, strip[:, columns.start : columns.end], others=others)
            entropy = uncertainty_map([voice]).entropy
            found[:, columns.first : columns.last] = entropy[rows.own, columns.own]
        yield found


@dataclass(frozen=True, slots=True)
class _Span:
    """One window along one axis: from `start` to `end`, of which first..last counts."""

    start: int
    end: int
    first: int
    last: int

    @property
    def own(self) -> slice:
        """What counts, within the window."""
        return slice(self.first - self.start, self.last - self.start)


def _spans(length: int, side: int, predictor: Predictor) -> list[_Span]:
    """Windows of at most `side` pixels; each counts up to the middle of what it shares with the next."""
    # In step with the network's coarsest maps, as tiles are, or it would see the same in another way.
    step = min(max(1, round(predictor.network.size_multiple / predictor.header.scale)), side // 2)
    side -= side % step
    shared = ceil(2 * _CONTEXT / predictor.header.scale / step)
    overlap = min(shared, side // 2 // step) * step
    grid = TileGrid.spread(length + -length % step, side, overlap, step)
    begins = [start + overlap // 2 if start else 0 for start in grid.starts]
    return [
        _Span(start, min(start + grid.tile, length), first, last)
        for start, first, last in zip(grid.starts, begins, [*begins[1:], length], strict=True)
    ]
