"""Changes of the classes that can be taken back: another name, another colour, another order.

They belong to the project and to no image's history, and so have steps of their own (decision 16).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.session.class_changes import Operation


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One change of the classes, as the project's worker does it.

    Attributes:
        doing: for the person: "renaming nerve".
        operation: called with the project.
        labels: what becomes of labels whose shapes it rewrites; None: the shapes go.
        refresh_masks: masks get other palettes by it.
    """

    doing: str
    operation: Operation
    labels: Mapping[str, str | None] = field(default_factory=dict)
    refresh_masks: bool = False


@dataclass(frozen=True, slots=True)
class ClassStep:
    """A change of the classes and the one that takes it back.

    Attributes:
        name: for the menu: "Rename nerve to vein".
        forth, back: the change and its opposite.
        done: what is said when it was done, "" for what shows by itself.
        undone: the same when it was taken back.
    """

    name: str
    forth: ClassChange
    back: ClassChange
    done: str = ""
    undone: str = ""


class ClassSteps:
    """The steps done and undone, and whether they are what undo means now.

    That is so while nothing else was edited since, and while the class list has the keyboard (`in_hand`).
    """

    def __init__(self) -> None:
        self._done: list[ClassStep] = []
        self._undone: list[ClassStep] = []
        self._latest = False
        self.in_hand = False

    @property
    def next_undo(self) -> ClassStep | None:
        """What undo would take back; None where that is not for a change of the classes."""
        return self._done[-1] if self._done and (self._latest or self.in_hand) else None

    @property
    def next_redo(self) -> ClassStep | None:
        """What redo would do again; None as above."""
        return self._undone[-1] if self._undone and (self._latest or self.in_hand) else None

    def push(self, step: ClassStep) -> None:
        """It was done for the first time."""
        self._done.append(step)
        self._undone.clear()
        self._latest = True

    def follow(self, step: ClassStep, *, undone: bool) -> None:
        """It was taken back, or done again."""
        source, target = (self._done, self._undone) if undone else (self._undone, self._done)
        if step in source:
            source.remove(step)
            target.append(step)
        self._latest = True

    def drop(self, step: ClassStep) -> None:
        """It cannot be done any more: it must not stand in the way of what came before it."""
        for steps in (self._done, self._undone):
            if step in steps:
                steps.remove(step)
        self._latest = False

    def note_edit(self) -> None:
        """Something else was edited: that is what undo means from now on."""
        self._latest = False

    def clear(self) -> None:
        """Forget all: they may name classes that are gone."""
        self._done.clear()
        self._undone.clear()
        self._latest = False
