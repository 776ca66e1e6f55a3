"""What is under the mouse: a vertex, an edge, a shape. No Qt."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from app.canvas.handles import handle_rings, rotation_grip, takes_vertices
from app.canvas.shape_index import ShapeIndex
from core import geometry
from core.annotation.document import AnnotationDocument

_VERTEX_SHARE: Final = 0.25
"""A vertex reaches at most this share of its shape's shorter side, so that small shapes can be dragged."""
_LEAST_REACH: Final = 0.35
"""... but never less than this share of the full reach on long thin ones, whose ends must be caught."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something under the mouse.

    Attributes:
        uid: the shape.
        kind: a vertex (or another corner), an edge, its inside or outline, or the handle that turns it.
        ring: 0 the outline, k hole k - 1.
        index: the vertex, or for an edge the index a vertex put there would get.
    """

    uid: int
    kind: Literal["vertex", "edge", "body", "grip"]
    ring: int = 0
    index: int = 0


class HitTester:
    """Asks a `ShapeIndex` and the document it follows; `reach` is in image pixels throughout."""

    def __init__(self, index: ShapeIndex) -> None:
        self._index = index

    def vertex(
        self, document: AnnotationDocument, x: float, y: float, reach: float, first: Collection[int]
    ) -> Hit | None:
        """The vertex in reach: of the shapes in `first` the nearest, else that of the topmost shape."""
        near = self._index.within_reach(_around(x, y, reach))
        preferred = [
            hit for uid in near if uid in first for hit in self._vertices(document, uid, x, y, reach)
        ]
        if preferred:
            return min(preferred, key=lambda pair: pair[0])[1]
        others = (uid for uid in reversed(near) if uid not in first)
        return next((hit for uid in others for _, hit in self._vertices(document, uid, x, y, reach)), None)

    def edge(
        self, document: AnnotationDocument, x: float, y: float, reach: float, first: Collection[int]
    ) -> Hit | None:
        """The edge in reach that can take a vertex: of the shapes in `first`, else of the topmost shape."""
        near = self._index.within_reach(_around(x, y, reach))
        for uid in _preferring(near, first):
            found = self._edge_of(document, uid, x, y)
            if found is not None and found[0] <= reach:
                return found[1]
        return None

    def grip(
        self,
        document: AnnotationDocument,
        x: float,
        y: float,
        scale: float,
        uids: Collection[int],
        reach: float,
    ) -> Hit | None:
        """The handle that turns one of these (selected) shapes, if it is in reach; `scale` as in handles."""
        for uid in uids:
            at = rotation_grip(document.get(uid), scale)
            if at is not None and math.dist(at, (x, y)) <= reach:
                return Hit(uid, "grip")
        return None

    def bodies(self, x: float, y: float, reach: float) -> list[int]:
        """Shapes under the point, topmost first. Outlines count within `reach`."""
        return self._index.under(x, y, reach)

    def _vertices(
        self, document: AnnotationDocument, uid: int, x: float, y: float, reach: float
    ) -> Iterator[tuple[float, Hit]]:
        """Nearest vertex of the shape with its distance, if it is in reach."""
        x0, y0, x1, y1 = self._index[uid].box
        short, long = sorted((x1 - x0, y1 - y0))
        least = reach * _LEAST_REACH if long > 2 * reach else 0.0
        reach = max(min(reach, (short or long or math.inf) * _VERTEX_SHARE), least)
        rings = handle_rings(document.get(uid))
        if not any(map(len, rings)):
            return
        place, distance = geometry.nearest_vertex(np.concatenate(rings), (x, y))
        if distance <= reach:
            ends = np.cumsum([len(ring) for ring in rings])
            ring = int(np.searchsorted(ends, place, side="right"))
            yield distance, Hit(uid, "vertex", ring, place - int(ends[ring]) + len(rings[ring]))

    def _edge_of(
        self, document: AnnotationDocument, uid: int, x: float, y: float
    ) -> tuple[float, Hit] | None:
        shape = document.get(uid)
        if not takes_vertices(shape):
            return None
        closed = self._index[uid].closed
        best: tuple[float, Hit] | None = None
        for ring, points in enumerate(handle_rings(shape)):
            if len(points) < 2:
                continue
            edge, distance, _ = geometry.nearest_edge(points, (x, y), closed)
            if best is None or distance < best[0]:
                best = distance, Hit(uid, "edge", ring, edge + 1)
        return best


def _around(x: float, y: float, reach: float) -> tuple[float, float, float, float]:
    return x - reach, y - reach, x + reach, y + reach


def _preferring(uids: Iterable[int], first: Collection[int]) -> list[int]:
    """Topmost first, those of `first` before all others."""
    from_top = list(uids)[::-1]
    return sorted(from_top, key=lambda uid: uid not in first)
