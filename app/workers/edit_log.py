"""The journals of all open documents, written by a thread of their own.

The thread that saves may be busy for seconds with a large mask; an edit is noted within milliseconds all the
same. See `core.project.edit_journal` for what is noted and `core.project.edit_recovery` for its use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject

from app.workers.tasks import TaskRunner
from core.annotation.document import AnnotationDocument, Change
from core.project.edit_journal import Edit, EditJournal

DOING = "noting an edit"
MOST_SINGLE = 256
"""An edit of more shapes is noted as the whole annotation: line by line it would take longer."""


class EditLog(QObject):
    """Notes every edit of the documents it is told of. Lives in the GUI thread."""

    def __init__(self, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder
        self._worker = TaskRunner(1, self)
        self._journals: dict[str, EditJournal] = {}

    def begin(self, key: str, digest: str | None) -> None:
        """An image was opened; its annotation file has this digest (None: there is no file)."""
        self._journals[key] = EditJournal(self._folder, key, digest)

    def note(self, key: str, changes: Sequence[Change], document: AnnotationDocument) -> None:
        """The document has just told of these changes."""
        if len(changes) > MOST_SINGLE:
            self._note(key, Edit.whole(document))
        else:
            self._note(key, *(Edit.of(change, document) for change in changes))

    def note_whole(self, key: str, document: AnnotationDocument) -> None:
        """Another program replaced the file that the journal starts from: keep all that is here."""
        self._note(key, Edit.whole(document))

    def announcer(self, key: str, revision: int) -> Callable[[str | None], None] | None:
        """What a worker calls before it replaces the annotation file by the document of this revision."""
        journal = self._journals.get(key)
        return None if journal is None else partial(journal.saving, revision)

    def restart(self, key: str, digest: str | None, lacking: AnnotationDocument | None = None) -> None:
        """The annotation file has this digest; it lacks nothing, or all of the document `lacking`."""
        journal = self._journals.get(key)
        if journal is not None:
            journal.restart(digest, *([] if lacking is None else [Edit.whole(lacking)]))
            self._worker.run(journal.flush, doing=DOING)

    def forget(self, key: str) -> None:
        """The image is no longer open; its journal, if there is one, is kept for the next opening."""
        self._journals.pop(key, None)

    def give_up(self, key: str, digest: str | None, revision: int) -> None:
        """Edits up to this revision are not wanted, and the mask of the file of this digest is still due."""
        journal = self._journals.get(key)
        if journal is not None:
            journal.restart(digest)
            self._worker.run(journal.saving, revision, digest, doing=DOING)

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._worker.wait(5000)
        self._worker.close()
        self._journals.clear()

    def _note(self, key: str, *edits: Edit) -> None:
        journal = self._journals.get(key)
        if journal is not None and journal.note(*edits):
            self._worker.run(journal.flush, doing=DOING)
