"""Dragging one vertex: with snapping to neighbours, and with all shapes that share it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from PySide6.QtGui import QPainter

from app.canvas.handles import handle_rings, moved_handle
from app.canvas.hits import Hit
from app.canvas.outlines import Box
from app.canvas.tools.base import Pointer
from app.canvas.tools.drags import EditDrag
from app.canvas.tools.snap_mark import paint_snap, snap_box
from core.annotation.commands import (
    XY,
    InsertSharedVertex,
    InsertVertex,
    MoveSharedVertex,
    shares_vertices,
)
from core.polygons.snapping import Snap, VertexRef

if TYPE_CHECKING:
    from app.canvas.context import ToolContext


class SnappingDrag(EditDrag):
    """A drag of one point, which snaps to neighbours; Alt suspends that."""

    def __init__(self, context: ToolContext, start: Pointer) -> None:
        super().__init__(context, start)
        self._snap: Snap | None = None

    def target(self, pointer: Pointer, xy: XY, moved: Collection[int]) -> XY:
        """Where the point goes: to a neighbour near `xy`, else there, inside the image."""
        self._snap = None if pointer.alt else self.context.snap(xy, leave_out=moved)
        return self.context.clamp(xy) if self._snap is None else self._snap.xy

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
        self._places = sharing_places(context, hit)
        self.hint = "Release to drop; Alt suspends snapping, Esc cancels"
        if len(self._places) > 1:
            self.hint = "Shared vertex: all shapes follow; Ctrl moves this one alone, Esc cancels"

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
            square_in = self.context.image_size if pointer.shift else None
            self.show(moved_handle(document, hit.uid, hit.ring, hit.index, to, square_in=square_in))


def sharing_places(context: ToolContext, hit: Hit) -> list[VertexRef]:
    """A vertex, and those of other shapes at the same place that move with it."""
    document, own = context.document, VertexRef(hit.uid, hit.ring, hit.index)
    if document is None or not shares_vertices(document.get(hit.uid)) or not context.shapes_visible:
        return [own]
    ring = handle_rings(document.get(hit.uid))[hit.ring]
    if hit.index >= len(ring):
        return [own]  # just being inserted: only the preview has it
    x, y = ring[hit.index].tolist()
    others = (place for place in context.snapper.sharing((x, y)) if place != own)
    return [own, *(place for place in others if shares_vertices(document.get(place.uid)))]


def with_sharing(context: ToolContext, hits: Iterable[Hit]) -> frozenset[Hit]:
    """Vertices, and those of other shapes at the same places that move with them."""
    return frozenset(
        Hit(place.uid, "vertex", place.ring, place.vertex)
        for hit in hits
        for place in sharing_places(context, hit)
    )


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
