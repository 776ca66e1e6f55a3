"""Small regions and holes of a class map, given to what is around them. numpy and OpenCV only.

Regions are connected areas of one class; diagonal neighbours are connected, as where a person accepts one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ClassMap = NDArray[np.uint8]
"""Class indices (H, W)."""


def remove_small_regions(classes: ClassMap, pixels: int, background: int | None = None) -> ClassMap:
    """The map in which no region has fewer than so many pixels, unless there is none that has more.

    A region becomes the class with which it has the longest border. Small regions of the background are
    holes, and stay.
    """
    marked, sizes = regions(classes, [index for index in np.unique(classes) if index != background])
    return _given_away(classes, marked, sizes < pixels)


def fill_holes(classes: ClassMap, pixels: int, background: int | None = None) -> ClassMap:
    """The map in which no hole has at most so many pixels.

    A hole is an area of background (where there is no background class, of any class) that has only one
    class around it and does not reach the image's edge. What has a hole can be one itself once that is
    filled.
    """
    while True:
        indices = np.unique(classes) if background is None else [background]
        # What is around a hole is connected diagonally, so that the hole itself is not.
        marked, sizes = regions(classes, indices, connectivity=4)
        holes = (sizes <= pixels) & ~_at_edge(marked, len(sizes))
        lowest, highest = np.full(len(sizes), 255, np.uint8), np.zeros(len(sizes), np.uint8)
        own, _, around = _contacts(classes, marked, holes)
        np.minimum.at(lowest, own, around)
        np.maximum.at(highest, own, around)
        filled = _given_away(classes, marked, holes & (lowest == highest))
        if np.array_equal(filled, classes):
            return filled
        classes = filled


def regions(
    classes: ClassMap, indices: list[int] | NDArray[np.uint8], *, connectivity: int = 8
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The regions of these classes.

    Returns:
        (H, W) int32: the number of each pixel's region, 0 for none; and the pixels (N,) of each number,
        where number 0 counts as having more than any.
    """
    marked = np.zeros(classes.shape, np.int32)
    sizes = [np.array([np.iinfo(np.int64).max])]
    first = 0
    for index in indices:
        own = (classes == index).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=connectivity)
        np.add(labels, first, out=marked, where=own.astype(bool))
        sizes.append(stats[1:, cv2.CC_STAT_AREA].astype(np.int64))
        first += count - 1
    return marked, np.concatenate(sizes)


def _at_edge(marked: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
    """Which regions (N,) reach the edge of the image."""
    found = np.zeros(count, bool)
    for line in (marked[0], marked[-1], marked[:, 0], marked[:, -1]):
        found[line] = True
    return found


def _contacts(classes: ClassMap, marked: NDArray[np.int32], wanted: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Neighbours (4) of the wanted regions (N,): the region itself, the neighbour's, its class; (P,) each."""
    every, front, back = slice(None), slice(1, None), slice(None, -1)
    pairs = [((front, every), (back, every)), ((every, front), (every, back))]
    found = []
    for here, there in [*pairs, *((there, here) for here, there in pairs)]:
        apart = wanted[marked[here]] & (marked[here] != marked[there])
        found.append((marked[here][apart], marked[there][apart], classes[there][apart]))
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def _given_away(classes: ClassMap, marked: NDArray[np.int32], wanted: NDArray[np.bool_]) -> ClassMap:
    """The map with each wanted region (N,) in the class with which it has the longest border.

    Borders are counted in pairs of neighbours (4); of two as long it is the lower class index. Regions among
    nothing but wanted ones come after those, and follow them. `core.learning.predict_onnx` does the same.
    """
    taken = wanted[marked]  # number 0 is never wanted
    if not taken.any() or taken.all():
        return classes.copy()
    own, other, around = _contacts(classes, marked, wanted)
    becomes, waiting = np.zeros(len(wanted), np.uint8), wanted.copy()
    while len(own):
        known = ~waiting[other]
        codes, counts = np.unique(own[known].astype(np.int64) << 8 | around[known], return_counts=True)
        codes = codes[np.argsort(-counts, kind="stable")[::-1]]  # the last of each region counts
        becomes[codes >> 8] = codes & 255
        waiting[codes >> 8] = False
        left = waiting[own]
        own, other, around = own[left], other[left], around[left]
        around = np.where(wanted[other], becomes[other], around)
    return np.where(taken, becomes[marked], classes)
