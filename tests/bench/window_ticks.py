"""Gaps between the ticks of a 16 ms timer in the real window, idle and while the engine trains.

`python tests/bench/window_ticks.py [--seconds S] [--panning]`

A gap well above 16 ms is a frame the person did not get. The window shows the sample project; with --panning
the canvas is scrolled at every tick, as a person who looks around would.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from machine import describe, quantile
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

from app.application import make_application
from app.main_window import MainWindow
from app.settings import Settings
from app.theme import apply_theme
from core.learning.config import TrainConfig
from core.learning.events import Event, StepDone
from core.project.sample import copy_sample

TICK_MS = 16
WARM_UP_STEPS = 5
"""The engine's first steps compile kernels and fill caches; they are not what a person lives with."""


class TickGaps(QObject):
    """Collects the time between ticks, in milliseconds."""

    def __init__(self, window: MainWindow, *, panning: bool) -> None:
        super().__init__()
        self._window = window
        self._panning = panning
        self._last: float | None = None
        self._count = 0
        self.gaps_ms: list[float] = []
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start(TICK_MS)

    def restart(self) -> None:
        self._last = None
        self.gaps_ms = []

    def _on_tick(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.gaps_ms.append((now - self._last) * 1000)
        self._last = now
        self._count += 1
        if self._panning:
            bar = self._window.canvas.horizontalScrollBar()
            bar.setValue(bar.value() + (3 if self._count // 60 % 2 else -3))


class Bench(QObject):
    """Idle for a while, then the same while training, then out."""

    def __init__(self, window: MainWindow, seconds: float, *, panning: bool) -> None:
        super().__init__()
        self._window = window
        self._seconds = seconds
        self._steps = 0
        self._measuring = False
        self.ticks = TickGaps(window, panning=panning)
        window.session.current_changed.connect(self._on_image_shown)
        window.controller.event_received.connect(self._on_event)

    def _on_image_shown(self, current: object) -> None:
        if current is not None and not self._measuring:
            self._measuring = True
            QTimer.singleShot(2000, self._measure_idle)

    def _measure_idle(self) -> None:
        self.ticks.restart()
        QTimer.singleShot(int(self._seconds * 1000), self._on_idle_measured)

    def _on_idle_measured(self) -> None:
        report("idle", self.ticks.gaps_ms)
        self._window.controller.train(TrainConfig(device="cpu"))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self._steps += 1
            if self._steps == WARM_UP_STEPS:
                self.ticks.restart()
                QTimer.singleShot(int(self._seconds * 1000), self._on_training_measured)

    def _on_training_measured(self) -> None:
        report("training", self.ticks.gaps_ms)
        self._window.close()


def report(label: str, gaps_ms: list[float]) -> None:
    p50, p95, p99 = (quantile(gaps_ms, share) for share in (0.5, 0.95, 0.99))
    print(
        f"{label:<9} {len(gaps_ms)} ticks: p50 {p50:.1f}  p95 {p95:.1f}  p99 {p99:.1f}  "
        f"worst {max(gaps_ms):.1f} ms",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--panning", action="store_true")
    options = parser.parse_args()
    print(describe("PySide6-Essentials", "torch"))
    with tempfile.TemporaryDirectory() as folder:
        app: QApplication = make_application()
        apply_theme(app, "dark")
        window = MainWindow(Settings(Path(folder) / "settings.ini"))
        window.left.connect(app.quit)
        window.resize(1600, 1000)
        window.show()
        bench = Bench(window, options.seconds, panning=options.panning)
        window.open_path(copy_sample(Path(folder) / "project"))
        app.exec()
        del bench


if __name__ == "__main__":
    main()
