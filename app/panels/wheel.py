"""The wheel scrolls what an editor stands in, and changes the editor only once somebody has clicked it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QWidget


class _WheelToTheList(QObject):
    """Lets the wheel scroll past an editor that has not been clicked, instead of changing what it shows."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def leave_wheel_to_the_list(editor: QWidget) -> None:
    """Scroll what holds `editor` with the wheel over it, while it has not the keyboard."""
    editor.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    editor.installEventFilter(_WheelToTheList(editor))
