"""How far each image is, for the list: state, number of shapes, what is wrong with it.

Reading thousands of annotations takes a while, so it happens in a worker, in small portions, and arrives as
it goes; what is edited in the window is known at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from app.session.image_loading import Stamp, stamp_of, vanished
from app.workers.tasks import TaskRunner
from core.annotation.document import AnnotationDocument
from core.annotation.model import AnnotationState
from core.errors import FileProblem, ImageFileError
from core.images.reader import image_size
from core.project.annotation_store import require_size
from core.project.mask_store import is_outdated

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

PORTION: Final = 64
SCAN_PRIORITY: Final = -10


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """State, number of shapes, and a sentence when the image cannot be used."""

    state: AnnotationState = AnnotationState.UNLABELLED
    shapes: int = 0
    problem: str = ""


_UNKNOWN: Final = ImageStatus()


def status_of(document: AnnotationDocument) -> ImageStatus:
    """The status of a document that is open. Nothing drawn on an image in progress says nothing yet."""
    return _status(document.state, len(document))


def _status(state: AnnotationState, shapes: int) -> ImageStatus:
    if state is not AnnotationState.DONE:
        state = AnnotationState.IN_PROGRESS if shapes else AnnotationState.UNLABELLED
    return ImageStatus(state, shapes)


@dataclass(frozen=True, slots=True)
class Problem:
    """One file that cannot be used: a sentence, and the image to look at, if it is about one."""

    key: str | None
    text: str


@dataclass(frozen=True, slots=True)
class StatusesRead:
    """What was read.

    Attributes:
        statuses: of each image, by its key.
        foreign: keys of those whose annotation another program has written.
        replaced: keys of those whose image is another file than when it was looked at last.
        outdated: keys of those whose annotation is new to us and was written after its mask.
    """

    statuses: dict[str, ImageStatus]
    foreign: tuple[str, ...]
    replaced: tuple[str, ...]
    outdated: tuple[str, ...]


class StatusReader:
    """Reads statuses in a worker; which images are sound is remembered until their files change."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._images: dict[str, Stamp | None] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._annotations: dict[str, Stamp | None] = {}

    def read(self, entries: tuple[ImageEntry, ...], ours: bool = False) -> StatusesRead:
        """Worker: the status of each image from its annotation file and the image's own header.

        Args:
            entries: the images.
            ours: what has changed in these files since they were read last was written here.
        """
        new = {entry.key for entry in entries if entry.key not in self._annotations}
        changed = tuple(entry.key for entry in entries if self._has_changed(entry))
        replaced = tuple(entry.key for entry in entries if self._is_replaced(entry))
        statuses = {entry.key: self._read(entry) for entry in entries}
        if ours:
            return StatusesRead(statuses, (), replaced, ())
        new.update(changed)
        outdated = tuple(entry.key for entry in entries if entry.key in new and is_outdated(entry))
        return StatusesRead(statuses, changed, replaced, outdated)

    def _is_replaced(self, entry: ImageEntry) -> bool:
        """Whether the image is another file than when it was looked at last: its size is to be read again."""
        stamp = stamp_of(entry.image_path)
        replaced = stamp != self._images.get(entry.key)
        if replaced:
            self._images[entry.key] = stamp
            self._sizes.pop(entry.key, None)
        return replaced

    def _has_changed(self, entry: ImageEntry) -> bool:
        """Whether the annotation is another file than when it was looked at last."""
        stamp = stamp_of(entry.annotation_path)
        if stamp is None and entry.source_path is not None:
            stamp = stamp_of(entry.source_path)
        known = entry.key in self._annotations
        before, self._annotations[entry.key] = self._annotations.get(entry.key), stamp
        return known and stamp != before

    def _read(self, entry: ImageEntry) -> ImageStatus:
        try:
            size_hw = self._size_of(entry)
            glance = self._project.glance(entry)
            if glance is None:
                return ImageStatus()
            if glance.problem is not None:
                raise glance.problem
            require_size(entry, glance.size_hw, size_hw)
        except FileProblem as problem:
            return ImageStatus(problem=str(problem))
        return _status(glance.state, sum(glance.labels.values()))

    def _size_of(self, entry: ImageEntry) -> tuple[int, int]:
        """Height and width. Raises ImageFileError."""
        if self._images.get(entry.key) is None:
            raise ImageFileError(entry.image_path, vanished(entry).partition(": ")[2])
        if entry.key not in self._sizes:
            self._sizes[entry.key] = image_size(entry.image_path)
        return self._sizes[entry.key]


