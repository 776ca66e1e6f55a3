"""The oriented rectangle: one side, then the width; and turning it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.handles import rectangle_on_side, rotated
from app.canvas.outlines import Box
from app.canvas.painting import draw_handles, draw_line, draw_tag, polygon_of
from app.canvas.shape_index import union
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.drags import EditDrag
from app.canvas.tools.half_drawn import steers, takes_back
from core.annotation.commands import XY
from core.annotation.model import Points, Shape, ShapeType, frozen_points

if TYPE_CHECKING:
    from app.canvas.context import ToolContext

ANGLE_STEP: Final = math.radians(15)
"""With Shift, sides and turns snap to multiples of this."""
_THINNEST: Final = 2.0
"""A rectangle of less width, screen pixels, is a click too many."""


class OrientedRectangleTool(Tool):
    """Two clicks (or a drag) draw one side, a third click sets the width.

    Shift holds the side to steps of 15 degrees. Backspace and Ctrl+Z take the last point back, Esc all;
    Enter and Space finish where the mouse is.
    """

    name = "oriented_rectangle"
    title = "Oriented rectangle"
    overlay_margin = 140.0  # the tag with the size

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._side: list[XY] = []
        self._pressed: Pointer | None = None
        self._at: XY | None = None

    @property
    def busy(self) -> bool:
        """Is the first point set?"""
        return bool(self._side)

    def cancel(self) -> None:
        """Forget the points."""
        self._side = []
        self._pressed = None

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Set the next point, or the width."""
        if not pointer.left or self.context.document is None:
            return
        self._follow(pointer)
        self._pressed = pointer
        if len(self._side) < 2:
            self._add_point()
        else:
            self.finish()

    def move(self, pointer: Pointer) -> None:
        """Show the side, or the rectangle, to here."""
        self._follow(pointer)

    def release(self, pointer: Pointer) -> None:
        """The end of a drag from the first point sets the second."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if not pointer.left or self._pressed is None:
            return
        pressed, self._pressed = self._pressed, None
        if len(self._side) == 1 and pointer.dragged_from(pressed):
            self._follow(pointer)
            self._add_point()

    def double_click(self, pointer: Pointer) -> None:
        """A click too many; the first one counted."""

    def leave(self) -> None:
        """Nothing follows the mouse."""
        self._at = None

    def _follow(self, pointer: Pointer) -> None:
        to = pointer.xy
        if len(self._side) == 1 and pointer.shift:
            to = stepped(self._side[0], to)
        # The width is only a distance: it may be shown from outside the image.
        self._at = to if len(self._side) == 2 else self.context.clamp(to)

    def _add_point(self) -> None:
        if self._at is not None and self._at not in self._side:
            self._side.append(self._at)

    def finish(self) -> None:
        """Make the shape, if it has a width."""
        corners = self._corners()
        if corners is None:
            return
        width = float(np.hypot(*(corners[3] - corners[0])))
        if width * self.context.scale < _THINNEST:
            return
        self.cancel()
        self.context.add_drawn(Shape("", ShapeType.ORIENTED_RECTANGLE, frozen_points(corners)))

    def _corners(self) -> Points | None:
        if len(self._side) < 2 or self._at is None:
            return None
        return rectangle_on_side(self._side[0], self._side[1], self._at, self.context.image_size)

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """While a point is set: what finishes, cancels and takes back."""
        return self.busy and steers(event)

    def key(self, event: QKeyEvent) -> bool:
        """Finish, cancel, take back."""
        if not self.claims(event):
            return False
        if takes_back(event):
            self._side.pop()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancel()
        elif len(self._side) == 2:
            self.finish()
        else:
            self._add_point()
        return True

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """What to do next."""
        match len(self._side):
            case 0:
                return "Click or drag to draw one side of an oriented rectangle"
            case 1:
                return "Click or release to set the other end of the side; Shift turns in steps, Esc cancels"
            case _:
                return "Click to set the width; Backspace takes a point back, Esc cancels"

    def overlay_box(self) -> Box | None:
        """Around what would be drawn."""
        if not self._side:
            return None
        corners = self._corners()
        points = self._side if corners is None else corners.tolist()
        ends = points if self._at is None else [*points, self._at]
        return union((x, y, x, y) for x, y in ends)

    def paint_overlay(self, painter: QPainter) -> None:
        """The side or the rectangle as it would be, and its size."""
        if not self._side:
            return
        color = self.context.drawing_color
        corners = self._corners()
        if corners is None:
            corners = np.array(self._side if self._at is None else [self._side[0], self._at])
        placed = self.context.points_to_screen(corners)
        path = QPainterPath()
        path.addPolygon(polygon_of(placed))
        if len(corners) == 4:
            path.closeSubpath()
            tint = QColor(color)
            tint.setAlpha(40)
            painter.fillPath(path, tint)
        draw_line(painter, path, color, 2.0)
        draw_handles(painter, placed)
        if self._at is not None and len(corners) > 1:
            draw_tag(painter, self.context.to_screen(self._at), self._size_text(corners))

    def _size_text(self, corners: Points) -> str:
        along = corners[1] - corners[0]
        angle = math.degrees(math.atan2(-along[1], along[0]))
        if len(corners) < 4:
            return f"{np.hypot(*along):.0f} px, {angle:.0f}°"
        return f"{np.hypot(*along):.0f} × {np.hypot(*(corners[3] - corners[0])):.0f}, {angle:.0f}°"


def stepped(start: XY, to: XY) -> XY:
    """`to`, turned about `start` to the nearest step of the angle."""
    angle = round(math.atan2(to[1] - start[1], to[0] - start[0]) / ANGLE_STEP) * ANGLE_STEP
    length = math.dist(start, to)
    return start[0] + length * math.cos(angle), start[1] + length * math.sin(angle)


class RotateDrag(EditDrag):
    """The handle off a rectangle's side turns it about its middle; Shift in steps of 15 degrees."""

    hint = "Release to leave it turned so; Shift turns in steps, Esc cancels"

    def __init__(self, context: ToolContext, start: Pointer, uid: int) -> None:
        super().__init__(context, start)
        assert context.document is not None
        self._uid = uid
        points = context.document.get(uid).points
        self._centre = points.mean(axis=0)
        side = points[1] - points[0]
        self._angle = math.atan2(side[1], side[0])
        self._from = self._bearing(start)

    def _bearing(self, pointer: Pointer) -> float:
        return math.atan2(pointer.y - self._centre[1], pointer.x - self._centre[0])

    def follow(self, pointer: Pointer) -> None:
        """Show the rectangle turned as far as the mouse has gone around its middle."""
        document = self.context.document
        if document is None:
            return
        turn = self._bearing(pointer) - self._from
        if pointer.shift:
            turn = round((self._angle + turn) / ANGLE_STEP) * ANGLE_STEP - self._angle
        self.show(rotated(document, self._uid, turn))
