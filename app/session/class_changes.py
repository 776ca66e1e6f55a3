"""Changing a project's classes under open documents.

The files are rewritten in the project's worker, and drawing goes on meanwhile: what is open follows when that
is done, each document as it is then. The autosaver writes no annotation in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from PySide6.QtCore import QObject, Signal

from app.session.foreign_changes import digests
from app.session.mask_refresh import DOING, MaskRefresh, forget_recolored, note_recolored
from app.session.open_documents import OpenDocument, OpenDocuments
from app.workers.autosaver import JSON_PRIORITY, Autosaver
from app.workers.tasks import Task, TaskRunner

if TYPE_CHECKING:
    from app.session.class_steps import ClassChange
    from core.project.project import ImageEntry, Loaded, Project

Operation: TypeAlias = "Callable[[Project], object]"

CHANGE_PRIORITY: Final = JSON_PRIORITY
"""What was edited before a class change is saved before it."""


@dataclass(frozen=True, slots=True, eq=False)
class Rewritten:
    """An annotation file that a class change rewrote: the digest it had before, and what it says now."""

    before: str | None
    now: Loaded


class ClassChanges(QObject):
    """Changes the classes of one open project, one change at a time. Lives in the GUI thread.

    Attributes:
        busy: what is being done, "" for nothing.

    Signals:
        busy_changed(), message(str text, str level)
        changed(): the classes are others, and what is open has followed.
    """

    busy_changed = Signal()
    changed = Signal()
    message = Signal(str, str)

    def __init__(
        self,
        project: Project,
        documents: OpenDocuments,
        autosaver: Autosaver,
        worker: TaskRunner,
        masks: MaskRefresh,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.busy = ""
        self._project = project
        self._documents = documents
        self._autosaver = autosaver
        self._worker = worker
        self._masks = masks
        masks.finished.connect(self._on_masks_refreshed)

    def begin(self, change: ClassChange) -> Task | None:
        """Run a class change in the worker, after all saves.

        Undo histories that hold shapes which go are emptied; masks whose palettes change are written anew
        afterwards, at leisure.

        Returns:
            Its task, when everything here has followed; None when it has to wait, which is said.
        """
        if self.busy:
            self.message.emit(f"Please wait: {self.busy}.", "warning")
            return None
        self._autosaver.save_now()
        state = self._autosaver.state
        if state.kind in ("failed", "conflict"):
            self.message.emit(f"{state.text} Solve this before {change.doing}.", "error")
            return None
        entries = tuple(opened.entry for opened in self._documents)
        doing = change.doing
        task = self._worker.run(
            change_classes, self._project, change, entries, doing=doing, priority=CHANGE_PRIORITY
        )
        self._autosaver.hold(task)
        self._set_busy(doing)
        task.done.connect(partial(self._on_done, change))
        task.failed.connect(self._on_failed)
        return task

    def _on_failed(self, sentence: str) -> None:
        self._autosaver.release()
        self._set_busy("")
        self.message.emit(sentence, "error")

    def _on_done(self, change: ClassChange, rewritten: Mapping[str, Rewritten]) -> None:
        for opened in self._documents:
            self._follow(opened, change.labels, rewritten.get(opened.entry.key))
        self._autosaver.release()
        self._set_busy("")
        if change.refresh_masks:
            self._masks.begin(self._project.images())
        self.changed.emit()

    def _on_masks_refreshed(self) -> None:
        """All masks have the colours of before a change that is under way, which may set its mark already.

        Of equal priority, a change that begins after this sets its mark after the old one has gone.
        """
        if not self.busy:
            self._worker.run(forget_recolored, self._project, doing=DOING, priority=CHANGE_PRIORITY)

    def _follow(
        self, opened: OpenDocument, labels: Mapping[str, str | None], rewritten: Rewritten | None
    ) -> None:
        """Bring one document up to date; what of it is not in its file yet stays so."""
        key, autosaver = opened.entry.key, self._autosaver
        conflict = key in autosaver.conflicts
        unsaved = conflict or autosaver.is_dirty(key)
        known = rewritten is not None and rewritten.before == autosaver.digest_of(key)
        digest = autosaver.digest_of(key) if rewritten is None else rewritten.now.digest
        # Its history could bring back a label that no class has any more.
        if rewritten is not None or opened.labels_seen & labels.keys():
            on_disk = None if rewritten is None or unsaved else rewritten.now.annotation
            self._documents.follow(key, labels, on_disk)
            if not unsaved:
                autosaver.resolve(key, digest, written=True)
            elif known and not conflict:
                autosaver.resolve(key, digest, written=False)
            # Else another program wrote the file, too: saving will find that and ask.

    def _set_busy(self, doing: str) -> None:
        self.busy = doing
        self.busy_changed.emit()


def change_classes(
    project: Project, change: ClassChange, open_entries: tuple[ImageEntry, ...]
) -> dict[str, Rewritten]:
    """Worker: do it, then read again what it rewrote among the annotations that are open.

    Raises:
        MaskloopError: it could not be done; the project is as it was.
    """
    before = digests(open_entries)
    change.operation(project)
    if change.refresh_masks:
        note_recolored(project)
    after = digests(open_entries)
    rewritten = [entry for entry in open_entries if after[entry.key] != before[entry.key]]
    return {entry.key: Rewritten(before[entry.key], project.load(entry)) for entry in rewritten}
