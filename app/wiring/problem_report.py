"""Says which files of the project cannot be used: once when they are found, and in a list at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from app.dialogs.message import Toast
from app.session.session import Session

if TYPE_CHECKING:
    from app.dialogs.problems import ProblemsDialog
    from app.session.image_status import Problem

SHOW_ALL = "Show all"


class ProblemReport(QObject):
    """Joins the session's problems with a toast and the list.

    Args:
        session: finds them.
        toast: tells of new ones.
        action: opens the list.
        window: parent of the list.
    """

    def __init__(self, session: Session, toast: Toast, action: QAction, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._toast = toast
        self._window = window
        self._dialog: ProblemsDialog | None = None
        self._said = ""
        action.triggered.connect(self.open_list)
        toast.action_clicked.connect(self._on_clicked)
        session.problems_found.connect(self._on_found)
        session.statuses_changed.connect(self._on_statuses_changed)
        session.project_changed.connect(self._on_project_changed)

    def open_list(self) -> None:
        """Show all of them; the list follows while they are mended."""
        from app.dialogs.problems import ProblemsDialog

        if self._dialog is None:
            self._dialog = ProblemsDialog(self._window)
            self._dialog.image_requested.connect(self._session.open_image)
        self._dialog.set_problems(self._session.problems)
        self._dialog.show()
        self._dialog.raise_()

    def _on_found(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0].text
        if len(problems) == 1:
            self._said = first
        else:
            self._said = f"{len(problems)} files cannot be used. The first: {first}"
        self._toast.show_message("warning", self._said, action=SHOW_ALL)
        self._refresh()

    def _on_clicked(self) -> None:
        if self._toast.text == self._said:
            self._toast.hide()
            self.open_list()

    def _on_statuses_changed(self, _keys: object) -> None:
        self._refresh()

    def _on_project_changed(self) -> None:
        if self._dialog is not None:
            self._dialog.close()

    def _refresh(self) -> None:
        if self._dialog is not None and self._dialog.isVisible():
            self._dialog.set_problems(self._session.problems)
