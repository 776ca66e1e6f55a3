"""Edits of single vertices: moved (alone or with all that share them), put in, taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from core.annotation.command import XY, Command, ShapeEdit
from core.annotation.document import AnnotationDocument
from core.annotation.locking import is_locked
from core.annotation.model import Shape, ShapeType
from core.annotation.shape_edits import GROWING, checked, ring_of, with_ring, with_vertex
from core.polygons.snapping import VertexRef

_SHARING: Final = (ShapeType.POLYGON, ShapeType.LINESTRIP, ShapeType.LINE, ShapeType.POINT)


@dataclass(frozen=True, eq=False, slots=True)
class MoveVertex(ShapeEdit):
    """Put one vertex somewhere else.

    `ring` 0 is the outline, k is hole k - 1. The corner of an oriented rectangle takes its neighbours along,
    the centre of a circle its rim.
    """

    before: Shape
    ring: int
    vertex: int
    to: XY

    @classmethod
    def of(cls, document: AnnotationDocument, uid: int, vertex: int, to: XY, ring: int = 0) -> Self:
        """Move a vertex of the shape as it is now."""
        return cls(document.get(uid), ring, vertex, to)

    @property
    def name(self) -> str:
        """For the menu."""
        return "Move vertex"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shape with the vertex at its new place."""
        return [checked(self.before, with_vertex(self.before, self.ring, self.vertex, self.to))]

    def merge(self, newer: Command) -> Command | None:
        """The last place of the same vertex."""
        if isinstance(newer, MoveVertex) and newer._where == self._where:
            return MoveVertex(self.before, self.ring, self.vertex, newer.to)
        return None

    @property
    def _where(self) -> tuple[int, int, int]:
        return self.before.uid, self.ring, self.vertex


@dataclass(frozen=True, eq=False, slots=True)
class MoveSharedVertex(ShapeEdit):
    """Put a vertex that several shapes have in common somewhere else, in all of them at once."""

    before: tuple[Shape, ...]
    places: tuple[VertexRef, ...]
    to: XY

    @classmethod
    def of(cls, document: AnnotationDocument, places: Iterable[VertexRef], to: XY) -> Self:
        """Move these vertices, which lie at the same point.

        The first place is the one that was grabbed. Others that cannot follow are left out: corners of boxes
        and circles, whose form would suffer, and locked shapes.
        """
        grabbed, *others = dict.fromkeys(places)
        following = (place for place in others if shares_vertices(document.get(place.uid)))
        moved = (grabbed, *following)
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(p.uid for p in moved)), moved, to)

    @property
    def name(self) -> str:
        """For the menu."""
        return "Move shared vertex" if len(self.places) > 1 else "Move vertex"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """Every shape with its vertex at the new place."""
        after = {shape.uid: shape for shape in self.before}
        for place in self.places:
            after[place.uid] = with_vertex(after[place.uid], place.ring, place.vertex, self.to)
        return [checked(shape, after[shape.uid]) for shape in self.before]

    def merge(self, newer: Command) -> Command | None:
        """The last place of the same vertices."""
        if isinstance(newer, MoveSharedVertex) and newer.places == self.places:
            return MoveSharedVertex(self.before, self.places, newer.to)
        return None


def shares_vertices(shape: Shape) -> bool:
    """Whether a vertex of this shape moves with those of others: not where its form would suffer."""
    return shape.shape_type in _SHARING and not is_locked(shape)


@dataclass(frozen=True, eq=False, slots=True)
class InsertVertex(ShapeEdit):
    """Put a new vertex at `at`, so that it gets the index `vertex` of its ring."""

    before: Shape
    ring: int
    vertex: int
    at: XY

    @classmethod
    def of(cls, document: AnnotationDocument, uid: int, vertex: int, at: XY, ring: int = 0) -> Self:
        """Insert into the shape as it is now."""
        return cls(document.get(uid), ring, vertex, at)

    @property
    def name(self) -> str:
        """For the menu."""
        return "Add vertex"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shape with one vertex more."""
        if self.before.shape_type not in GROWING:
            raise ValueError(f"a {self.before.shape_type.replace('_', ' ')} takes no further vertices")
        points = ring_of(self.before, self.ring)
        if not 0 <= self.vertex <= len(points):
            raise ValueError(f"vertex {self.vertex} cannot stand among {len(points)} vertices")
        points = np.insert(points, self.vertex, self.at, axis=0)
        return [checked(self.before, with_ring(self.before, self.ring, points))]

    def merge(self, newer: Command) -> Command | None:
        """Dragging the vertex that was just inserted inserts it there."""
        if isinstance(newer, MoveVertex) and newer._where == (self.before.uid, self.ring, self.vertex):
            return InsertVertex(self.before, self.ring, self.vertex, newer.to)
        return None


@dataclass(frozen=True, eq=False, slots=True)
class InsertSharedVertex(ShapeEdit):
    """Put a new vertex on an edge that several shapes have in common, in all of them at once."""

    before: tuple[Shape, ...]
    places: tuple[VertexRef, ...]
    at: XY

    @classmethod
    def of(cls, document: AnnotationDocument, places: Iterable[VertexRef], at: XY) -> Self:
        """Insert at `at`, so that it gets the index `vertex` of each ring; locked shapes are left out.

        The first place is that of the edge that was grabbed; no two places are in one shape.
        """
        grabbed, *others = places
        following = (place for place in others if shares_vertices(document.get(place.uid)))
        chosen = (grabbed, *following)
        return cls(tuple(document.get(place.uid) for place in chosen), chosen, at)

    @property
    def name(self) -> str:
        """For the menu."""
        return "Add shared vertex" if len(self.places) > 1 else "Add vertex"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """Every shape with one vertex more."""
        return [
            InsertVertex(shape, place.ring, place.vertex, self.at).edited()[0]
            for shape, place in zip(self.before, self.places, strict=True)
        ]


@dataclass(frozen=True, eq=False, slots=True)
class RemoveVertex(ShapeEdit):
    """Take one vertex out. A polygon keeps three, a line strip two, points one."""

    before: Shape
    ring: int
    vertex: int

    @classmethod
    def of(cls, document: AnnotationDocument, uid: int, vertex: int, ring: int = 0) -> Self:
        """Remove from the shape as it is now."""
        return cls(document.get(uid), ring, vertex)

    @property
    def name(self) -> str:
        """For the menu."""
        return "Remove vertex"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shape with one vertex less."""
        points = np.delete(ring_of(self.before, self.ring, self.vertex), self.vertex, axis=0)
        return [checked(self.before, with_ring(self.before, self.ring, points))]
