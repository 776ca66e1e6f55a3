"""Drawing masks anew behind everything else: new colours of classes, annotations of other programs.

::

    a colour changes -> a mark on disk -> the masks, one after the other -> the mark goes

Where the project is closed in between, or a mask cannot be written, the mark stays, and the masks that are
older than it follow at the next opening. What stands in the way of a mask is told once as long as the project
is open.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from app.workers.tasks import TaskRunner
from core.errors import StorageError
from core.files import write_atomic

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Project

MASKS_PRIORITY: Final = -20
DOING: Final = "drawing masks anew"

_log = logging.getLogger(__name__)


class MaskRefresh(QObject):
    """Writes masks anew, one at a time: nothing has to wait for more than one. Lives in the GUI thread.

    Signals:
        finished(): no mask waits, and none could not be written.
        message(str text, str level): why some could not be.
    """

    finished = Signal()
    message = Signal(str, str)

    def __init__(self, project: Project, worker: TaskRunner, parent: QObject) -> None:
        super().__init__(parent)
        self._project = project
        self._worker = worker
        self._waiting: dict[str, ImageEntry] = {}
        self._failed: dict[str, str] = {}
        self._told: set[str] = set()
        self._running = False

    def begin(self, entries: Iterable[ImageEntry]) -> None:
        """Write the masks of these images, after those that wait already."""
        self._waiting.update({entry.key: entry for entry in entries})
        for key in self._waiting:
            self._failed.pop(key, None)
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
        if self._waiting:
            entry = self._waiting.pop(next(iter(self._waiting)))
            task = self._worker.run(refresh, self._project, entry, doing=DOING, priority=MASKS_PRIORITY)
            task.done.connect(partial(self._on_refreshed, entry.key))
            task.failed.connect(partial(self._on_failed, entry.key))
        elif self._failed:
            self._tell()
        else:
            self.finished.emit()

    def _tell(self) -> None:
        problems = [problem for problem in self._failed.values() if problem not in self._told]
        self._told.update(problems)
        if len(problems) == 1:
            self.message.emit(f"A mask is not up to date: {problems[0]}", "warning")
        elif problems:
            text = f"{len(problems)} masks are not up to date (the log has all of them): {problems[0]}"
            self.message.emit(text, "warning")

    def _on_refreshed(self, key: str, problem: str) -> None:
        if problem:
            self._failed[key] = problem
        self._go_on()

    def _on_failed(self, key: str, sentence: str) -> None:
        self._failed[key] = sentence  # the other masks shall not suffer
        self._go_on()


def note_recolored(project: Project) -> None:
    """Worker: all masks there are have old colours now. A mark that cannot be written is no matter."""
    with contextlib.suppress(StorageError):
        write_atomic(project.layout.recolored, b"", durable=False)


def forget_recolored(project: Project) -> None:
    """Worker: no mask has old colours any more. A mark that stays is no matter: nothing is older than it."""
    with contextlib.suppress(OSError):
        project.layout.recolored.unlink(missing_ok=True)


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


def refresh(project: Project, entry: ImageEntry) -> str:
    """Worker: write one mask anew, if there is one; returns why it could not be written, "" if it was."""
    problems = project.refresh_masks((entry,))
    for problem in problems:
        _log.warning("a mask is not drawn anew for now: %s", problem)
    return str(problems[0]) if problems else ""