class StatusBoard(QObject):
    """The status of every image of one project."""

    changed = Signal(object)  # tuple of keys
    annotations_changed = Signal(object)  # tuple of keys whose annotations were written, perhaps by others
    masks_outdated = Signal(object)  # tuple of keys whose annotations were written after their masks
    scanned = Signal()  # all that was asked for has been read

    def __init__(self, project: Project, worker: TaskRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader = StatusReader(project)
        self._worker = worker
        self._waiting: dict[str, tuple[ImageEntry, bool]] = {}
        self._reading = False
        self._statuses: dict[str, ImageStatus] = {}
        self._image_problems: dict[str, str] = {}
        self._live: set[str] = set()

    def get(self, key: str) -> ImageStatus:
        """What is known of an image now."""
        status = self._statuses.get(key, _UNKNOWN)  # asked for ten thousand images at a time
        if status.problem or key not in self._image_problems:
            return status
        return replace(status, problem=self._image_problems[key])

    def scan(self, entries: Iterable[ImageEntry], *, ours: bool = False, first: Iterable[str] = ()) -> None:
        """Read these images' annotations; one that waits already is read once, in its place.

        Args:
            entries: the images.
            ours: all that is new in them is from here.
            first: keys of those that go before all that wait.
        """
        asked: dict[str, tuple[ImageEntry, bool]] = {}
        for entry in entries:
            _, only_ours = self._waiting.get(entry.key, (entry, True))
            asked[entry.key] = entry, ours and only_ours
        if self._live:
            self._live.difference_update(asked)
        ahead = {key: asked[key] for key in first if key in asked}
        self._waiting = ahead | self._waiting | asked
        if not self._reading:
            self._read_on()

    def _read_on(self) -> None:
        """One portion at a time: ten thousand images are not made into tasks all at once."""
        self._reading = bool(self._waiting)
        if not self._waiting:
            self.scanned.emit()
            return
        ours = next(iter(self._waiting.values()))[1]
        waiting = islice(self._waiting.values(), PORTION)
        portion = tuple(entry for entry, _ in takewhile(lambda each: each[1] is ours, waiting))
        for entry in portion:
            del self._waiting[entry.key]
        task = self._worker.run(
            self._reader.read, portion, ours, doing="reading annotations", priority=SCAN_PRIORITY
        )
        task.done.connect(self._on_read)
        task.failed.connect(self._on_read_failed)

    def look_again(self, entries: Mapping[str, ImageEntry]) -> None:
        """Read some of the images that cannot be used once more: one may have been copied whole meanwhile."""
        broken = [entries[each.key] for each in self.problems(entries) if each.key is not None]
        if broken:
            self.scan(broken[:PORTION])

    def problems(self, keys: Iterable[str]) -> Sequence[Problem]:
        """The images among these that cannot be used."""
        broken = {key for key, status in self._statuses.items() if status.problem}
        found = broken | self._image_problems.keys()
        return [Problem(key, text) for key in keys if key in found and (text := self.get(key).problem)]

    def set_live(self, key: str, status: ImageStatus) -> None:
        """The image is open: this is newer than any file."""
        self._live.add(key)
        self._image_problems.pop(key, None)
        if self._statuses.get(key) != status:
            self._statuses[key] = status
            self.changed.emit((key,))

    def set_image_problem(self, key: str, sentence: str) -> None:
        """The image itself cannot be read (its thumbnail showed)."""
        if self._image_problems.get(key) != sentence:
            self._image_problems[key] = sentence
            self.changed.emit((key,))

    def _on_read(self, found: StatusesRead) -> None:
        for key in found.replaced:  # a copy may be whole now; else its thumbnail shows that again
            self._image_problems.pop(key, None)
        fresh = {key: status for key, status in found.statuses.items() if key not in self._live}
        self._statuses.update(fresh)
        if fresh:
            self.changed.emit(tuple(fresh))
        if foreign := tuple(key for key in found.foreign if key not in self._live):
            self.annotations_changed.emit(foreign)
        if found.outdated:
            self.masks_outdated.emit(found.outdated)
        self._read_on()

    def _on_read_failed(self, _sentence: str) -> None:
        self._read_on()  # the log has it; the other images shall not suffer
