"""Windows of an image, and regions found in them: what keeps interactive work as cheap on a huge image.

A *box* is x0, y0, x1, y1 in whole pixels, the second corner excluded. Every algorithm of this package cuts
its box out of the image, works there, and answers with a `Patch`: a mask and where it lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import Shape
from core.annotation.shape_edits import translated
from core.annotation.vectorize import region_shapes

Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
Mask: TypeAlias = NDArray[np.bool_]
PixelBox: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1, whole pixels; x1 and y1 are excluded."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A region of an image.

    Attributes:
        mask: (h, w) bool.
        x, y: the pixel of the image where the mask's first one lies.
    """

    mask: Mask
    x: int = 0
    y: int = 0

    @property
    def box(self) -> PixelBox:
        """The pixels the mask covers."""
        height, width = self.mask.shape
        return self.x, self.y, self.x + width, self.y + height

    @property
    def area(self) -> int:
        """How many pixels belong to the region."""
        return int(np.count_nonzero(self.mask))

    def contains(self, xy: tuple[float, float]) -> bool:
        """Does the pixel under a point of the image belong to the region?"""
        column, row = math.floor(xy[0]) - self.x, math.floor(xy[1]) - self.y
        height, width = self.mask.shape
        return 0 <= column < width and 0 <= row < height and bool(self.mask[row, column])

    def within(self, box: PixelBox) -> Mask:
        """The region's pixels in a box of the image, (y1 - y0, x1 - x0) bool; False outside the patch."""
        x0, y0, x1, y1 = box
        result = np.zeros((max(0, y1 - y0), max(0, x1 - x0)), dtype=np.bool_)
        left, top, right, bottom = overlap(box, self.box)
        if left < right and top < bottom:
            result[top - y0 : bottom - y0, left - x0 : right - x0] = self.mask[
                top - self.y : bottom - self.y, left - self.x : right - self.x
            ]
        return result

    def on(self, size_hw: tuple[int, int]) -> Mask:
        """The region as a mask of the whole image, (H, W) bool."""
        return self.within((0, 0, size_hw[1], size_hw[0]))

    def trimmed(self) -> Patch:
        """The same region without empty rows and columns around it; (0, 0) when it is empty."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if len(rows) == 0:
            return Patch(np.zeros((0, 0), dtype=np.bool_), self.x, self.y)
        top, left = int(rows[0]), int(columns[0])
        return Patch(self.mask[top : rows[-1] + 1, left : columns[-1] + 1], self.x + left, self.y + top)

    def plus(self, other: Patch) -> Patch:
        """Both regions together."""
        box = around((self.box, other.box))
        return Patch(self.within(box) | other.within(box), box[0], box[1]).trimmed()

    def minus(self, other: Patch) -> Patch:
        """What of this region is not in the other."""
        return Patch(self.mask & ~other.within(self.box), self.x, self.y).trimmed()

    def shapes(self, label: str, tolerance: float = 0.0, *, smallest: int = 1) -> tuple[Shape, ...]:
        """Polygons with holes that draw the region, large ones first.

        Args:
            label: of every shape.
            tolerance: how far outlines may be simplified, pixels: 0 keeps each pixel, about 1 gives outlines
                a person can edit.
            smallest: connected parts, and holes, of fewer pixels are left out and filled.
        """
        trimmed = Patch(without_specks(self.mask, smallest), self.x, self.y).trimmed()
        if trimmed.mask.size == 0:
            return ()
        offset = np.array([trimmed.x, trimmed.y], dtype=np.float64)
        return tuple(translated(s, offset) for s in region_shapes(trimmed.mask, label, tolerance))


EMPTY = Patch(np.zeros((0, 0), dtype=np.bool_))
"""No pixel at all."""


def overlap(a: PixelBox, b: PixelBox) -> PixelBox:
    """What two boxes share; x0 >= x1 or y0 >= y1 where that is nothing."""
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def around(boxes: Iterable[PixelBox]) -> PixelBox:
    """The smallest box around those that are not empty; an empty one around none."""
    full = [box for box in boxes if box[0] < box[2] and box[1] < box[3]]
    if not full:
        return 0, 0, 0, 0
    x0, y0, x1, y1 = zip(*full, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def window_around(xy: tuple[float, float], size_hw: tuple[int, int], max_pixels: int) -> PixelBox:
    """The box of at most so many pixels with a point in its middle, cut off at the image's border."""
    height, width = size_hw
    if height * width <= max_pixels:
        return 0, 0, width, height
    reach = max(1, (math.isqrt(max_pixels) - 1) // 2)
    column, row = math.floor(xy[0]), math.floor(xy[1])
    return overlap((0, 0, width, height), (column - reach, row - reach, column + reach + 1, row + reach + 1))


def checked_image(image: Pixels) -> Pixels:
    """The image. Raises ValueError unless it is (H, W, 3) uint8 with pixels."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"an image is (H, W, 3) uint8 with pixels, not {image.shape} {image.dtype}")
    return image


def cut(image: Pixels, box: PixelBox) -> Pixels:
    """The pixels of a box, contiguous as OpenCV wants them."""
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(image[y0:y1, x0:x1])


def without_specks(mask: Mask, smallest: int) -> Mask:
    """The mask without parts of fewer pixels (diagonal neighbours are connected), smaller holes filled."""
    if smallest <= 1 or mask.size == 0:
        return mask
    return without_holes(_large_parts(mask, smallest, connectivity=8), smallest)


def without_holes(mask: Mask, smallest: int | None = None) -> Mask:
    """The mask with its holes of fewer than `smallest` pixels filled; None: all of them."""
    if mask.size == 0:
        return mask
    # A border of background joins what is outside to one part, too large to be filled.
    ground = np.pad(~mask, 1, constant_values=True)
    outside = ground.size if smallest is None else smallest
    _, names, stats, _ = cv2.connectedComponentsWithStats(ground.astype(np.uint8), connectivity=4)
    hole = stats[:, cv2.CC_STAT_AREA] < outside
    hole[[0, names[0, 0]]] = False
    return np.asarray(mask | hole[names][1:-1, 1:-1])


def _large_parts(mask: Mask, smallest: int, *, connectivity: int) -> Mask:
    _, names, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S
    )
    large = stats[:, cv2.CC_STAT_AREA] >= smallest
    large[0] = False
    return np.asarray(large[names])
