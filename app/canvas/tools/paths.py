"""Drawing vertex by vertex: polygon and line strip."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, TypeAlias

import numpy as np
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_handles, draw_line, polygon_of
from app.canvas.shape_index import union
from app.canvas.tools.base import Pointer
from app.canvas.tools.half_drawn import ASKING_HINT, BRING_BACK_HINT
from app.canvas.tools.outline import OutlineTool
from core.annotation.commands import XY
from core.annotation.model import Shape, ShapeType, frozen_points

_MODIFIERS: Final = {
    Qt.Key.Key_Shift: Qt.KeyboardModifier.ShiftModifier,
    Qt.Key.Key_Control: Qt.KeyboardModifier.ControlModifier,
    Qt.Key.Key_Alt: Qt.KeyboardModifier.AltModifier,
}
_Drawn: TypeAlias = tuple[list[XY], list[int]]
"""Points, and how many there were before each press that added some."""


class PathTool(OutlineTool[_Drawn]):
    """A click adds a point.

    The second press of a double-click adds nothing, and its first one nothing that is already there: a
    double-click on the last point finishes the shape as it stands.

    With Shift, when the last point and this one lie on the same outline, the vertices between them are taken
    along, so that the border is shared exactly; Ctrl+Shift goes the other way round. So it is with outlines
    that touch each other.
    """

    shape_type: ClassVar[ShapeType]
    fewest: ClassVar[int]

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._steps: list[int] = []  # how many points there were before each press that added some
        self._border: list[XY] = []  # what Shift takes along
        self._borders_here = False
        self._pointer: Pointer | None = None

    def _begin(self) -> None:
        """Nothing is drawn."""
        super()._begin()
        self._steps = []
        self._border = []

    def _unfinished(self) -> _Drawn:
        return self.points, self._steps

    def _resume(self, unfinished: _Drawn) -> None:
        self.points, self._steps = unfinished

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Add a point, or finish at the first one."""
        if not pointer.left or self.context.document is None:
            return
        self._follow(pointer)
        if not self.busy:
            self._dropped.take()
        before = len(self.points)
        self.points.extend(self._border)
        self._border = []
        if self._at is not None and not self._closing:
            self.points.append(self._at)
        if len(self.points) > before:
            self._steps.append(before)
        self._asking = False
        if self._closing or self.ends_at(pointer):
            self.finish()

    def move(self, pointer: Pointer) -> None:
        """Draw the rubber line to here."""
        self._follow(pointer)

    def leave(self) -> None:
        """Without the mouse there is no rubber line."""
        super().leave()
        self._border = []

    def _follow(self, pointer: Pointer) -> None:
        at = self._aim(pointer)
        self._pointer = pointer
        self._border, self._borders_here = [], False
        if self.points and (self._closing or self._snap is not None):
            way = self.context.snapper.border(self.points[-1], at, longer=pointer.ctrl, across=pointer.shift)
            if way is not None and len(way):
                self._borders_here = True
                self._border = [(x, y) for x, y in way.tolist()] if pointer.shift else []

    def _take_back(self) -> None:
        """Undo the last press, with all the points it brought."""
        del self.points[self._steps.pop() :]
        self._border = []
        self._closing = self._asking = False

    def ends_at(self, pointer: Pointer) -> bool:
        """Does the point just added end the shape?"""
        return False

    def finish(self) -> None:
        """Make the shape, if it has enough points."""
        if len(self.points) < self.fewest:
            return
        self._hand_over(Shape("", self.shape_type, frozen_points(self.points)))

    # --- keys ---------------------------------------------------------------------------------------------

    def key(self, event: QKeyEvent) -> bool:
        """Finish, cancel, take back; Shift, Ctrl and Alt show what they change."""
        return self._modifiers_changed(event) if event.key() in _MODIFIERS else super().key(event)

    def key_released(self, event: QKeyEvent) -> bool:
        """Shift, Ctrl and Alt show what they no longer change."""
        return event.key() in _MODIFIERS and self._modifiers_changed(event)

    def _modifiers_changed(self, event: QKeyEvent) -> bool:
        if self._pointer is None or self._at is None or not self.busy:
            return False
        held = self._pointer.modifiers
        key = _MODIFIERS[Qt.Key(event.key())]
        held = held | key if event.type() == QEvent.Type.KeyPress else held & ~key
        self._follow(replace(self._pointer, modifiers=held))
        self.context.refresh()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    def overlay_box(self) -> Box | None:
        """Around all points and the mouse."""
        ends = [*self.points, *self._border]
        if self._at is not None and (self.points or self._snap is not None):
            ends.append(self._at)
        return union((x, y, x, y) for x, y in ends) if ends else None

    def _paint_outline(self, painter: QPainter) -> None:
        color = self.context.drawing_color
        placed = self.context.points_to_screen(np.array(self.points))
        whole = (
            placed
            if self._at is None
            else np.vstack([placed, self.context.points_to_screen(np.array([*self._border, self._at]))])
        )
        self.paint_fill(painter, whole, color)
        drawn = QPainterPath()
        drawn.addPolygon(polygon_of(placed))
        if self._asking and self._at is None and self.shape_type is ShapeType.POLYGON:
            drawn.closeSubpath()
        draw_line(painter, drawn, color, 2.0)
        if self._at is not None:
            rubber = QPainterPath()
            rubber.addPolygon(polygon_of(whole[len(placed) - 1 :]))
            draw_line(painter, rubber, color, 1.5)
        draw_handles(painter, placed)
        draw_handles(painter, whole[len(placed) : -1])
        self._paint_start(painter, (placed[0, 0], placed[0, 1]))

    def paint_fill(self, painter: QPainter, points: np.ndarray, color: QColor) -> None:
        """Tint what would be inside, for shapes that have an inside."""

    @property
    def border_hint(self) -> str:
        """What Shift does or could do here; "" where it does nothing."""
        if self._border:
            return "Click to take this border along; Ctrl+Shift goes the other way round"
        return "Shift+click takes the border along; Alt suspends snapping" if self._borders_here else ""


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
            case 0 if self._dropped:
                return BRING_BACK_HINT
            case 0:
                return "Click to place the first point of a polygon"
            case _ if self._asking and self._at is None:
                return ASKING_HINT
            case _ if self.border_hint:
                return self.border_hint
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
            return BRING_BACK_HINT if self._dropped else "Click to place the first point of a line strip"
        if self._asking and self._at is None:
            return ASKING_HINT
        return self.border_hint or "Click to add points; Ctrl+click, Enter or a double-click ends the line"
