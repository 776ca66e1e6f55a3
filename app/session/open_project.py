"""Everything that lives as long as one project is open: its worker, autosaver, documents, watcher, classes.

The worker is one thread for all that writes or must stay in order (JSON, masks, class changes, rescans), so a
class change never races a save. The session shows one image of it at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.session.class_changes import CHANGE_PRIORITY, ClassChanges
from app.session.conflicts import ConflictChoice
from app.session.foreign_changes import ForeignChanges
from app.session.image_loading import ImageCache, LoadedImage, load_image, prefetch_image, vanished
from app.session.image_status import Problem, StatusBoard, status_of
from app.session.mask_refresh import MaskRefresh
from app.session.open_documents import OpenDocuments
from app.session.state import CurrentImage
from app.session.watching import ProjectWatcher, image_names, may_be_image
from app.workers.autosaver import Autosaver
from app.workers.edit_log import EditLog
from app.workers.tasks import Task, TaskRunner
from core.annotation.document import Change
from core.annotation.model import ClassList
from core.images.pages import image_file

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project, ScanChange

SCAN_PRIORITY = 0
RESCAN_EVERY_S = 20.0
"""Between two rescans because the window came to the front."""


class OpenProject(QObject):
    """One open project and its workers. Lives in the GUI thread; `close` it, then `deleteLater`.

    Signals:
        document_changed(str key, object tuple of Change): any open document changed; one edit, one signal.
        document_reloaded(str key): it was read again from disk; its history is empty.
        images_changed(object ScanChange): images appeared or vanished.
        classes_changed(): see `classes`.
        problems_found(object tuple of Problem): files that cannot be used and were not told before.
    """

    document_changed = Signal(str, object)
    document_reloaded = Signal(str)
    images_changed = Signal(object)
    classes_changed = Signal()
    problems_found = Signal(object)
    message = Signal(str, str)

    def __init__(self, project: Project, reader: TaskRunner) -> None:
        super().__init__()
        self.project = project
        self.worker = TaskRunner(1, self)
        self._edits = EditLog(project.layout.edits, self) if project.writable else None
        self.autosaver = Autosaver(project, self.worker, self, edits=self._edits)
        self.board = StatusBoard(project, self.worker, self)
        self.documents = OpenDocuments(self._on_document_changed)
        self._masks = MaskRefresh(project, self.worker, self)
        self._masks.message.connect(self.message)
        self.class_changes = ClassChanges(
            project, self.documents, self.autosaver, self.worker, self._masks, self
        )
        self.class_changes.changed.connect(self._on_classes_changed)
        self.class_changes.message.connect(self.message)
        self.classes: ClassList = project.classes
        self.entries: dict[str, ImageEntry] = {}
        self._reader = reader
        self._images = ImageCache()
        self._prefetching: str | None = None
        self._rescanning = False
        self._then: Callable[[], None] | None = None
        self._rescanned_at = time.monotonic()
        self._names: frozenset[str] | None = None
        self._notes_told = 0
        self._problems_told: set[Problem] = set()
        self._closed = False
        self._foreign = ForeignChanges(
            project,
            self.documents,
            self.autosaver,
            self._entry_of,
            worker=self.worker,
            reader=reader,
            parent=self,
        )
        self._foreign.document_reloaded.connect(self.document_reloaded)
        self._foreign.labels_met.connect(self._take_classes)
        self._foreign.message.connect(self.message)
        self._watcher = ProjectWatcher(self)
        self._watcher.annotation_touched.connect(self._foreign.look)
        self._watcher.folders_touched.connect(self._on_folders_touched)
        self._take_entries()
        self.board.scanned.connect(self._on_scanned)
        self.board.masks_outdated.connect(self._refresh_masks)
        # When the window stands: what a worker does in Python is taken from its first paint.
        QTimer.singleShot(0, self, self._on_shown)
        self._on_folders_touched()

    def new_notes(self) -> list[str]:
        """What the project has to say and was not asked for yet."""
        notes = self.project.notes[self._notes_told :]
        self._notes_told = len(self.project.notes)
        return notes

    def problems(self) -> tuple[Problem, ...]:
        """Files that cannot be used: what the last scan passed over, then images in their order."""
        images = self.board.problems(self.entries)
        known = {problem.text for problem in images}
        passed_over = [Problem(None, str(p)) for p in self.project.problems if str(p) not in known]
        return (*passed_over, *images)

    def _on_shown(self) -> None:
        if not self._closed:
            self.board.scan(self._unopened())
            if self.project.writable:
                self._masks.resume(self.entries.values())

    def _refresh_masks(self, keys: Iterable[str]) -> None:
        """Masks are older than what another program has drawn: they follow at leisure."""
        if self.project.writable and not self._closed:
            self._masks.begin(self.entries[key] for key in keys if key in self.entries)

    def _unopened(self) -> Iterator[ImageEntry]:
        """The images whose documents are not in memory."""
        opened = {each.entry.key for each in self.documents}
        return (entry for key, entry in self.entries.items() if key not in opened)

    def _on_scanned(self) -> None:
        problems = self.problems()
        new = tuple(problem for problem in problems if problem not in self._problems_told)
        self._problems_told = set(problems)  # what is mended and breaks again is told again
        if new and not self._closed:
            self.problems_found.emit(new)

    def close(self, *, discard: bool = False) -> bool:
        """Save everything, wait for it, give the project back.

        Returns:
            False when something could not be saved: the project stays open then, unless `discard` gives
            that up.
        """
        if not self.autosaver.flush() and not discard:
            return False
        self._closed = True
        self._foreign.close()
        self._watcher.watch_annotation(None)
        self._watcher.watch_folders(())
        self.worker.close()
        if discard:
            self.autosaver.give_up()
        if self._edits is not None:
            self._edits.close()
        for opened in self.documents:
            self.autosaver.forget(opened.entry.key)
        self.documents.clear()
        self.project.close()
        return True

    def key_of(self, image_path: Path) -> str | None:
        """The key of the image at this path, None when the project does not have it.

        A path through links is found by its folder: following those of every image takes half a second.
        """
        keys = {entry.image_path: key for key, entry in self.entries.items()}
        if image_path in keys:
            return keys[image_path]
        here = image_path.parent.resolve()
        same = (
            folder / image_path.name for folder in self.project.image_folders() if folder.resolve() == here
        )
        return next((keys[path] for path in same if path in keys), None)

    def _entry_of(self, key: str) -> ImageEntry | None:
        return self.entries.get(key)

    # --- images and their documents -----------------------------------------------------------------------

    def load(self, key: str) -> Task:
        """Read what is new of an image; hand the task's `LoadedImage` to `take`."""
        entry = self.entries[key]
        cached = self._images.get(key)
        opened = self.documents.get(key)
        return self._reader.run(
            load_image,
            self.project,
            entry,
            None if cached is None else cached[0],
            None if opened is None else (self.autosaver.digest_of(key),),
            # What is not saved yet must not be replaced; saving it will notice a foreign change.
            opened is None or self.autosaver.is_settled(key),
            doing=f"reading {entry.image_path}",
            priority=10,
        )

    def take(self, found: LoadedImage) -> CurrentImage:
        """Turn what was read into something to show and edit, or into the reason why not."""
        self._take_classes()
        entry = found.entry
        if found.problem:
            return self._unusable(entry, found.problem)
        if found.image is not None:
            assert found.stamp is not None
            self._images.put(entry.key, found.stamp, found.image)
        if found.pyramid is not None:
            self._images.drop(entry.key)  # it may have been small before
            image, size_hw = None, found.pyramid.size_hw
        else:
            cached = self._images.get(entry.key)
            assert cached is not None
            image = cached[1]
            size_hw = image.height(), image.width()
        opened = self.documents.get(entry.key)
        if opened is None:
            assert found.loaded is not None
            opened = self.documents.open(entry, found.loaded.annotation, size_hw)
            self.autosaver.track(entry, opened.document, found.loaded.digest)
            if found.mask_outdated:
                self._refresh_masks([entry.key])
        elif opened.document.snapshot().size_hw != size_hw:
            return self._unusable(
                entry,
                f"{entry.image_path}: the image was replaced by one of another size while its annotation was "
                "open; put the old image back, or close the project and open it again",
            )
        elif found.loaded is not None:
            self._foreign.take(entry, found.loaded)
        self.board.set_live(entry.key, status_of(opened.document))
        for key in self.documents.droppable(keep=entry.key):
            if self.autosaver.is_settled(key):
                self.autosaver.forget(key)
                self.documents.drop(key)
        return CurrentImage(entry, image, opened.document, opened.history, pyramid=found.pyramid)

    def _unusable(self, entry: ImageEntry, problem: str) -> CurrentImage:
        self._images.drop(entry.key)
        self.board.set_image_problem(entry.key, problem)
        return CurrentImage(entry, problem=problem)

    def prefetch(self, key: str | None) -> None:
        """Decode an image that will probably be asked for next."""
        if key is None or key == self._prefetching or key not in self.entries or self._images.get(key):
            return
        self._prefetching = key
        entry = self.entries[key]
        task = self._reader.run(prefetch_image, entry, doing=f"reading {entry.image_path}", priority=-5)
        task.done.connect(self._on_prefetched)

    def _on_prefetched(self, found: LoadedImage) -> None:
        self._prefetching = None
        if found.image is not None and found.stamp is not None and not self._closed:
            self._images.put(found.entry.key, found.stamp, found.image)

    def watch(self, key: str | None) -> None:
        """Notice when another program changes the annotation of this image."""
        entry = None if key is None else self.entries.get(key)
        self._foreign.watched = key
        self._watcher.watch_annotation(None if entry is None else entry.annotation_path)

    def check_disk(self) -> None:
        """Look now for what other programs did (the window came to the front)."""
        self._watcher.check()
        if time.monotonic() - self._rescanned_at > RESCAN_EVERY_S:
            self.rescan()

    def _on_document_changed(self, key: str, changes: Sequence[Change]) -> None:
        opened = self.documents.get(key)
        if opened is not None and any(c.kind in ("inserted", "removed", "state", "reset") for c in changes):
            self.board.set_live(key, status_of(opened.document))
        self.document_changed.emit(key, tuple(changes))

    def resolve_conflict(self, key: str, choice: ConflictChoice) -> None:
        """Do what the person chose about a file that another program changed."""
        self._foreign.resolve(key, choice)

    # --- images come and go -------------------------------------------------------------------------------

    def _on_folders_touched(self) -> None:
        """Our own saves touch folders, too, and rescanning ten thousand images takes a second: look first."""
        if not self._may_look(self._then or self._on_folders_touched):
            return
        task = self.worker.run(
            image_names,
            self._watcher.folders,
            doing="looking for images",
            priority=SCAN_PRIORITY,
            checks=True,
        )
        task.done.connect(self._on_names)
        task.failed.connect(self._on_worker_failed)

    def _may_look(self, look: Callable[[], None]) -> bool:
        """Whether nothing looks just now; else `look` follows, for what comes meanwhile may not be seen."""
        if self._rescanning:
            self._then = look
        if self._rescanning or self._closed:
            return False
        self._rescanning = True
        return True

    def _on_looked(self) -> None:
        self._rescanning = False
        then, self._then = self._then, None
        if then is not None:
            then()

    def _on_names(self, names: frozenset[str]) -> None:
        if self._names is None:  # whatever came since the opening listed the images is none of these
            listed = {str(image_file(entry.image_path)) for entry in self.entries.values()}
            changed = not listed >= set(filter(may_be_image, names))
        else:
            changed = names != self._names
        if changed:
            self._then = self.rescan
        else:
            self.board.look_again(self.entries)
        self._names = names
        self._on_looked()

    def rescan(self) -> None:
        """Look for images that appeared or vanished, and for what other programs did to annotations."""
        if not self._may_look(self.rescan):
            return
        self._rescanned_at = time.monotonic()
        task = self.worker.run(
            self.project.rescan,
            doing=f"looking for images in {self.project.root}",
            priority=SCAN_PRIORITY,
            checks=True,
        )
        task.done.connect(self._on_rescanned)
        task.failed.connect(self._on_worker_failed)

    def _on_worker_failed(self, sentence: str) -> None:
        self.message.emit(sentence, "warning")
        self._on_looked()

    def _on_rescanned(self, change: ScanChange) -> None:
        self._take_images(change)
        self._on_looked()

    def _take_images(self, change: ScanChange) -> None:
        if self._closed:
            return
        self._take_entries()
        for key in change.removed:
            self._images.drop(key)
        self.board.scan(self._unopened(), first=change.added)
        self._foreign.look_at_all()
        self._take_classes()
        if change:
            self.images_changed.emit(change)

    def _take_classes(self) -> None:
        """Labels of other programs may be classes now: that is known before documents that have them.

        A class change under way tells by itself, once what is open has followed.
        """
        if self._closed or self.class_changes.busy:
            return
        if self.project.classes != self.classes:
            self.classes = self.project.classes
            self.classes_changed.emit()
        for note in self.new_notes():
            self.message.emit(note, "info")

    def _take_entries(self) -> None:
        self.entries = {entry.key: entry for entry in self.project.images()}
        self._watcher.watch_folders(self.project.image_folders())

    def add_image_folder(self, folder: Path) -> None:
        """Take another folder of images into the project."""
        task = self.worker.run(
            self.project.add_image_root, folder, doing=f"adding {folder}", priority=CHANGE_PRIORITY
        )
        task.done.connect(self._take_images)
        task.failed.connect(lambda sentence: self.message.emit(sentence, "warning"))

    def _on_classes_changed(self) -> None:
        self.classes = self.project.classes
        self.board.scan(self._unopened(), ours=True)
        self.classes_changed.emit()


def vanished_image(entry: ImageEntry) -> CurrentImage:
    """What is shown in place of an image that was moved or deleted."""
    return CurrentImage(entry, problem=vanished(entry))
