"""Drawing an outline in one drag."""

from __future__ import annotations

from typing import Final

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.live_shapes import LARGE, paint_large
from app.canvas.outlines import Box, Outline
from app.canvas.painting import draw_line, polygon_of
from app.canvas.shape_index import union
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.half_drawn import drops
from core.annotation.commands import XY
from core.annotation.model import Shape, ShapeType, frozen_points
from core.interactive.freehand import enclosed

TOLERANCE: Final = 1.0
"""How far the simplified outline may lie from the drawn one, screen pixels: nobody draws finer."""
_STEP: Final = 0.5
"""Moves of less than this many screen pixels add nothing."""
_SMALLEST: Final = 4.0
"""A drag whose extent is smaller, screen pixels, was a click."""


class FreehandTool(Tool):
    """Drag around an object; the release closes the outline. Esc or Ctrl+Z drops it."""

    name = "freehand"
    title = "Freehand"

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._points: list[XY] = []
        self._box: Box | None = None  # around them: to look at all at every move would slow a long line down

    @property
    def busy(self) -> bool:
        """Is a line being drawn?"""
        return bool(self._points)

    def cancel(self) -> None:
        """Drop the line."""
        self._points = []
        self._box = None

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Begin."""
        if pointer.left and self.context.document is not None:
            self.cancel()
            self._add(self.context.clamp(pointer.xy))

    def move(self, pointer: Pointer) -> None:
        """Draw to here."""
        if not self._points:
            return
        to = self.context.clamp(pointer.xy)
        if not self.context.close_on_screen(to, self._points[-1], _STEP):
            self._add(to)

    def _add(self, xy: XY) -> None:
        self._points.append(xy)
        here = (*xy, *xy)
        self._box = here if self._box is None else union([self._box, here])

    def release(self, pointer: Pointer) -> None:
        """Close the outline and make the shape."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if not pointer.left or not self._points:
            return
        self.move(pointer)
        points, scale = np.array(self._points), self.context.scale
        self.cancel()
        if np.ptp(points, axis=0).max() * scale < _SMALLEST:
            return
        parts = enclosed(points, TOLERANCE / scale)
        if not parts:
            self.context.say("Nothing was added: the line goes around nothing. Drag around an object.")
            return
        self.context.add_drawn(
            *(
                Shape(
                    "",
                    ShapeType.POLYGON,
                    frozen_points(outer),
                    holes=tuple(frozen_points(hole) for hole in holes),
                )
                for outer, holes in parts
            )
        )

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """Esc or Ctrl+Z while a line is drawn."""
        return self.busy and drops(event)

    def key(self, event: QKeyEvent) -> bool:
        """Drop the line."""
        if not self.claims(event):
            return False
        self.cancel()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """What to do next."""
        if self.busy:
            return "Release to close the outline; Esc cancels"
        return "Drag around an object to draw its outline"

    def overlay_box(self) -> Box | None:
        """Around the line."""
        return self._box

    def paint_overlay(self, painter: QPainter) -> None:
        """The line, and the area it goes around so far."""
        if self._box is None or len(self._points) < 2:
            return
        color, points = self.context.drawing_color, np.array(self._points)
        path = QPainterPath()
        path.addPolygon(polygon_of(self.context.points_to_screen(points)))
        path.setFillRule(Qt.FillRule.WindingFill)
        tint = QColor(color)
        tint.setAlpha(40)
        painter.fillPath(path, tint)
        if len(points) <= LARGE:
            draw_line(painter, path, color, 2.0)
            return
        line = Outline((points,), closed=False, dots=False, box=self._box)
        view = self.context.view
        shown = QRectF(view.viewport().rect())
        paint_large(painter, line, color, view.viewportTransform(), shown, alpha=0, width=2.0)
