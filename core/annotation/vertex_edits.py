"""Edits of single vertices: moved, put in, taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.annotation.command import XY, Command, ShapeEdit
from core.annotation.document import AnnotationDocument
from core.annotation.model import Shape, ShapeType
from core.annotation.shape_edits import GROWING, checked, move_corner, ring_of, with_ring


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

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """The shape with the vertex at its new place."""
        if self.before.shape_type is ShapeType.MASK:
            raise ValueError("a mask has no vertices to move; move the whole shape")
        points = ring_of(self.before, self.ring, self.vertex).copy()
        if self.before.shape_type is ShapeType.ORIENTED_RECTANGLE:
            move_corner(points, self.vertex, np.asarray(self.to, dtype=np.float64))
        elif self.before.shape_type is ShapeType.CIRCLE and self.vertex == 0:
            points += np.asarray(self.to) - points[0]
        else:
            points[self.vertex] = self.to
        return [checked(self.before, with_ring(self.before, self.ring, points))]

    def merge(self, newer: Command) -> Command | None:
        """The last place of the same vertex."""
        if isinstance(newer, MoveVertex) and newer._where == self._where:
            return MoveVertex(self.before, self.ring, self.vertex, newer.to)
        return None

    @property
    def _where(self) -> tuple[int, int, int]:
        return self.before.uid, self.ring, self.vertex


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

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
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

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """The shape with one vertex less."""
        points = np.delete(ring_of(self.before, self.ring, self.vertex), self.vertex, axis=0)
        return [checked(self.before, with_ring(self.before, self.ring, points))]
