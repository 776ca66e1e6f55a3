"""A grid over the image: every so many pixels, and every pixel where these are large."""

from __future__ import annotations

from typing import Final

import numpy as np
from PySide6.QtCore import QLine, QRect, QSize
from PySide6.QtGui import QColor, QPainter, QPen

from app.canvas.layer_cache import Frame

_PIXELS_FROM: Final = 10.0
"""Device pixels per image pixel from which on every pixel is framed."""
_CLOSEST: Final = 8.0
"""Lines nearer to each other than this, device pixels, are thinned to every second, fourth ..."""
_FAINT: Final = (QColor(255, 255, 255, 46), QColor(0, 0, 0, 60))
_STRONG: Final = (QColor(255, 255, 255, 110), QColor(0, 0, 0, 120))


def paint_grid(painter: QPainter, frame: Frame, size: QSize, spacing: int) -> None:
    """Draw the lines over an image of a size; the painter's coordinates are device pixels.

    Each line is a light one beside a dark one, so that it is seen on any image.

    Args:
        painter: draws in device pixels.
        frame: where the image stands.
        size: of the image.
        spacing: image pixels from line to line.
    """
    if frame.scale >= _PIXELS_FROM and spacing > 1:
        _paint_lines(painter, frame, size, 1, _FAINT)
    while spacing * frame.scale < _CLOSEST:
        spacing *= 2
    _paint_lines(painter, frame, size, spacing, _STRONG)


def _paint_lines(
    painter: QPainter, frame: Frame, size: QSize, spacing: int, colors: tuple[QColor, QColor]
) -> None:
    left, top = round(frame.dx), round(frame.dy)
    right = round(frame.dx + size.width() * frame.scale)
    bottom = round(frame.dy + size.height() * frame.scale)
    seen = QRect(0, 0, frame.width, frame.height)
    columns = _lines(frame.dx, frame.scale, size.width(), spacing, seen.width())
    rows = _lines(frame.dy, frame.scale, size.height(), spacing, seen.height())
    top, bottom = max(top, 0), min(bottom, seen.height())
    left, right = max(left, 0), min(right, seen.width())
    for shift, color in enumerate(colors):
        painter.setPen(QPen(color, 0))
        painter.drawLines(
            [QLine(x - shift, top, x - shift, bottom) for x in columns]
            + [QLine(left, y - shift, right, y - shift) for y in rows]
        )


def _lines(start: float, scale: float, length: int, spacing: int, room: int) -> list[int]:
    """Where lines stand along one axis, device pixels; only those in sight."""
    first = max(0, int(-start / scale / spacing))
    last = min(length // spacing, int((room - start) / scale / spacing) + 1)
    if last < first:
        return []
    found: list[int] = np.rint(start + np.arange(first, last + 1) * spacing * scale).astype(int).tolist()
    return found
