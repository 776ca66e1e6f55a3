"""Shapes of two points, drawn by two clicks or by one drag: rectangle, circle, line. And the single point."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from PySide6.QtGui import QColor, QKeyEvent, QPainter

from app.canvas.context import ToolContext
from app.canvas.handles import square_corner
from app.canvas.outlines import Box, outline_of
from app.canvas.painting import draw_handles, draw_line, draw_tag, path_of
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.half_drawn import FINISH_KEYS, steers
from core.annotation.commands import XY
from core.annotation.model import Shape, ShapeType, frozen_points


class TwoPointTool(Tool):
    """A click (or the start of a drag) sets the first point, a click (or its end) the second.

    Esc, Backspace and Ctrl+Z take the first point back; Enter and Space finish where the mouse is.
    """

    shape_type: ClassVar[ShapeType]
    overlay_margin = 140.0  # the tag with the size

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._first: XY | None = None
        self._pressed: Pointer | None = None
        self._at: XY | None = None

    @property
    def busy(self) -> bool:
        """Is the first point set?"""
        return self._first is not None

    def cancel(self) -> None:
        """Take the first point back."""
        self._first = None
        self._pressed = None

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Set the first point, or the second."""
        if not pointer.left or self.context.document is None:
            return
        if self._first is None:
            self._first = self.context.clamp(pointer.xy)
            self._pressed = pointer
            self._at = self._first
        else:
            self._follow(pointer)
            self.finish()

    def move(self, pointer: Pointer) -> None:
        """Show the shape to here."""
        self._follow(pointer)

    def release(self, pointer: Pointer) -> None:
        """The end of a drag sets the second point."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if not pointer.left or self._pressed is None:
            return
        pressed, self._pressed = self._pressed, None
        if pointer.dragged_from(pressed):
            self._follow(pointer)
            self.finish()

    def double_click(self, pointer: Pointer) -> None:
        """A click too many; the first one counted."""

    def _follow(self, pointer: Pointer) -> None:
        self._at = self.second_point(pointer) if self.busy else self.context.clamp(pointer.xy)

    def second_point(self, pointer: Pointer) -> XY:
        """Where the second point goes for this position of the mouse."""
        return self.context.clamp(pointer.xy)

    def is_drawable(self, first: XY, second: XY) -> bool:
        """Do the two points make a shape that can be seen?"""
        return first != second

    def finish(self) -> None:
        """Make the shape, unless it has no extent."""
        if self._first is None or self._at is None or not self.is_drawable(self._first, self._at):
            return
        shape = self._shape(self._first, self._at)
        self.cancel()
        self.context.add_drawn(shape)

    def _shape(self, first: XY, second: XY) -> Shape:
        return Shape("", self.shape_type, frozen_points([first, second]))

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """While the first point is set: what finishes, cancels and takes back."""
        return self.busy and steers(event)

    def key(self, event: QKeyEvent) -> bool:
        """Finish, or take the first point back."""
        if not self.claims(event):
            return False
        if event.key() in FINISH_KEYS:
            self.finish()
        else:
            self.cancel()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    def overlay_box(self) -> Box | None:
        """Around the shape as it would be."""
        if self._first is None or self._at is None:
            return None
        return outline_of(self._shape(self._first, self._at)).box

    def paint_overlay(self, painter: QPainter) -> None:
        """The shape as it would be, its two points and its size."""
        if self._first is None or self._at is None:
            return
        color = self.context.drawing_color
        outline = outline_of(self._shape(self._first, self._at))
        path = self.context.to_viewport_path(path_of(outline))
        if outline.closed:
            tint = QColor(color)
            tint.setAlpha(40)
            painter.fillPath(path, tint)
        draw_line(painter, path, color, 2.0)
        draw_handles(painter, self.context.points_to_screen(np.array([self._first, self._at])))
        draw_tag(painter, self.context.to_screen(self._at), self.size_text(self._first, self._at))

    def size_text(self, first: XY, second: XY) -> str:
        """Extent in image pixels, shown beside the mouse."""
        return f"{math.dist(first, second):.0f} px"


class RectangleTool(TwoPointTool):
    """Two opposite corners; Shift makes a square."""

    name = "rectangle"
    title = "Rectangle"
    shape_type = ShapeType.RECTANGLE

    def second_point(self, pointer: Pointer) -> XY:
        """The mouse, or with Shift the corner of a square."""
        to = self.context.clamp(pointer.xy)
        if pointer.shift and self._first is not None:
            return square_corner(self._first, to, self.context.image_size)
        return to

    def is_drawable(self, first: XY, second: XY) -> bool:
        """It needs width and height."""
        return first[0] != second[0] and first[1] != second[1]

    def size_text(self, first: XY, second: XY) -> str:
        """Width by height."""
        return f"{abs(second[0] - first[0]):.0f} × {abs(second[1] - first[1]):.0f}"

    @property
    def hint(self) -> str:
        """What to do next."""
        if self.busy:
            return "Click or release to set the opposite corner; Shift makes a square, Esc cancels"
        return "Click or drag to draw a rectangle"


class CircleTool(TwoPointTool):
    """Centre, then rim."""

    name = "circle"
    title = "Circle"
    shape_type = ShapeType.CIRCLE

    def size_text(self, first: XY, second: XY) -> str:
        """The radius."""
        return f"radius {math.dist(first, second):.0f}"

    @property
    def hint(self) -> str:
        """What to do next."""
        if self.busy:
            return "Click or release to set the radius; Esc cancels"
        return "Click the centre of a circle, or drag from it"


class LineTool(TwoPointTool):
    """From end to end."""

    name = "line"
    title = "Line"
    shape_type = ShapeType.LINE

    @property
    def hint(self) -> str:
        """What to do next."""
        if self.busy:
            return "Click or release to set the other end; Esc cancels"
        return "Click or drag to draw a line"


class PointTool(Tool):
    """One click, one point."""

    name = "point"
    title = "Point"

    def press(self, pointer: Pointer) -> None:
        """Add a point."""
        if pointer.left and self.context.document is not None:
            point = frozen_points([self.context.clamp(pointer.xy)])
            self.context.add_drawn(Shape("", ShapeType.POINT, point))

    def double_click(self, pointer: Pointer) -> None:
        """A click too many; the first one counted."""

    def release(self, pointer: Pointer) -> None:
        """The context menu belongs to the right button."""
        if pointer.right:
            self.context.request_menu(pointer.global_pos)

    @property
    def hint(self) -> str:
        """What to do next."""
        return "Click to place a point"
