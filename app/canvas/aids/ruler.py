"""Measuring on the image: a line from here to there, and what shapes measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_handles, draw_line, draw_tag
from app.canvas.shape_index import union
from app.canvas.style import FRESH_COLOR
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.oriented import stepped
from core.annotation.areas import AREAL, geometry
from core.annotation.commands import XY
from core.annotation.model import Shape, ShapeType

_TICK: Final = 6.0
"""Half the length of the strokes at the ends, screen pixels."""


class RulerTool(Tool):
    """A drag measures: length, width, height and angle. Shift holds the line to steps of 15 degrees.

    The line stays until the next press, Esc, or another tool.
    """

    name = "ruler"
    title = "Ruler"
    draws = False
    uses_selection = True
    overlay_margin = 320.0  # the tag with the figures

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._start: XY | None = None
        self._end: XY | None = None
        self._held = False

    @property
    def busy(self) -> bool:
        """Is a line being drawn?"""
        return self._held

    @property
    def ends(self) -> tuple[XY, XY] | None:
        """The line, image pixels."""
        return None if self._start is None or self._end is None else (self._start, self._end)

    def cancel(self) -> None:
        """Take the line away."""
        self._start = self._end = None
        self._held = False

    def press(self, pointer: Pointer) -> None:
        """Begin a line."""
        if pointer.left:
            self._start = pointer.xy
            self._end = None
            self._held = True

    def move(self, pointer: Pointer) -> None:
        """Measure to here."""
        if self._held and self._start is not None:
            self._end = stepped(self._start, pointer.xy) if pointer.shift else pointer.xy

    def release(self, pointer: Pointer) -> None:
        """Leave the line where it is."""
        if pointer.right:
            self.context.request_menu(pointer.global_pos)
        elif pointer.left and self._held:
            if self._end is not None:
                self.move(pointer)
            self._held = False

    def claims(self, event: QKeyEvent) -> bool:
        """Esc while there is a line."""
        return self._start is not None and event.key() == Qt.Key.Key_Escape

    def key(self, event: QKeyEvent) -> bool:
        """Take the line away."""
        if not self.claims(event):
            return False
        self.cancel()
        return True

    @property
    def hint(self) -> str:
        """The figures, or what to do."""
        if self.ends is None:
            return "Drag to measure; Shift turns the line in steps of 15°"
        return f"{line_text(*self.ends)}; Esc takes the line away"

    def overlay_box(self) -> Box | None:
        """Around the line."""
        return None if self.ends is None else union((x, y, x, y) for x, y in self.ends)

    def paint_overlay(self, painter: QPainter) -> None:
        """The line with its ends, and its figures."""
        if self.ends is None:
            return
        placed = self.context.points_to_screen(np.array(self.ends))
        along = placed[1] - placed[0]
        length = float(np.hypot(*along))
        path = QPainterPath()
        path.moveTo(*placed[0])
        path.lineTo(*placed[1])
        if length > 0:
            across = np.array([-along[1], along[0]]) / length * _TICK
            for end in placed:
                path.moveTo(*(end - across))
                path.lineTo(*(end + across))
        draw_line(painter, path, FRESH_COLOR, 1.5)
        draw_handles(painter, placed, 2.5)
        draw_tag(painter, self.context.to_screen(self.ends[1]), line_text(*self.ends))


def line_text(start: XY, end: XY) -> str:
    """What a line measures: length, dx, dy in pixels; angle in degrees, counter-clockwise from the right."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    angle = math.degrees(math.atan2(-dy, dx))
    return f"{math.hypot(dx, dy):.1f} px   dx {dx:.1f}   dy {dy:.1f}   {angle:.1f}°"


def shapes_text(shapes: Sequence[Shape]) -> str:
    """What shapes measure: their area, or the length of lines; "" for points and for nothing."""
    areas = [geometry(shape).area for shape in shapes if shape.shape_type in AREAL]
    if areas:
        return f"{sum(areas):,.0f} px²"
    lines = [shape for shape in shapes if shape.shape_type in (ShapeType.LINE, ShapeType.LINESTRIP)]
    lengths = [float(np.hypot(*np.diff(line.points, axis=0).T).sum()) for line in lines]
    return f"{sum(lengths):,.1f} px" if lengths else ""
