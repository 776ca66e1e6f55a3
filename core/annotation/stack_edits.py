"""Edits of the stack as a whole: shapes come, go and change places; the state of the image."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.annotation.command import XY, Command, Composite, counted, naming
from core.annotation.document import AnnotationDocument, by_index
from core.annotation.locking import refuse_locked, with_lock
from core.annotation.model import AnnotationState, Shape
from core.annotation.shape_edits import check_points, mended, translated


@dataclass(frozen=True, eq=False, slots=True)
class AddShapes(Command):
    """Put shapes on top, or at `index` of the order, the first one lowest."""

    shapes: tuple[Shape, ...]
    index: int | None = None

    @property
    def name(self) -> str:
        """For the menu."""
        return naming("Add", self.shapes)

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
        return naming("Delete", [shape for _, shape in self.removed])

    def apply(self, document: AnnotationDocument) -> None:
        """Remove from the top down, so that the places stay true. Raises ValueError for a locked shape."""
        refuse_locked(shape for _, shape in self.removed)
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


def pasting(
    document: AnnotationDocument, shapes: Iterable[Shape], *, offset: XY = (0.0, 0.0), title: str = "Paste"
) -> tuple[Command, tuple[Shape, ...]]:
    """The command that puts copies of shapes on top, and the copies.

    Copies are not locked, and those of one group become a group of their own, with its number where that is
    free. An image that was unlabelled is in progress from now on.
    """
    originals = tuple(shapes)
    taken = {shape.group_id for shape in document.shapes}
    numbers = [shape.group_id for shape in originals if shape.group_id is not None]
    fresh = itertools.count(max(next_group(document), 1 + max(numbers, default=0)))
    groups: dict[int | None, int | None] = {None: None}
    for number in dict.fromkeys(numbers):
        groups[number] = next(fresh) if number in taken else number
    step = np.array(offset, dtype=np.float64)
    copies = tuple(
        with_lock(translated(shape.copy(), step), locked=False).with_(group_id=groups[shape.group_id])
        for shape in originals
    )
    return Composite(title, (AddShapes(copies), *in_progress(document))), copies


def next_group(document: AnnotationDocument) -> int:
    """A group number that no shape has."""
    return 1 + max((shape.group_id for shape in document.shapes if shape.group_id is not None), default=0)


def drawing(document: AnnotationDocument, shapes: Iterable[Shape]) -> Command:
    """The command for shapes that a person (or a network) has just drawn.

    An outline that crosses itself is mended into the polygons that cover what it encloses; an image that
    was unlabelled is in progress from now on.

    Raises:
        ValueError: an outline encloses nothing.
    """
    add = AddShapes(tuple(part for shape in shapes for part in mended(shape)))
    state = in_progress(document)
    return Composite("", (add, *state)) if state else add


def in_progress(document: AnnotationDocument) -> tuple[Command, ...]:
    """What puts an unlabelled image in progress; nothing for another."""
    if document.state is not AnnotationState.UNLABELLED:
        return ()
    return (SetState.of(document, AnnotationState.IN_PROGRESS),)
