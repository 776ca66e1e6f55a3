"""Live charts of loss and mIoU: a heading with the present value over a curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.panels.parts import ElidedLabel, label
from app.panels.series import Series
from app.readable import format_duration
from app.theme import SPACE, Themed, Tokens
from core.learning.scores.bootstrap import Interval

if TYPE_CHECKING:
    from app.panels.plot import CurvePlot
    from core.learning.runs.comparison import Curve

XAxis: TypeAlias = Literal["steps", "time"]
REPAINT_INTERVAL_MS: Final = 100
"""At most ten repaints a second: the engine may report more often than an eye can follow."""


class LiveChart(Themed, QWidget):
    """One quantity over training.

    Args:
        title: the quantity's name.
        color_token: name of the token the curve is drawn in.
        empty_text: shown before the first point.
        smoothing: as `Series`; above 0 the raw values are drawn faintly behind their running mean.
        ceiling: the greatest value the quantity can have, if there is one.
        mark_best: put a dot on the greatest value and say it in the heading.
    """

    def __init__(
        self,
        title: str,
        color_token: str,
        empty_text: str,
        *,
        smoothing: float = 0.0,
        ceiling: float | None = None,
        mark_best: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.series = Series(smoothing=smoothing)
        self._color_token = color_token
        self._raw_shown = smoothing > 0
        self._ceiling = ceiling
        self._mark_best = mark_best
        self._axis: XAxis = "steps"
        self._plot: CurvePlot | None = None
        self._hovered_x = math.nan
        self._interval: Interval | None = None
        self._kind = ""
        self._anew_at = -math.inf  # the step from which values can be compared with the last one
        self._repaint = QTimer(self, singleShot=True, interval=REPAINT_INTERVAL_MS)
        self._repaint.timeout.connect(self._on_repaint)

        self._value = label("", "strong")
        self._where = ElidedLabel("", "small")
        heading = QHBoxLayout()
        heading.setSpacing(SPACE)
        heading.addWidget(label(title, "muted"))
        heading.addWidget(self._value)
        heading.addWidget(self._where, 1)
        self._empty = label(empty_text, "small")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE // 2)
        layout.addLayout(heading)
        layout.addWidget(self._stack, 1)
        self.setMinimumSize(140, 96)
        self.setAccessibleName(title)

    @property
    def value_text(self) -> str:
        """The value in the heading."""
        return self._value.text()

    @property
    def where_text(self) -> str:
        """What the heading says behind the value."""
        return self._where.whole_text

    def append(self, step: int, seconds: float, value: float) -> None:
        """Add a point; it is drawn within a tenth of a second, with all that came meanwhile."""
        self.series.append(step, seconds, value)
        self.tell(None, "")

    def prepend(self, curve: Curve, anew_at: float = -math.inf) -> None:
        """Put what came before in front of what is drawn.

        Args:
            curve: as it was noted down.
            anew_at: the step from which its values can be compared with its last one.
        """
        self._anew_at = max(self._anew_at, anew_at)
        columns = (curve.steps, curve.seconds, curve.values)
        self.series.prepend(zip(*(column.tolist() for column in columns), strict=True))
        self._schedule()

    def tell(self, interval: Interval | None, kind: str) -> None:
        """Say of the last point where other images would put it, and what it is on."""
        self._interval, self._kind = interval, kind
        self._schedule()

    def begin_anew(self) -> None:
        """The last point cannot be compared with those before it: the best is one of those from it on."""
        self._anew_at = float(self.series.steps[-1]) if len(self.series) else -math.inf
        self._schedule()

    def clear(self) -> None:
        """Start over."""
        self.series.clear()
        self._interval, self._kind = None, ""
        self._anew_at = -math.inf
        self._schedule()

    def set_axis(self, axis: XAxis) -> None:
        """Draw over steps or over training time."""
        self._axis = axis
        self._hovered_x = math.nan
        if self._plot is not None:
            self._plot.show_time(axis == "time")
        self._schedule()

    def prepare(self) -> None:
        """Load the plotting library, unless that is done."""
        if self._plot is not None:
            return
        from app.panels.plot import CurvePlot  # half a second, paid by training only

        self._plot = CurvePlot()
        self._plot.show_time(self._axis == "time")
        self._plot.hovered.connect(self._on_hovered)
        self._stack.addWidget(self._plot)
        if self._tokens_in_use is not None:
            self.apply_tokens(self._tokens_in_use)

    def apply_tokens(self, theme: Tokens) -> None:
        """Recolour curve and axes."""
        if self._plot is not None:
            self._plot.set_colors(theme, getattr(theme, self._color_token), self.font())

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what came while nobody was looking."""
        super().showEvent(event)
        self._schedule()

    def _schedule(self) -> None:
        if not self._repaint.isActive() and self.isVisible():
            self._repaint.start()

    def _xs(self) -> NDArray[np.float64]:
        return self.series.seconds if self._axis == "time" else self.series.steps

    def _best(self) -> int | None:
        """Where the best of the comparable points is."""
        if not self._mark_best:
            return None
        first = min(int(np.searchsorted(self.series.steps, self._anew_at)), len(self.series) - 1)
        return first + int(self.series.values[first:].argmax())

    def _on_repaint(self) -> None:
        if not len(self.series):
            self._stack.setCurrentWidget(self._empty)
            self._value.clear()
            self._where.set_text("")
            return
        self.prepare()
        assert self._plot is not None
        self._stack.setCurrentWidget(self._plot)
        best = self._best()
        self._plot.draw(
            self._xs(),
            self.series.values if self._raw_shown else None,
            self.series.smooth,
            ceiling=self._ceiling,
            best=best,
            interval=self._interval,
        )
        self._write_heading(best)

    def _on_hovered(self, x: float) -> None:
        self._hovered_x = x
        if len(self.series):
            self._write_heading(self._best())

    def _write_heading(self, best: int | None) -> None:
        """The value under the mouse, else the last and the best one."""
        assert self._plot is not None
        xs = self._xs()
        if math.isnan(self._hovered_x):
            position = len(self.series) - 1
            interval = self._interval
            parts = [
                self._kind,
                "" if interval is None else f"{interval.low:.2f}–{interval.high:.2f}",
                "" if best is None else f"best {self.series.values[best]:.3f}",
            ]
            where = " · ".join(part for part in parts if part)
            self._plot.mark(None)
        else:
            position = int(np.abs(xs - self._hovered_x).argmin())
            step, seconds = self.series.steps[position], self.series.seconds[position]
            where = f"step {step:.0f} · {format_duration(seconds)}"
            self._plot.mark(float(xs[position]))
        self._value.setText(f"{self.series.smooth[position]:.3f}")
        self._where.set_text(where)
