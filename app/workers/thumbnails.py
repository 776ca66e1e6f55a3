"""Thumbnails of the images in view, made in workers and kept in the project's private folder."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage

from app.qt_pixels import paintable
from app.workers.tasks import Task, TaskRunner
from core.errors import ImageFileError
from core.files import digest
from core.images.pages import image_file
from core.images.pyramid import PYRAMIDS, huge_thumbnail, is_huge
from core.images.reader import thumbnail

if TYPE_CHECKING:
    from core.project.project import ImageEntry

SIDE_PX: Final = 128
"""Longer side: enough for a row at twice the pixel density."""
MAX_WAITING: Final = 60
"""Rows that were scrolled past need no thumbnail any more."""
REST_MS: Final = 30
"""While the list is being scrolled nothing is made."""


class ThumbnailLoader(QObject):
    """Makes thumbnails one by one, the latest request first.

    Requests come while a list is painted, so taking one must cost nothing: they wait in the GUI thread, and
    the worker gets the next when it is through with the last. A second worker goes on while the first is
    still at an image of a project that was closed.
    """

    ready = Signal(str, object)  # key, QImage
    failed = Signal(str, str)  # key, sentence

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cache: Path | None = None
        self._runner = TaskRunner(2, self)
        self._waiting: OrderedDict[str, ImageEntry] = OrderedDict()
        self._making: str | None = None
        self._task: Task | None = None
        self._timer = QTimer(self, singleShot=True, interval=REST_MS)
        self._timer.timeout.connect(self._start_next)

    def begin(self, cache: Path | None) -> None:
        """Another project, whose thumbnails are kept in this folder, or none: forget what was asked for.

        Does not wait for what is being made; nothing comes of it.
        """
        self._timer.stop()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._making = self._task = None
        self._cache = cache

    def request(self, entry: ImageEntry) -> None:
        """Ask for one thumbnail; `ready` or `failed` follows, unless too many later ones were asked for."""
        if self._cache is None or entry.key == self._making:
            return
        self._waiting[entry.key] = entry
        self._waiting.move_to_end(entry.key)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        if self._making is None and not self._timer.isActive():
            self._timer.start()

    @property
    def busy(self) -> bool:
        """Something is asked for and not made yet."""
        return bool(self._waiting) or self._making is not None

    def close(self) -> None:
        """End the workers."""
        self.begin(None)
        self._runner.close()

    def _start_next(self) -> None:
        self._making = self._task = None
        if not self._waiting or self._cache is None:
            return
        key, entry = self._waiting.popitem()
        self._making = key
        doing = f"reading {entry.image_path}"
        self._task = self._runner.run(load_thumbnail, entry.image_path, self._cache, doing=doing)
        self._task.done.connect(partial(self._on_done, key))
        self._task.failed.connect(partial(self._on_failed, key))

    def _on_done(self, key: str, image: QImage) -> None:
        self._start_next()
        self.ready.emit(key, image)

    def _on_failed(self, key: str, sentence: str) -> None:
        self._start_next()
        self.failed.emit(key, sentence)


def load_thumbnail(path: Path, cache: Path) -> QImage:
    """Worker: the thumbnail of an image, from the cache when the image is still the same.

    Raises:
        ImageFileError: the image cannot be read.
    """
    try:
        status = image_file(path).stat()
    except OSError as error:
        raise ImageFileError(
            path, "the image was moved or deleted; put it back or remove its entry"
        ) from error
    name = digest(f"{path}|{status.st_mtime_ns}|{status.st_size}|{SIDE_PX}".encode())[:32]
    kept = cache / f"{name}.jpg"
    image = QImage(str(kept)) if kept.is_file() else QImage()
    if not image.isNull():
        return image
    if is_huge(path):
        image = paintable(huge_thumbnail(path, SIDE_PX, cache.parent / PYRAMIDS))
    else:
        image = paintable(thumbnail(path, SIDE_PX))
    _keep(image, kept)
    return image


def _keep(image: QImage, kept: Path) -> None:
    """Write to the cache; without an fsync, for a lost thumbnail is made again. A full disk is no matter."""
    temporary = kept.with_suffix(f".{os.getpid()}.jpg")
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        if image.save(str(temporary), quality=88):
            temporary.replace(kept)
        else:
            temporary.unlink(missing_ok=True)
