"""labelme's real window, driven from outside. Runs in the interpreter that has labelme, never in ours.

labelme stays a program of its own: this makes its window, presses its keys and answers its dialogs, through
Qt and through what it shows of itself.
"""

from __future__ import annotations

from pathlib import Path

import loguru
from labelme import __version__ as VERSION
from labelme._app import MainWindow
from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QMessageBox, QWidget

__all__ = ["VERSION", "Complaints", "action", "canvas_of", "make_application", "make_window"]


def make_application() -> QApplication:
    """The QApplication, as labelme's own start makes it."""
    loguru.logger.remove()
    app = QApplication(["labelme"])
    app.setStyle("Fusion")
    app.setApplicationName("Labelme")
    return app


def make_window(file: Path | None = None) -> QMainWindow:
    """A window with default settings, on a file or on nothing; it saves when it is told to."""
    return MainWindow(
        config_file=None,
        config_overrides={"auto_save": False},
        file_or_dir=None if file is None else str(file),
    )


def canvas_of(window: QMainWindow) -> QWidget:
    """Where labelme draws; its attribute `shapes` lists what is drawn, bottom to top."""
    return next(widget for widget in window.findChildren(QWidget) if type(widget).__name__ == "Canvas")


def action(window: QMainWindow, keys: str) -> QAction:
    """The action with this shortcut."""
    wanted = QKeySequence(keys)
    return next(found for found in window.findChildren(QAction) if wanted in found.shortcuts())


class Complaints(QObject):
    """Closes every dialog that labelme opens, and keeps what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._timer = QTimer(self)
        self._timer.setInterval(20)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _look(self) -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            return
        if isinstance(dialog, QMessageBox):
            text = " ".join(filter(None, (dialog.text(), dialog.informativeText(), dialog.detailedText())))
        else:
            text = " ".join(label.text() for label in dialog.findChildren(QLabel))
        self.said.append(f"{dialog.windowTitle()}: {text}")
        dialog.close()
