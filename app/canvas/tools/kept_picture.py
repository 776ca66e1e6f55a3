"""What stays the same from paint to paint, kept as a picture: a border of ten thousand corners takes long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QTransform

if TYPE_CHECKING:
    from app.canvas.view import CanvasView


class KeptPicture:
    """A picture the size of the viewport, painted anew when the view moves under it."""

    def __init__(self) -> None:
        self._picture = QImage()
        self._placed: tuple[object, QTransform, QSize] | None = None

    def clear(self) -> None:
        """Free the picture."""
        self._picture = QImage()
        self._placed = None

    def paint(
        self, painter: QPainter, view: CanvasView, of: object, draw: Callable[[QPainter], None]
    ) -> None:
        """Paint what `draw` draws in viewport coordinates; it is called where `of` is another than before."""
        ratio = view.viewport().devicePixelRatioF()
        size = view.viewport().size() * ratio
        if (
            self._placed is None
            or self._placed[0] is not of
            or self._placed[1:] != (view.viewportTransform(), size)
        ):
            self._placed = of, view.viewportTransform(), size
            self._picture = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            brush = QPainter(self._picture)
            brush.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw(brush)
            brush.end()
        painter.drawImage(QPointF(0, 0), self._picture)
