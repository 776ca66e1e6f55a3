"""The legend of the uncertainty's heat, which is also the slider of its opacity."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QLinearGradient, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QWidget

from app.canvas.heat import heat_rgb, heat_strength
from app.panels.tips import WrappedTip
from app.theme import tokens

_STOPS: Final = 16
_GROOVE: Final = 8


class HeatLegend(WrappedTip, QSlider):
    """A bar from "sure" to "doubtful" in the canvas' colours; its handle is the heat's opacity, percent."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(0, 100)
        self.setPageStep(10)
        self.setAccessibleName("Opacity of the uncertainty")
        self.setToolTip(
            "Uncertainty: sure on the left, as undecided as between two classes on the right.\n"
            "While a network trains without a graphics card it is of what is shown; once that rests, the\n"
            "image is looked at again, as chosen under View > Uncertainty from.\n"
            "Drag to make it stronger or weaker."
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """The ramp at the opacity it has on the canvas, over a checked ground, and the handle."""
        theme = tokens()
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().subControlRect(
            QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, self
        )
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        groove = QRectF(0.5, self.height() / 2 - _GROOVE / 2, self.width() - 1.0, _GROOVE)
        shape = QPainterPath()
        shape.addRoundedRect(groove, 3, 3)
        painter.fillPath(shape, QColor(theme.sunken))
        gradient = QLinearGradient(groove.topLeft(), groove.topRight())
        for stop in range(_STOPS + 1):
            level = stop / _STOPS
            color = QColor(*heat_rgb(level))
            color.setAlphaF(heat_strength(level) * (0.25 + 0.75 * self.value() / 100))
            gradient.setColorAt(level, color)
        painter.fillPath(shape, QBrush(gradient))
        painter.setPen(QPen(QColor(theme.border_strong), 1))
        painter.drawPath(shape)
        ring = QColor(theme.accent_text if self.hasFocus() else theme.text)
        painter.setPen(QPen(ring, 2))
        painter.setBrush(QColor(theme.surface))
        painter.drawEllipse(QPointF(handle.center().x() + 0.5, self.height() / 2), 5, 5)
        painter.end()
