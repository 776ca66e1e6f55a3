"""Undo and redo without limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.annotation.commands import Command
from core.annotation.document import AnnotationDocument, Change
from core.annotation.relabelling import relabelled


class History:
    """The commands done to a document, oldest first, and those undone.

    - `push` applies a command; if it raises, document and history are as before.
    - While a drag lasts, a pushed command merges into the last one (rules: `core.annotation.commands`).
      `break_merge` at the release of the mouse ends the drag; so do undo, redo, and a command that does not
      merge.
    - A new command drops what was undone.
    - A document that is reset (reloaded from disk) starts with an empty history.
    """

    def __init__(self, document: AnnotationDocument) -> None:
        self._document = document
        self._done: list[Command] = []
        self._undone: list[Command] = []  # the next to redo is last
        self._may_merge = False
        self._unsubscribe: Callable[[], None] = document.subscribe(self._on_change)

    @property
    def document(self) -> AnnotationDocument:
        """What the commands act on."""
        return self._document

    @property
    def entries(self) -> tuple[Command, ...]:
        """All commands, oldest first: those done, then those that can be redone."""
        return (*self._done, *reversed(self._undone))

    @property
    def position(self) -> int:
        """How many of `entries` are done."""
        return len(self._done)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._undone)

    @property
    def undo_name(self) -> str | None:
        """Name of what `undo` would take back."""
        return self._done[-1].name if self._done else None

    @property
    def redo_name(self) -> str | None:
        """Name of what `redo` would do again."""
        return self._undone[-1].name if self._undone else None

    def push(self, command: Command) -> None:
        """Apply a command and remember it. Raises what the command raises, with nothing changed."""
        last = self._done[-1] if self._may_merge and self._done else None
        merged = None if last is None else last.merge(command)
        with self._document.atomic():
            (merged or command).apply(self._document)
        if merged is None:
            self._done.append(command)
        else:
            self._done[-1] = merged
        self._undone.clear()
        self._may_merge = True

    def break_merge(self) -> None:
        """End a drag: the next command becomes an entry of its own."""
        self._may_merge = False

    def undo(self) -> Command | None:
        """Take the last command back. Returns it, or None when there is none."""
        self._may_merge = False
        if not self._done:
            return None
        with self._document.atomic():
            self._done[-1].revert(self._document)
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Command | None:
        """Do the last undone command again. Returns it, or None when there is none."""
        self._may_merge = False
        if not self._undone:
            return None
        with self._document.atomic():
            self._undone[-1].apply(self._document)
        self._done.append(self._undone.pop())
        return self._done[-1]

    def go_to(self, position: int) -> None:
        """Undo or redo until so many of `entries` are done: a jump in the history.

        Raises:
            IndexError: there are not so many entries.
        """
        if not 0 <= position <= len(self._done) + len(self._undone):
            raise IndexError(f"the history has no place {position}")
        entries = self.entries
        with self._document.atomic():  # where one cannot be done, document and history stay as they are
            for command in reversed(entries[position : len(self._done)]):
                command.revert(self._document)
            for command in entries[len(self._done) : position]:
                command.apply(self._document)
        self._done, self._undone = list(entries[:position]), list(reversed(entries[position:]))
        self._may_merge = False

    def relabel(self, names: Mapping[str, str]) -> None:
        """Follow classes that got other names, {old: new}: of the shapes there are, and of all edits.

        It is no edit itself: it cannot be undone here.
        """
        with self._document.atomic():
            for shape in self._document.shapes:
                if shape.label in names:
                    self._document.replace(shape.with_(label=names[shape.label]))
        self._done = [relabelled(command, names) for command in self._done]
        self._undone = [relabelled(command, names) for command in self._undone]
        self._may_merge = False

    def close(self) -> None:
        """Stop watching the document."""
        self._unsubscribe()

    def _on_change(self, change: Change) -> None:
        if change.kind == "reset":
            self._done.clear()
            self._undone.clear()
            self._may_merge = False
