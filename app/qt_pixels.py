"""Pixels of numpy as pictures of Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage


def paintable(pixels: NDArray[np.uint8]) -> QImage:
    """RGB (H, W, 3), uint8, as Qt paints it fastest (Format_RGB32), in memory of its own."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    shared = QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGB888)
    return shared.convertToFormat(QImage.Format.Format_RGB32)  # a copy: `shared` only borrows the array
