"""Small drawing helpers shared by live shapes and tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import shiboken6
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from app.canvas.outlines import Outline
from app.canvas.style import HALO, HANDLE_FILL, HANDLE_RADIUS, HANDLE_RIM, line_pen
from core.annotation.model import Points


def polygon_of(points: Points) -> QPolygonF:
    """Points (N, 2) as a Qt polygon, copied in one go: five times as fast as a QPointF each."""
    polygon = QPolygonF()
    polygon.resize(len(points))
    if len(points):
        size = len(points) * 16
        memory: Any = shiboken6.VoidPtr(polygon.data(), size, True)  # type: ignore  # noqa: FBT003
        np.frombuffer(memory, np.float64).reshape(-1, 2)[:] = points
    return polygon


def path_of_rings(rings: Iterable[Points]) -> QPainterPath:
    """Closed rings, inside decided by the even-odd rule."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.OddEvenFill)
    for ring in rings:
        path.addPolygon(polygon_of(ring))
        path.closeSubpath()
    return path


def path_of(outline: Outline) -> QPainterPath:
    """All rings of an outline, in image coordinates."""
    path = QPainterPath()
    path.setFillRule(Qt.FillRule.OddEvenFill)
    if outline.dots:
        return path
    for ring in outline.rings:
        path.addPolygon(polygon_of(ring))
        if outline.closed:
            path.closeSubpath()
    return path


def draw_line(
    painter: QPainter, path: QPainterPath, color: QColor, width: float, style: Qt.PenStyle | None = None
) -> None:
    """Stroke a path in a colour that stays visible on any image: over a dark rim."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(line_pen(HALO, width + 2))
    painter.drawPath(path)
    pen = line_pen(color, width)
    if style is not None:
        pen.setStyle(style)
    painter.setPen(pen)
    painter.drawPath(path)


def draw_handles(
    painter: QPainter, points: Points, radius: float = HANDLE_RADIUS, fill: QColor = HANDLE_FILL
) -> None:
    """Dots with a dark rim at viewport positions (N, 2); two native calls for any number."""
    if len(points) == 0:
        return
    polygon = polygon_of(points)
    for color, size in ((HANDLE_RIM, 2 * radius + 1), (fill, 2 * radius - 1.5)):
        pen = QPen(color, size)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawPoints(polygon)


def draw_handle(painter: QPainter, center: QPointF, fill: QColor, radius: float) -> None:
    """One handle that stands out."""
    painter.setPen(QPen(HANDLE_RIM, 1.5))
    painter.setBrush(fill)
    painter.drawEllipse(center, radius, radius)


def draw_tag(painter: QPainter, at: QPointF, text: str) -> None:
    """A short note beside the mouse, white on dark, readable on any image: to the right below, if it fits."""
    metrics = painter.fontMetrics()
    box = QRectF(metrics.boundingRect(text)).adjusted(-6, -3, 6, 3)
    box.moveTopLeft(at + QPointF(14, 14))
    room = painter.window()
    if box.right() > room.right():
        box.moveRight(at.x() - 14)
    if box.bottom() > room.bottom():
        box.moveBottom(at.y() - 14)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(20, 20, 24, 215))
    painter.drawRoundedRect(box, 4, 4)
    painter.setPen(QColor(245, 245, 245))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
