"""The live wire: between clicks the outline follows the edges of the image."""

from __future__ import annotations

from functools import partial
from typing import Final, TypeAlias

import numpy as np
from PySide6.QtGui import QColor, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_handles, draw_line, polygon_of
from app.canvas.pixels import Latest, PixelReader
from app.canvas.tools.base import Pointer
from app.canvas.tools.half_drawn import ASKING_HINT, BRING_BACK_HINT
from app.canvas.tools.outline import OutlineTool
from core.annotation.commands import XY
from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.interactive.live_wire import EdgeMap, boundary_map, edge_map, map_box
from core.polygons.smoothing import simplify_line

_TOLERANCE: Final = 1.0
"""How far the outline is simplified, pixels: a path steps from pixel to pixel, off the edge by about half."""
_REACH: Final = 320.0
"""How far from an anchor the wire follows edges, screen pixels."""
_LEAST_REACH: Final = 128
_MOST_REACH: Final = 1500

Prediction = tuple[np.ndarray, np.ndarray | None] | None
_Drawn: TypeAlias = tuple[list[XY], list[Points | None]]
"""Anchors, and the segments between them."""


def build_map(reader: PixelReader, prediction: Prediction, anchor: XY, radius: int) -> EdgeMap:
    """Worker: the paths from an anchor, on image gradients and on the borders of a prediction."""
    box = map_box(anchor, (reader.height, reader.width), radius)
    x0, y0, x1, y1 = box
    boundary = None
    if prediction is not None:
        classes, confidence = prediction
        part = None if confidence is None else confidence[y0:y1, x0:x1]
        boundary = boundary_map(classes[y0:y1, x0:x1], part)
    return edge_map(reader.window(box), boundary, anchor, origin=(x0, y0))


