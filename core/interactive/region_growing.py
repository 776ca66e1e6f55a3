"""The magic wand: the connected region around a seed whose colour is like the seed's.

The distance of a pixel is that of its most different channel, in grey levels, from the mean of the 3 x 3
pixels around the seed; a region is all pixels within the tolerance that are connected to the seed.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.interactive.window import Patch, Pixels, checked_image, cut, window_around, without_holes

MAX_PIXELS: Final = 4_000_000
"""Pixels around a seed that are looked at: growing there takes some 30 ms."""


class RegionGrower:
    """Regions of any tolerance from one seed: distances are computed once, growing costs milliseconds.

    Args:
        image: (H, W, 3) uint8.
        seed_xy: where to start, image pixels.
        smooth: sigma in pixels of the blur that keeps noise from fraying the region; 0 takes pixels as they
            are.
        max_pixels: the region stays in a window of at most so many pixels around the seed.

    Raises:
        ValueError: the seed is outside the image.
    """

    def __init__(
        self,
        image: Pixels,
        seed_xy: tuple[float, float],
        *,
        smooth: float = 1.0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        height, width = checked_image(image).shape[:2]
        column, row = math.floor(seed_xy[0]), math.floor(seed_xy[1])
        if not (0 <= column < width and 0 <= row < height):
            raise ValueError(f"({column}, {row}) is outside the image of {width} x {height} pixels")
        x0, y0, x1, y1 = window_around((column, row), (height, width), max_pixels)
        self._x, self._y = x0, y0
        self._seed = column - x0, row - y0
        self._smooth = smooth
        pixels = cut(image, (x0, y0, x1, y1))
        blurred = pixels
        if smooth > 0:
            blurred = np.asarray(cv2.GaussianBlur(pixels, (0, 0), smooth), dtype=np.uint8)
        self._distance = _distance(blurred, self._seed)
        self._sharp = _distance(pixels, self._seed) if smooth > 0 else self._distance

    def grow(self, tolerance: float, *, connectivity: Literal[4, 8] = 8) -> Patch:
        """The region of a tolerance in grey levels, 0 to 255. The seed always belongs to it.

        Holes, where the tolerance was just missed, are filled up to the size of what `smooth` blurs.
        """
        column, row = self._seed
        alike = (self._distance <= tolerance).astype(np.uint8)
        alike[row, column] = 1
        filled = np.zeros((alike.shape[0] + 2, alike.shape[1] + 2), dtype=np.uint8)
        flags = connectivity | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
        _, _, _, (x, y, width, height) = cv2.floodFill(alike, filled, (column, row), 1, 0, 0, flags)
        rim = math.ceil(2 * self._smooth)
        x0, y0 = max(0, x - rim), max(0, y - rim)
        part = np.s_[y0 : y + height + rim, x0 : x + width + rim]
        region = _up_to_edges(filled[1:-1, 1:-1][part], self._sharp[part] <= tolerance, rim, connectivity)
        specks = round(math.pi * (3 * self._smooth) ** 2)
        return Patch(without_holes(region, specks), self._x + x0, self._y + y0).trimmed()


def _distance(pixels: Pixels, seed: tuple[int, int]) -> NDArray[np.uint8]:
    """Grey levels between each pixel and the seed's surroundings, the most different channel, (h, w)."""
    column, row = seed
    near = pixels[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].reshape(-1, 3)
    mean = np.round(near.mean(axis=0))
    table = np.abs(np.arange(256)[:, None] - mean).astype(np.uint8)  # (256, 3): far faster than arithmetic
    red, green, blue = (cv2.LUT(cv2.extractChannel(pixels, k), table[:, k].copy()) for k in range(3))
    return np.asarray(cv2.max(cv2.max(red, green), blue), dtype=np.uint8)


def _up_to_edges(
    region: NDArray[np.uint8], alike: NDArray[np.bool_], steps: int, connectivity: Literal[4, 8]
) -> NDArray[np.bool_]:
    """The region, grown by some steps over pixels that are alike: blurring drew it back from edges."""
    shape = cv2.MORPH_RECT if connectivity == 8 else cv2.MORPH_CROSS
    kernel = cv2.getStructuringElement(shape, (3, 3))
    for _ in range(steps):
        wider = np.asarray(cv2.dilate(region, kernel), dtype=np.uint8)
        region = region | wider * alike
    return np.asarray(region != 0)
