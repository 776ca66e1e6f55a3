"""A magnifier beside the mouse: the same layers and live shapes, four times as large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from PySide6.QtCore import QPointF, QRect, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QTransform

from app.canvas.layer_cache import Frame, Layer

SIDE: Final = 190.0
"""Width and height, screen pixels."""
FACTOR: Final = 4.0
_GAP: Final = 28.0
"""From the mouse to the nearest corner, screen pixels."""


def loupe_rect(at: QPointF, room: QRectF) -> QRectF:
    """Where the loupe stands for a place of the mouse: below it to the right, or where there is room."""
    x = at.x() + _GAP if at.x() + _GAP + SIDE <= room.right() else at.x() - _GAP - SIDE
    y = at.y() + _GAP if at.y() + _GAP + SIDE <= room.bottom() else at.y() - _GAP - SIDE
    # In a small view it is rather near the mouse than cut off.
    x, y = max(room.left(), x), max(room.top(), y)
    return QRectF(QPointF(x, y), QSizeF(SIDE, SIDE))


def paint_loupe(
    painter: QPainter,
    rect: QRectF,
    at: QPointF,
    frame: Frame,
    layers: Sequence[Layer],
    paint_live: Callable[[QPainter, QTransform, QRectF], None],
) -> None:
    """Paint what is around the mouse, magnified, into `rect` of the viewport.

    Args:
        painter: draws in viewport coordinates.
        rect: of the loupe.
        at: the mouse, viewport pixels.
        frame: where the image stands in the viewport.
        layers: bottom to top.
        paint_live: draws live shapes and the tool's work under a transform from viewport to loupe,
            as far as they are seen in the loupe's rectangle.
    """
    ratio = frame.ratio
    side = round(rect.width() * ratio)
    near = replace(
        frame,
        scale=frame.scale * FACTOR,
        dx=side / 2 - (at.x() * ratio - frame.dx) * FACTOR,
        dy=side / 2 - (at.y() * ratio - frame.dy) * FACTOR,
        width=side,
        height=side,
    )
    painter.save()
    shape = QPainterPath()
    shape.addEllipse(rect)
    painter.setClipPath(shape)
    for layer in layers:
        picture = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
        picture.fill(Qt.GlobalColor.transparent)
        layer.render(picture, QRect(0, 0, side, side), near)
        painter.drawImage(rect, picture)
    paint_live(painter, QTransform(FACTOR, 0, 0, FACTOR, *_shift(rect, at)), rect)
    painter.setClipping(False)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((QColor(0, 0, 0, 150), 4.0), (QColor(255, 255, 255), 1.5)):
        painter.setPen(QPen(color, width))
        painter.drawEllipse(rect)
        for dx, dy in ((16.0, 0.0), (0.0, 16.0)):
            arm = QPointF(dx, dy)
            painter.drawLine(rect.center() + arm / 2, rect.center() + arm)
            painter.drawLine(rect.center() - arm / 2, rect.center() - arm)
    painter.restore()


def _shift(rect: QRectF, at: QPointF) -> tuple[float, float]:
    moved = rect.center() - at * FACTOR
    return moved.x(), moved.y()