class LiveWireTool(OutlineTool[_Drawn]):
    """A click sets an anchor, the wire follows edges from there to the mouse, the next click fixes it.

    A click on the first anchor closes the outline. With Alt the wire is straight.

    Building the map of an anchor takes some ten milliseconds in a worker: what was clicked meanwhile is drawn
    straight and bends when the map is there.
    """

    name = "live_wire"
    title = "Live wire"

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.work = Latest(context.runner, context.view)
        self.work.failed.connect(self._on_failed)
        self.work.changed.connect(context.refresh)
        self._segments: list[Points | None] = []  # from each anchor to the next; None: not known yet
        self._map: EdgeMap | None = None  # of the anchor `_mapped`
        self._mapped = -1
        self._straight = False
        self._finishing = False  # closed, and waiting for maps

    def _begin(self) -> None:
        """Nothing is drawn."""
        super()._begin()
        self.work.drop()
        self._segments = []
        self._map = None
        self._mapped = -1
        self._finishing = False

    def _unfinished(self) -> _Drawn:
        return self.points, self._segments[: len(self.points) - 1]

    def _resume(self, unfinished: _Drawn) -> None:
        self.points, self._segments = unfinished
        self._want_map()

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Fix the wire here, or close the outline."""
        if not pointer.left or self.context.document is None or self._finishing:
            return
        self._follow(pointer)
        if not self.busy:
            self._dropped.take()
        if self._asking:
            self._asking = False
            self._reopen()
        if self._closing:
            self.finish()
        elif self._at is not None:
            self._add(self._at)

    def move(self, pointer: Pointer) -> None:
        """Lead the wire to here."""
        if not self._finishing:
            self._follow(pointer)

    def double_click(self, pointer: Pointer) -> None:
        """Close the outline."""
        if not self._finishing:
            super().double_click(pointer)

    def _follow(self, pointer: Pointer) -> None:
        self._straight = pointer.alt
        self._aim(pointer)

    def snaps_to_start(self, pointer: Pointer) -> bool:
        """Near the first anchor, with another one set, and without Alt."""
        if len(self.points) < 2 or pointer.alt:
            return False
        return self.context.close_on_screen(pointer.xy, self.points[0])

    # --- anchors and segments -----------------------------------------------------------------------------

    def _add(self, anchor: XY) -> None:
        if self.points:
            self._segments.append(self._segment_to(anchor))
        self.points.append(anchor)
        self._want_map()

    def _segment_to(self, target: XY) -> Points | None:
        """From the last anchor to a point; None while its map is not there."""
        last = self.points[-1]
        if self._straight:
            return np.array([last, target])
        if self._map is None or self._mapped != len(self.points) - 1:
            return None
        path = self._map.path_to(target)
        path[0], path[-1] = last, target
        return path

    def _want_map(self) -> None:
        """Build the map of the first anchor whose segment waits for it, else of the last one."""
        reader = self.context.pixels
        waiting = self._waiting()
        number = waiting[0] if waiting else len(self.points) - 1
        if reader is None or number < 0 or (number == self._mapped and self._map is not None):
            return
        self._map, self._mapped = None, number
        radius = min(_MOST_REACH, max(_LEAST_REACH, round(_REACH / self.context.scale)))
        self.work.run(
            build_map,
            reader,
            self.context.prediction,
            self.points[number],
            radius,
            doing="following edges",
            then=partial(self._on_map, self.points[number], number),
        )

    def _on_map(self, anchor: XY, number: int, found: EdgeMap) -> None:
        if number >= len(self.points) or self.points[number] != anchor:
            return  # that anchor was taken back meanwhile
        self._map, self._mapped = found, number
        if number < len(self._segments) and self._segments[number] is None:
            target = self.points[(number + 1) % len(self.points)]
            path = found.path_to(target)
            path[0], path[-1] = anchor, target
            self._segments[number] = path
            self._want_map()
        if self._finishing and not self._waiting():
            self._make_shape()

    def _on_failed(self, sentence: str) -> None:
        """What waits for a map is asked for again at the next click; closing can be tried again, too."""
        if self._finishing:
            self._finishing = False
            self._reopen()
        self.context.say(sentence)

    def _waiting(self) -> list[int]:
        """Anchors whose segment waits for a map."""
        return [number for number, segment in enumerate(self._segments) if segment is None]

    def _reopen(self) -> None:
        """Take away the segment that closes the outline."""
        del self._segments[max(0, len(self.points) - 1) :]

    def _take_back(self) -> None:
        """Undo the last anchor, and closing."""
        self._reopen()
        self.points.pop()
        if self._segments:
            self._segments.pop()
        self._closing = self._finishing = self._asking = False
        self.work.drop()
        self._map, self._mapped = None, -1
        self._want_map()

    # --- closing ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Lead the wire back to the first anchor and make a polygon, as soon as all maps are there."""
        if self._finishing or len(self.points) < 2:
            return
        if len(self._segments) < len(self.points):
            self._segments.append(self._segment_to(self.points[0]))
        self._closing = False
        self._finishing = True
        if self._waiting():
            self._want_map()
        else:
            self._make_shape()

    def _make_shape(self) -> None:
        # Each by itself: anchors stay where they were put, on a neighbour's vertex most of all.
        thinned = (simplify_line(each, _TOLERANCE) for each in self._segments if each is not None)
        ring = np.vstack([segment[:-1] for segment in thinned])
        self._finishing = False
        if len(ring) < 3:
            self._reopen()
            self.context.say("An outline needs to enclose something; click more points.")
            return
        self._hand_over(Shape("", ShapeType.POLYGON, frozen_points(ring)))

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """What to do next."""
        if not self.points and self._dropped:
            return BRING_BACK_HINT
        if not self.points:
            what = "image and the prediction" if self.context.has_prediction else "image"
            return f"Click on the border of an object; the outline follows the edges of the {what}"
        if self._finishing:
            return "Closing the outline …"
        if self._asking and self._at is None:
            return ASKING_HINT
        if self._closing:
            return "Click to close the outline"
        return "Click to fix the wire; Alt makes it straight, Backspace takes back, Enter closes, Esc cancels"

    def _pieces(self) -> list[Points]:
        """The fixed segments, straight where they are not known yet, and the loose one to the mouse."""
        ends = [*self.points[1:], *self.points[:1]]
        pieces = [
            np.array([start, end]) if segment is None else segment
            for start, end, segment in zip(self.points, ends, self._segments, strict=False)
        ]
        if self._at is not None and self.points and not (self._finishing or self._asking):
            loose = self._segment_to(self._at)
            pieces.append(np.array([self.points[-1], self._at]) if loose is None else loose)
        return pieces

    def overlay_box(self) -> Box | None:
        """Around all segments, and where a click would snap to."""
        snap = [] if self._snap is None else [np.array([self._snap.xy])]
        if not self.points and not snap:
            return None
        points = np.vstack([np.array(self.points).reshape(-1, 2), *self._pieces(), *snap])
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return x0, y0, x1, y1

    def _paint_outline(self, painter: QPainter) -> None:
        color = self.context.drawing_color
        pieces = self._pieces()
        if pieces:
            placed = self.context.points_to_screen(np.vstack(pieces))
            path = QPainterPath()
            path.addPolygon(polygon_of(placed))
            tint = QColor(color)
            tint.setAlpha(40)
            painter.fillPath(path, tint)
            draw_line(painter, path, color, 2.0)
        anchors = self.context.points_to_screen(np.array(self.points))
        draw_handles(painter, anchors)
        self._paint_start(painter, (anchors[0, 0], anchors[0, 1]))
