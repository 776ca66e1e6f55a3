"""A brush stroke while it is drawn: every move paints one more piece of it onto a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QTransform

from app.canvas.painting import polygon_of
from core.annotation.commands import XY

if TYPE_CHECKING:
    from app.canvas.view import CanvasView

_OPACITY: Final = 0.45


class StrokePreview:
    """Keeps the stroke as a picture the size of the viewport.

    Stroking the whole way with a wide pen at every move would cost more the longer the stroke; a piece costs
    the same always. Pieces are painted opaque and the picture is blended, so that overlaps do not show. When
    the view scrolls or zooms under the stroke, it is painted anew.
    """

    def __init__(self) -> None:
        self._picture = QImage()
        self._placed: tuple[QTransform, float, QColor] | None = None
        self._painted = 0
        self.corners: tuple[XY, XY] = ((0.0, 0.0), (0.0, 0.0))
        """The box of the way, image pixels: top-left and bottom-right."""

    def clear(self) -> None:
        """Free the picture."""
        self._picture = QImage()
        self._placed = None
        self._painted = 0

    def begin(self, points: Sequence[XY]) -> None:
        """A stroke starts with these points."""
        self.clear()
        way = np.array(points)
        (x0, y0), (x1, y1) = way.min(axis=0).tolist(), way.max(axis=0).tolist()
        self.corners = (x0, y0), (x1, y1)

    def extend(self, point: XY) -> None:
        """The stroke goes on to here."""
        (x0, y0), (x1, y1) = self.corners
        x, y = point
        self.corners = (min(x0, x), min(y0, y)), (max(x1, x), max(y1, y))

    def paint(
        self, painter: QPainter, view: CanvasView, points: Sequence[XY], radius: float, color: QColor
    ) -> None:
        """Paint the stroke through `points` (image pixels) with its `radius`, in viewport coordinates."""
        ratio = view.viewport().devicePixelRatioF()
        size = view.viewport().size() * ratio
        placed = view.viewportTransform(), radius, color
        if self._picture.size() != size or self._placed != placed:
            self._picture = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            self._placed = placed
            self._painted = 0
        if self._painted < len(points):
            self._paint_pieces(points[max(0, self._painted - 1) :], view.viewportTransform(), radius, color)
            self._painted = len(points)
        painter.setOpacity(_OPACITY)
        painter.drawImage(QPointF(0, 0), self._picture)
        painter.setOpacity(1.0)

    def _paint_pieces(
        self, points: Sequence[XY], to_viewport: QTransform, radius: float, color: QColor
    ) -> None:
        pen = QPen(color, max(1.0, 2 * radius * to_viewport.m11()))
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        brush = QPainter(self._picture)
        brush.setRenderHint(QPainter.RenderHint.Antialiasing)
        brush.setPen(pen)
        if len(points) == 1:
            brush.drawPoint(to_viewport.map(QPointF(*points[0])))
        else:
            brush.drawPolyline(to_viewport.map(polygon_of(np.array(points))))
        brush.end()
