"""Every edit a person can make, as a small immutable object that can be done, undone and merged.

A command holds whole shapes as they were (`before`), so that undoing is exact to the last bit. Build it with
its `of(document, ...)`, which looks up what it needs; hand it to `History.push`. A result that would be
invalid (a polygon under three vertices, a ring that starts to cross itself, a coordinate that is not a
number) raises ValueError with a sentence for the person, before anything changes.

How commands merge, so that one drag is one entry of the history:

- `MoveVertex` with `MoveVertex` of the same vertex: the last place wins.
- `InsertVertex` with `MoveVertex` of the inserted vertex: the vertex is inserted at the last place.
- `TranslateShapes` with `TranslateShapes` of the same shapes: offsets add up.
- `ReplaceShapes` with `ReplaceShapes` of the same shapes and title, when both say `drag=True`.
- `Composite` with `Composite` when they have as many parts and every part merges with its counterpart.
- Nothing else merges. `History.break_merge()`, undo and redo end the drag.

A merged command starts from the oldest `before` and is applied in place of both: the document is then what
the merged command says, not a sum of rounding steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np

from core.annotation.document import AnnotationDocument, by_index
from core.annotation.model import AnnotationState, Points, Shape, ShapeType, frozen_points
from core.annotation.shape_edits import (
    GROWING,
    check_points,
    checked,
    mended,
    move_corner,
    ring_of,
    with_ring,
)
from core.annotation.shape_edits import translated as translated  # tools preview a drag with it
from core.geometry import rings_are_valid

XY: TypeAlias = tuple[float, float]


class Command(ABC):
    """One edit. `apply` and `revert` are exact inverses on the state the command was made for."""

    @property
    @abstractmethod
    def name(self) -> str:
        """For the menu: "Undo Move vertex"."""

    @abstractmethod
    def apply(self, document: AnnotationDocument) -> None:
        """Do it. Raises ValueError when the result would be invalid; nothing has changed then."""

    @abstractmethod
    def revert(self, document: AnnotationDocument) -> None:
        """Take it back."""

    def merge(self, newer: Command) -> Command | None:  # noqa: ARG002 - most commands never merge
        """One command that does both, or None; see the rules on top of this module."""
        return None


class ShapeEdit(Command):
    """A command that replaces shapes and keeps their place: applying it again changes nothing."""

    @abstractmethod
    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """Each shape before and after. Raises ValueError when the result would be invalid."""

    def apply(self, document: AnnotationDocument) -> None:
        """Put the new shapes in place of the old ones."""
        for _, after in self.pairs():
            document.replace(after)

    def revert(self, document: AnnotationDocument) -> None:
        """Put the old shapes back."""
        for before, _ in self.pairs():
            document.replace(before)


# --- shapes come and go -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class AddShapes(Command):
    """Put shapes on top, or at `index` of the order, the first one lowest."""

    shapes: tuple[Shape, ...]
    index: int | None = None

    @property
    def name(self) -> str:
        """For the menu."""
        return _counted("Add", len(self.shapes))

    def apply(self, document: AnnotationDocument) -> None:
        """Insert them. Raises ValueError for a shape that is there already or lacks points."""
        for shape in self.shapes:
            check_points(shape)
        with document.atomic():
            base = len(document) if self.index is None else self.index
            for offset, shape in enumerate(self.shapes):
                document.insert(base + offset, shape)

    def revert(self, document: AnnotationDocument) -> None:
        """Take them out again."""
        for shape in reversed(self.shapes):
            document.remove(shape.uid)


@dataclass(frozen=True, eq=False, slots=True)
class RemoveShapes(Command):
    """Take shapes out; `removed` holds place and shape, bottom to top."""

    removed: tuple[tuple[int, Shape], ...]

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int]) -> Self:
        """Remove these shapes. Raises KeyError for one that is not there."""
        return cls(tuple(by_index(document, set(uids))))

    @property
    def name(self) -> str:
        """For the menu."""
        return _counted("Delete", len(self.removed))

    def apply(self, document: AnnotationDocument) -> None:
        """Remove from the top down, so that the places stay true."""
        for _, shape in reversed(self.removed):
            document.remove(shape.uid)

    def revert(self, document: AnnotationDocument) -> None:
        """Insert from the bottom up."""
        for index, shape in self.removed:
            document.insert(index, shape)


# --- shapes change ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class ReplaceShapes(ShapeEdit):
    """The general edit: shapes before and after, pairwise with the same uid.

    `drag` says that it is one step of a mouse drag and merges with the next step.
    """

    before: tuple[Shape, ...]
    after: tuple[Shape, ...]
    title: str = "Edit shape"
    drag: bool = False

    def __post_init__(self) -> None:
        if [shape.uid for shape in self.before] != [shape.uid for shape in self.after]:
            raise ValueError("the shapes before and after must be the same ones, in the same order")

    @classmethod
    def of(
        cls,
        document: AnnotationDocument,
        after: Iterable[Shape],
        *,
        title: str = "Edit shape",
        drag: bool = False,
    ) -> Self:
        """Replace the shapes of the same uids by these."""
        new = tuple(after)
        return cls(tuple(document.get(shape.uid) for shape in new), new, title, drag)

    @property
    def name(self) -> str:
        """For the menu."""
        return self.title

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """The pairs as given, checked."""
        return [checked(before, after) for before, after in zip(self.before, self.after, strict=True)]

    def merge(self, newer: Command) -> Command | None:
        """Steps of one drag become one."""
        if (
            isinstance(newer, ReplaceShapes)
            and self.drag
            and newer.drag
            and newer.title == self.title
            and _uids(newer.before) == _uids(self.before)
        ):
            return ReplaceShapes(self.before, newer.after, self.title, drag=True)
        return None


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


@dataclass(frozen=True, eq=False, slots=True)
class TranslateShapes(ShapeEdit):
    """Move whole shapes by an offset in pixels; masks stay on whole pixels."""

    before: tuple[Shape, ...]
    dx: float
    dy: float

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], dx: float, dy: float) -> Self:
        """Move these shapes from where they are now."""
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(uids)), dx, dy)

    @property
    def name(self) -> str:
        """For the menu."""
        return _counted("Move", len(self.before))

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """The shapes at their new places."""
        offset = np.array([self.dx, self.dy])
        if not np.isfinite(offset).all():
            raise ValueError("shapes cannot be moved by an offset that is not a number")
        return [(shape, translated(shape, offset)) for shape in self.before]

    def merge(self, newer: Command) -> Command | None:
        """Offsets of one drag add up."""
        if isinstance(newer, TranslateShapes) and _uids(newer.before) == _uids(self.before):
            return TranslateShapes(self.before, self.dx + newer.dx, self.dy + newer.dy)
        return None


@dataclass(frozen=True, eq=False, slots=True)
class Relabel(ShapeEdit):
    """Give shapes another label."""

    before: tuple[Shape, ...]
    label: str

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], label: str) -> Self:
        """Relabel these shapes."""
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(uids)), label)

    @property
    def name(self) -> str:
        """For the menu."""
        return _counted("Relabel", len(self.before))

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """The shapes with their new label."""
        if not self.label:
            raise ValueError("a label needs at least one character")
        return [(shape, shape.with_(label=self.label)) for shape in self.before]


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


# --- order, state, several at once ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Reorder(Command):
    """Move shapes within the stack; `moves` holds uid, old and new place, to be done one after the other."""

    moves: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], index: int) -> Self:
        """Gather shapes, in their present order, so that the lowest of them gets the place `index`.

        `index` is limited to where they fit: 0 is the bottom, `len(document)` means the top.
        """
        chosen = by_index(document, set(uids))
        base = max(0, min(index, len(document) - len(chosen)))
        moves = [(shape.uid, old, base + k) for k, (old, shape) in enumerate(chosen)]
        # Those going up from the highest down, then those going down from the lowest up: so no move
        # changes the place of one that is still to come.
        up = [move for move in reversed(moves) if move[2] > move[1]]
        down = [move for move in moves if move[2] < move[1]]
        return cls((*up, *down))

    @property
    def name(self) -> str:
        """For the menu."""
        return _counted("Reorder", len(self.moves))

    def apply(self, document: AnnotationDocument) -> None:
        """Move them."""
        for uid, _, new in self.moves:
            document.move(uid, new)

    def revert(self, document: AnnotationDocument) -> None:
        """Move them back."""
        for uid, old, _ in reversed(self.moves):
            document.move(uid, old)


@dataclass(frozen=True, eq=False, slots=True)
class SetState(Command):
    """Say that the image is unlabelled, in progress or done."""

    before: AnnotationState
    after: AnnotationState

    @classmethod
    def of(cls, document: AnnotationDocument, state: AnnotationState) -> Self:
        """Change the state from what it is now."""
        return cls(document.state, state)

    @property
    def name(self) -> str:
        """For the menu."""
        return f"Mark as {self.after.replace('_', ' ')}"

    def apply(self, document: AnnotationDocument) -> None:
        """Set the new state."""
        document.set_state(self.after)

    def revert(self, document: AnnotationDocument) -> None:
        """Set the old state."""
        document.set_state(self.before)


@dataclass(frozen=True, eq=False, slots=True)
class Composite(Command):
    """Several commands that are one edit: all of them, or none."""

    title: str
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        """For the menu."""
        return self.title

    def apply(self, document: AnnotationDocument) -> None:
        """Apply them in order; if one cannot, those before it are taken back."""
        with document.atomic():
            for command in self.commands:
                command.apply(document)

    def revert(self, document: AnnotationDocument) -> None:
        """Revert them in reverse order."""
        for command in reversed(self.commands):
            command.revert(document)

    def merge(self, newer: Command) -> Command | None:
        """Part by part, when every part is a `ShapeEdit` that merges with its counterpart."""
        if not isinstance(newer, Composite) or len(newer.commands) != len(self.commands):
            return None
        merged = [ours.merge(theirs) for ours, theirs in zip(self.commands, newer.commands, strict=True)]
        parts = tuple(command for command in merged if command is not None)
        return Composite(self.title, parts) if parts and len(parts) == len(merged) else None


def drawing(document: AnnotationDocument, shapes: Iterable[Shape]) -> Command:
    """The command for shapes that a person (or a network) has just drawn.

    An outline that crosses itself is mended into the polygons that cover what it encloses; an image that
    was unlabelled is in progress from now on.

    Raises:
        ValueError: an outline encloses nothing.
    """
    add = AddShapes(tuple(part for shape in shapes for part in mended(shape)))
    if document.state is not AnnotationState.UNLABELLED:
        return add
    return Composite(add.name, (add, SetState.of(document, AnnotationState.IN_PROGRESS)))


def _uids(shapes: Sequence[Shape]) -> list[int]:
    return [shape.uid for shape in shapes]


def _counted(verb: str, count: int) -> str:
    return f"{verb} shape" if count == 1 else f"{verb} {count} shapes"
