"""The shown image's own pixels, for tools that look at them; and computing with them in a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from PySide6.QtCore import QObject, QRect, Signal
from PySide6.QtGui import QImage

from app.workers.tasks import Task, TaskRunner
from core.errors import ImageFileError
from core.images.pyramid import Pyramid
from core.interactive.window import PixelBox, Pixels, overlap

MOST_PIXELS: Final = 16_000_000
"""The largest window tools look at: 48 MB, cut out in a tenth of a second."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelReader:
    """Cuts windows out of one image, in any thread. Brightness and contrast on the screen do not count.

    Attributes:
        source: a picture, or a huge image in tiles.
        width, height: pixels.
    """

    source: QImage | Pyramid
    width: int
    height: int

    @classmethod
    def of(cls, source: QImage | Pyramid | None) -> PixelReader | None:
        """A reader of what is shown; None where there is nothing."""
        if isinstance(source, Pyramid):
            height, width = source.size_hw
            return cls(source, width, height)
        if source is None or source.isNull():
            return None
        return cls(source, source.width(), source.height())

    @property
    def box(self) -> PixelBox:
        """The whole image."""
        return 0, 0, self.width, self.height

    def window(self, box: PixelBox) -> Pixels:
        """The pixels of a box inside the image, (h, w, 3) uint8, RGB.

        Raises:
            ImageFileError: a huge image is not laid out there yet, or its file is damaged.
        """
        x0, y0, x1, y1 = overlap(box, self.box)
        if isinstance(self.source, Pyramid):
            found = self.source.region(x0, y0, x1, y1)
            if found is None:
                raise ImageFileError(self.source.path, "is still being read; try again in a moment")
            return found
        part = self.source.copy(QRect(x0, y0, x1 - x0, y1 - y0))
        rgb = part.convertToFormat(QImage.Format.Format_RGB888)
        rows = np.frombuffer(rgb.constBits(), np.uint8).reshape(y1 - y0, rgb.bytesPerLine())
        return rows[:, : 3 * (x1 - x0)].reshape(y1 - y0, x1 - x0, 3).copy()


class Latest(QObject):
    """Computations of which only the newest is wanted, one at a time, in a worker.

    While one is under way the newest request waits; those in between are never started. What is under way is
    still delivered, so that a preview follows a drag; `drop` ends that, too.

    Signals:
        changed: it became busy, or idle.
        failed(str): one sentence.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(self, runner: TaskRunner, parent: QObject) -> None:
        super().__init__(parent)
        self._runner = runner
        self._task: Task | None = None
        self._next: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Is something under way?"""
        return self._task is not None

    def run(self, function: Callable[..., Any], *args: Any, doing: str, then: Callable[[Any], None]) -> None:
        """Call `function(*args)` in the worker, then `then(result)` here, unless it is dropped before."""
        start = partial(self._start, function, args, doing, then)
        if self._task is not None:
            self._next = start
        else:
            start()

    def drop(self) -> None:
        """Nothing that was asked for is wanted any more."""
        self._next = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.changed.emit()

    def let_go(self, then: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Compute the newest request whatever is asked for or dropped from now on.

        Args:
            then: gets its result.
            failed: gets the sentence where there is none; the signal is for what is asked for from now on.
        """
        if self._next is not None and self._task is not None:
            self._task.cancel()
            self._next()
        task, self._task = self._task, None
        if task is not None:
            task.done.connect(then)
            task.failed.connect(failed)
            self.changed.emit()

    def _start(
        self, function: Callable[..., Any], args: tuple[Any, ...], doing: str, then: Callable[[Any], None]
    ) -> None:
        self._next = None
        self._task = task = self._runner.run(function, *args, doing=doing)
        task.done.connect(partial(self._on_done, task, then))
        task.failed.connect(partial(self._on_failed, task))
        self.changed.emit()

    def _on_done(self, task: Task, then: Callable[[Any], None], result: Any) -> None:
        if task is self._task:
            self._go_on()
            then(result)
            self.changed.emit()

    def _on_failed(self, task: Task, sentence: str) -> None:
        if task is self._task:
            self._go_on()
            self.failed.emit(sentence)
            self.changed.emit()

    def _go_on(self) -> None:
        self._task = None
        if self._next is not None:
            self._next()
