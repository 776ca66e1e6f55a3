"""Choose an amount with a slider while the canvas shows what it does: simplify, smooth."""

from __future__ import annotations

import math
from typing import Final

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent
from PySide6.QtWidgets import QDoubleSpinBox, QFrame, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from app.panels.parts import inset, label
from app.theme import SPACE

_STEPS: Final = 200
_WIDTH: Final = 300


class AmountPopover(QFrame):
    """A slider whose ends are a hundred times apart, and the number beside it.

    Enter accepts, Esc or a click elsewhere cancels; either way it is gone then.

    Args:
        title: what is done.
        amount: pixels, at first.
        lowest: the slider's left end, pixels.
        highest: its right end.

    Signals:
        amount_changed(float): while it moves, and once at the start.
        chosen(float): accepted.
        cancelled: closed without a choice.
    """

    amount_changed = Signal(float)
    chosen = Signal(float)
    cancelled = Signal()

    def __init__(
        self,
        title: str,
        amount: float,
        parent: QWidget | None = None,
        *,
        lowest: float = 0.1,
        highest: float = 30.0,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setWindowTitle(title)
        self._lowest, self._highest = lowest, highest
        self._done = False
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setAccessibleName(title)
        self.field = QDoubleSpinBox()
        self.field.setRange(lowest, highest)
        self.field.setDecimals(1)
        self.field.setSingleStep(0.1)
        self.field.setSuffix(" px")
        inset(self.field)
        self.field.setKeyboardTracking(False)
        self.field.setAccessibleName(f"{title}, pixels")
        self.note = label("", "muted")
        self.note.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(SPACE)
        row.addWidget(self.slider, 1)
        row.addWidget(self.field)
        self.setProperty("kind", "floating")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(SPACE * 3 // 2, SPACE, SPACE * 3 // 2, SPACE * 3 // 2)
        inside.setSpacing(SPACE)
        inside.addWidget(label(title, "strong"))
        inside.addLayout(row)
        inside.addWidget(self.note)
        inside.addWidget(label("Enter accepts, Esc cancels", "small"))
        self.setFixedWidth(_WIDTH)
        self._set_amount(amount)
        self.slider.valueChanged.connect(self._on_slider_moved)
        self.field.valueChanged.connect(self._on_number_changed)

    @property
    def amount(self) -> float:
        """Pixels."""
        return float(self.field.value())

    def set_note(self, text: str) -> None:
        """Say what the amount does: "120 vertices become 34"."""
        self.note.setText(text)

    def popup_at(self, global_pos: QPoint) -> None:
        """Show it, its top left corner there, moved so that all of it is on the screen."""
        self.adjustSize()
        room = self.screen().availableGeometry()
        x = min(global_pos.x(), room.right() - self.width())
        y = min(global_pos.y(), room.bottom() - self.height())
        self.move(max(room.left(), x), max(room.top(), y))
        self.show()
        self.slider.setFocus()
        self.amount_changed.emit(self.amount)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter accepts; Esc closes, which cancels."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.field.interpretText()
            self._done = True
            self.chosen.emit(self.amount)
            self.close()
        elif event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Closed in any other way: cancelled."""
        super().hideEvent(event)
        if not self._done:
            self._done = True
            self.cancelled.emit()
        self.deleteLater()

    def _on_slider_moved(self, step: int) -> None:
        share = step / _STEPS
        self._show(self._lowest * (self._highest / self._lowest) ** share, slider=False)

    def _on_number_changed(self, amount: float) -> None:
        self._show(amount, slider=True)

    def _show(self, amount: float, *, slider: bool) -> None:
        self._set_amount(amount, slider=slider)
        self.amount_changed.emit(self.amount)

    def _set_amount(self, amount: float, *, slider: bool = True) -> None:
        with QSignalBlocker(self.slider), QSignalBlocker(self.field):
            self.field.setValue(amount)
            if slider:
                share = math.log(self.amount / self._lowest) / math.log(self._highest / self._lowest)
                self.slider.setValue(round(share * _STEPS))
