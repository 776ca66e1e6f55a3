"""Edits of what a polygon covers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from core.annotation.areas import has_outline, outline
from core.annotation.command import ShapeEdit, counted
from core.annotation.document import AnnotationDocument
from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.annotation.shape_edits import checked
from core.geometry import rings_are_valid
from core.polygons.boolean import Region
from core.polygons.smoothing import SharedBorders, simplify_line, simplify_together, smooth


@dataclass(frozen=True, eq=False, slots=True)
class CutHole(ShapeEdit):
    """Cut a hole: a ring inside an outline, clear of its other holes. Boxes and circles become polygons."""

    before: Shape
    hole: Points

    @classmethod
    def of(cls, document: AnnotationDocument, uid: int, hole: Points) -> Self:
        """Cut the shape as it is now. Raises ValueError when `hole` is no list of points."""
        return cls(document.get(uid), frozen_points(hole))

    @property
    def name(self) -> str:
        """For the menu."""
        return "Cut hole"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shape with one hole more."""
        shape = self.before
        if not has_outline(shape):
            raise ValueError(
                "only a polygon, a box or a circle can have holes; convert it to a polygon first"
            )
        around = outline(shape)
        if not rings_are_valid(self.hole, ()):
            raise ValueError("the hole's outline crosses itself or encloses nothing; draw it again")
        if not rings_are_valid(around, shape.holes):
            raise ValueError("this polygon crosses itself; mend its outline before cutting a hole")
        holes = (*shape.holes, self.hole)
        if not rings_are_valid(around, holes):
            raise ValueError("a hole must lie inside its polygon, clear of the outline and of other holes")
        return [(shape, shape.with_(shape_type=ShapeType.POLYGON, points=around, holes=holes))]


@dataclass(frozen=True, eq=False, slots=True)
class FillHoles(ShapeEdit):
    """Take the holes out of polygons, or one of them."""

    before: tuple[Shape, ...]
    hole: int | None = None

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], *, hole: int | None = None) -> Self:
        """Fill the holes of these shapes as they are now; `hole` means that one only."""
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(uids)), hole)

    @property
    def name(self) -> str:
        """For the menu."""
        return "Fill hole" if self.hole is not None else "Fill holes"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """Those that have holes, without them."""
        perforated = [shape for shape in self.before if len(shape.holes) > (self.hole or 0)]
        if not perforated:
            raise ValueError("there is no hole to fill")
        return [
            checked(shape, shape.with_(holes=() if self.hole is None else _without(shape.holes, self.hole)))
            for shape in perforated
        ]


@dataclass(frozen=True, eq=False, slots=True)
class OutlineEdit(ShapeEdit):
    """An edit of whole outlines by an amount in pixels, which can be tried on some of its shapes."""

    before: tuple[Shape, ...]

    @abstractmethod
    def with_amount(self, amount: float) -> Self:
        """The same edit, more or less of it."""

    def of_some(self, uids: Collection[int]) -> Self:
        """The part of it that edits these shapes, as the whole would."""
        return replace(self, before=tuple(shape for shape in self.before if shape.uid in uids))


@dataclass(frozen=True, eq=False, slots=True)
class SimplifyShapes(OutlineEdit):
    """Leave out vertices that lie within `tolerance` pixels of the simpler outline.

    Neighbours that share a border share it afterwards, when both are simplified at once (`borders` says
    whether there are such neighbours).
    """

    tolerance: float
    borders: SharedBorders

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], tolerance: float) -> Self:
        """Simplify these shapes as they are now."""
        shapes = tuple(document.get(uid) for uid in dict.fromkeys(uids))
        return cls(shapes, tolerance, SharedBorders(_regions(_of_type(shapes, ShapeType.POLYGON))))

    def with_amount(self, amount: float) -> Self:
        """With this tolerance."""
        return replace(self, tolerance=amount)

    @property
    def name(self) -> str:
        """For the menu."""
        return counted("Simplify", len(self.before))

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """Polygons and line strips with fewer vertices; other shapes have none to spare."""
        polygons = _of_type(self.before, ShapeType.POLYGON)
        regions = simplify_together(_regions(polygons), self.tolerance, self.borders)
        pairs = [_with_region(shape, region) for shape, region in zip(polygons, regions, strict=True)]
        for line in _of_type(self.before, ShapeType.LINESTRIP):
            points = frozen_points(simplify_line(line.points, self.tolerance))
            pairs.append(checked(line, line.with_(points=points)))
        return _some(pairs)


@dataclass(frozen=True, eq=False, slots=True)
class SmoothShapes(OutlineEdit):
    """Soften outlines: details smaller than about `radius` pixels go, nothing moves farther than that."""

    radius: float

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], radius: float) -> Self:
        """Smooth these shapes as they are now."""
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(uids)), radius)

    def with_amount(self, amount: float) -> Self:
        """With this radius."""
        return replace(self, radius=amount)

    @property
    def name(self) -> str:
        """For the menu."""
        return counted("Smooth", len(self.before))

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """Polygons with softer outlines."""
        polygons = _of_type(self.before, ShapeType.POLYGON)
        return _some(
            [_with_region(shape, smooth((shape.points, shape.holes), self.radius)) for shape in polygons]
        )


def _of_type(shapes: Sequence[Shape], shape_type: ShapeType) -> list[Shape]:
    return [shape for shape in shapes if shape.shape_type is shape_type]


def _regions(polygons: Sequence[Shape]) -> list[Region]:
    return [(shape.points, shape.holes) for shape in polygons]


def _some(pairs: list[tuple[Shape, Shape]]) -> list[tuple[Shape, Shape]]:
    if not pairs:
        raise ValueError("only polygons and line strips have an outline to change; convert the shape first")
    return pairs


def _with_region(shape: Shape, region: Region) -> tuple[Shape, Shape]:
    outer, holes = region
    after = shape.with_(points=frozen_points(outer), holes=tuple(frozen_points(hole) for hole in holes))
    return checked(shape, after)


def _without(holes: tuple[Points, ...], number: int) -> tuple[Points, ...]:
    return holes[:number] + holes[number + 1 :]
