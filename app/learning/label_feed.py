"""Tells the engine what is drawn, shortly after it was drawn and without waiting for the disk.

An edit of the current image is rasterised in a worker at most DELAY_MS later. What the session has written
for other images (left just now, changed on disk) is passed on when it is written; what another program has
written for images that are not open, when that is seen on the disk.
"""

from __future__ import annotations

import itertools
import logging
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.workers.label_files import LabelsWritten, PackedLabels
from app.workers.tasks import TaskRunner
from core.annotation.document import AnnotationDocument
from core.annotation.model import Annotation, AnnotationState
from core.errors import MaskloopError
from core.learning.commands import LabelsChanged

if TYPE_CHECKING:
    from app.session.image_status import StatusBoard
    from app.session.session import Session
    from app.session.state import CurrentImage
    from core.project.project import ImageEntry, Project

log = logging.getLogger(__name__)

DELAY_MS: Final = 150
READ_PRIORITY: Final = -10
"""What is drawn here goes before what others have written to perhaps thousands of files."""
PORTION: Final = 64
"""So many images without labels are passed over at a time."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A document of which the engine has not heard the newest; `edited` tells a change from a first look."""

    project: Project
    entry: ImageEntry
    document: AnnotationDocument
    edited: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What the files of an image say; `rest` are those after it, which nobody has looked at yet."""

    entry: ImageEntry
    state: AnnotationState
    labels: PackedLabels
    rest: tuple[ImageEntry, ...]


class LabelFeed(QObject):
    """Sends a `LabelsChanged` for every change of labels. Lives in the GUI thread.

    Revisions are counted here: those of a document start over when the image is opened again.
    """

    labels_changed = Signal(object)

    def __init__(self, session: Session, worker: TaskRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._worker = worker
        self._due: dict[str, _Drawn] = {}
        self._rendering = 0
        self._reading = False
        self._to_read: dict[str, ImageEntry] = {}
        self._waiting: list[Callable[[], None]] = []
        self._revisions = itertools.count(1)
        self._revision_of: dict[str, int] = {}
        self._labelled: set[str] = set()  # images that had labels at some time
        self._told: dict[str, tuple[weakref.ref[AnnotationDocument], int]] = {}
        self._sent: dict[str, tuple[AnnotationState, int]] = {}
        self._edits: dict[str, list[int]] = {}
        self._delay = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._delay.timeout.connect(self.send_now)
        session.document_changed.connect(self._on_document_changed)
        session.current_changed.connect(self._on_current_changed)
        session.labels_written.connect(self._on_labels_written)
        session.statuses_changed.connect(self._on_statuses_changed)

    def revision_of(self, key: str) -> int:
        """Revision of the labels sent last for this image; 0 for what the engine read from disk."""
        return self._revision_of.get(key, 0)

    def edits_after(self, key: str, revision: int) -> int:
        """How many edits that changed an image's labels were sent after this revision.

        A lock or a group changes nothing that could be learned, so it is no edit here.
        """
        edits = self._edits.get(key, [])
        return len(edits) - bisect_right(edits, revision)

    def send_now(self) -> None:
        """Rasterise what is due; `labels_changed` follows."""
        self._delay.stop()
        if self._rendering:
            return  # the next round starts when this one is through: work must not pile up
        due, self._due = self._due, {}
        for drawn in due.values():
            # The revision after which the engine knows everything: the one of this very snapshot.
            revision = drawn.document.revision
            self._told[drawn.entry.key] = (weakref.ref(drawn.document), revision)
            self._render(drawn)

    def when_sent(self, then: Callable[[], None]) -> None:
        """Call `then` as soon as everything drawn so far was sent: at once, or a few milliseconds later.

        After what is being read from disk as well.
        """
        if not self._due and not self._rendering and not self._reading:
            then()
            return
        self._waiting.append(then)
        self.send_now()

    def send_from_disk(self, entries: Iterable[ImageEntry]) -> None:
        """Images have appeared, or labels of images that are not open: send what the files say."""
        self._to_read.update((entry.key, entry) for entry in entries)
        if not self._reading:
            self._read_on()

    def forget(self, key: str) -> None:
        """The image is gone."""
        self._due.pop(key, None)
        self._to_read.pop(key, None)
        self._labelled.discard(key)
        self._told.pop(key, None)
        self._sent.pop(key, None)
        self._edits.pop(key, None)
        self._revision_of.pop(key, None)

    def classes_gone(self) -> None:
        """The engine reads all files anew: tell it again what was drawn while they were rewritten."""
        self._told.clear()
        self._sent.clear()
        current = self._session.current
        if current is not None and current.document is not None:
            self._note(current.entry, current.document, edited=False)

    def new_engine(self) -> None:
        """Another engine knows everything that was drawn: from the disk, or because it is told again."""
        self._edits.clear()

    def begin(self, statuses: StatusBoard | None) -> None:
        """Another project, or none: nothing of the last one is of interest."""
        self._delay.stop()
        self._due.clear()
        self._to_read.clear()
        self._labelled.clear()
        self._told.clear()
        self._sent.clear()
        self._edits.clear()
        self._revision_of.clear()
        if statuses is not None:
            statuses.annotations_changed.connect(self._on_annotations_changed)

    # --- inside -------------------------------------------------------------------------------------------

    def _on_document_changed(self, _change: object) -> None:
        current = self._session.current
        if current is not None and current.document is not None:
            self._note(current.entry, current.document, edited=True)

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        if self._due:
            self.send_now()
        document = None if current is None else current.document
        if current is None or document is None:
            return
        told = self._told.get(current.entry.key)
        if told is not None and told[0]() is document:
            return
        drawn = bool(document.shapes) or document.state is not AnnotationState.UNLABELLED
        if drawn or current.entry.key in self._labelled:
            # Another program may have drawn this since the engine read it from disk, or taken it away.
            self._note(current.entry, document, edited=False)

    def _on_statuses_changed(self, keys: tuple[str, ...]) -> None:
        board = self._session.statuses
        if board is not None:
            unlabelled = AnnotationState.UNLABELLED
            self._labelled.update(key for key in keys if board.get(key).state is not unlabelled)

    def _on_annotations_changed(self, keys: tuple[str, ...]) -> None:
        entries = [self._session.entry(key) for key in keys]
        self.send_from_disk(entry for entry in entries if entry is not None)

    def _note(self, entry: ImageEntry, document: AnnotationDocument, *, edited: bool) -> None:
        project = self._session.project
        if project is None:
            return
        due = self._due.get(entry.key)
        edited = edited or (due is not None and due.edited)
        self._due[entry.key] = _Drawn(project, entry, document, edited)
        if not self._delay.isActive():
            self._delay.start()

    def _on_labels_written(self, written: LabelsWritten) -> None:
        key = written.entry.key
        if key in self._due:
            return  # something newer is about to be sent
        told = self._told.get(key)
        if told is not None and told[0]() is not None and written.revision <= told[1]:
            return
        self._send(written.entry, written.state, written.packed)

    def _render(self, drawn: _Drawn) -> None:
        self._rendering += 1
        annotation, doing = drawn.document.snapshot(), f"drawing the mask of {drawn.entry.key}"
        task = self._worker.run(_render, drawn.project, drawn.entry, annotation, doing=doing)
        task.done.connect(partial(self._on_rendered, drawn, annotation.state))
        task.failed.connect(partial(self._on_not_rendered, drawn.entry.key))

    def _on_rendered(self, drawn: _Drawn, state: AnnotationState, labels: PackedLabels) -> None:
        if drawn.project is self._session.project:  # not when another was opened meanwhile
            self._send(drawn.entry, state, labels, edited=drawn.edited)
        self._one_rendered()

    def _read_on(self) -> None:
        """One task at a time: ten thousand images are not made into tasks all at once."""
        project = self._session.project
        portion = tuple(itertools.islice(self._to_read.values(), PORTION))
        if project is None or not portion:
            self._reading = False
            self._call_waiting()
            return
        self._reading = True
        for entry in portion:
            del self._to_read[entry.key]
        drawn = self._labelled.intersection(entry.key for entry in portion)
        doing = f"reading annotations from {portion[0].annotation_path} on"
        task = self._worker.run(_first_found, project, portion, drawn, doing=doing, priority=READ_PRIORITY)
        task.done.connect(partial(self._on_read, project))
        task.failed.connect(self._on_not_read)

    def _on_read(self, project: Project, found: _Found | None) -> None:
        if found is not None and project is self._session.project:
            self._send_found(found)
            rest = {entry.key: entry for entry in found.rest}
            self._to_read = rest | self._to_read
        self._read_on()

    def _send_found(self, found: _Found) -> None:
        key = found.entry.key
        told = self._told.get(key)
        is_open = key in self._due or (told is not None and told[0]() is not None)
        written_here = self._sent.get(key) == (found.state, found.labels.checksum)
        if not is_open and not written_here:
            self._send(found.entry, found.state, found.labels)

    def _on_not_rendered(self, key: str, sentence: str) -> None:
        # Saving meets the same problem and tells the person; once it is over, what was saved is sent.
        self._told.pop(key, None)
        log.warning("The engine does not learn of the newest labels: %s", sentence)
        self._one_rendered()

    def _on_not_read(self, _sentence: str) -> None:
        self._read_on()  # the log has it; the other images shall not suffer

    def _one_rendered(self) -> None:
        self._rendering -= 1
        if not self._rendering and self._due and not self._delay.isActive():
            self.send_now()
        self._call_waiting()

    def _call_waiting(self) -> None:
        if not self._rendering and not self._reading:
            waiting, self._waiting = self._waiting, []
            for then in waiting:
                then()

    def _send(
        self, entry: ImageEntry, state: AnnotationState, labels: PackedLabels, *, edited: bool = False
    ) -> None:
        revision = next(self._revisions)
        self._revision_of[entry.key] = revision
        sent = state, labels.checksum
        if edited and self._sent.get(entry.key) != sent:
            self._edits.setdefault(entry.key, []).append(revision)
        self._sent[entry.key] = sent
        self.labels_changed.emit(
            LabelsChanged(
                key=entry.key,
                image_path=str(entry.image_path),
                revision=revision,
                state=state,
                mask=labels.mask,
            )
        )


def _render(project: Project, entry: ImageEntry, annotation: Annotation) -> PackedLabels:
    return PackedLabels.of(project.drawn_mask(entry, annotation))


def _first_found(project: Project, entries: tuple[ImageEntry, ...], drawn: Set[str]) -> _Found | None:
    """Worker: the first of these images whose files say something; `drawn`: keys of those that did before."""
    for number, entry in enumerate(entries, 1):
        try:
            found = _read(project, entry, entry.key in drawn)
        except MaskloopError as problem:
            log.warning("The engine does not learn of labels on the disk: %s", problem)  # the list tells
            continue
        if found is not None:
            return _Found(entry, *found, rest=entries[number:])
    return None


def _read(project: Project, entry: ImageEntry, drawn: bool) -> tuple[AnnotationState, PackedLabels] | None:
    """Worker: what the files say; None where they say nothing and nothing was `drawn` before."""
    if not drawn and project.glance(entry) is None:
        return None
    annotation = project.load(entry).annotation
    if not drawn and not annotation.shapes and annotation.state is AnnotationState.UNLABELLED:
        return None
    return annotation.state, _render(project, entry, annotation)
