"""Opening projects off the GUI thread, one after the other: two at once would meet each other's lock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.session.opening import Opened, open_target
from app.workers.tasks import Task, TaskRunner


class ProjectOpener(QObject):
    """Belongs to a session. The latest request wins; one for what is being opened already changes nothing.

    Args:
        reader: opens beside what is open.
        open_root: folder of the project that is open now, None without one.

    Signals:
        opened(object Opened): what was asked for last.
        failed(object error, str sentence): the same, which cannot be opened.
        busy_changed(): see `busy`.
    """

    opened = Signal(object)
    failed = Signal(object, str)
    busy_changed = Signal()

    def __init__(
        self, reader: TaskRunner, open_root: Callable[[], Path | None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._reader = reader
        self._open_root = open_root
        self._wanted: Path | None = None
        self._task: Task | None = None

    @property
    def busy(self) -> str:
        """What is being done, "" for nothing."""
        return "" if self._wanted is None else f"opening {self._wanted.name or self._wanted}"

    def open(self, path: Path) -> None:
        """Open a folder, project.json, image or labelme JSON; returns at once."""
        under_way, self._wanted = self._wanted is not None, path.expanduser().absolute()
        if not under_way:
            self._begin()
        self.busy_changed.emit()

    def close(self) -> None:
        """Give back what was opened just before the reader was closed, and nobody heard of."""
        found = None if self._task is None else self._task.result
        if found is not None and found.project is not None:
            found.project.close()

    def _begin(self) -> None:
        path, root = self._wanted, self._open_root()
        assert path is not None
        self._task = task = self._reader.run(open_target, path, root, doing=f"opening {path}", reports=True)
        task.done.connect(partial(self._on_done, path, root))
        task.failed.connect(partial(self._on_failed, path, task))

    def _on_done(self, path: Path, root: Path | None, found: Opened) -> None:
        there = found.project is not None or root == self._open_root()  # else it was closed meanwhile
        if not there or path != self._wanted:
            if found.project is not None:
                found.project.close()
            self._begin()
            return
        self._end()
        self.opened.emit(found)

    def _on_failed(self, path: Path, task: Task, sentence: str) -> None:
        if path != self._wanted:
            self._begin()
            return
        self._end()
        self.failed.emit(task.error, sentence)

    def _end(self) -> None:
        self._wanted = self._task = None
        self.busy_changed.emit()
