"""Keys of what is half drawn reach the canvas while a panel has the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QKeySequenceEdit,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

_TEXT_FIELDS: Final = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox, QKeySequenceEdit)


class KeysElsewhere(QObject):
    """Watches the widget of the same window that has the keyboard, unless text is typed there.

    One widget at a time: a filter on the application would run Python for every event there is.

    Args:
        canvas: whose keys they are.
        wanted: is this key the canvas's, now?
        use: the key goes down.
    """

    def __init__(
        self, canvas: QWidget, wanted: Callable[[QKeyEvent], bool], use: Callable[[QKeyEvent], None]
    ) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._wanted = wanted
        self._use = use
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._on_focus_changed)

    def _on_focus_changed(self, before: QWidget | None, now: QWidget | None) -> None:
        if before is not None:
            before.removeEventFilter(self)
        if now is not None and self._is_panel(now):
            now.installEventFilter(self)

    def _is_panel(self, widget: QWidget) -> bool:
        if widget is self._canvas or isinstance(widget, _TEXT_FIELDS):
            return False
        if isinstance(widget, QComboBox) and widget.isEditable():
            return False
        window = widget.window()
        return window is self._canvas.window() or isinstance(window, QDockWidget)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Take what is the canvas's before the widget, or a shortcut of the window, does."""
        if not isinstance(event, QKeyEvent) or not self._wanted(event):
            return False
        match event.type():
            case QEvent.Type.ShortcutOverride:
                event.accept()
            case QEvent.Type.KeyPress:
                self._use(event)
            case _:
                return False
        return True
