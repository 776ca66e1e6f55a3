"""GrabCut: a box around an object finds it, strokes correct it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_line, polygon_of
from app.canvas.pixels import MOST_PIXELS, PixelReader
from app.canvas.shape_index import union
from app.canvas.style import DRAG_START
from app.canvas.tools.base import Pointer
from app.canvas.tools.found import FoundRegionTool
from core.annotation.commands import XY
from core.interactive.grabcut import grab_cut, window_of
from core.interactive.window import Patch, PixelBox

_STROKE_WIDTH: Final = 9.0
"""Of correcting strokes, screen pixels."""
_INSIDE: Final = QColor("#4ade80")
_OUTSIDE: Final = QColor("#f87171")


@dataclass(frozen=True, slots=True, eq=False)
class _Stroke:
    """A correction.

    Attributes:
        points: the way of the mouse, image pixels.
        width: image pixels.
        inside: it marks the object, else what is around it.
    """

    width: float
    inside: bool
    points: list[XY] = field(default_factory=list)

    def on(self, window: PixelBox) -> np.ndarray:
        """The pixels it covers in a window, bool."""
        x0, y0, x1, y1 = window
        canvas = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
        way = np.floor(np.array(self.points) - (x0, y0)).astype(np.int32)
        thickness = max(1, round(self.width))
        cv2.polylines(canvas, [way.reshape(-1, 1, 2)], isClosed=False, color=1, thickness=thickness)
        return np.asarray(canvas != 0)


def find_object(reader: PixelReader, box: Box, strokes: tuple[_Stroke, ...]) -> Patch:
    """Worker: the object in a box of the image, as corrected by strokes, the later ones winning."""
    window = window_of(box, (reader.height, reader.width))
    x0, y0, x1, y1 = window
    inside = np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    outside = inside.copy()
    for stroke in strokes:
        covered = stroke.on(window)
        inside = (inside | covered) if stroke.inside else (inside & ~covered)
        outside = (outside & ~covered) if stroke.inside else (outside | covered)
    local = box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0
    patch = grab_cut(reader.window(window), local, foreground=inside, background=outside)
    return Patch(patch.mask, patch.x + x0, patch.y + y0)


class GrabCutTool(FoundRegionTool):
    """A drag is the box; then drags mark what belongs to the object, with Shift what does not."""

    name = "grabcut"
    title = "Object in a box"

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self._box: Box | None = None
        self._corner: Pointer | None = None
        self._strokes: list[_Stroke] = []
        self._stroke: _Stroke | None = None

    @property
    def busy(self) -> bool:
        """Is there a box?"""
        return self._box is not None or super().busy

    def forget(self) -> None:
        """Box and strokes, too."""
        super().forget()
        self._box = None
        self._corner = None
        self._strokes = []
        self._stroke = None

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Begin the box, or a stroke."""
        if not pointer.left or self.context.document is None or self.context.pixels is None:
            return
        self.let_accepted_go()
        at = self.context.clamp(pointer.xy)
        if self._box is None:
            self._corner = pointer
            self._box = (*at, *at)
        elif self._corner is None:
            self._stroke = _Stroke(_STROKE_WIDTH / self.context.scale, not pointer.shift, [at])

    def move(self, pointer: Pointer) -> None:
        """Widen the box, or draw the stroke on."""
        at = self.context.clamp(pointer.xy)
        if self._corner is not None:
            x, y = self.context.clamp(self._corner.xy)
            self._box = min(x, at[0]), min(y, at[1]), max(x, at[0]), max(y, at[1])
        elif self._stroke is not None:
            self._stroke.points.append(at)

    def release(self, pointer: Pointer) -> None:
        """Look for the object, with the new stroke."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)
        if not pointer.left:
            return
        if self._corner is not None:
            self.move(pointer)
            gone = pointer.screen - self._corner.screen
            self._corner = None
            x0, y0, x1, y1 = (0.0,) * 4 if self._box is None else self._box
            if min(abs(gone.x()), abs(gone.y())) < DRAG_START or x0 == x1 or y0 == y1:
                self.forget()  # a click, or a box beside the image
                return
        elif self._stroke is not None:
            self.move(pointer)
            self._strokes.append(self._stroke)
            self._stroke = None
        else:
            return
        self._look()

    def double_click(self, pointer: Pointer) -> None:
        """Accept; the first press of it was a small stroke inside."""
        if pointer.left and self.found is not None:
            self.accept()

    def _look(self) -> None:
        reader, box = self.context.pixels, self._box
        if reader is None or box is None:
            return
        x0, y0, x1, y1 = window_of(box, (reader.height, reader.width))
        if (x1 - x0) * (y1 - y0) > MOST_PIXELS:
            self.forget()
            side = math.isqrt(MOST_PIXELS)
            self.context.say(f"This box is too large: at most some {side} x {side} pixels can be searched.")
            return
        self.look(find_object, reader, box, tuple(self._strokes), doing="finding the object in the box")

    # --- looks --------------------------------------------------------------------------------------------

    def overlay_box(self) -> Box | None:
        """Around the box; the object is inside, strokes may leave it."""
        boxes = [box for box in (super().overlay_box(), self._box) if box is not None]
        points = [point for stroke in self._shown_strokes() for point in stroke.points]
        boxes += [(x, y, x, y) for x, y in points]
        return union(boxes) if boxes else None

    def _shown_strokes(self) -> list[_Stroke]:
        return self._strokes if self._stroke is None else [*self._strokes, self._stroke]

    def paint_overlay(self, painter: QPainter) -> None:
        """The object, the strokes and the box."""
        super().paint_overlay(painter)
        for stroke in self._shown_strokes():
            color = QColor(_INSIDE if stroke.inside else _OUTSIDE)
            color.setAlpha(130)
            pen = QPen(color, max(1.5, stroke.width * self.context.scale))
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            painter.setPen(pen)
            if len(stroke.points) == 1:
                painter.drawPoint(self.context.to_screen(stroke.points[0]))
            else:
                placed = self.context.points_to_screen(np.array(stroke.points))
                painter.drawPolyline(polygon_of(placed))
        if self._box is not None:
            path = QPainterPath()
            first, last = self.context.to_screen(self._box[:2]), self.context.to_screen(self._box[2:])
            path.addRect(QRectF(first, last))
            draw_line(painter, path, self.context.drawing_color, 1.5, Qt.PenStyle.DashLine)

    @property
    def hint(self) -> str:
        """What to do next."""
        if self._corner is not None:
            return "Release when the whole object is in the box"
        if self.work.busy:
            return "Finding the object …"
        if self._box is not None:
            return "Enter adds the object; drag marks more of it, Shift+drag what is not it, Esc drops it"
        return "Drag a box around an object"
