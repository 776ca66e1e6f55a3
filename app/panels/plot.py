"""The pyqtgraph part of a live chart. Imported when the first point arrives: it costs half a second."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent
from PySide6.QtWidgets import QWidget

from app.panels.parts import format_duration
from app.theme import Tokens

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


class _XAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph is untyped
    """Steps as "1.2k", or training time as "2:30"."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.shows_time = False

    def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        """A spacing that leaves about 55 pixels to a tick, on round seconds or steps."""
        span = max(high - low, 1e-9)
        least = span / max(2.0, size / 55)
        if self.shows_time:
            spacing: float = next((s for s in _TIME_STEPS_S if s >= least), _TIME_STEPS_S[-1])
        else:
            least = max(1.0, least)  # there is no half step
            power = 10 ** math.floor(math.log10(least))
            spacing = float(next(m * power for m in (1, 2, 5, 10) if m * power >= least))
        return [(spacing, 0)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """What stands at the ticks."""
        if self.shows_time:
            return [format_duration(value) for value in values]
        return [f"{value / 1000:g}k" if value >= 1000 else f"{value:g}" for value in values]


class CurvePlot(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph is untyped
    """One curve with its faint raw points, axes, a grid, and a mark on the best point.

    Signals:
        hovered(float): x under the mouse, NaN when it has left.
    """

    hovered = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        self._x_axis = _XAxis()
        super().__init__(parent, background=None, axisItems={"bottom": self._x_axis})
        # pyqtgraph keeps the background as a picture, which would stay that of the theme before.
        self.setCacheMode(self.CacheModeFlag.CacheNone)
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.setContentsMargins(0, 4, 8, 0)
        self.showGrid(y=True, alpha=0.18)
        item.getViewBox().setDefaultPadding(0.0)
        self._raw = pg.PlotCurveItem(antialias=True)
        self._curve = pg.PlotCurveItem(antialias=True)
        self._dots = pg.ScatterPlotItem(size=5, pen=None)
        self._best = pg.ScatterPlotItem(size=10)
        self._cursor = pg.InfiniteLine(angle=90)
        self._cursor.hide()
        for part in (self._raw, self._curve, self._dots, self._best, self._cursor):
            item.addItem(part)

    def set_colors(self, theme: Tokens, color: str, font: QFont) -> None:
        """Take the theme; `color` is the curve's."""
        faint = QColor(color)
        faint.setAlpha(70)
        self._raw.setPen(pg.mkPen(faint, width=1))
        self._curve.setPen(pg.mkPen(color, width=2))
        self._dots.setBrush(pg.mkBrush(color))
        self._best.setBrush(pg.mkBrush(color))
        self._best.setPen(pg.mkPen(theme.surface, width=2))
        self._cursor.setPen(pg.mkPen(theme.muted, width=1, style=Qt.PenStyle.DotLine))
        small = QFont(font)
        small.setPointSizeF(font.pointSizeF() * 0.82)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(theme.border_strong))
            axis.setTickPen(pg.mkPen(theme.muted))
            axis.setTextPen(pg.mkPen(theme.muted))
            axis.setStyle(tickFont=small, tickLength=0, tickTextOffset=5, maxTickLevel=0)
        self.getAxis("left").setWidth(34)

    def show_time(self, shows_time: bool) -> None:
        """Label x as time instead of steps."""
        self._x_axis.shows_time = shows_time
        self._x_axis.picture = None
        self._x_axis.update()

    def draw(
        self,
        x: NDArray[np.float64],
        raw: NDArray[np.float64] | None,
        curve: NDArray[np.float64],
        *,
        ceiling: float | None,
        best: int | None,
    ) -> None:
        """Show the points (N,) and fit the axes to them; `best` is the position of the marked one."""
        self._raw.setData(x, x * 0 if raw is None else raw)
        self._raw.setVisible(raw is not None)
        self._curve.setData(x, curve)
        few = raw is None and len(x) <= 60
        self._dots.setData(x, curve) if few else self._dots.clear()
        self._best.clear() if best is None else self._best.setData([x[best]], [curve[best]])
        if not len(x):
            return
        low, high = float(x[0]), float(x[-1])
        top = float(curve.max()) * 1.12
        if ceiling is not None:
            top = min(ceiling * 1.02, top)
        self.setXRange(low if len(x) > 1 else low - 1, high if high > low else low + 1, padding=0.015)
        self.setYRange(0, max(top, 1e-3), padding=0)

    def mark(self, x: float | None) -> None:
        """Put the dotted line at x; None hides it."""
        self._cursor.setVisible(x is not None)
        if x is not None:
            self._cursor.setPos(x)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell where the mouse is, in the axis' unit."""
        scene_point = self.mapToScene(event.position().toPoint())
        point: QPointF = self.getPlotItem().getViewBox().mapSceneToView(scene_point)
        self.hovered.emit(point.x())

    def leaveEvent(self, event: QEvent) -> None:
        """Tell that the mouse has left."""
        self.hovered.emit(math.nan)
        super().leaveEvent(event)
