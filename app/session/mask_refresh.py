"""Bringing new colours of classes into the palettes of all masks, behind everything else.

::

    a colour changes -> a mark on disk -> the masks, one after the other -> the mark goes

Where the project is closed in between, the masks that are older than the mark follow at its next opening.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject

from app.workers.tasks import TaskRunner
from core.errors import StorageError
from core.files import write_atomic

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

MASKS_PRIORITY: Final = -20
DOING: Final = "bringing the colours into the masks"


class MaskRefresh(QObject):
    """Writes masks anew, one at a time: nothing has to wait for more than one. Lives in the GUI thread."""

    def __init__(self, project: Project, worker: TaskRunner, parent: QObject) -> None:
        super().__init__(parent)
        self._project = project
        self._worker = worker
        self._waiting: dict[str, ImageEntry] = {}
        self._running = False

    def begin(self, entries: Iterable[ImageEntry]) -> None:
        """Write the masks of these images, after those that wait already."""
        self._waiting.update({entry.key: entry for entry in entries})
        if not self._running:
            self._go_on()

    def resume(self, entries: Iterable[ImageEntry]) -> None:
        """Write those that were not written when the project was open before."""
        task = self._worker.run(
            left_over, self._project, tuple(entries), doing=DOING, priority=MASKS_PRIORITY
        )
        task.done.connect(self.begin)

    def _go_on(self) -> None:
        self._running = bool(self._waiting)
        if not self._waiting:
            return
        entry = self._waiting.pop(next(iter(self._waiting)))
        task = self._worker.run(
            refresh, self._project, entry, not self._waiting, doing=DOING, priority=MASKS_PRIORITY
        )
        task.done.connect(self._go_on)
        task.failed.connect(self._go_on)  # the log has it; the other masks shall not suffer


def note_recolored(project: Project) -> None:
    """Worker: all masks there are have old colours now. A mark that cannot be written is no matter."""
    with contextlib.suppress(StorageError):
        write_atomic(project.layout.recolored, b"", durable=False)


def left_over(project: Project, entries: tuple[ImageEntry, ...]) -> list[ImageEntry]:
    """Worker: the images whose masks have old colours."""
    try:
        recolored_ns = project.layout.recolored.stat().st_mtime_ns
    except OSError:
        return []
    found: list[ImageEntry] = []
    for entry in entries:
        with contextlib.suppress(OSError):
            if entry.mask_path.stat().st_mtime_ns <= recolored_ns:
                found.append(entry)
    return found


def refresh(project: Project, entry: ImageEntry, last: bool) -> None:
    """Worker: write one mask anew; after the `last` one no mask has old colours any more."""
    project.refresh_masks((entry,))
    if last:
        with contextlib.suppress(OSError):
            project.layout.recolored.unlink(missing_ok=True)
