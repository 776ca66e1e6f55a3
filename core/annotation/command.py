"""What an edit is: done, undone, merged; and several edits that are one.

Every edit a person can make is such a small immutable object; `core.annotation.commands` lists them all and
says how they merge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from core.annotation.document import AnnotationDocument
from core.annotation.locking import refuse_locked
from core.annotation.model import Shape, spoken_label

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
        """One command that does both, or None; see the rules in `core.annotation.commands`."""
        return None


class ShapeEdit(Command):
    """A command that replaces shapes and keeps their place: applying it again changes nothing."""

    respects_locks: ClassVar[bool] = True
    before: Shape | tuple[Shape, ...]
    """The shapes as they were: what undoing puts back."""

    @abstractmethod
    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """Each shape before and after. Raises ValueError when the result would be invalid."""

    def pairs(self) -> Sequence[tuple[Shape, Shape]]:
        """Each shape before and after. Raises ValueError when the edit is not allowed."""
        found = self.edited()
        if self.respects_locks:
            refuse_locked(before for before, _ in found)
        return found

    def apply(self, document: AnnotationDocument) -> None:
        """Put the new shapes in place of the old ones."""
        for _, after in self.pairs():
            document.replace(after)

    def revert(self, document: AnnotationDocument) -> None:
        """Put the old shapes back. They were in the document: nothing has to be checked again."""
        for before in (self.before,) if isinstance(self.before, Shape) else self.before:
            document.replace(before)


@dataclass(frozen=True, eq=False, slots=True)
class Composite(Command):
    """Several commands that are one edit: all of them, or none. Without a title it is called as the first."""

    title: str
    commands: tuple[Command, ...]

    @property
    def name(self) -> str:
        """For the menu."""
        return self.title or self.commands[0].name

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


def uids_of(shapes: Sequence[Shape]) -> list[int]:
    """The uids of shapes, in their order."""
    return [shape.uid for shape in shapes]


def naming(verb: str, shapes: Sequence[Shape]) -> str:
    """A name that tells the class: "Add nerve", "Add 3 shapes (nerve)"; without it where classes differ."""
    labels = {spoken_label(shape.label) for shape in shapes}
    label = labels.pop() if len(labels) == 1 else ""
    if not label:
        return counted(verb, len(shapes))
    return f"{verb} {label}" if len(shapes) == 1 else f"{counted(verb, len(shapes))} ({label})"


def counted(verb: str, count: int) -> str:
    """A name for the menu: "Move shape", "Move 3 shapes"."""
    return f"{verb} shape" if count == 1 else f"{verb} {count} shapes"
