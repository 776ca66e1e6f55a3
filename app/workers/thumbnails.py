"""Thumbnails of the images in view, made in workers and kept in the project's private folder."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from app.workers.tasks import Task, TaskRunner
from core.errors import ImageFileError
from core.files import digest
from core.images.reader import thumbnail

if TYPE_CHECKING:
    from core.project.project import ImageEntry

SIDE_PX: Final = 128
"""Longer side: enough for a row at twice the pixel density."""
MAX_WAITING: Final = 120
"""Rows that were scrolled past need no thumbnail any more."""


class ThumbnailLoader(QObject):
    """Makes thumbnails, the latest request first."""

    ready = Signal(str, object)  # key, QImage
    failed = Signal(str, str)  # key, sentence

    def __init__(self, cache: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cache = cache
        self._runner = TaskRunner(1, self)
        self._serial = 0
        self._waiting: OrderedDict[str, Task] = OrderedDict()

    def request(self, entry: ImageEntry) -> None:
        """Ask for one thumbnail; `ready` or `failed` follows, unless too many later ones were asked for."""
        key = entry.key
        if key in self._waiting:
            return
        self._serial += 1
        task = self._runner.run(
            load_thumbnail,
            entry.image_path,
            self._cache,
            doing=f"reading {entry.image_path}",
            priority=self._serial,
        )
        self._waiting[key] = task
        task.done.connect(partial(self._on_done, key))
        task.failed.connect(partial(self._on_failed, key))
        while len(self._waiting) > MAX_WAITING:
            _, oldest = self._waiting.popitem(last=False)
            oldest.cancel()

    def close(self) -> None:
        """End the worker."""
        self._waiting.clear()
        self._runner.close()

    def _on_done(self, key: str, image: QImage) -> None:
        self._waiting.pop(key, None)
        self.ready.emit(key, image)

    def _on_failed(self, key: str, sentence: str) -> None:
        self._waiting.pop(key, None)
        self.failed.emit(key, sentence)


def load_thumbnail(path: Path, cache: Path) -> QImage:
    """Worker: the thumbnail of an image, from the cache when the image is still the same.

    Raises:
        ImageFileError: the image cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ImageFileError(
            path, "the image was moved or deleted; put it back or remove its entry"
        ) from error
    name = digest(f"{path}|{status.st_mtime_ns}|{status.st_size}|{SIDE_PX}".encode())[:32]
    kept = cache / f"{name}.jpg"
    image = QImage(str(kept)) if kept.is_file() else QImage()
    if not image.isNull():
        return image
    pixels = np.ascontiguousarray(thumbnail(path, SIDE_PX))
    height, width = pixels.shape[:2]
    shared = QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGB888)
    image = shared.copy()
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
