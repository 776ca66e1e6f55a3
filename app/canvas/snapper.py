"""Snapping to the shapes of a document, and following their borders. What tools ask; no Qt.

The index behind it is built when it is first asked, from then on it follows the document change by change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np

from app.canvas.handles import handle_rings
from app.canvas.shape_index import MANY_CHANGES
from core.annotation.commands import XY
from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import Points, Shape, ShapeType
from core.polygons.border_network import trace_across
from core.polygons.borders import ON_RING, path_length, trace
from core.polygons.snapping import Outlines, Snap, SnapIndex, VertexRef

_CLOSED: Final = (ShapeType.POLYGON, ShapeType.RECTANGLE, ShapeType.ORIENTED_RECTANGLE)

_MOST_POINTS: Final = 4000
"""Borders of more vertices than this are not searched for a way (some 40 ms): the mouse waits for it."""


def snap_outlines(shape: Shape) -> Outlines | None:
    """The rings of a shape that a point can snap to; None for masks and circles, which have no vertices."""
    if shape.shape_type in (ShapeType.MASK, ShapeType.CIRCLE):
        return None
    if shape.shape_type is ShapeType.POINTS:
        return Outlines(tuple(shape.points[k : k + 1] for k in range(len(shape.points))), closed=False)
    return Outlines(handle_rings(shape), closed=shape.shape_type in _CLOSED)


class Snapper:
    """Follows one document; `enabled` is the person's choice.

    Args:
        hidden: uids of shapes that are not shown now; what cannot be seen attracts nothing.
    """

    def __init__(self, hidden: Callable[[], Collection[int]]) -> None:
        self._hidden = hidden
        self._document: AnnotationDocument | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._index = SnapIndex()
        self._asked_across: tuple[object, ...] = ()
        self._found_across: Points | None = None
        self.enabled = True

    def set_document(self, document: AnnotationDocument | None) -> None:
        """Snap to these shapes from now on."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._document = document

    # --- asking -------------------------------------------------------------------------------------------

    def nearest(self, xy: XY, reach: float, *, leave_out: Collection[int] = ()) -> Snap | None:
        """What a point snaps to: a vertex within `reach` image pixels, else an edge; None when turned off.

        `leave_out`: shapes that do not count, such as the one being moved.
        """
        if not self.enabled:
            return None
        return self._ready().nearest(*xy, reach, leave_out={*self._hidden(), *leave_out})

    def sharing(self, xy: XY) -> list[VertexRef]:
        """The vertices of shown shapes that lie exactly there."""
        return self._ready().vertices_at(*xy, leave_out=self._hidden())

    def sharing_edge(self, hit: VertexRef, start: XY, end: XY) -> list[VertexRef]:
        """Where a vertex on an edge from one point to another would go in all shapes that have this edge.

        `hit` is the place in the shape that was grabbed; it comes first, and each shape comes once.
        """
        index, ends = self._ready(), set(self.sharing(end))
        found = {hit.uid: hit}
        for first in self.sharing(start):
            outlines = index[first.uid]
            count = len(outlines.rings[first.ring])
            for step in (1, -1):
                second = VertexRef(first.uid, first.ring, (first.vertex + step) % count)
                wraps = abs(second.vertex - first.vertex) != 1
                if second in ends and (outlines.closed or not wraps):
                    at = max(first.vertex, second.vertex) if not wraps else count
                    found.setdefault(first.uid, VertexRef(first.uid, first.ring, at))
        return list(found.values())

    def border(self, start: XY, end: XY, *, longer: bool = False, across: bool = False) -> Points | None:
        """The vertices (M, 2) along the border from one point to another, if both lie on one ring.

        Where several rings pass through both, the one with the shortest way counts; `longer` goes the other
        way round it. Where none does, `across` goes on from ring to ring where they touch. None: no way.
        """
        index = self._ready()
        both = self._borders_at(end)
        if both:
            both &= self._borders_at(start)
        best: tuple[float, Points] | None = None
        for uid, ring in sorted(both):
            outlines = index[uid]
            ways = trace(outlines.rings[ring], start, end, closed=outlines.closed)
            length = path_length([start, *ways[0], end])
            if best is None or length < best[0]:
                best = length, ways[-1 if longer else 0]
        if best is not None:
            return np.asarray(best[1])
        return self._border_across(start, end, longer=longer) if across else None

    def _border_across(self, start: XY, end: XY, *, longer: bool) -> Points | None:
        """As `border`, along several rings that touch. While the mouse rests on an end it is asked again."""
        index, hidden = self._ready(), self._hidden()
        revision = -1 if self._document is None else self._document.revision
        asked = start, end, longer, revision, frozenset(hidden)
        if self._asked_across != asked:
            self._asked_across, self._found_across = (
                asked,
                self._search(index, hidden, start, end, longer=longer),
            )
        return self._found_across

    def _search(
        self, index: SnapIndex, hidden: Collection[int], start: XY, end: XY, *, longer: bool
    ) -> Points | None:
        goal = self._borders_at(end)
        met = fresh = self._borders_at(start)
        points = 0
        while goal and fresh and not met & goal and points <= _MOST_POINTS:
            neighbours = (self._rings_around(ring, hidden) for ring in fresh)
            fresh = set().union(*neighbours) - met
            met = met | fresh
            points = sum(len(index[uid].rings[ring]) for uid, ring in met)
        if not met & goal or points > _MOST_POINTS:
            return None
        rings = ((index[uid].rings[ring], index[uid].closed) for uid, ring in sorted(met))
        ways = trace_across(rings, start, end)
        return ways[-1 if longer else 0] if ways else None

    def _borders_at(self, xy: XY) -> set[tuple[int, int]]:
        """The shown rings (uid, ring) that pass through a point; one that is but a point is no border."""
        index = self._ready()
        rings = index.rings_at(*xy, ON_RING, leave_out=self._hidden())
        return {(uid, ring) for uid, ring in rings if len(index[uid].rings[ring]) > 1}

    def _rings_around(self, ring: tuple[int, int], hidden: Collection[int]) -> set[tuple[int, int]]:
        """Rings whose boxes come near that of a ring: others cannot touch it."""
        points = self._index[ring[0]].rings[ring[1]]
        (x0, y0), (x1, y1) = points.min(axis=0) - ON_RING, points.max(axis=0) + ON_RING
        return self._index.rings_near((float(x0), float(y0), float(x1), float(y1)), leave_out=hidden)

    # --- following the document ---------------------------------------------------------------------------

    def _ready(self) -> SnapIndex:
        if self._unsubscribe is None and self._document is not None:
            self._load(self._document)
            self._unsubscribe = self._document.subscribe(self._follow, many=self._follow_many)
        elif self._document is None and len(self._index):
            self._index.load(())
        return self._index

    def _load(self, document: AnnotationDocument) -> None:
        shapes = ((shape.uid, snap_outlines(shape)) for shape in document.shapes)
        self._index.load((uid, outlines) for uid, outlines in shapes if outlines is not None)

    def _follow_many(self, changes: Sequence[Change]) -> None:
        if len(changes) < MANY_CHANGES:
            for change in changes:
                self._follow(change)
        elif self._unsubscribe is not None:
            self._unsubscribe()  # read anew when the next point is to be snapped
            self._unsubscribe = None

    def _follow(self, change: Change) -> None:
        if change.kind == "reset":
            assert self._document is not None, "it is the document that tells"
            self._load(self._document)
        elif change.uid is not None and change.kind != "moved":
            outlines = None if change.after is None else snap_outlines(change.after)
            if outlines is None:
                self._index.drop(change.uid)
            else:
                self._index.put(change.uid, outlines)
