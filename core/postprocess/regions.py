"""Small regions and holes of a class map, given to what is around them. numpy and OpenCV only.

Regions are connected areas of one class; diagonal neighbours are connected, as where a person accepts one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ClassMap = NDArray[np.uint8]
"""Class indices (H, W)."""


def remove_small_regions(classes: ClassMap, pixels: int, background: int | None = None) -> ClassMap:
    """The map in which no region has fewer than so many pixels, unless there is none that has more.

    A region becomes the class of most of the pixels nearest to it. Small regions of the background are holes,
    and stay.
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
        low, high = _classes_around(classes, marked, len(sizes))
        filled = _given_away(classes, marked, holes & (low == high))
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


def _classes_around(
    classes: ClassMap, marked: NDArray[np.int32], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The lowest and the highest class index (N,) among the neighbours (4) of each region."""
    low, high = np.full(count, 255, np.uint8), np.zeros(count, np.uint8)
    for here, there in _neighbours():
        own, other = marked[here], marked[there]
        apart = (own != other) & (own > 0)
        np.minimum.at(low, own[apart], classes[there][apart])
        np.maximum.at(high, own[apart], classes[there][apart])
    return low, high


def _neighbours() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Pairs of parts of a map that hold each pixel and its neighbour, in the four directions."""
    every, front, back = slice(None), slice(1, None), slice(None, -1)
    pairs = [((front, every), (back, every)), ((every, front), (every, back))]
    return [*pairs, *((there, here) for here, there in pairs)]


def _given_away(classes: ClassMap, marked: NDArray[np.int32], wanted: NDArray[np.bool_]) -> ClassMap:
    """The map with each wanted region (N,) in the class that most of its pixels have nearest to them."""
    taken = wanted[marked]  # number 0 is never wanted
    if not taken.any() or taken.all():
        return classes.copy()
    _, nearest = cv2.distanceTransformWithLabels(
        taken.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_pixel = np.zeros(int(nearest.max()) + 1, np.uint8)
    of_pixel[nearest[~taken]] = classes[~taken]
    numbers, votes = marked[taken], of_pixel[nearest[taken]]
    compact = np.cumsum(wanted) - 1  # wanted regions numbered from 0
    indices, positions = np.unique(votes, return_inverse=True)
    counts = np.bincount(
        compact[numbers] * len(indices) + positions, minlength=int(wanted.sum()) * len(indices)
    ).reshape(-1, len(indices))
    winners = indices[counts.argmax(axis=1)]
    found = classes.copy()
    found[taken] = winners[compact[numbers]]
    return found
