"""Drawing vertex by vertex: polygon and line strip."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_handle, draw_handles, draw_line, polygon_of
from app.canvas.shape_index import union
from app.canvas.style import DRAG_START, HANDLE_HOT, HANDLE_RADIUS
from app.canvas.tools.base import Pointer, Tool
from core.annotation.commands import XY
from core.annotation.document import Change
from core.annotation.model import Shape, ShapeType, frozen_points

ASKING_HINT: Final = "Choose a label for it; Esc goes back to drawing"
FINISH_KEYS: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


def takes_back(event: QKeyEvent) -> bool:
    """Backspace or Ctrl+Z: take the last point back."""
    modifiers = event.modifiers()
    return (event.key() == Qt.Key.Key_Backspace and modifiers == Qt.KeyboardModifier.NoModifier) or (
        event.key() == Qt.Key.Key_Z and modifiers == Qt.KeyboardModifier.ControlModifier
    )


class PathTool(Tool):
    """A click adds a point; Enter, Space or a double-click finishes; Backspace or Ctrl+Z takes one back.

    The second press of a double-click adds nothing, and its first one nothing that is already there: a
    double-click on the last point finishes the shape as it stands.

    Where a label has to be asked for, the finished outline stays in sight until the shape is in the document.
    When the question is cancelled it is half drawn again: sixty points are not lost by one Esc.
    """

    shape_type: ClassVar[ShapeType]
    fewest: ClassVar[int]

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.points: list[XY] = []
        self._at: XY | None = None
        self._closing = False
        self._asking = False

    @property
    def busy(self) -> bool:
        """Is a shape half drawn?"""
        return bool(self.points)

    def cancel(self) -> None:
        """Forget the half-drawn shape."""
        self.points = []
        self._closing = False
        self._asking = False

    def document_changed(self, change: Change) -> None:
        """The shape that was finished is in the document: the next one begins."""
        if self._asking and change.kind == "inserted" and change.after is not None:
            drawn = set(self.points)
            # Mending a ring that crosses itself may add points and take some away, never all.
            if any((float(x), float(y)) in drawn for x, y in change.after.points):
                self.cancel()

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Add a point, or finish at the first one."""
        if not pointer.left or self.context.document is None:
            return
        self._follow(pointer)
        if self._closing:
            self.finish()
            return
        self.points.append(self.context.clamp(pointer.xy))
        self._asking = False
        if self.ends_at(pointer):
            self.finish()

    def move(self, pointer: Pointer) -> None:
        """Draw the rubber line to here."""
        self._follow(pointer)

    def release(self, pointer: Pointer) -> None:
        """The context menu belongs to the right button while nothing is drawn."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)

    def double_click(self, pointer: Pointer) -> None:
        """Finish, if enough is there."""
        if pointer.left and self.busy:
            self._drop_doubled_point()
            self.finish()

    def leave(self) -> None:
        """Without the mouse there is no rubber line."""
        self._at = None
        self._closing = False

    def _follow(self, pointer: Pointer) -> None:
        self._closing = self.snaps_to_start(pointer)
        self._at = self.points[0] if self._closing else self.context.clamp(pointer.xy)

    def _drop_doubled_point(self) -> None:
        if len(self.points) >= 2 and self.context.close_on_screen(
            self.points[-1], self.points[-2], DRAG_START
        ):
            del self.points[-1]

    def snaps_to_start(self, pointer: Pointer) -> bool:
        """Would a press here close the shape?"""
        return False

    def ends_at(self, pointer: Pointer) -> bool:
        """Does the point just added end the shape?"""
        return False

    def finish(self) -> None:
        """Make the shape, if it has enough points."""
        if len(self.points) < self.fewest:
            return
        shape = Shape("", self.shape_type, frozen_points(self.points))
        if self.context.active_class is None:
            self._asking, self._closing, self._at = True, False, None
        else:
            self.cancel()
        self.context.add_drawn(shape)

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """While a shape is half drawn: what finishes, cancels and takes back."""
        return self.busy and (
            event.key() in FINISH_KEYS or event.key() == Qt.Key.Key_Escape or takes_back(event)
        )

    def key(self, event: QKeyEvent) -> bool:
        """Finish, cancel, take back."""
        if not self.claims(event):
            return False
        if takes_back(event):
            self.points.pop()
            self._closing = self._asking = False
        elif event.key() == Qt.Key.Key_Escape:
            self.cancel()
        elif not event.isAutoRepeat():
            self.finish()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> Qt.CursorShape:
        """A cross."""
        return Qt.CursorShape.CrossCursor

    def overlay_box(self) -> Box | None:
        """Around all points and the mouse."""
        if not self.points:
            return None
        ends = self.points if self._at is None else [*self.points, self._at]
        return union((x, y, x, y) for x, y in ends)

    def paint_overlay(self, painter: QPainter) -> None:
        """The points so far, and the line to the mouse."""
        if not self.points:
            return
        color = self.context.drawing_color
        placed = self.context.points_to_screen(np.array(self.points))
        whole = (
            placed
            if self._at is None
            else np.vstack([placed, self.context.points_to_screen(np.array([self._at]))])
        )
        self.paint_fill(painter, whole, color)
        drawn = QPainterPath()
        drawn.addPolygon(polygon_of(placed))
        if self._asking and self._at is None and self.shape_type is ShapeType.POLYGON:
            drawn.closeSubpath()
        draw_line(painter, drawn, color, 2.0)
        if self._at is not None:
            rubber = QPainterPath()
            rubber.addPolygon(polygon_of(whole[-2:]))
            draw_line(painter, rubber, color, 1.5)
        draw_handles(painter, placed)
        if self._closing:
            draw_handle(painter, QPointF(*placed[0]), HANDLE_HOT, HANDLE_RADIUS + 2.5)

    def paint_fill(self, painter: QPainter, points: np.ndarray, color: QColor) -> None:
        """Tint what would be inside, for shapes that have an inside."""


class PolygonTool(PathTool):
    """Closes by a click on the first point (within 10 screen pixels; Alt suspends this)."""

    name = "polygon"
    title = "Polygon"
    shape_type = ShapeType.POLYGON
    fewest = 3

    def snaps_to_start(self, pointer: Pointer) -> bool:
        """Near the first point, with a polygon's worth of points, and without Alt."""
        if len(self.points) < self.fewest or pointer.alt:
            return False
        return self.context.close_on_screen(pointer.xy, self.points[0])

    def paint_fill(self, painter: QPainter, points: np.ndarray, color: QColor) -> None:
        """Tint the inside."""
        if len(points) >= 3:
            path = QPainterPath()
            path.addPolygon(polygon_of(points))
            tint = QColor(color)
            tint.setAlpha(40)
            painter.fillPath(path, tint)

    @property
    def hint(self) -> str:
        """What to do next."""
        match len(self.points):
            case 0:
                return "Click to place the first point of a polygon"
            case _ if self._asking and self._at is None:
                return ASKING_HINT
            case 1 | 2:
                return "Click to add points; Backspace takes one back, Esc cancels"
            case _ if self._closing:
                return "Click to close the polygon"
            case _:
                return "Click to add points; Enter, a double-click or a click on the first point closes"


class LinestripTool(PathTool):
    """An open line; Ctrl+click adds its last point."""

    name = "linestrip"
    title = "Line strip"
    shape_type = ShapeType.LINESTRIP
    fewest = 2

    def ends_at(self, pointer: Pointer) -> bool:
        """With Ctrl."""
        return pointer.ctrl

    @property
    def hint(self) -> str:
        """What to do next."""
        if not self.points:
            return "Click to place the first point of a line strip"
        if self._asking and self._at is None:
            return ASKING_HINT
        return "Click to add points; Ctrl+click, Enter or a double-click ends the line"
