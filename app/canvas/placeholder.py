"""What the canvas says while it has no image."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from app.theme import Tokens

_SIDE = 72.0


def paint_placeholder(painter: QPainter, room: QRect, text: str, theme: Tokens) -> None:
    """A picture frame with a half-drawn polygon, and a line of text under it, in the middle."""
    center = QPointF(room.center())
    frame = QRectF(0, 0, _SIDE * 1.3, _SIDE)
    text_height = painter.fontMetrics().height() * 3
    frame.moveCenter(center - QPointF(0, text_height / 2))
    ink = QColor(theme.muted)
    faded = QColor(ink)
    faded.setAlpha(110)

    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(faded, 1.5, Qt.PenStyle.DashLine))
    painter.drawRoundedRect(frame, 8, 8)
    corners = [(0.22, 0.68), (0.36, 0.28), (0.66, 0.22), (0.8, 0.56), (0.55, 0.78)]
    points = [frame.topLeft() + QPointF(x * frame.width(), y * frame.height()) for x, y in corners]
    path = QPainterPath(points[0])
    for point in points[1:]:
        path.lineTo(point)
    path.closeSubpath()
    tint = QColor(theme.accent)
    tint.setAlpha(50)
    painter.fillPath(path, tint)
    painter.setPen(QPen(QColor(theme.accent_text), 1.8))
    painter.drawPath(path)
    painter.setBrush(QColor(theme.canvas))
    for point in points:
        painter.drawEllipse(point, 3.2, 3.2)

    font = painter.font()
    font.setPointSizeF(max(10.0, font.pointSizeF() * 1.1))
    painter.setFont(font)
    painter.setPen(ink)
    below = QRectF(room.x() + 24, frame.bottom() + 20, room.width() - 48, text_height + 20)
    painter.drawText(
        below, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap, text
    )
