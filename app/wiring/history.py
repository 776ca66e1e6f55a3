"""The history list joined with the session."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QTimer

from app.panels.history_list import HistoryPanel
from app.session.session import Session

HISTORY_DELAY_MS = 30
"""A drag pushes sixty commands a second, all merged into one entry."""


class HistoryWiring(QObject):
    """Tells the list what was done, while anybody can see it, and the session where to go."""

    def __init__(self, session: Session, panel: HistoryPanel) -> None:
        super().__init__(panel)
        self._session = session
        self._panel = panel
        self._timer = QTimer(self, singleShot=True, interval=HISTORY_DELAY_MS)
        self._timer.timeout.connect(self._refresh)
        panel.position_requested.connect(self._on_position_requested)
        session.history_changed.connect(self._on_history_changed)
        panel.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The list comes into sight, with its tab or with the dock: show what was done meanwhile."""
        if event.type() == QEvent.Type.Show:
            self._refresh()
        return super().eventFilter(watched, event)

    def _on_history_changed(self) -> None:
        if self._panel.isVisible() and not self._timer.isActive():
            self._timer.start()

    def _on_position_requested(self, position: int) -> None:
        self._session.go_to_edit(position)
        self._refresh()  # a jump that was refused must not leave the mark where it is not

    def _refresh(self) -> None:
        self._timer.stop()
        current = self._session.current
        history = None if current is None else current.history
        if history is None:
            self._panel.set_history((), 0)
        else:
            self._panel.set_history([command.name for command in history.entries], history.position)
