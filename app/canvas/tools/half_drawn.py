"""What tools share while something is half drawn: their keys, and the way back to what was dropped."""

from __future__ import annotations

from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent

from app.canvas.context import ToolContext
from core.annotation.document import AnnotationDocument

T = TypeVar("T")

FINISH_KEYS: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
ASKING_HINT: Final = "Choose a label for it; Esc goes back to drawing"
BRING_BACK_HINT: Final = "Backspace brings the dropped outline back; a click begins another"


def brings_back(event: QKeyEvent) -> bool:
    """Backspace alone: the last point goes, or, with nothing drawn, what was dropped comes back."""
    return event.key() == Qt.Key.Key_Backspace and event.modifiers() == Qt.KeyboardModifier.NoModifier


def takes_back(event: QKeyEvent) -> bool:
    """Backspace or Ctrl+Z: take the last point back."""
    return _undoes(event) or brings_back(event)


def drops(event: QKeyEvent) -> bool:
    """Esc or Ctrl+Z during a drag: the drag is what is taken back, nothing that was done before it."""
    return event.key() == Qt.Key.Key_Escape or _undoes(event)


def steers(event: QKeyEvent) -> bool:
    """Does the key mean something to what is half drawn: finish it, drop it, take a point back?"""
    return event.key() in FINISH_KEYS or event.key() == Qt.Key.Key_Escape or takes_back(event)


def _undoes(event: QKeyEvent) -> bool:
    return event.key() == Qt.Key.Key_Z and event.modifiers() == Qt.KeyboardModifier.ControlModifier


class DroppedOutlines(Generic[T]):
    """The outline that a tool last dropped, half drawn, on each image: one Esc or one step to the next image
    must not cost sixty points.

    Documents are remembered weakly: what belongs to a closed project goes with it.
    """

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._outlines: WeakKeyDictionary[AnnotationDocument, T] = WeakKeyDictionary()

    def __bool__(self) -> bool:
        """Is there one of the image on show?"""
        document = self._context.document
        return document is not None and document in self._outlines

    def keep(self, outline: T) -> None:
        """Remember what is being dropped."""
        if self._context.document is not None:
            self._outlines[self._context.document] = outline

    def take(self) -> T | None:
        """The one of the image on show, which is then forgotten."""
        document = self._context.document
        return None if document is None else self._outlines.pop(document, None)
