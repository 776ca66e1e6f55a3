"""A line above the canvas with one thing to do: it stays until it is taken or put away."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.panels.parts import ElidedLabel, IconButton, IconLabel
from app.theme import SPACE


class OfferStrip(QWidget):
    """Says what could be done and does it with one click; in nobody's way meanwhile.

    Signals:
        taken, dismissed: the person did the one or the other; it has hidden itself.
    """

    taken = Signal()
    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        frame = QFrame()
        frame.setProperty("kind", "floating")
        self._text = ElidedLabel("")
        self.button = QPushButton()
        self.button.setProperty("kind", "primary")
        self.close_button = IconButton("close", "Do not offer this again")
        for control in (self.button, self.close_button):
            control.setFocusPolicy(self.close_button.focusPolicy())  # the canvas keeps the keyboard
        row = QHBoxLayout(frame)
        row.setContentsMargins(SPACE * 3 // 2, SPACE // 2, SPACE // 2, SPACE // 2)
        row.setSpacing(SPACE)
        row.addWidget(IconLabel("history", "accent_text"))
        row.addWidget(self._text, 1)
        row.addWidget(self.button)
        row.addWidget(self.close_button)
        around = QVBoxLayout(self)
        around.setContentsMargins(SPACE, SPACE, SPACE, SPACE // 2)
        around.addWidget(frame)
        self.button.clicked.connect(self._on_taken)
        self.close_button.clicked.connect(self._on_dismissed)
        self.hide()

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.whole_text

    def offer(self, text: str, button: str) -> None:
        """Show this line and this button."""
        self._text.set_text(text)
        self.button.setText(button)
        self.show()

    def _on_taken(self) -> None:
        self.hide()
        self.taken.emit()

    def _on_dismissed(self) -> None:
        self.hide()
        self.dismissed.emit()
