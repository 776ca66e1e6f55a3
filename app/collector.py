"""Garbage collection in the GUI thread only.

Python collects cycles in whatever thread happens to allocate. A cycle with a QObject in it that is collected
by a worker destroys that object in the wrong thread, and the program crashes now and then (seen with gdb).
So the automatic collector is off, and a timer does its work where the objects live.
"""

from __future__ import annotations

import gc
from typing import Final

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS: Final = 1000


class GuiCollector(QObject):
    """Collects in the thread it lives in; the automatic collector is as it was after `stop`."""

    def __init__(self, parent: QObject | None = None, *, interval_ms: int = INTERVAL_MS) -> None:
        super().__init__(parent)
        self._was_enabled = gc.isenabled()
        self._thresholds = gc.get_threshold()
        gc.disable()
        self._timer = QTimer(self, interval=interval_ms)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        """Collect the generations that are due, by Python's own thresholds."""
        counts = gc.get_count()
        for generation in (2, 1, 0):
            if counts[generation] > self._thresholds[generation]:
                gc.collect(generation)
                return

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        if self._was_enabled:
            gc.enable()
