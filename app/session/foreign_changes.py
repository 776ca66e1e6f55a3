"""What others do to the annotation on show: read again where nothing is lost, else the person is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QObject, Signal

from app.session.conflicts import ConflictChoice, Theirs, read_theirs
from app.session.open_documents import OpenDocuments
from app.workers.autosaver import Autosaver
from app.workers.tasks import TaskRunner
from core.files import file_digest

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Loaded, Project

DIGEST_PRIORITY: Final = 0
"""Behind our own saves in the same queue: their digests are known when the answer comes."""


class ForeignChanges(QObject):
    """Compares the file on disk with what was last read or written here. Belongs to an open project.

    Args:
        project: whose files.
        documents, autosaver: what is open, and what is known of its files.
        entry_of: the image of a key, None when the project does not have it any more.
        worker: the project's one writer.
        reader: reads beside it.

    Attributes:
        watched: key of the image on show, None without one.

    Signals:
        document_reloaded(str key): it was read again from disk, or may be readable now.
        labels_met(): a file was read that may have brought classes; its document has not followed yet.
        message(str text, str level)
    """

    document_reloaded = Signal(str)
    labels_met = Signal()
    message = Signal(str, str)

    def __init__(
        self,
        project: Project,
        documents: OpenDocuments,
        autosaver: Autosaver,
        entry_of: Callable[[str], ImageEntry | None],
        *,
        worker: TaskRunner,
        reader: TaskRunner,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.watched: str | None = None
        self._project = project
        self._documents = documents
        self._autosaver = autosaver
        self._entry_of = entry_of
        self._worker = worker
        self._reader = reader
        self._closed = False

    def close(self) -> None:
        """What is still on its way is not wanted any more."""
        self._closed = True

    def look(self) -> None:
        """The annotation of the image on show may have changed on disk."""
        key = self.watched
        entry = None if key is None else self._entry_of(key)
        if key is None or entry is None:
            return
        doing = f"reading {entry.annotation_path}"
        task = self._worker.run(file_digest, entry.annotation_path, doing=doing, priority=DIGEST_PRIORITY)
        task.done.connect(partial(self._on_digest, key))

    def look_at_all(self) -> None:
        """The annotations of all images that are open may have changed on disk."""
        entries = [each.entry for each in self._documents if self._entry_of(each.entry.key) is not None]
        task = self._worker.run(digests, entries, doing="reading annotations", priority=DIGEST_PRIORITY)
        task.done.connect(self._on_digests)

    def _on_digests(self, found: Mapping[str, str | None]) -> None:
        for key, digest in found.items():
            if digest != self._autosaver.digest_of(key):
                self._on_digest(key, digest)

    def _on_digest(self, key: str, digest: str | None) -> None:
        opened = self._documents.get(key)
        if self._closed or opened is None:
            self.document_reloaded.emit(key)  # it could not be read before; perhaps now
        elif digest != self._autosaver.digest_of(key) and self._autosaver.is_settled(key):
            doing = f"reading {opened.entry.annotation_path}"
            task = self._reader.run(read_theirs, self._project, opened.entry, "never", doing=doing)
            task.done.connect(partial(self._on_theirs, key))

    def _on_theirs(self, key: str, theirs: Theirs) -> None:
        self.labels_met.emit()
        opened = self._documents.get(key)
        if self._closed or opened is None or theirs.digest == self._autosaver.digest_of(key):
            return
        path = opened.entry.annotation_path
        if not self._autosaver.is_settled(key):
            self._autosaver.note_conflict(
                key, f"{path}: another program changed this file while you edited it"
            )
        elif theirs.annotation is None:
            self._autosaver.note_conflict(key, f"{theirs.problem}; what you see is the last good state")
        elif theirs.digest is None and opened.document.shapes:
            self._autosaver.note_conflict(key, removed(opened.entry))
        else:
            self._documents.reset(key, theirs.annotation)
            self._autosaver.resolve(key, theirs.digest, written=True)
            self.message.emit(f"{path.name} was changed by another program and has been read again.", "info")
            self.document_reloaded.emit(key)

    def take(self, entry: ImageEntry, loaded: Loaded) -> None:
        """An image that is open was read again because its file is another one now."""
        if not self._autosaver.is_settled(entry.key):
            return  # edited while it was read: saving will find the foreign change and ask
        opened = self._documents.get(entry.key)
        if loaded.digest is None and opened is not None and opened.document.shapes:
            self._autosaver.note_conflict(entry.key, removed(entry))
            return
        self._documents.reset(entry.key, loaded.annotation)
        self._autosaver.resolve(entry.key, loaded.digest, written=True)
        self.message.emit(f"{entry.annotation_path.name} was changed by another program.", "info")

    def resolve(self, key: str, choice: ConflictChoice) -> None:
        """Do what the person chose about a file that another program changed."""
        opened = self._documents.get(key)
        if opened is None:
            return
        keep: Literal["always", "unreadable", "never"] = "never" if choice == "reload" else "unreadable"
        if choice == "both":
            keep = "always"
        doing = f"reading {opened.entry.annotation_path}"
        task = self._reader.run(read_theirs, self._project, opened.entry, keep, doing=doing)
        task.done.connect(partial(self._on_choice, key, choice))
        task.failed.connect(self._on_failed)

    def _on_choice(self, key: str, choice: ConflictChoice, theirs: Theirs) -> None:
        self.labels_met.emit()
        opened = self._documents.get(key)
        if self._closed or opened is None:
            return
        if choice != "reload":
            self._autosaver.resolve(key, theirs.digest, written=False)
            if theirs.copy is not None:
                self.message.emit(f"The other program's version was kept as {theirs.copy.name}.", "info")
        elif theirs.annotation is None:
            self.message.emit(theirs.problem, "error")
            self._autosaver.ask_again(key)
        else:
            self._documents.reset(key, theirs.annotation)
            self._autosaver.resolve(key, theirs.digest, written=True)
        self.document_reloaded.emit(key)

    def _on_failed(self, sentence: str) -> None:
        self.message.emit(sentence, "warning")


def removed(entry: ImageEntry) -> str:
    """The sentence for an annotation file that is gone while its shapes are known here."""
    return f"{entry.annotation_path}: another program removed this file; what you see is what it said"


def digests(entries: Sequence[ImageEntry]) -> dict[str, str | None]:
    """Worker: the digest of each annotation file by its image's key, None where there is none."""
    return {entry.key: file_digest(entry.annotation_path) for entry in entries}
