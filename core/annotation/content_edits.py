"""Edits of whole shapes that keep their places: replaced, moved, relabelled, grouped, locked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from core.annotation.command import Command, ShapeEdit, counted, naming, uids_of
from core.annotation.document import AnnotationDocument
from core.annotation.locking import is_locked, with_lock
from core.annotation.model import Shape, spoken_label
from core.annotation.shape_edits import checked, translated
from core.annotation.stack_edits import next_group


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

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The pairs as given, checked."""
        return [checked(before, after) for before, after in zip(self.before, self.after, strict=True)]

    def merge(self, newer: Command) -> Command | None:
        """Steps of one drag become one."""
        if (
            isinstance(newer, ReplaceShapes)
            and self.drag
            and newer.drag
            and newer.title == self.title
            and uids_of(newer.before) == uids_of(self.before)
        ):
            return ReplaceShapes(self.before, newer.after, self.title, drag=True)
        return None


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
        return counted("Move", len(self.before))

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shapes at their new places."""
        offset = np.array([self.dx, self.dy])
        if not np.isfinite(offset).all():
            raise ValueError("shapes cannot be moved by an offset that is not a number")
        return [(shape, translated(shape, offset)) for shape in self.before]

    def merge(self, newer: Command) -> Command | None:
        """Offsets of one drag add up."""
        if isinstance(newer, TranslateShapes) and uids_of(newer.before) == uids_of(self.before):
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
        return f"{naming('Relabel', self.before)} as {spoken_label(self.label)}"

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shapes with their new label."""
        if not self.label:
            raise ValueError("a label needs at least one character")
        return [(shape, shape.with_(label=self.label)) for shape in self.before]


@dataclass(frozen=True, eq=False, slots=True)
class Group(ShapeEdit):
    """Give shapes a group number, or none: labelme's `group_id`, parts of one object."""

    before: tuple[Shape, ...]
    group_id: int | None

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int]) -> Self:
        """Make these shapes a group of their own."""
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(uids)), next_group(document))

    @classmethod
    def dissolving(cls, document: AnnotationDocument, uids: Iterable[int]) -> Self:
        """Take these shapes out of their groups."""
        return cls(tuple(document.get(uid) for uid in dict.fromkeys(uids)), None)

    @property
    def name(self) -> str:
        """For the menu."""
        return counted("Ungroup" if self.group_id is None else "Group", len(self.before))

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shapes with their new group."""
        return [(shape, shape.with_(group_id=self.group_id)) for shape in self.before]


@dataclass(frozen=True, eq=False, slots=True)
class SetLocked(ShapeEdit):
    """Protect shapes from edits, or make them editable again."""

    respects_locks: ClassVar[bool] = False
    before: tuple[Shape, ...]
    locked: bool

    @classmethod
    def of(cls, document: AnnotationDocument, uids: Iterable[int], *, locked: bool) -> Self:
        """Lock or unlock these shapes; those that are so already are left out."""
        shapes = (document.get(uid) for uid in dict.fromkeys(uids))
        return cls(tuple(shape for shape in shapes if is_locked(shape) != locked), locked)

    @property
    def name(self) -> str:
        """For the menu."""
        return counted("Lock" if self.locked else "Unlock", len(self.before))

    def edited(self) -> Sequence[tuple[Shape, Shape]]:
        """The shapes with or without their lock."""
        return [(shape, with_lock(shape, locked=self.locked)) for shape in self.before]
