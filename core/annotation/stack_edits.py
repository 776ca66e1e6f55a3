"""Edits of the stack as a whole: shapes come, go and change places; the state of the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from core.annotation.command import Command, Composite, counted
from core.annotation.document import AnnotationDocument, by_index
from core.annotation.model import AnnotationState, Shape
from core.annotation.shape_edits import check_points, mended


@dataclass(frozen=True, eq=False, slots=True)
class AddShapes(Command):
    """Put shapes on top, or at `index` of the order, the first one lowest."""

    shapes: tuple[Shape, ...]
    index: int | None = None

    @property
    def name(self) -> str:
        """For the menu."""
        return counted("Add", len(self.shapes))

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
        return counted("Delete", len(self.removed))

    def apply(self, document: AnnotationDocument) -> None:
        """Remove from the top down, so that the places stay true."""
        for _, shape in reversed(self.removed):
            document.remove(shape.uid)

    def revert(self, document: AnnotationDocument) -> None:
        """Insert from the bottom up."""
        for index, shape in self.removed:
            document.insert(index, shape)


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
        return counted("Reorder", len(self.moves))

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
