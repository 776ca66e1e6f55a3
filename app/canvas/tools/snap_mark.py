"""The mark at the place a press would snap to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath

from app.canvas.outlines import Box
from app.canvas.style import HALO, HANDLE_HOT, line_pen
from core.polygons.snapping import Snap

if TYPE_CHECKING:
    from app.canvas.context import ToolContext

_HALF_SIDE = 6.5


def snap_box(snap: Snap) -> Box:
    """Where the mark is, for `Tool.overlay_box`."""
    return snap.x, snap.y, snap.x, snap.y


def paint_snap(painter: QPainter, context: ToolContext, snap: Snap) -> None:
    """A square on a vertex, a diamond on an edge; readable on any image."""
    center = context.to_screen(snap.xy)
    path = QPainterPath()
    if snap.kind == "vertex":
        path.addRect(QRectF(-_HALF_SIDE, -_HALF_SIDE, 2 * _HALF_SIDE, 2 * _HALF_SIDE))
    else:
        reach = _HALF_SIDE + 1
        path.moveTo(QPointF(0, -reach))
        for x, y in ((reach, 0), (0, reach), (-reach, 0)):
            path.lineTo(x, y)
        path.closeSubpath()
    path.translate(center)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((HALO, 4.0), (HANDLE_HOT, 2.0)):
        painter.setPen(line_pen(color, width))
        painter.drawPath(path)
