"""Every edit reaches the disk by itself: the JSON within half a second, its mask right after.

::

    edit -> (at most DELAY_MS) -> snapshot, GUI thread -> worker: JSON -> GUI thread -> worker: mask
      |                                                         |                          |
    EditLog (at once)                                      saved_changed            labels_written

The worker is a `TaskRunner` with one thread, so writes happen in order. At most one write of a document is
under way; edits that come meanwhile are written together afterwards. What cannot be written stays in memory,
is said in `saved_changed`, and is tried again every RETRY_MS. A document whose file another program changed
is not written until `resolve` says what to do. Until JSON and mask are on disk every edit is in its image's
journal, too: a JSON of ten thousand polygons takes a second to write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal

from app.workers.edit_log import EditLog
from app.workers.label_files import LabelsWritten, write_annotation, write_mask
from app.workers.tasks import Task, TaskRunner
from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import Annotation
from core.errors import ForeignChangeError

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

DELAY_MS: Final = 250
RETRY_MS: Final = 3000
JSON_PRIORITY: Final = 10
MASK_PRIORITY: Final = 5
SLOW: Final = "The files are still being written, which takes long. Try again in a moment."

SaveKind: TypeAlias = Literal["saved", "unsaved", "saving", "failed", "conflict"]


@dataclass(frozen=True, slots=True)
class SaveState:
    """How safe the work is, and a sentence where there is something to say."""

    kind: SaveKind
    text: str = ""


@dataclass(slots=True, eq=False)
class _Tracked:
    """A document and how far it is saved. Touched in the GUI thread only."""

    entry: ImageEntry
    document: AnnotationDocument
    digest: str | None
    written_revision: int
    unsubscribe: Callable[[], None]
    writing: Task | None = None
    conflict: str = ""
    failure: str = ""
    mask_due: tuple[Annotation, int] | None = None
    mask_running: Task | None = None
    file_unwanted: int = -1
    """The revision at which the person deleted the annotation file, -1 for none."""

    @property
    def dirty(self) -> bool:
        return self.document.revision != self.written_revision


class Autosaver(QObject):
    """Saves the documents of one project. Lives in the GUI thread."""

    saved_changed = Signal(object)
    labels_written = Signal(object)
    conflict_found = Signal(str, str)

    def __init__(
        self,
        project: Project,
        worker: TaskRunner,
        parent: QObject | None = None,
        *,
        edits: EditLog | None = None,
        delay_ms: int = DELAY_MS,
        retry_ms: int = RETRY_MS,
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._worker = worker
        self._edits = edits
        self._tracked: dict[str, _Tracked] = {}
        self._state = SaveState("saved")
        self._holder: Task | None = None
        self._delay = QTimer(self, singleShot=True, interval=delay_ms)
        self._delay.timeout.connect(self.save_now)
        self._retry = QTimer(self, singleShot=True, interval=retry_ms)
        self._retry.timeout.connect(self.save_now)

    # --- what is watched ----------------------------------------------------------------------------------

    def track(self, entry: ImageEntry, document: AnnotationDocument, digest: str | None) -> None:
        """Save this document from now on; `digest` is of the file it was read from, None for no file."""
        self.forget(entry.key)
        unsubscribe = document.subscribe(
            lambda change: self._on_document_changed(entry.key, (change,)),
            many=partial(self._on_document_changed, entry.key),
        )
        self._tracked[entry.key] = _Tracked(entry, document, digest, document.revision, unsubscribe)
        if self._edits is not None:
            self._edits.begin(entry.key, digest)

    def forget(self, key: str) -> None:
        """Stop watching; what was not yet written is lost, so look at `is_dirty` first."""
        tracked = self._tracked.pop(key, None)
        if tracked is not None:
            tracked.unsubscribe()
            if self._edits is not None:
                self._edits.forget(key)

    def is_dirty(self, key: str) -> bool:
        """Something of this document is not in its file yet."""
        tracked = self._tracked.get(key)
        return tracked is not None and (tracked.dirty or tracked.writing is not None)

    def is_settled(self, key: str) -> bool:
        """Neither JSON nor mask of this document is due."""
        tracked = self._tracked.get(key)
        return tracked is None or not (
            tracked.dirty or tracked.writing or tracked.mask_running or tracked.mask_due or tracked.conflict
        )

    def digest_of(self, key: str) -> str | None:
        """Digest of the file as we last read or wrote it; None when there was none."""
        tracked = self._tracked.get(key)
        return None if tracked is None else tracked.digest

    @property
    def state(self) -> SaveState:
        """The worst state of all documents."""
        return self._state

    # --- saving -------------------------------------------------------------------------------------------

    def save_now(self) -> None:
        """Hand every changed document and every mask that is due to the worker; returns at once."""
        self._delay.stop()
        for tracked in self._tracked.values():
            self._start_write(tracked)
            self._start_mask(tracked)
        self._update_state()

    def flush(self, timeout_ms: int = 5000) -> bool:
        """Write everything and wait for it, not for what else the worker has to do.

        Returns:
            False when something could not be written, or not in time (see `state`).
        """
        deadline = time.monotonic() + timeout_ms / 1000
        self.save_now()
        while under_way := self._under_way():  # JSON, then mask, then what was edited meanwhile
            left_ms = 1000 * (deadline - time.monotonic())
            if left_ms <= 0 or not self._worker.wait(left_ms, under_way):
                self._set_state(SaveState("saving", SLOW))
                return False
            for tracked in self._tracked.values():
                if not tracked.failure:  # else it was tried just now
                    self._start_write(tracked)
        self._update_state()
        return self._state.kind == "saved"

    def give_up(self) -> None:
        """Write nothing any more: edits that are in no file are lost, masks follow at the next opening."""
        for key, tracked in self._tracked.items():
            if self._edits is None or self.is_settled(key):
                continue
            if tracked.conflict or tracked.writing:  # what the file is now, nobody here knows
                self._edits.restart(key, None)
            else:
                self._edits.give_up(key, tracked.digest, tracked.document.revision)

    def _under_way(self) -> list[Task]:
        """What `flush` waits for."""
        tasks = [task for t in self._tracked.values() for task in (t.writing, t.mask_running)]
        return [task for task in (self._holder, *tasks) if task is not None]

    def hold(self, holder: Task) -> None:
        """Write no annotation until `release`: this task of the same worker rewrites them on disk."""
        self._holder = holder

    def release(self) -> None:
        """The task is over, and what it has rewritten was told to `resolve`."""
        self._holder = None
        self.save_now()

    def delete_file(self, key: str) -> None:
        """The document, emptied just now, is to have no file at all; an edit or an undo makes one again."""
        tracked = self._tracked.get(key)
        if tracked is not None:
            tracked.file_unwanted = tracked.document.revision
            self.save_now()

    def note_conflict(self, key: str, sentence: str) -> None:
        """Someone else noticed a foreign change: hold this document back and ask."""
        tracked = self._tracked.get(key)
        if tracked is not None and not tracked.conflict:
            tracked.conflict = sentence
            if self._edits is not None:
                self._edits.note_whole(key, tracked.document)
            self._update_state()
            self.conflict_found.emit(key, sentence)

    def ask_again(self, key: str) -> None:
        """The person put the question off, or the answer did not work."""
        tracked = self._tracked.get(key)
        if tracked is not None and tracked.conflict:
            self.conflict_found.emit(key, tracked.conflict)

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Images whose files other programs changed, unanswered."""
        return tuple(key for key, tracked in self._tracked.items() if tracked.conflict)

    def resolve(self, key: str, digest: str | None, *, written: bool) -> None:
        """End a conflict.

        Args:
            key: the image.
            digest: of the file on disk as it is now.
            written: the document now equals that file (it was reloaded); False: it is to replace the file.
        """
        tracked = self._tracked.get(key)
        if tracked is None:
            return
        tracked.conflict = ""
        tracked.digest = digest
        tracked.written_revision = tracked.document.revision if written else -1
        if self._edits is not None:
            self._edits.restart(key, digest, None if written else tracked.document)
        if written:
            # The mask on disk belongs to the old labels.
            tracked.mask_due = (tracked.document.snapshot(), tracked.document.revision)
            self._start_mask(tracked)
        else:
            self._start_write(tracked)
        self._update_state()

    # --- on the way ---------------------------------------------------------------------------------------

    def _on_document_changed(self, key: str, changes: Sequence[Change]) -> None:
        if self._edits is not None:
            self._edits.note(key, changes, self._tracked[key].document)
        if not self._delay.isActive():
            self._delay.start()
        if self._state.kind in ("saved", "saving"):
            self._set_state(SaveState("unsaved"))

    def _start_write(self, tracked: _Tracked) -> None:
        held = self._holder is not None
        if held or tracked.writing is not None or tracked.conflict or not tracked.dirty:
            return
        snapshot, revision = tracked.document.snapshot(), tracked.document.revision
        tracked.writing = task = self._worker.run(
            write_annotation,
            self._project,
            tracked.entry,
            snapshot,
            tracked.digest,
            tracked.file_unwanted == revision,
            None if self._edits is None else self._edits.announcer(tracked.entry.key, revision),
            doing=f"saving {tracked.entry.annotation_path}",
            priority=JSON_PRIORITY,
        )
        task.done.connect(partial(self._on_written, tracked, snapshot, revision))
        task.failed.connect(partial(self._on_write_failed, tracked, task))

    def _start_mask(self, tracked: _Tracked) -> None:
        if tracked.mask_running is not None or tracked.mask_due is None:
            return
        (snapshot, revision), tracked.mask_due = tracked.mask_due, None
        tracked.mask_running = task = self._worker.run(
            write_mask,
            self._project,
            tracked.entry,
            snapshot,
            revision,
            tracked.file_unwanted == revision,
            doing=f"writing {tracked.entry.mask_path}",
            priority=MASK_PRIORITY,
        )
        task.done.connect(partial(self._on_mask_written, tracked))
        task.failed.connect(partial(self._on_mask_failed, tracked, (snapshot, revision)))

    def _on_written(self, tracked: _Tracked, snapshot: Annotation, revision: int, digest: str | None) -> None:
        """The JSON is on disk; its mask is next."""
        tracked.writing = None
        tracked.failure = ""
        tracked.digest = digest
        tracked.written_revision = revision
        tracked.mask_due = (snapshot, revision)
        self._start_mask(tracked)
        if tracked.dirty and not self._delay.isActive():
            self._delay.start()
        self._update_state()

    def _on_write_failed(self, tracked: _Tracked, task: Task, sentence: str) -> None:
        """The work stays in memory: ask about a foreign change, try anything else again later."""
        tracked.writing = None
        if isinstance(task.error, ForeignChangeError):
            self.note_conflict(tracked.entry.key, sentence)
        else:
            self._fail(tracked, sentence)

    def _on_mask_written(self, tracked: _Tracked, written: LabelsWritten) -> None:
        """The mask is on disk; the engine may learn from it."""
        tracked.mask_running = None
        tracked.failure = ""
        self.labels_written.emit(written)
        self._start_mask(tracked)
        if self._edits is not None and self.is_settled(tracked.entry.key):
            self._edits.restart(tracked.entry.key, tracked.digest)
        self._update_state()

    def _on_mask_failed(self, tracked: _Tracked, due: tuple[Annotation, int], sentence: str) -> None:
        tracked.mask_running = None
        tracked.mask_due = tracked.mask_due or due
        self._fail(tracked, sentence)

    def _fail(self, tracked: _Tracked, sentence: str) -> None:
        tracked.failure = sentence
        self._retry.start()
        self._update_state()

    # --- what to show -------------------------------------------------------------------------------------

    def _update_state(self) -> None:
        documents = self._tracked.values()
        if conflict := next((t.conflict for t in documents if t.conflict), ""):
            self._set_state(SaveState("conflict", conflict))
        elif failure := next((t.failure for t in documents if t.failure), ""):
            self._set_state(SaveState("failed", failure))
        elif any(t.writing or t.mask_running for t in documents):
            self._set_state(SaveState("saving"))
        elif any(t.dirty for t in documents):
            self._set_state(SaveState("unsaved"))
        else:
            self._set_state(SaveState("saved"))

    def _set_state(self, state: SaveState) -> None:
        if state != self._state:
            self._state = state
            self.saved_changed.emit(state)
