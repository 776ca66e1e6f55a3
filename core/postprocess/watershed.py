"""Touching objects of one class, parted at their necks. numpy and OpenCV only.

The distance to the object's border is flooded from its summits (Beucher and Meyer, "The morphological
approach to segmentation: the watershed transformation", 1993). Summits alone part too much, for an outline of
pixels has many: two parts stay one object where the pass between them is nearly as high as the lower summit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.postprocess.pipeline import Watershed
from core.postprocess.regions import ClassMap, regions

_LEVELS: Final = 64
"""Heights at which the water stops, at most; more change no border by a pixel."""
_SQUARE: Final = np.ones((3, 3), np.uint8)


def part_touching(
    classes: ClassMap, settings: Watershed, background: int, *, between: Callable[[], None] = lambda: None
) -> ClassMap:
    """The map (H, W) with lines of background, a pixel wide, between objects that touch.

    `between` is called for every region, and while it is flooded; what it raises ends the work.
    """
    found = classes.copy()
    marked, sizes = regions(classes, [index for index in np.unique(classes) if index != background])
    for number, box in _boxes(marked, len(sizes)):
        between()
        own = marked[box] == number
        objects = objects_of(own, settings, between=between)
        if objects.max() > 1:
            found[box][_lines(objects)] = background
    return found


def objects_of(
    mask: NDArray[np.bool_], settings: Watershed, *, between: Callable[[], None] = lambda: None
) -> NDArray[np.int32]:
    """The objects that a connected region (H, W) consists of, numbered from 1; 0 is outside of it."""
    if mask.all():
        return mask.astype(np.int32)
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    height = np.asarray(distances, np.float32)
    summits = _summits(height, settings.distance)
    if summits.max() <= 1:
        return mask.astype(np.int32)
    basins = _flooded(height, summits, between)
    return _joined(basins, height, settings.neck)


def _boxes(marked: NDArray[np.int32], count: int) -> list[tuple[int, tuple[slice, slice]]]:
    """Number of every region, and where it lies, with a margin of a pixel within the image.

    So distances end at its border, and not where the image cuts it.
    """
    rows, columns = np.nonzero(marked)
    numbers = marked[rows, columns]
    low, high = np.full((2, count), np.iinfo(np.int64).max), np.full((2, count), -1)
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(low[axis], numbers, places)
        np.maximum.at(high[axis], numbers, places)
    low, high = np.maximum(low - 1, 0), high + 2
    return [
        (number, (slice(low[0, number], high[0, number]), slice(low[1, number], high[1, number])))
        for number in range(1, count)
    ]


def _summits(height: NDArray[np.float32], distance: int) -> NDArray[np.int32]:
    """Where nothing is higher within `distance` (in rows and columns), each connected summit numbered."""
    # Smoothed a little: two pixels of one ridge should not be two summits.
    smooth = cv2.GaussianBlur(height, (0, 0), 1.0)
    around = cv2.dilate(smooth, np.ones((2 * distance + 1, 2 * distance + 1), np.uint8))
    _, numbered = cv2.connectedComponents(((smooth >= around) & (height > 0)).astype(np.uint8))
    return np.asarray(numbered, np.int32)


def _flooded(
    height: NDArray[np.float32], summits: NDArray[np.int32], between: Callable[[], None]
) -> NDArray[np.int32]:
    """Every pixel of positive height with the number of the summit from which water reaches it first.

    The water falls level by level, and at each of them spreads by a pixel at a time; where it comes from
    several summits at once, the highest number has it. A pixel is looked at when its first neighbour is
    flooded, and waits for the level that floods it.
    """
    top = float(height.max())
    levels = np.linspace(top, 0.0, min(_LEVELS, int(np.ceil(top))) + 1)[1:]
    # With a margin of a pixel, so that every pixel has eight neighbours.
    turn = np.pad(np.searchsorted(-levels, -height, side="right").astype(np.uint8), 1).ravel()
    dry = np.pad((height > 0) & (summits == 0), 1).ravel()
    reached = np.pad(summits, 1).ravel()
    width = height.shape[1] + 2
    around = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    place = np.zeros(reached.size, np.int32)

    def shore(wet: NDArray[np.intp]) -> NDArray[np.intp]:
        """The dry neighbours of flooded pixels, each once."""
        beside = (wet[:, None] + around).ravel()
        beside = beside[dry[beside]]
        dry[beside] = False
        numbers = np.arange(len(beside), dtype=np.int32)
        place[beside] = numbers  # of equal ones the last
        each: NDArray[np.intp] = beside[place[beside] == numbers]
        return each

    waiting = shore(np.flatnonzero(reached))
    for level in range(len(levels)):
        between()
        fresh = waiting[turn[waiting] <= level]
        later = [waiting[turn[waiting] > level]]
        while len(fresh):
            reached[fresh] = reached[fresh[:, None] + around].max(axis=1)
            beside = shore(fresh)
            fresh = beside[turn[beside] <= level]
            later.append(beside[turn[beside] > level])
        waiting = np.concatenate(later)
    return reached.reshape(-1, width)[1:-1, 1:-1]


def _joined(basins: NDArray[np.int32], height: NDArray[np.float32], neck: float) -> NDArray[np.int32]:
    """The basins, those joined between which the pass is higher than `neck` of the lower summit."""
    count = int(basins.max()) + 1
    peak = np.zeros(count, np.float32)
    np.maximum.at(peak, basins.ravel(), height.ravel())
    passes: dict[tuple[int, int], float] = {}
    for here, there in (
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:, 1:], np.s_[:-1, :-1]),
        (np.s_[1:, :-1], np.s_[:-1, 1:]),
    ):
        one, other = basins[here], basins[there]
        border = (one != other) & (one > 0) & (other > 0)
        level = np.minimum(height[here][border], height[there][border])
        pair = np.stack([np.minimum(one[border], other[border]), np.maximum(one[border], other[border])])
        for (a, b), through in zip(pair.T.tolist(), level.tolist(), strict=True):
            passes[a, b] = max(passes.get((a, b), 0.0), through)
    owner = np.arange(count)
    for (a, b), through in sorted(passes.items(), key=lambda item: (-item[1], item[0])):
        first, second = owner[a], owner[b]
        if first != second and through > neck * min(peak[first], peak[second]):
            owner[owner == second] = first
            peak[first] = max(peak[first], peak[second])
    _, compact = np.unique(owner, return_inverse=True)  # 0, outside, is joined with nothing
    return np.asarray(compact[basins], np.int32)


def _lines(objects: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The pixels of each object that touch one of a higher number, be it diagonally."""
    highest = cv2.dilate(objects.astype(np.float32), _SQUARE)
    return np.asarray((objects > 0) & (highest > objects))
