"""Notices what others do to the project's files: labelme saves, images come and go.

Notifications are only hints (our own saves cause them too): the session compares digests and names. Where the
system gives no notifications (network drives), `check` is called when the window comes to the front.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

from core.files import carry_on
from core.images.reader import IMAGE_SUFFIXES
from core.project.layout import ProjectLayout

SETTLE_MS: Final = 300
"""Editors write in several steps; look once they are through."""
MAX_FOLDERS: Final = 400
"""inotify watches are few (8192 for all programs of a user on some systems)."""


def may_be_image(name: str) -> bool:
    """Whether a file of this name, or path, is one of an image."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def image_names(folders: tuple[Path, ...], check: Callable[[], None] = carry_on) -> frozenset[str]:
    """Worker: the paths of all image files directly in these folders, and of their subfolders.

    `check` is called between two entries, and may raise to end it.
    """
    names: set[str] = set()
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                check()
                if may_be_image(entry.name) or (entry.is_dir() and entry.name not in ProjectLayout.SKIPPED):
                    names.add(entry.path)
    return frozenset(names)


class ProjectWatcher(QObject):
    """Watches the image folders and the current annotation file."""

    annotation_touched = Signal()
    folders_touched = Signal()

    def __init__(self, parent: QObject | None = None, *, settle_ms: int = SETTLE_MS) -> None:
        super().__init__(parent)
        self._files = QFileSystemWatcher(self)
        self._files.fileChanged.connect(self._on_file_changed)
        self._files.directoryChanged.connect(self._on_folder_changed)
        self._annotation: Path | None = None
        self.folders: tuple[Path, ...] = ()
        self._file_timer = QTimer(self, singleShot=True, interval=settle_ms)
        self._file_timer.timeout.connect(self._on_file_settled)
        self._folder_timer = QTimer(self, singleShot=True, interval=settle_ms)
        self._folder_timer.timeout.connect(self.folders_touched)

    def watch_folders(self, folders: Iterable[Path]) -> None:
        """Watch these folders instead of those before."""
        self.folders = tuple(folders)
        wanted = {str(folder) for folder in self.folders[:MAX_FOLDERS] if folder.is_dir()}
        before = set(self._files.directories())
        if gone := before - wanted:
            self._files.removePaths(list(gone))
        if new := wanted - before:
            self._files.addPaths(list(new))

    def watch_annotation(self, path: Path | None) -> None:
        """Watch this annotation file instead of the one before; it need not exist yet."""
        if watched := self._files.files():
            self._files.removePaths(watched)
        self._annotation = path
        if path is not None and path.is_file():
            self._files.addPath(str(path))

    def check(self) -> None:
        """Look now, whether or not the system told us anything."""
        self._on_file_settled()
        self._folder_timer.start()

    def _on_file_changed(self, _path: str) -> None:
        self._file_timer.start()

    def _on_folder_changed(self, _path: str) -> None:
        # A file that is replaced, or appears, is a change of its folder first.
        self._file_timer.start()
        self._folder_timer.start()

    def _on_file_settled(self) -> None:
        if self._annotation is None:
            return
        self.watch_annotation(self._annotation)  # a replaced file is a new one: watch that
        self.annotation_touched.emit()
