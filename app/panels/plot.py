"""The pyqtgraph part of charts. Imported when the first point arrives: it costs half a second."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent
from PySide6.QtWidgets import QWidget

from app.readable import format_duration
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


class _Plot(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph is untyped
    """Axes and a grid, in the theme's colours."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._x_axis = _XAxis()
        super().__init__(parent, background=None, axisItems={"bottom": self._x_axis})
        # pyqtgraph keeps the background as a picture, which would stay that of the theme before.
        self.setCacheMode(self.CacheModeFlag.CacheNone)
        self.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setMouseEnabled(x=False, y=False)
        item.setContentsMargins(0, 4, 8, 0)
        self.showGrid(y=True, alpha=0.18)
        item.getViewBox().setDefaultPadding(0.0)

    def color_axes(self, theme: Tokens, font: QFont) -> None:
        """Take the theme."""
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

    def fit_axes(self, low: float, high: float, top: float) -> None:
        """Show x from `low` to `high` and y from 0 to `top`."""
        several = high > low
        self.setXRange(low if several else low - 1, high if several else low + 1, padding=0.015)
        self.setYRange(0, max(top, 1e-3), padding=0)


class CurvePlot(_Plot):
    """One curve with its faint raw points and a mark on the best one.

    Signals:
        hovered(float): x under the mouse, NaN when it has left.
    """

    hovered = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMouseTracking(True)
        item = self.getPlotItem()
        self._raw = pg.PlotCurveItem(antialias=True)
        self._curve = pg.PlotCurveItem(antialias=True)
        self._dots = pg.ScatterPlotItem(size=5, pen=None)
        self._best = pg.ScatterPlotItem(size=10)
        self._interval = pg.ErrorBarItem()
        self._interval.hide()
        self._cursor = pg.InfiniteLine(angle=90)
        self._cursor.hide()
        for part in (self._raw, self._curve, self._interval, self._dots, self._best, self._cursor):
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
        self._interval.setData(pen=pg.mkPen(color, width=1))
        self._cursor.setPen(pg.mkPen(theme.muted, width=1, style=Qt.PenStyle.DotLine))
        self.color_axes(theme, font)

    def draw(
        self,
        x: NDArray[np.float64],
        raw: NDArray[np.float64] | None,
        curve: NDArray[np.float64],
        *,
        ceiling: float | None,
        best: int | None,
        interval: tuple[float, float] | None = None,
    ) -> None:
        """Show the points (N,) and fit the axes to them.

        `best` is the position of the marked one; `interval` has the ends of a bar through the last one.
        """
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
        self._interval.setVisible(interval is not None)
        if interval is not None:
            value = float(curve[-1])
            self._interval.setData(
                x=x[-1:],
                y=curve[-1:],
                top=np.array([max(interval[1] - value, 0.0)]),
                bottom=np.array([max(value - interval[0], 0.0)]),
                beam=max(high - low, 1.0) * 0.012,
            )
            top = max(top, interval[1] * 1.04)
        if ceiling is not None:
            top = min(ceiling * 1.02, top)
        self.fit_axes(low, high, top)

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


class CurvesPlot(_Plot):
    """Several curves over one another.

    Args:
        ceiling: the greatest value the quantity can have, if there is one.
    """

    def __init__(self, ceiling: float | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ceiling = ceiling
        self._curves: list[pg.PlotDataItem] = []

    def set_colors(self, theme: Tokens, font: QFont) -> None:
        """Take the theme; the curves bring their own colours."""
        self.color_axes(theme, font)

    def draw(self, curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], str, bool]]) -> None:
        """Show these: x (N,), y (N,), colour, dashed; one without a point is left out."""
        for item in self._curves:
            self.getPlotItem().removeItem(item)
        self._curves = []
        lows, highs, tops = [], [], []
        for x, y, color, dashed in curves:
            if not len(x):
                continue
            style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
            pen = pg.mkPen(color, width=2, style=style)
            few = len(x) <= 60
            item = pg.PlotDataItem(
                x, y, pen=pen, antialias=True, symbol="o" if few else None, symbolSize=5, symbolPen=None
            )
            item.setSymbolBrush(pg.mkBrush(color))
            self.getPlotItem().addItem(item)
            self._curves.append(item)
            lows.append(float(x.min()))
            highs.append(float(x.max()))
            # The first losses are so high that nothing of the rest would be seen.
            tops.append(
                float(np.quantile(y, 0.98)) * 1.12 if self._ceiling is None else float(y.max()) * 1.12
            )
        if not lows:
            return
        top = max(tops) if self._ceiling is None else min(max(tops), 1.02 * self._ceiling)
        self.fit_axes(min(lows), max(highs), top)
