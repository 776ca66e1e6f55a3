"""Edits of what a polygon covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from core.annotation.command import ShapeEdit
from core.annotation.document import AnnotationDocument
from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.geometry import rings_are_valid


@dataclass(frozen=True, eq=False, slots=True)
class CutHole(ShapeEdit):
    """Cut a hole into a polygon: a ring inside its outline that keeps clear of its other holes."""

    before: Shape
    hole: Points

    @classmethod
    def of(cls, document: AnnotationDocument, uid: int, hole: Points) -> Self:
        """Cut the polygon as it is now. Raises ValueError when `hole` is no list of points."""
        return cls(document.get(uid), frozen_points(hole))

    @property
    def name(self) -> str:
        """For the menu."""
        return "Cut hole"

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """The polygon with one hole more."""
        shape = self.before
        if shape.shape_type is not ShapeType.POLYGON:
            raise ValueError("only a polygon can have holes; convert the shape to a polygon first")
        if not rings_are_valid(self.hole, ()):
            raise ValueError("the hole's outline crosses itself or encloses nothing; draw it again")
        if not rings_are_valid(shape.points, shape.holes):
            raise ValueError("this polygon crosses itself; mend its outline before cutting a hole")
        if not rings_are_valid(shape.points, (*shape.holes, self.hole)):
            raise ValueError("a hole must lie inside its polygon, clear of the outline and of other holes")
        return [(shape, shape.with_(holes=(*shape.holes, self.hole)))]
