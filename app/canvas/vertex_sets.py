"""Several vertices at once: which lie in a box, moving them, taking them out. No Qt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from app.canvas.handles import handle_rings
from app.canvas.hits import Hit
from app.canvas.outlines import Box
from core.annotation.commands import ReplaceShapes, ShapeEdit
from core.annotation.document import AnnotationDocument
from core.annotation.model import Points, Shape, ShapeType, frozen_points

FREE_TYPES: Final = (ShapeType.POLYGON, ShapeType.LINESTRIP, ShapeType.LINE, ShapeType.POINTS)
"""Types whose points move without taking others along."""


def vertices_in(document: AnnotationDocument, uids: Iterable[int], box: Box) -> frozenset[Hit]:
    """The vertices of these shapes inside a box (image pixels), its edges included."""
    x0, y0, x1, y1 = box
    return frozenset(
        Hit(uid, "vertex", ring, index)
        for uid in uids
        if document.get(uid).shape_type in FREE_TYPES
        for ring, points in enumerate(handle_rings(document.get(uid)))
        for index in np.flatnonzero(((points >= (x0, y0)) & (points <= (x1, y1))).all(axis=1)).tolist()
    )


def movable_together(document: AnnotationDocument, hits: frozenset[Hit]) -> frozenset[Hit]:
    """Of several vertices those that can be moved at once: a corner of a box stands alone."""
    if len(hits) < 2:
        return hits
    return frozenset(hit for hit in hits if document.get(hit.uid).shape_type in FREE_TYPES)


def points_of(document: AnnotationDocument, hits: Iterable[Hit]) -> Points:
    """Where vertices are (N, 2)."""
    places = [handle_rings(document.get(hit.uid))[hit.ring][hit.index] for hit in hits]
    return np.array(places).reshape(-1, 2)


def box_of(document: AnnotationDocument, hits: Iterable[Hit]) -> Box:
    """The box around vertices."""
    points = points_of(document, hits)
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1


def moved_vertices(
    document: AnnotationDocument, hits: Iterable[Hit], dx: float, dy: float, *, drag: bool = False
) -> ShapeEdit:
    """The command that moves vertices of any shapes by one offset; `drag`: it merges with the next step."""
    shapes, count = [], 0
    for shape, chosen in _by_shape(document, hits):
        rings = [np.array(ring) for ring in (shape.points, *shape.holes)]
        for ring, indices in chosen.items():
            rings[ring][indices] += (dx, dy)
            count += len(indices)
        shapes.append(_with_rings(shape, rings))
    return ReplaceShapes.of(document, shapes, title=f"Move {_counted(count)}", drag=drag)


def without_vertices(
    document: AnnotationDocument, hits: Iterable[Hit], *, title: str | None = None
) -> ShapeEdit:
    """The command that takes vertices out. A hole left with fewer than three is filled.

    What the outline of a shape needs at least, the command's own check says.
    """
    shapes, count = [], 0
    for shape, chosen in _by_shape(document, hits):
        rings = [
            np.delete(ring, chosen.get(number, []), axis=0)
            for number, ring in enumerate((shape.points, *shape.holes))
        ]
        count += sum(map(len, chosen.values()))
        shapes.append(_with_rings(shape, [rings[0], *(hole for hole in rings[1:] if len(hole) >= 3)]))
    return ReplaceShapes.of(document, shapes, title=title or f"Remove {_counted(count)}")


def _by_shape(
    document: AnnotationDocument, hits: Iterable[Hit]
) -> Iterator[tuple[Shape, dict[int, list[int]]]]:
    chosen: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for hit in hits:
        chosen[hit.uid][hit.ring].append(hit.index)
    for uid, rings in chosen.items():
        yield document.get(uid), rings


def _with_rings(shape: Shape, rings: list[Points]) -> Shape:
    outer, *holes = map(frozen_points, rings)
    return shape.with_(points=outer, holes=tuple(holes))


def _counted(count: int) -> str:
    return "vertex" if count == 1 else f"{count} vertices"
