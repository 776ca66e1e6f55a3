"""The line at the bottom: hints and messages, what is under the mouse, saved state, zoom, training."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QStatusBar, QWidget

from app.panels.parts import ElidedLabel, IconLabel
from app.readable import format_duration
from app.theme import SPACE
from app.workers.autosaver import SaveState
from core.annotation.model import LabelClass

MESSAGE_MS: Final = 8000
NARROW_WIDTH: Final = 960
MIN_MESSAGE_WIDTH: Final = 140
"""In a narrow window long class names give way to the message, logical pixels."""

_SAVE_WORDS: Final = {
    "saved": ("Saved", "check", "success"),
    "unsaved": ("Saving soon", "clock", "muted"),
    "saving": ("Saving", "clock", "muted"),
    "failed": ("Not saved", "error", "danger_text"),
    "conflict": ("Changed elsewhere", "warning", "warning"),
}


class Swatch(QWidget):
    """A class under the cursor: a dot of its colour and its name."""

    def __init__(self, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dot = QLabel(self)
        self._dot.setFixedSize(9, 9)
        self._kind = kind
        self._name = ElidedLabel(parent=self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE // 2)
        layout.addWidget(self._dot)
        layout.addWidget(self._name)
        self.hide()

    def show_class(self, label_class: LabelClass | None, detail: str = "") -> None:
        """Show a class, or hide."""
        self.setVisible(label_class is not None)
        if label_class is not None:
            self._dot.setStyleSheet(f"background: {label_class.color}; border-radius: 4px; padding: 0;")
            text = f"{label_class.name} {detail}".strip()
            self._name.set_text(text, f"{self._kind}: {text}")

    @property
    def text(self) -> str:
        """What is shown, "" when nothing."""
        return self._name.whole_text if not self.isHidden() else ""


class StatusBar(QStatusBar):
    """Told everything; `save_clicked` when the person wants to know about the saved state."""

    save_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._hint = ""
        self._note = ""
        self._training_step: int | None = None
        self._position = QLabel()
        self._value = QLabel()
        self._label = Swatch("What is drawn here")
        self._predicted = Swatch("What the network sees here")
        self._message = ElidedLabel()
        self._message.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._message.setMinimumWidth(MIN_MESSAGE_WIDTH)
        self._measure = QLabel()
        self._measure.setToolTip("What the selected shapes measure: area, or the length of lines")
        self._measure.hide()
        self._save_icon = IconLabel("check", "success", 14)
        self._save = QLabel()
        self._zoom = QLabel()
        self._zoom.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._training = QLabel()
        self._position.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._position.setMinimumWidth(self.fontMetrics().horizontalAdvance("0000, 0000") + 12)
        self._zoom.setMinimumWidth(self.fontMetrics().horizontalAdvance("6400 %") + 12)
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(SPACE // 2, 0, SPACE // 2, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(self._message, 1)
        for widget in (self._position, self._value, self._label, self._predicted):
            layout.addWidget(widget)
        layout.addWidget(self._measure)
        layout.addWidget(self._save_icon)
        layout.addWidget(self._save)
        layout.addWidget(self._zoom)
        layout.addWidget(self._training)
        self.addWidget(line, 1)
        self._training.hide()
        self._message_timer = QTimer(self, singleShot=True, interval=MESSAGE_MS)
        self._message_timer.timeout.connect(self._end_note)
        self.set_save_state(SaveState("saved"))
        self.set_zoom(1.0)

    # --- in -----------------------------------------------------------------------------------------------

    def set_position(self, x: int, y: int, value: str) -> None:
        """The pixel under the mouse and its value."""
        self._position.setText(f"{x}, {y}")
        self._value.setText(value)

    def clear_position(self) -> None:
        """The mouse is not over the image."""
        self._position.clear()
        self._value.clear()
        self._label.show_class(None)
        self._predicted.show_class(None)

    def set_label(self, label_class: LabelClass | None) -> None:
        """The class drawn under the mouse."""
        self._label.show_class(label_class)

    def set_predicted(self, label_class: LabelClass | None, confidence: float | None = None) -> None:
        """The class predicted under the mouse, and how sure the network is, 0..1; None: not yet tested."""
        sure = "" if confidence is None else f"{confidence:.2f} "
        words = "" if self._narrow else "(prediction)"
        self._predicted.show_class(label_class, f"{sure}{words}".rstrip())

    def set_measure(self, text: str) -> None:
        """Area or length of what is selected; "" for nothing."""
        self._measure.setText(text)
        self._measure.setVisible(bool(text))

    @property
    def measure(self) -> str:
        """The area or length shown."""
        return self._measure.text()

    def set_hint(self, text: str) -> None:
        """What can be done now; shown while there is no message."""
        self._hint = text
        if not self._note:
            self._message.set_text(text)

    def set_tip(self, text: str) -> None:
        """What the menu entry under the mouse does; "" ends it."""
        if text:
            self._message.set_text(text)
        else:
            self._message.set_text(self._note or self._hint)

    def show_note(self, text: str) -> None:
        """A message that stays for some seconds."""
        self._note = text
        self._message.set_text(text)
        self._message_timer.start()

    def set_save_state(self, state: SaveState) -> None:
        """How safe the work is."""
        words, icon_name, token = _SAVE_WORDS[state.kind]
        self._save.setText(words)
        self._save.setToolTip(state.text)
        self._save_icon.set_icon(icon_name, token)
        self._save_icon.setToolTip(state.text)
        self._save.setCursor(Qt.CursorShape.PointingHandCursor if state.text else Qt.CursorShape.ArrowCursor)
        if state.kind == "failed":
            self.show_note(state.text)

    def set_save_visible(self, visible: bool) -> None:
        """Without a project there is nothing to save."""
        self._save.setVisible(visible)
        self._save_icon.setVisible(visible)
        self._zoom.setVisible(visible)

    def set_zoom(self, zoom: float) -> None:
        """1.0 is one screen pixel for an image pixel."""
        self._zoom.setText(f"{zoom * 100:.0f} %" if zoom >= 0.1 else f"{zoom * 100:.1f} %")

    def set_training(self, step: int | None, seconds: float = 0.0) -> None:
        """Where training is; None when there is none."""
        self._training_step = step
        self._training.setVisible(step is not None and not self._narrow)
        if step is not None:
            self._training.setText(f"Step {step}, {format_duration(seconds)}")

    @property
    def text(self) -> str:
        """The message or hint that is shown."""
        return self._message.whole_text

    @property
    def save_text(self) -> str:
        """The words for the saved state."""
        return self._save.text()

    @property
    def under_cursor(self) -> tuple[str, str, str, str]:
        """Position, value, label and prediction as shown."""
        return self._position.text(), self._value.text(), self._label.text, self._predicted.text

    # --- inside -------------------------------------------------------------------------------------------

    @property
    def _narrow(self) -> bool:
        """What the training panel tells as well, and what the tooltip tells, gives way to the message."""
        return self.width() < NARROW_WIDTH

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say less in a narrow window."""
        super().resizeEvent(event)
        self._training.setVisible(self._training_step is not None and not self._narrow)

    def _end_note(self) -> None:
        self._note = ""
        self._message.set_text(self._hint)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click on the saved state asks what is the matter."""
        if self._save.rect().contains(self._save.mapFrom(self, event.position().toPoint())):
            self.save_clicked.emit()
        super().mousePressEvent(event)
