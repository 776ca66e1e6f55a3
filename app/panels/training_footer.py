"""The training panel's last line: progress, device, speed, the overlay's age, the engine's words."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final, Literal

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.panels.parts import ElidedLabel, IconLabel
from app.readable import capital, format_age, format_bytes, format_duration
from app.theme import SPACE
from core.learning.events import StepDone

_ICONS: Final = {
    "info": ("info", "muted"),
    "warning": ("warning", "warning"),
    "error": ("error", "danger_text"),
}
_AGE_INTERVAL_MS: Final = 1000
COUNTED: Final = (
    "Training time of this run, of what it was given. Pauses, and what predictions for the window take in"
    " between, are not counted. Its last part is kept for the final score and for joining both learners;"
    " what that does not need is left over."
)
"""What the figures of time mean."""


class TrainingFooter(QWidget):
    """One line under the charts, with a hairline of the run's progress above it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._device = ""
        self._step: StepDone | None = None
        self._overlay = ""
        self._overlay_at = 0.0
        self._aging = False
        self._age = QTimer(self, interval=_AGE_INTERVAL_MS)
        self._age.timeout.connect(self._write_overlay)

        self._budget = QProgressBar()
        self._budget.setProperty("kind", "hairline")
        self._budget.setTextVisible(False)
        self._budget.setRange(0, 1000)
        self._budget.setAccessibleName("Progress of the run")
        self._stats = ElidedLabel("", "small")
        self._notice_icon = IconLabel("info", side=14)
        self._notice = ElidedLabel("", "small")
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setRange(0, 1000)
        self._progress.setFixedWidth(96)
        self._source = ElidedLabel("", "small")
        notice = QHBoxLayout()
        notice.setSpacing(SPACE // 2 + 2)
        notice.addWidget(self._notice_icon)
        notice.addWidget(self._notice)
        notice.addWidget(self._progress)
        notice.addStretch(1)
        line = QHBoxLayout()
        line.setContentsMargins(SPACE * 3 // 2, 0, SPACE * 3 // 2, 0)
        line.setSpacing(SPACE * 2)
        line.addWidget(self._stats)
        line.addLayout(notice, 1)
        line.addWidget(self._source)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._budget)
        layout.addLayout(line)
        self.setFixedHeight(28)
        self.clear_notice()

    @property
    def stats_text(self) -> str:
        """Device, memory, step, time and speed, as shown."""
        return self._stats.whole_text

    @property
    def notice_text(self) -> str:
        """The engine's last word, empty when there is none."""
        return self._notice.whole_text

    @property
    def overlay_text(self) -> str:
        """Where the overlay comes from and how old it is."""
        return self._source.whole_text

    def set_device(self, device: str) -> None:
        """Name of what computes."""
        self._device = device
        self._write_stats()

    def start(self) -> None:
        """A run begins: forget the last one's figures."""
        self._step = None
        self._budget.setValue(0)
        self.clear_notice()
        self._write_stats()

    def set_step(self, step: StepDone) -> None:
        """Show how far the run is."""
        self._step = step
        share = 0.0
        if step.steps:
            share = step.step / step.steps
        elif step.time_budget_s:
            share = step.seconds / step.time_budget_s
        self._budget.setValue(round(1000 * min(1.0, share)))
        self._write_stats()

    def set_seconds(self, seconds: float) -> None:
        """Training time has gone on after the last step: scores were taken."""
        if self._step is not None:
            self._step = replace(self._step, seconds=max(seconds, self._step.seconds))
            self._write_stats()

    def end(self, seconds: float, *, complete: bool) -> None:
        """The run is over after so much training; `complete`: it has spent what it was given."""
        self.set_seconds(seconds)
        if self._step is not None:
            self._step = replace(self._step, time_budget_s=None)
            self._write_stats()
        if complete:
            self._budget.setValue(self._budget.maximum())

    def set_notice(
        self,
        text: str,
        level: Literal["info", "warning", "error"] = "info",
        *,
        progress: float | None = None,
        detail: str = "",
    ) -> None:
        """Show one line; with `progress` 0..1 a bar beside it, and both leave when it is full."""
        if progress is not None and progress >= 1:
            self.clear_notice()
            return
        icon_name, token = _ICONS[level]
        self._notice_icon.set_icon(icon_name, token)
        self._notice_icon.show()
        self._notice.set_role({"info": "small", "warning": "warning", "error": "error"}[level])
        self._notice.set_text(capital(text), detail)
        self._progress.setVisible(progress is not None)
        self._progress.setValue(round(1000 * progress) if progress is not None else 0)

    def clear_notice(self) -> None:
        """Say nothing."""
        self._notice.set_text("")
        self._notice_icon.hide()
        self._progress.hide()

    def set_overlay(self, source: str, age_s: float) -> None:
        """What is shown comes from `source`, and came so many seconds ago."""
        self._overlay = source
        self._overlay_at = time.monotonic() - age_s
        self._age.start()
        self._write_overlay()

    def set_aging(self, aging: bool) -> None:
        """Whether newer predictions come all the time; else one that is old is up to date all the same."""
        self._aging = aging
        if self._overlay:
            self._write_overlay()

    def clear_overlay(self) -> None:
        """There is no prediction."""
        self._overlay = ""
        self._age.stop()
        self._source.set_text("")

    def _write_overlay(self) -> None:
        age = ""
        if self._aging:
            passed = format_age(time.monotonic() - self._overlay_at)
            age = ", now" if passed == "now" else f", {passed} old"
        self._source.set_text(f"overlay: {self._overlay}{age}")

    def _write_stats(self) -> None:
        parts = [self._device] if self._device else []
        step = self._step
        if step is not None:
            if step.memory_bytes is not None:
                parts.append(format_bytes(step.memory_bytes))
            parts.append(f"step {step.step:,}" + (f" / {step.steps:,}" if step.steps else ""))
            budget = f" / {format_duration(step.time_budget_s)}" if step.time_budget_s else ""
            parts.append(format_duration(step.seconds) + budget)
            parts.append(f"{step.images_per_s:.1f} images/s")
        self._stats.set_text("  ·  ".join(parts), "" if step is None else COUNTED)
