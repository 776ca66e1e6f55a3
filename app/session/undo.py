"""What undo and redo mean just now: an edit of the image on show, or a change of the classes."""

from __future__ import annotations

from app.session.class_editor import ClassEditor
from app.session.image_editor import ImageEditor


class Undo:
    """Belongs to a session. A change of the classes comes first where it was the last thing done."""

    def __init__(self, editor: ImageEditor, classes: ClassEditor) -> None:
        self._editor = editor
        self._classes = classes

    def undo(self) -> None:
        """Take the last step back."""
        if self._classes.next_undo is None:
            self._editor.undo()
        else:
            self._classes.undo()

    def redo(self) -> None:
        """Do the last undone step again."""
        if self._classes.next_redo is None:
            self._editor.redo()
        else:
            self._classes.redo()

    @property
    def undo_name(self) -> str | None:
        """What undo would take back; None when there is nothing."""
        step, history = self._classes.next_undo, self._editor.history
        return step.name if step is not None else None if history is None else history.undo_name

    @property
    def redo_name(self) -> str | None:
        """What redo would do again; None when there is nothing."""
        step, history = self._classes.next_redo, self._editor.history
        return step.name if step is not None else None if history is None else history.redo_name
