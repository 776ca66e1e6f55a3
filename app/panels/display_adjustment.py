"""Brightness, contrast, gamma and channel of the image on show, in a popover. The file stays as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.canvas.display import MAX_GAMMA, MIN_GAMMA, Channel, DisplayAdjustment
from app.panels.parts import label
from app.theme import SPACE

_CHANNELS: Final[tuple[tuple[Channel, str, str], ...]] = (
    ("rgb", "RGB", "The colours as they are"),
    ("red", "R", "The red channel alone, as grey"),
    ("green", "G", "The green channel alone, as grey"),
    ("blue", "B", "The blue channel alone, as grey"),
    ("luminance", "Lum", "The brightness the eye sees, as grey"),
)
_SLIDER_WIDTH: Final = 168


class AmountSlider(QSlider):
    """A horizontal slider over an amount; a double click brings the neutral one back.

    Args:
        name: for screen readers and the tooltip.
        to_amount: from the slider's -100..100 to the amount; 0 is the neutral one.
        to_position: its inverse.
    """

    def __init__(
        self, name: str, to_amount: Callable[[int], float], to_position: Callable[[float], int]
    ) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._to_amount = to_amount
        self._to_position = to_position
        self.setRange(-100, 100)
        self.setPageStep(10)
        self.setFixedWidth(_SLIDER_WIDTH)
        self.setAccessibleName(name)
        self.setToolTip(f"{name}; a double click brings it back")

    @property
    def amount(self) -> float:
        """Where the slider is, as an amount."""
        return self._to_amount(self.value())

    def set_amount(self, amount: float) -> None:
        """Go there, silently."""
        with QSignalBlocker(self):
            self.setValue(self._to_position(amount))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to the middle."""
        self.setValue(0)
        event.accept()


def _share(position: int) -> float:
    return position / 100


def _share_position(amount: float) -> int:
    return round(amount * 100)


def _gamma(position: int) -> float:
    """Equal steps of the slider are equal ratios: 2 is as far from 1 as one half is."""
    return min(MAX_GAMMA, max(MIN_GAMMA, float(MAX_GAMMA ** (position / 100))))


def _gamma_position(gamma: float) -> int:
    return round(100 * math.log(gamma) / math.log(MAX_GAMMA))


class DisplayControls(QWidget):
    """The sliders, the channels and the way back. Knows no canvas.

    Signals:
        adjustment_changed(DisplayAdjustment): the person moved something.
    """

    adjustment_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._adjustment = DisplayAdjustment()
        self.brightness = AmountSlider("Brightness", _share, _share_position)
        self.contrast = AmountSlider("Contrast", _share, _share_position)
        self.gamma = AmountSlider("Gamma: above 1 lifts the dark parts", _gamma, _gamma_position)
        self.reset_button = QPushButton("Reset")
        self.reset_button.setProperty("kind", "ghost")
        self.reset_button.setAutoDefault(False)
        self.reset_button.setToolTip("Show the image as it is")
        self._values = {slider: label("", "small") for slider in (self.brightness, self.contrast, self.gamma)}
        self._channels = QButtonGroup(self)
        self._lay_out()
        for slider in self._values:
            slider.valueChanged.connect(self._on_moved)
        self._channels.idClicked.connect(self._on_moved)
        self.reset_button.clicked.connect(self._on_reset)
        self.set_adjustment(DisplayAdjustment())

    @property
    def adjustment(self) -> DisplayAdjustment:
        """What is chosen."""
        return self._adjustment

    def set_adjustment(self, adjustment: DisplayAdjustment) -> None:
        """Mirror the canvas."""
        self._adjustment = adjustment
        self.brightness.set_amount(adjustment.brightness)
        self.contrast.set_amount(adjustment.contrast)
        self.gamma.set_amount(adjustment.gamma)
        self.channel_button(adjustment.channel).setChecked(True)
        self._tell_values()

    def set_colored(self, colored: bool) -> None:
        """A grey image has one channel only."""
        for channel, _, _ in _CHANNELS:
            self.channel_button(channel).setEnabled(colored or channel == "rgb")

    def channel_button(self, channel: Channel) -> QToolButton:
        """The button of a channel."""
        button = self._channels.button([name for name, _, _ in _CHANNELS].index(channel))
        assert isinstance(button, QToolButton)
        return button

    def value_text(self, slider: AmountSlider) -> str:
        """The number beside a slider."""
        return self._values[slider].text()

    def _on_moved(self) -> None:
        self._adjustment = DisplayAdjustment(
            brightness=self.brightness.amount,
            contrast=self.contrast.amount,
            gamma=self.gamma.amount,
            channel=_CHANNELS[self._channels.checkedId()][0],
        )
        self._tell_values()
        self.adjustment_changed.emit(self._adjustment)

    def _on_reset(self) -> None:
        self.set_adjustment(DisplayAdjustment())
        self.adjustment_changed.emit(self._adjustment)

    def _tell_values(self) -> None:
        for slider in (self.brightness, self.contrast):
            self._values[slider].setText(f"{slider.value():+d}" if slider.value() else "0")
        self._values[self.gamma].setText(f"{self.gamma.amount:.2f}")
        self.reset_button.setEnabled(not self._adjustment.is_neutral)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(SPACE * 3 // 2)
        grid.setVerticalSpacing(SPACE // 2)
        rows = (("Brightness", self.brightness), ("Contrast", self.contrast), ("Gamma", self.gamma))
        for row, (name, slider) in enumerate(rows):
            value = self._values[slider]
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            value.setMinimumWidth(value.fontMetrics().horizontalAdvance("+100") + 4)
            grid.addWidget(label(name, "muted"), row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(value, row, 2)
        channels = QHBoxLayout()
        channels.setSpacing(2)
        for place, (_, name, tip) in enumerate(_CHANNELS):
            button = QToolButton()
            button.setText(name)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setCheckable(True)
            button.setMinimumSize(34, 28)
            self._channels.addButton(button, place)
            channels.addWidget(button, 1)
        grid.addWidget(label("Channel", "muted"), len(rows), 0)
        grid.addLayout(channels, len(rows), 1, 1, 2)
        head = QHBoxLayout()
        head.addWidget(label("Show the image", "strong"), 1)
        head.addWidget(self.reset_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3 // 2, SPACE, SPACE * 3 // 2, SPACE * 3 // 2)
        layout.setSpacing(SPACE)
        layout.addLayout(head)
        layout.addLayout(grid)
        layout.addWidget(label("For your eyes only: files, labels and training stay as they are.", "small"))


class DisplayPopover(QFrame):
    """The controls in a popover; a click elsewhere or Esc closes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("kind", "floating")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.controls = DisplayControls(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(self.controls)

    def popup_at(self, corner: QPoint) -> None:
        """Open with the upper right corner at a point of the desktop, wholly on its screen."""
        self.adjustSize()
        room = self.screen().availableGeometry()
        x = max(room.left(), min(corner.x(), room.right() + 1) - self.width())
        y = max(room.top(), min(corner.y(), room.bottom() + 1 - self.height()))
        self.move(x, y)
        self.show()
        self.controls.brightness.setFocus()
