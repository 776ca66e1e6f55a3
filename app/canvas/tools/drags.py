"""What the select tool's mouse can be in the middle of. Each drag shows a preview and issues one command.

Nothing is in the document before the button is released: Esc costs nothing, and neither the history, the
autosaver nor the learner sees a shape that is still moving.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QMenu

from app.canvas.handles import handle_rings, moved_handle
from app.canvas.hits import Hit
from app.canvas.live_shapes import FEW
from app.canvas.outlines import Box
from app.canvas.shape_index import union
from app.canvas.style import DRAG_START, HALO
from app.canvas.tools.base import Pointer
from app.canvas.tools.snap_mark import paint_snap, snap_box
from app.canvas.vertex_sets import vertices_in
from core.annotation.commands import (
    XY,
    AddShapes,
    InsertSharedVertex,
    InsertVertex,
    MoveSharedVertex,
    ShapeEdit,
    TranslateShapes,
    shares_vertices,
)
from core.annotation.model import ShapeType
from core.annotation.shape_edits import translated
from core.polygons.snapping import Snap, VertexRef

if TYPE_CHECKING:
    from app.canvas.context import ToolContext


class Drag:
    """Base: from a press on, `move` follows the mouse, then `finish` or `cancel`."""

    hint = "Release to drop, Esc to cancel"

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        self.context = context
        self.start = start
        self.started = False

    def move(self, pointer: Pointer) -> None:
        """Follow the mouse once it has gone far enough to mean a drag."""
        if not self.started:
            gone = pointer.screen - self.start.screen
            if abs(gone.x()) + abs(gone.y()) < DRAG_START:
                return
            self.started = True
        self.follow(pointer)

    def follow(self, pointer: Pointer) -> None:
        """Show what releasing here would do."""

    def finish(self, pointer: Pointer) -> None:
        """The button went up after a real drag."""

    def cancel(self) -> None:
        """Put back what was shown."""
        self.context.clear_preview()

    def overlay_box(self) -> Box | None:
        """As `Tool.overlay_box`."""
        return None

    def paint(self, painter: QPainter) -> None:
        """As `Tool.paint_overlay`."""


class SnappingDrag(Drag):
    """A drag of one point, which snaps to neighbours; Alt suspends that."""

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        super().__init__(context, start)
        self._snap: Snap | None = None
        self._edit: ShapeEdit | None = None

    def target(self, pointer: Pointer, xy: XY, moved: Collection[int]) -> XY:
        """Where the point goes: to a neighbour near `xy`, else there, inside the image."""
        self._snap = None if pointer.alt else self.context.snap(xy, leave_out=moved)
        return self.context.clamp(xy) if self._snap is None else self._snap.xy

    def show(self, edit: ShapeEdit) -> None:
        """Preview an edit; what is not possible keeps the last one that was."""
        if self.context.preview(edit):
            self._edit = edit

    def finish(self, pointer: Pointer) -> None:
        """Do what was possible last."""
        self.follow(pointer)
        if self._edit is not None:
            self.context.issue(self._edit)

    def overlay_box(self) -> Box | None:
        """Where it snaps to."""
        return None if self._snap is None else snap_box(self._snap)

    def paint(self, painter: QPainter) -> None:
        """The mark at the place it snaps to."""
        if self._snap is not None:
            paint_snap(painter, self.context, self._snap)


class VertexDrag(SnappingDrag):
    """A vertex, or another handle, follows the mouse; Shift keeps a rectangle square.

    Vertices of other shapes at the same place come along; with Ctrl this one moves alone.
    """

    def __init__(self, context: ToolContext, start: Pointer, hit: Hit) -> None:
        super().__init__(context, start)
        assert context.document is not None
        self._hit = hit
        shape = context.document.get(hit.uid)
        x, y = handle_rings(shape)[hit.ring][hit.index].tolist()
        # A press beside the vertex must not make it jump by that much.
        self._grip: XY = (x - start.x, y - start.y)
        own = VertexRef(hit.uid, hit.ring, hit.index)
        self._places = [own]
        if shares_vertices(shape) and context.shapes_visible:
            self._places += [place for place in context.snapper.sharing((x, y)) if place != own]

    @property
    def hint(self) -> str:  # type: ignore[override]
        """Whether others come along."""
        if len({place.uid for place in self._places}) < 2:
            return "Release to drop; Alt suspends snapping, Esc cancels"
        return "Shared by several shapes, which follow; Ctrl moves this one alone, Esc cancels"

    def follow(self, pointer: Pointer) -> None:
        """Show the shapes with the vertex here, unless one of them would become invalid."""
        document = self.context.document
        if document is None:
            return
        hit = self._hit
        shared = len(self._places) > 1 and not pointer.ctrl
        at = (pointer.x + self._grip[0], pointer.y + self._grip[1])
        if pointer.shift:
            self._snap, to = None, self.context.clamp(at)
        else:
            to = self.target(pointer, at, {place.uid for place in self._places} if shared else {hit.uid})
        if shared:
            self.show(MoveSharedVertex.of(document, self._places, to))
        else:
            self.show(moved_handle(document, hit.uid, hit.ring, hit.index, to, square=pointer.shift))


class InsertDrag(SnappingDrag):
    """Alt and a press on an edge: a new vertex, dragged from there; it snaps when Alt is let go.

    An edge that other shapes have, too, gets the vertex in all of them.
    """

    def __init__(self, context: ToolContext, start: Pointer, hit: Hit) -> None:
        super().__init__(context, start)
        assert context.document is not None
        self._hit = hit
        ring = handle_rings(context.document.get(hit.uid))[hit.ring]
        a, b = (tuple(ring[k % len(ring)].tolist()) for k in (hit.index - 1, hit.index))
        place = VertexRef(hit.uid, hit.ring, hit.index)
        self._places = context.snapper.sharing_edge(place, a, b)
        self.started = True  # a click without a drag inserts as well
        self.follow(start)
        context.hover(self._inserted)

    @property
    def _inserted(self) -> Hit:
        return Hit(self._hit.uid, "vertex", self._hit.ring, self._hit.index)

    def cancel(self) -> None:
        """Without the new vertex, another one has its number."""
        self.context.hover(None)
        super().cancel()

    def follow(self, pointer: Pointer) -> None:
        """Show the shapes with the new vertex here."""
        document = self.context.document
        if document is None:
            return
        hit = self._hit
        shared = len(self._places) > 1 and not pointer.ctrl
        to = self.target(pointer, pointer.xy, {place.uid for place in self._places})
        if shared:
            self.show(InsertSharedVertex.of(document, self._places, to))
        else:
            self.show(InsertVertex.of(document, hit.uid, hit.index, to, hit.ring))

    def finish(self, pointer: Pointer) -> None:
        """Insert it."""
        super().finish(pointer)
        if self._edit is not None:
            self.context.select_vertex(self._inserted)


class MoveDrag(Drag):
    """The selected shapes follow the mouse, as far as the image reaches."""

    def __init__(self, context: ToolContext, start: Pointer, uids: frozenset[int]) -> None:
        super().__init__(context, start)
        self.uids = uids
        self._box = union(context.index[uid].box for uid in uids)
        document = context.document
        self._whole_pixels = document is not None and any(
            document.get(uid).shape_type is ShapeType.MASK for uid in uids
        )

    def offset(self, pointer: Pointer) -> XY:
        """How far the shapes go: they stay inside the image, or as far outside as they were."""
        width, height = self.context.image_size
        x0, y0, x1, y1 = self._box
        dx = min(max(pointer.x - self.start.x, min(0.0, -x0)), max(0.0, width - x1))
        dy = min(max(pointer.y - self.start.y, min(0.0, -y0)), max(0.0, height - y1))
        return (float(round(dx)), float(round(dy))) if self._whole_pixels else (dx, dy)

    def follow(self, pointer: Pointer) -> None:
        """Show them there."""
        self.context.preview_shift(self.uids, *self.offset(pointer))

    def finish(self, pointer: Pointer) -> None:
        """Move them."""
        document, offset = self.context.document, self.offset(pointer)
        if document is not None and offset != (0.0, 0.0):
            self.context.issue(TranslateShapes.of(document, self.uids, *offset))


class CopyOrMoveDrag(MoveDrag):
    """The right button: shows copies, and asks at the release whether to copy or to move."""

    hint = "Release to copy or move here, Esc to cancel"

    def follow(self, pointer: Pointer) -> None:
        """Show the copies there, the originals where they are."""
        self.context.preview_shift(self.uids, *self.offset(pointer), copies=True)

    def finish(self, pointer: Pointer) -> None:
        """Ask; the preview stays until the answer."""
        offset = self.offset(pointer)
        menu = QMenu(self.context.view)
        menu.setObjectName("copy_or_move_menu")
        menu.addAction("Copy here").triggered.connect(lambda: self._copy(offset))
        menu.addAction("Move here").triggered.connect(lambda: self._move(offset))
        menu.addSeparator()
        menu.addAction("Cancel")
        menu.aboutToHide.connect(self.context.clear_preview)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(QPoint(round(pointer.global_pos.x()), round(pointer.global_pos.y())))

    def _copy(self, offset: XY) -> None:
        document = self.context.document
        if document is None:
            return
        order = sorted((uid for uid in self.uids if uid in document), key=document.index_of)
        copies = tuple(translated(document.get(uid), np.array(offset)).copy() for uid in order)
        self.context.issue(AddShapes(copies))
        self.context.end_drag()
        self.context.select(shape.uid for shape in copies)

    def _move(self, offset: XY) -> None:
        document = self.context.document
        if document is not None and all(uid in document for uid in self.uids):
            self.context.issue(TranslateShapes.of(document, self.uids, *offset))
            self.context.end_drag()


class BandDrag(Drag):
    """A rectangle drawn from empty ground selects what is inside; Ctrl keeps what was selected.

    With shapes selected, these are their vertices; else, or where there are none, the shapes it encloses.
    """

    hint = "Release to select what is inside"

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        super().__init__(context, start)
        self._end: XY = start.xy

    def overlay_box(self) -> Box | None:
        """The rectangle."""
        if not self.started:
            return None
        (x0, x1), (y0, y1) = (sorted(pair) for pair in zip(self.start.xy, self._end, strict=True))
        return x0, y0, x1, y1

    def follow(self, pointer: Pointer) -> None:
        """Draw the rectangle to here."""
        self._end = pointer.xy

    def finish(self, pointer: Pointer) -> None:
        """Select."""
        self._end = pointer.xy
        box = self.overlay_box()
        if box is None:
            return
        context, index = self.context, self.context.index
        selected = context.selection
        shapes_wanted = pointer.ctrl and not context.selected_vertices
        if context.document is not None and 0 < len(selected) <= FEW and not shapes_wanted:
            vertices = vertices_in(context.document, selected - index.locked, box)
            if vertices:
                context.select_vertices(vertices | context.selected_vertices if pointer.ctrl else vertices)
                return
        inside = {uid for uid in index.within_reach(box) if _encloses(box, index[uid].box)}
        context.select(inside | selected if pointer.ctrl else inside)

    def paint(self, painter: QPainter) -> None:
        """A dashed rectangle, visible on light and dark."""
        box = self.overlay_box()
        if box is None:
            return
        rect = QRectF(self.context.to_screen(box[:2]), self.context.to_screen(box[2:]))
        painter.setBrush(QColor(255, 255, 255, 28))
        painter.setPen(QPen(HALO, 1))
        painter.drawRect(rect)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(255, 255, 255), 1, Qt.PenStyle.DashLine))
        painter.drawRect(rect)


def _encloses(outer: Box, inner: Box) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]
