"""Leaving an image in progress: offers to call it done, with one key, without getting in the way."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from app.dialogs.message import Toast
from app.session.session import Session
from core.annotation.commands import SetState
from core.annotation.model import AnnotationState
from core.images.pages import image_stem

if TYPE_CHECKING:
    from app.session.state import CurrentImage

DONE = "Done"
UNDO = "Undo"
NOTHING_LEFT = "No image in progress was drawn on and left just now: there is nothing to call done."


class DoneOffer(QObject):
    """Looks at the image that is left: was it changed, and does it count only where it is drawn on?

    Args:
        session: tells which image is shown.
        toast: where the offer appears and leaves by itself; other lines replace it.
        action: its key takes the offer, and says why there is none.
    """

    def __init__(self, session: Session, toast: Toast, action: QAction) -> None:
        super().__init__(toast)
        self._session = session
        self._toast = toast
        self._action = action
        self._shown: CurrentImage | None = None
        self._shown_revision = 0
        self._left: CurrentImage | None = None
        self._said = ""
        self._offered = False
        action.triggered.connect(self.accept)
        toast.action_clicked.connect(self._on_clicked)
        session.current_changed.connect(self._on_current_changed)
        session.project_changed.connect(self._withdraw)

    def accept(self) -> None:
        """The image that was left is done; undoable here and in its own history."""
        left = self._left
        if left is None or left.document is None or left.document.state is not AnnotationState.IN_PROGRESS:
            self._session.message.emit(NOTHING_LEFT, "info")
            return
        if self._session.execute(SetState.of(left.document, AnnotationState.DONE), on=left):
            self._offered = False
            self._say(f"{_name(left)} is done.", UNDO)

    def _take_back(self) -> None:
        left = self._left
        if left is None or left.history is None or left.document is None:
            return
        last = left.history.entries[left.history.position - 1] if left.history.can_undo else None
        if isinstance(last, SetState) and left.document.state is AnnotationState.DONE:
            self._session.editor.undo(on=left)
            self._offer(left)

    def _on_clicked(self) -> None:
        if self._toast.text != self._said:
            return  # another line with a button of its own is on show
        if self._offered:
            self.accept()
        else:
            self._take_back()

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        left, revision = self._shown, self._shown_revision
        self._shown = current
        self._shown_revision = 0 if current is None or current.document is None else current.document.revision
        if left is None or current is None or left.entry.key == current.entry.key:
            return
        self._withdraw()
        document, history = left.document, left.history
        if document is None or history is None or self._session.classes.background is None:
            return  # without a background there is nothing that "done" would add
        edited = document.revision != revision and history.can_undo
        if edited and document.state is AnnotationState.IN_PROGRESS:
            self._offer(left)

    def _offer(self, left: CurrentImage) -> None:
        self._left = left
        self._offered = True
        key = self._action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        hint = f" ({key})" if key else ""
        self._say(f"{_name(left)} is in progress: undrawn pixels do not count. Done?{hint}", DONE)

    def _say(self, text: str, button: str) -> None:
        self._said = text
        self._toast.show_message("info", text, action=button)

    def _withdraw(self) -> None:
        if self._left is not None and self._toast.text == self._said:
            self._toast.hide()
        self._left = None
        self._offered = False


def _name(image: CurrentImage) -> str:
    return image_stem(PurePosixPath(image.entry.key))
