"""Loss and mIoU of several runs over one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QVBoxLayout, QWidget

from app.panels.parts import IconButton, label
from app.theme import SPACE, Themed, Tokens
from core.learning.runs.comparison import ComparedRun, Curve

if TYPE_CHECKING:
    from app.panels.plot import CurvesPlot

_TOKENS: Final = ("accent_text", "chart_loss", "chart_miou", "danger_text", "muted")
"""Of the curves, by the run's place; after the last they begin again, dashed."""
MARK_SIZE: Final = QSize(22, 12)


@dataclass(frozen=True, slots=True)
class CurveStyle:
    """How one run is drawn, in curves and beside its name."""

    color: str
    dashed: bool


def curve_style(theme: Tokens, place: int) -> CurveStyle:
    """The style of the run in this place."""
    return CurveStyle(getattr(theme, _TOKENS[place % len(_TOKENS)]), place >= len(_TOKENS))


def curve_mark(theme: Tokens, place: int | None) -> QPixmap:
    """A piece of the curve of the run in this place; None: an empty picture of that size."""
    picture = QPixmap(MARK_SIZE)
    picture.fill(Qt.GlobalColor.transparent)
    if place is not None:
        style = curve_style(theme, place)
        pen = QPen(QColor(style.color), 3)
        pen.setStyle(Qt.PenStyle.DashLine if style.dashed else Qt.PenStyle.SolidLine)
        painter = QPainter(picture)
        painter.setPen(pen)
        painter.drawLine(1, MARK_SIZE.height() // 2, MARK_SIZE.width() - 1, MARK_SIZE.height() // 2)
        painter.end()
    return picture


class ComparedCurves(Themed, QWidget):
    """Two charts side by side: what they share is the x axis, steps or training time."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runs: tuple[ComparedRun, ...] = ()
        self._plots: tuple[CurvesPlot, ...] = ()
        self._over_time = True
        self._empty = label("Choose runs on the left to see their curves.", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._charts = QHBoxLayout()
        self._charts.setSpacing(SPACE * 2)
        self._axis = QButtonGroup(self)
        column = QVBoxLayout()
        for which, (name, tip) in enumerate(
            (("steps-axis", "Draw the curves over steps"), ("clock", "Draw the curves over training time"))
        ):
            button = IconButton(name, tip, checkable=True)
            button.setChecked(which == 1)
            self._axis.addButton(button, which)
            column.addWidget(button)
        column.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(self._empty, 1)
        layout.addLayout(self._charts, 1)
        layout.addLayout(column)
        self._axis.idClicked.connect(self._on_axis)

    @property
    def drawn(self) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
        """Curves of loss and of mIoU, in the runs' order."""
        return tuple(run.loss for run in self._runs), tuple(run.miou for run in self._runs)

    def set_runs(self, runs: Sequence[ComparedRun]) -> None:
        """Draw these."""
        self._runs = tuple(runs)
        self._prepare()
        self._draw()

    def apply_tokens(self, theme: Tokens) -> None:
        """Recolour."""
        for plot in self._plots:
            plot.set_colors(theme, self.font())
        self._draw()

    def _prepare(self) -> None:
        """Load the plotting library with the first curve."""
        if self._plots or not self._runs:
            return
        from app.panels.plot import CurvesPlot  # half a second

        self._plots = (CurvesPlot(), CurvesPlot(ceiling=1.0))
        for title, plot in zip(("Loss", "mIoU"), self._plots, strict=True):
            column = QVBoxLayout()
            column.addWidget(label(title, "muted"))
            column.addWidget(plot, 1)
            self._charts.addLayout(column, 1)
            if self._tokens_in_use is not None:
                plot.set_colors(self._tokens_in_use, self.font())

    def _draw(self) -> None:
        theme = self._tokens_in_use
        self._empty.setVisible(not self._runs)
        for plot in self._plots:
            plot.setVisible(bool(self._runs))
        if theme is None or not self._plots:
            return
        styles = [curve_style(theme, place) for place in range(len(self._runs))]
        for plot, curves in zip(self._plots, self.drawn, strict=True):
            plot.show_time(self._over_time)
            xs = [curve.seconds if self._over_time else curve.steps for curve in curves]
            plot.draw(
                [
                    (x, curve.values, style.color, style.dashed)
                    for x, curve, style in zip(xs, curves, styles, strict=True)
                ]
            )

    def _on_axis(self, which: int) -> None:
        self._over_time = which == 1
        self._draw()
