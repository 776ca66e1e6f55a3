"""What is asked about the open project ends with it.

Opening takes a while, and the project before stays open and in use meanwhile. A question that is open when
the other one comes would be answered in that: keys of images and indices of classes are the same in both.
"""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QDialog

from app.session.session import Session


def ends_with_project(session: Session, question: QDialog) -> None:
    """Close this question unanswered as soon as another project is open, or none."""
    session.project_changed.connect(question.reject)


def close_popups() -> None:
    """Close every menu and popover: what it offers may be of a project that is closed."""
    while (popup := QApplication.activePopupWidget()) is not None and popup.close():
        pass
