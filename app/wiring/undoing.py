"""Undo and redo in menu and toolbar: what they would take back or do again, and when they wait."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from app.actions import Actions
from app.canvas.view import CanvasView
from app.session.session import Session


class Undoing(QObject):
    """Joins the two actions with session and canvas.

    While a button is held that draws or drags something, neither does anything: the edit would land on
    another state of the document than the one it was begun on.
    """

    def __init__(self, session: Session, canvas: CanvasView, actions: Actions) -> None:
        super().__init__(canvas)
        self._session = session
        self._canvas = canvas
        self._undo = actions["edit.undo"]
        self._redo = actions["edit.redo"]
        self._undo.triggered.connect(lambda: self._do(session.undo))
        self._redo.triggered.connect(lambda: self._do(session.redo))
        session.current_changed.connect(self._tell)
        session.history_changed.connect(self._tell)
        self._tell()

    def _do(self, step: Callable[[], None]) -> None:
        if not self._canvas.dragging:
            step()

    def _tell(self, _current: object = None) -> None:
        order = self._session.undo_order
        for action, verb, step in (
            (self._undo, "&Undo", order.undo_name),
            (self._redo, "&Redo", order.redo_name),
        ):
            action.setEnabled(step is not None)
            # & in a class's name is no mnemonic.
            action.setText(verb if step is None else f"{verb} {step.replace('&', '&&')}")
