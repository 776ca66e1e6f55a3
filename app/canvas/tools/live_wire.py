"""The live wire: between clicks the outline follows the edges of the image."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPainterPath

from app.canvas.context import ToolContext
from app.canvas.outlines import Box
from app.canvas.painting import draw_handle, draw_handles, draw_line, polygon_of
from app.canvas.pixels import Latest, PixelReader
from app.canvas.style import DRAG_START, HANDLE_HOT, HANDLE_RADIUS
from app.canvas.tools.base import Pointer, Tool
from app.canvas.tools.half_drawn import BRING_BACK_HINT, DroppedOutlines, brings_back, steers, takes_back
from app.canvas.tools.snap_mark import paint_snap
from core.annotation.commands import XY
from core.annotation.document import Change
from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.interactive.live_wire import EdgeMap, boundary_map, edge_map, map_box
from core.polygons.smoothing import simplify_line
from core.polygons.snapping import Snap

_TOLERANCE: Final = 1.0
"""How far the outline is simplified, pixels: a path steps from pixel to pixel, off the edge by about half."""
_REACH: Final = 320.0
"""How far from an anchor the wire follows edges, screen pixels."""
_LEAST_REACH: Final = 128
_MOST_REACH: Final = 1500

Prediction = tuple[np.ndarray, np.ndarray | None] | None


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


class LiveWireTool(Tool):
    """A click sets an anchor, the wire follows edges from there to the mouse, the next click fixes it.

    A click on the first anchor, a double-click or Enter closes the outline. Backspace or Ctrl+Z takes the
    last anchor back; after Esc, another tool or another image, Backspace brings the outline back. Anchors
    snap to neighbours as points of polygons do. With Alt the wire is straight, and nothing snaps.

    Building the map of an anchor takes some ten milliseconds in a worker: what was clicked meanwhile is drawn
    straight and bends when the map is there.
    """

    name = "live_wire"
    title = "Live wire"

    def __init__(self, context: ToolContext) -> None:
        super().__init__(context)
        self.work = Latest(context.runner, context.view)
        self.work.failed.connect(context.say)
        self.work.changed.connect(context.refresh)
        self.anchors: list[XY] = []
        self._segments: list[Points | None] = []  # from each anchor to the next; None: not known yet
        self._map: EdgeMap | None = None  # of the anchor `_mapped`
        self._mapped = -1
        self._at: XY | None = None
        self._snap: Snap | None = None
        self._straight = False
        self._closing = False
        self._finishing = False
        self._asking = False
        self._dropped: DroppedOutlines[tuple[list[XY], list[Points | None]]] = DroppedOutlines(context)

    @property
    def busy(self) -> bool:
        """Is an outline half drawn?"""
        return bool(self.anchors)

    def cancel(self) -> None:
        """Drop the half-drawn outline; Backspace brings it back."""
        if len(self.anchors) > 1:
            self._dropped.keep((self.anchors, self._segments[: len(self.anchors) - 1]))
        self._begin()

    def _begin(self) -> None:
        """Nothing is drawn."""
        self.work.drop()
        self.anchors = []
        self._segments = []
        self._map = None
        self._mapped = -1
        self._snap = None
        self._closing = self._finishing = self._asking = False

    def document_changed(self, change: Change) -> None:
        """What was closed is in the document, once its label has been asked for."""
        if self._asking and change.kind == "inserted":
            self._begin()

    # --- mouse --------------------------------------------------------------------------------------------

    def press(self, pointer: Pointer) -> None:
        """Fix the wire here, or close the outline."""
        if not pointer.left or self.context.document is None or self._finishing:
            return
        self._follow(pointer)
        if not self.busy:
            self._dropped.take()
        self._asking = False
        if self._closing:
            self.finish()
        elif self._at is not None:
            self._add(self._at)

    def move(self, pointer: Pointer) -> None:
        """Lead the wire to here."""
        if not self._finishing:
            self._follow(pointer)

    def release(self, pointer: Pointer) -> None:
        """The context menu belongs to the right button while nothing is drawn."""
        if pointer.right and not self.busy:
            self.context.request_menu(pointer.global_pos)

    def double_click(self, pointer: Pointer) -> None:
        """Close the outline."""
        if pointer.left and self.busy and not self._finishing:
            last = self.anchors[-2:]
            if len(last) == 2 and self.context.close_on_screen(last[0], last[1], DRAG_START):
                self._take_back()
            self.finish()

    def leave(self) -> None:
        """Without the mouse the wire ends at its last anchor."""
        self._at = self._snap = None
        self._closing = False

    def _follow(self, pointer: Pointer) -> None:
        self._straight = pointer.alt
        self._closing = (
            len(self.anchors) >= 2
            and not pointer.alt
            and self.context.close_on_screen(pointer.xy, self.anchors[0])
        )
        self._snap = None if self._closing or pointer.alt else self.context.snap(pointer.xy)
        if self._closing:
            self._at = self.anchors[0]
        else:
            self._at = self.context.clamp(pointer.xy) if self._snap is None else self._snap.xy

    # --- anchors and segments -----------------------------------------------------------------------------

    def _add(self, anchor: XY) -> None:
        if self.anchors:
            self._segments.append(self._segment_to(anchor))
        self.anchors.append(anchor)
        self._want_map()

    def _segment_to(self, target: XY) -> Points | None:
        """From the last anchor to a point; None while its map is not there."""
        last = self.anchors[-1]
        if self._straight:
            return np.array([last, target])
        if self._map is None or self._mapped != len(self.anchors) - 1:
            return None
        path = self._map.path_to(target)
        path[0], path[-1] = last, target
        return path

    def _want_map(self) -> None:
        """Build the map of the first anchor whose segment waits for it, else of the last one."""
        reader = self.context.pixels
        waiting = self._waiting()
        number = waiting[0] if waiting else len(self.anchors) - 1
        if reader is None or number < 0 or (number == self._mapped and self._map is not None):
            return
        self._map, self._mapped = None, number
        radius = min(_MOST_REACH, max(_LEAST_REACH, round(_REACH / self.context.scale)))
        self.work.run(
            build_map,
            reader,
            self.context.prediction,
            self.anchors[number],
            radius,
            doing="following edges",
            then=partial(self._on_map, self.anchors[number], number),
        )

    def _on_map(self, anchor: XY, number: int, found: EdgeMap) -> None:
        if number >= len(self.anchors) or self.anchors[number] != anchor:
            return  # that anchor was taken back meanwhile
        self._map, self._mapped = found, number
        if number < len(self._segments) and self._segments[number] is None:
            target = self.anchors[(number + 1) % len(self.anchors)]
            path = found.path_to(target)
            path[0], path[-1] = anchor, target
            self._segments[number] = path
            self._want_map()
        if self._finishing and not self._waiting():
            self._make_shape()

    def _waiting(self) -> list[int]:
        """Anchors whose segment waits for a map."""
        return [number for number, segment in enumerate(self._segments) if segment is None]

    def _take_back(self) -> None:
        self.anchors.pop()
        if self._segments:
            self._segments.pop()
        self._closing = self._finishing = self._asking = False
        self.work.drop()
        self._map, self._mapped = None, -1
        self._want_map()

    # --- closing ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Lead the wire back to the first anchor and make a polygon, as soon as all maps are there."""
        if self._finishing or len(self.anchors) < 2:
            return
        if len(self._segments) < len(self.anchors):
            self._segments.append(self._segment_to(self.anchors[0]))
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
            self._segments.pop()
            self.context.say("An outline needs to enclose something; click more points.")
            return
        shape = Shape("", ShapeType.POLYGON, frozen_points(ring))
        if self.context.active_class is None:
            self._segments.pop()  # the outline stays in sight, and open, while the label is asked for
            self._asking = True
        else:
            self._begin()
        self.context.add_drawn(shape, kept=True)

    # --- keys ---------------------------------------------------------------------------------------------

    def claims(self, event: QKeyEvent) -> bool:
        """What finishes, drops and takes back while an outline is half drawn; then what brings it back."""
        return steers(event) if self.busy else brings_back(event) and bool(self._dropped)

    def key(self, event: QKeyEvent) -> bool:
        """Finish, cancel, take back."""
        if not self.claims(event):
            return False
        if not self.busy:
            self._bring_back()
        elif takes_back(event):
            if self._finishing:
                self._segments.pop()
                self._finishing = False
            self._take_back()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancel()
        elif not event.isAutoRepeat():
            self.finish()
        return True

    def _bring_back(self) -> None:
        dropped = self._dropped.take()
        if dropped is not None:
            self.anchors, self._segments = dropped
            self._want_map()

    # --- looks --------------------------------------------------------------------------------------------

    @property
    def hint(self) -> str:
        """What to do next."""
        if not self.anchors and self._dropped:
            return BRING_BACK_HINT
        if not self.anchors:
            what = "image and the prediction" if self.context.has_prediction else "image"
            return f"Click on the border of an object; the outline follows the edges of the {what}"
        if self._finishing:
            return "Closing the outline …"
        if self._closing:
            return "Click to close the outline"
        return "Click to fix the wire; Alt makes it straight, Backspace takes back, Enter closes, Esc cancels"

    def _pieces(self) -> list[Points]:
        """The fixed segments, straight where they are not known yet, and the loose one to the mouse."""
        ends = [*self.anchors[1:], *self.anchors[:1]]
        pieces = [
            np.array([start, end]) if segment is None else segment
            for start, end, segment in zip(self.anchors, ends, self._segments, strict=False)
        ]
        if self._at is not None and self.anchors and not self._finishing:
            loose = self._segment_to(self._at)
            pieces.append(np.array([self.anchors[-1], self._at]) if loose is None else loose)
        return pieces

    def overlay_box(self) -> Box | None:
        """Around all segments, and where a click would snap to."""
        snap = [] if self._snap is None else [np.array([self._snap.xy])]
        if not self.anchors and not snap:
            return None
        points = np.vstack([np.array(self.anchors).reshape(-1, 2), *self._pieces(), *snap])
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return x0, y0, x1, y1

    def paint_overlay(self, painter: QPainter) -> None:
        """The wire and its anchors, what it would enclose tinted, and where a click would snap to."""
        if self.anchors:
            self._paint_wire(painter)
        if self._snap is not None:
            paint_snap(painter, self.context, self._snap)

    def _paint_wire(self, painter: QPainter) -> None:
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
        anchors = self.context.points_to_screen(np.array(self.anchors))
        draw_handles(painter, anchors)
        if self._closing:
            draw_handle(painter, QPointF(*anchors[0]), HANDLE_HOT, HANDLE_RADIUS + 2.5)
