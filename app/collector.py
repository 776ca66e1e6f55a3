"""Garbage collection in the GUI thread only.

Python collects cycles in whatever thread happens to allocate. A cycle with a QObject in it that is collected
by a worker destroys that object in the wrong thread, and the program crashes now and then (seen with gdb).
So the automatic collector is off, and a timer does its work where the objects live.

A full collection looks at every old object: 100 ms with ten thousand images. So what makes up the window and
the open project is frozen, out of its sight, and of the rest a quarter must be new.
"""

from __future__ import annotations

import gc
from typing import Final

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS: Final = 1000
FREEZE_AFTER_MS: Final = 1000
"""By then the lists show a project that was opened, and nothing holds one that was closed."""
NEW_SHARE: Final = 0.25
"""Of old objects, before all are looked at: as Python's own collector has it."""


class GuiCollector(QObject):
    """Collects in the thread it lives in; the automatic collector is as it was after `stop`."""

    def __init__(self, parent: QObject | None = None, *, interval_ms: int = INTERVAL_MS) -> None:
        super().__init__(parent)
        self._was_enabled = gc.isenabled()
        self._thresholds = gc.get_threshold()
        self._survivors = 0  # of the last full collection
        gc.disable()
        self._timer = QTimer(self, interval=interval_ms)
        self._timer.timeout.connect(self.collect)
        self._timer.start()
        self._freezing = QTimer(self, singleShot=True, interval=FREEZE_AFTER_MS)
        self._freezing.timeout.connect(self.freeze)
        self.freeze_soon()

    def collect(self) -> None:
        """Collect the generations that are due, by Python's own rules."""
        young, middle, old = (
            count > threshold for count, threshold in zip(gc.get_count(), self._thresholds, strict=True)
        )
        if old and middle and _old_objects() > (1 + NEW_SHARE) * self._survivors:
            gc.collect()
            self._survivors = _old_objects()
        elif middle:
            gc.collect(1)
        elif young:
            gc.collect(0)

    def freeze_soon(self) -> None:
        """Much has come to stay, or has gone for good: a project was opened or closed."""
        self._freezing.start()

    def freeze(self) -> None:
        """Collect everything, and leave what is in use now out of the collections to come."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._survivors = 0

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        self._freezing.stop()
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()


def _old_objects() -> int:
    return len(gc.get_objects(generation=2))
