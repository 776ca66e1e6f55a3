"""What helps the eye on the canvas: crosshair, loupe, grid, a network's receptive field. Switched on and off;
nothing of it is saved in a file.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QTransform

from app.canvas.aids.grid import paint_grid
from app.canvas.aids.loupe import loupe_rect, paint_loupe
from app.canvas.layer_cache import Frame, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.canvas.view import CanvasView

_SPACING: Final = 64


class ViewAids:
    """Crosshair, loupe and grid of one view: each a switch, repainted as the mouse moves."""

    def __init__(self, view: CanvasView) -> None:
        self._view = view
        self._mouse: QPointF | None = None
        self._crosshair = False
        self._loupe = False
        self._grid = False
        self._field: QRectF | None = None
        self._spacing = _SPACING

    # --- switches -----------------------------------------------------------------------------------------

    @property
    def crosshair(self) -> bool:
        """Lines through the mouse, across the whole view."""
        return self._crosshair

    @crosshair.setter
    def crosshair(self, shown: bool) -> None:
        self._crosshair = shown
        self._view.viewport().update()

    @property
    def loupe(self) -> bool:
        """A magnifier beside the mouse."""
        return self._loupe

    @loupe.setter
    def loupe(self, shown: bool) -> None:
        self._loupe = shown
        self._view.viewport().update()

    @property
    def grid(self) -> bool:
        """Lines over the image."""
        return self._grid

    @grid.setter
    def grid(self, shown: bool) -> None:
        self._grid = shown
        self._view.viewport().update()

    @property
    def grid_spacing(self) -> int:
        """Image pixels from line to line, 1 or more."""
        return self._spacing

    @grid_spacing.setter
    def grid_spacing(self, pixels: int) -> None:
        self._spacing = max(1, pixels)
        self._view.viewport().update()

    @property
    def field(self) -> QRectF | None:
        """A frame about the pixel under the mouse, in image pixels from its upper left corner; None: none."""
        return self._field

    @field.setter
    def field(self, field: QRectF | None) -> None:
        self._field = field
        self._view.viewport().update()

    # --- the mouse ----------------------------------------------------------------------------------------

    def follow(self, mouse: QPointF | None) -> None:
        """The mouse is here now (viewport pixels), or gone."""
        for each in (self._mouse, mouse):
            if each is not None:
                self._repaint_around(each)
        if self._field is not None:
            self._view.viewport().update()
        self._mouse = None if mouse is None else QPointF(mouse)

    def _repaint_around(self, mouse: QPointF) -> None:
        viewport = self._view.viewport()
        if self._crosshair:
            at = mouse.toPoint()
            viewport.update(QRect(0, at.y() - 2, viewport.width(), 5))
            viewport.update(QRect(at.x() - 2, 0, 5, viewport.height()))
        self._repaint_loupe(mouse)

    def _repaint_loupe(self, mouse: QPointF) -> None:
        if self._loupe:
            viewport = self._view.viewport()
            rect = loupe_rect(mouse, QRectF(viewport.rect()))
            viewport.update(rect.adjusted(-3, -3, 3, 3).toAlignedRect())

    def refresh_loupe(self) -> None:
        """Something looks different now, perhaps what the loupe shows under a resting mouse."""
        if self._mouse is not None:
            self._repaint_loupe(self._mouse)

    # --- painting -----------------------------------------------------------------------------------------

    def paint_below(self, painter: QPainter, frame: Frame) -> None:
        """Draw what lies on the image and below the shapes; the painter's coordinates are logical pixels."""
        if self._grid:
            painter.save()
            painter.scale(1 / frame.ratio, 1 / frame.ratio)
            paint_grid(painter, frame, self._view.content_size, self._spacing)
            painter.restore()

    def paint_above(
        self,
        painter: QPainter,
        frame: Frame,
        layers: Sequence[Layer],
        paint_live: Callable[[QPainter, QTransform, QRectF], None],
    ) -> None:
        """Draw what lies above everything; `layers` and `paint_live` are for `paint_loupe`."""
        if self._field is not None:
            self._paint_field(painter, self._field)
        if self._mouse is None:
            return
        if self._crosshair:
            self._paint_crosshair(painter, self._mouse)
        if self._loupe:
            rect = loupe_rect(self._mouse, QRectF(self._view.viewport().rect()))
            paint_loupe(painter, rect, self._mouse, frame, layers, paint_live)

    def _paint_field(self, painter: QPainter, field: QRectF) -> None:
        """Frame what the pixel under the mouse, or else the one in the middle of the image, depends on.

        What is larger than the view is framed at its border, dashed: out of sight it would seem to be none.
        """
        size = self._view.content_size
        at = QPointF(size.width() / 2, size.height() / 2)
        if self._mouse is not None:
            at = self._view.mapToScene(self._mouse.toPoint())
        pixel = QPointF(floor(at.x()), floor(at.y()))
        to_viewport = self._view.viewportTransform()
        frame = to_viewport.mapRect(field.translated(pixel))
        spot = to_viewport.map(pixel + QPointF(0.5, 0.5))
        shown = frame.intersected(QRectF(self._view.viewport().rect()).adjusted(3, 3, -3, -3))
        style = Qt.PenStyle.SolidLine if shown == frame else Qt.PenStyle.DashLine
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for color, width in ((QColor(0, 0, 0, 150), 4.0), (QColor(255, 255, 255), 1.6)):
            painter.setPen(QPen(color, width, style if width < 2 else Qt.PenStyle.SolidLine))
            painter.drawRect(shown)
            painter.setPen(QPen(color, width))
            painter.drawEllipse(spot, 3.5, 3.5)

    def _paint_crosshair(self, painter: QPainter, mouse: QPointF) -> None:
        x, y = round(mouse.x()) + 0.5, round(mouse.y()) + 0.5
        room = self._view.viewport().rect()
        lines = [QLineF(0, y, room.width(), y), QLineF(x, 0, x, room.height())]
        for color, width in ((QColor(0, 0, 0, 110), 3.0), (QColor(255, 255, 255, 220), 1.0)):
            painter.setPen(QPen(color, width))
            painter.drawLines(lines)
