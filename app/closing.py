"""Leaving: save the labels, let the engine finish its step and save, end every thread; never an orphan.

::

    close -> labels saved? --no--> ask: try again, leave without saving, stay
                |yes
             exports written, shapes labelled? --no--> ask: leave without them, stay
                |yes
             engine told to leave (hidden window, or "Saving ..." while a run is saved)
                |finished, or killed after some seconds
             project closed, threads ended, window closed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt

from app.dialogs.message import Choice, MessageDialog

if TYPE_CHECKING:
    from app.main_window import MainWindow

ENGINE_LIMIT_S: Final = 6.0

_UNSAVED: Final = (
    Choice("leave", "Leave without saving", "danger"),
    Choice("stay", "Stay"),
    Choice("again", "Try again", "primary"),
)
_UNFINISHED: Final = (
    Choice("leave", "Leave without it", "danger"),
    Choice("stay", "Stay", "primary"),
)


class Closing(QObject):
    """Takes one window through its end."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._begun = False
        self.finished = False
        window.trainer.finished.connect(self._on_engine_gone)

    def begin(self) -> None:
        """Start, or go on asking."""
        if self._begun:
            return
        self._begun = True
        session = self._window.session
        if not session.flush():
            text = f"{session.save_state.text}\n\nWhat is not saved is lost if you leave now."
            self._ask("Not everything is saved", text, _UNSAVED)
        elif unfinished := self._unfinished():
            self._ask(unfinished, "What is not finished is lost if you leave now.", _UNFINISHED)
        else:
            self._leave()

    def _unfinished(self) -> str:
        """What would be lost besides unsaved labels; "" for nothing."""
        found = ["An export is being written"] if self._window.parts.exporting.busy else []
        match self._window.canvas.context.waiting.count:
            case 0:
                pass
            case 1:
                found.append("A shape waits for its label")
            case count:
                found.append(f"{count} shapes wait for their label")
        return ", and ".join(found)

    def _ask(self, title: str, text: str, choices: tuple[Choice, ...]) -> None:
        dialog = MessageDialog("warning", title, text, choices=choices, parent=self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self._on_chosen)
        dialog.open()

    def _on_chosen(self, key: str) -> None:
        self._begun = False
        if key == "leave":
            self._begun = True
            self._leave()
        elif key == "again":
            self.begin()

    def _leave(self) -> None:
        window = self._window
        if not window.trainer.isRunning():
            window.controller.begin_shutdown()
            self._finish()
            return
        if window.controller.training_state == "idle":
            window.hide()  # nothing to wait for that a person would want to see
        else:
            window.setEnabled(False)
            window.status.show_note("Saving the training run ...")
        window.controller.begin_shutdown(ENGINE_LIMIT_S)

    def _on_engine_gone(self) -> None:
        if self._begun and not self.finished:
            self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._window.controller.shutdown(ENGINE_LIMIT_S)
        self._window.session.close(discard=True)
        self._window.end_workers()
        self._window.close()
        self._window.left.emit()
