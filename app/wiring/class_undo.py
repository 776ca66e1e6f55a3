"""A change of the classes says that it can be undone: a line with a button, and Ctrl+Z in the class list."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QWidget

from app.dialogs.message import Toast
from app.panels.class_list import ClassPanel
from app.session.class_editor import ClassEditor
from app.session.class_steps import ClassStep

UNDO = "Undo"
REDO = "Redo"


class ClassUndoOffer(QObject):
    """Offers to take back what was just done to the classes.

    Args:
        editor: has the steps.
        panel: while its list has the keyboard, undo is for the classes.
        toast: where the offer appears and leaves by itself; other lines replace it.
    """

    def __init__(self, editor: ClassEditor, panel: ClassPanel, toast: Toast) -> None:
        super().__init__(toast)
        self._editor = editor
        self._panel = panel
        self._toast = toast
        self._said = ""
        editor.stepped.connect(self._on_stepped)
        editor.steps_changed.connect(self._withdraw)
        toast.action_clicked.connect(self._on_clicked)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.focusChanged.connect(self._on_focus_changed)

    def _on_stepped(self, step: ClassStep, undone: bool) -> None:
        self._said = step.undone if undone else step.done
        if self._said:
            self._toast.show_message("info", self._said, action=REDO if undone else UNDO)

    def _on_clicked(self) -> None:
        if self._toast.text == self._said:  # else another line with a button of its own is on show
            if self._editor.next_undo is not None and self._said == self._editor.next_undo.done:
                self._editor.undo()
            else:
                self._editor.redo()

    def _withdraw(self) -> None:
        """What the button would do is not next any more."""
        if self._said and self._toast.text == self._said:
            self._toast.hide()
        self._said = ""

    def _on_focus_changed(self, _before: QWidget | None, now: QWidget | None) -> None:
        self._editor.set_in_hand(now is self._panel.view)
