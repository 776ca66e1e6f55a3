"""The image with its brightness, contrast, gamma or channel changed on the way to the screen."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage

from app.canvas.display import GREY_WEIGHTS, DisplayAdjustment, lookup_table
from app.canvas.image_layer import ImageLayer
from app.canvas.layer_cache import Frame, image_pixels


class AdjustedImage:
    """Draws an `ImageLayer` and maps what was drawn: the cost follows the window, not the image."""

    def __init__(self, image: ImageLayer) -> None:
        self._image = image
        self.margin = image.margin
        self._adjustment = DisplayAdjustment()
        self._table: NDArray[np.uint8] | None = None

    @property
    def adjustment(self) -> DisplayAdjustment:
        """How the image is shown."""
        return self._adjustment

    def set_adjustment(self, adjustment: DisplayAdjustment) -> None:
        """Show the image so from the next drawing on."""
        self._adjustment = adjustment
        table = lookup_table(adjustment)
        self._table = None if np.array_equal(table, np.arange(256)) else table

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw the part inside `rect`; see `layer_cache.Layer`. The ground keeps its colour."""
        self._image.render(target, rect, frame)
        size = self._image.size
        whole = frame.to_device((0.0, 0.0, float(size.width()), float(size.height())))
        part = whole.intersected(rect)
        if part.isEmpty() or self._adjustment.is_neutral:
            return
        top, left = part.y(), part.x()
        pixels = image_pixels(target)[top : top + part.height(), left : left + part.width()]
        colors = np.ascontiguousarray(pixels[..., :3])
        weights = GREY_WEIGHTS.get(self._adjustment.channel)
        if weights is not None:
            blue_green_red = np.tile(weights[::-1], (3, 1))  # as `image_pixels` has them
            colors = np.asarray(cv2.transform(colors, blue_green_red), np.uint8)
        pixels[..., :3] = colors if self._table is None else cv2.LUT(colors, self._table)
