"""The question when another program changed an annotation that has unsaved edits here."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from app.dialogs.message import Choice, MessageDialog
from app.readable import sentence
from app.session.conflicts import ConflictChoice

_CHOICES = (
    Choice("reload", "Use theirs", "", "Read the file again; your edits since the last save are lost"),
    Choice("both", "Keep both", "", "Save yours; theirs is kept beside it as a copy"),
    Choice("mine", "Keep mine", "primary", "Save yours over the file"),
)


def ask_about_conflict(
    parent: QWidget, problem: str, answered: Callable[[ConflictChoice], None]
) -> MessageDialog:
    """Ask without blocking the program; closing the question decides nothing and it can be asked again."""
    later = "It is not saved until you decide. Close this to go on drawing: “Changed elsewhere” asks again."
    text = f"{sentence(problem)}\n\n{later}"
    dialog = MessageDialog(
        "question", "Another program changed this file", text, choices=_CHOICES, parent=parent
    )
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def on_chosen(key: str) -> None:
        for choice in ("reload", "both", "mine"):
            if key == choice:
                answered(choice)

    dialog.chosen.connect(on_chosen)
    dialog.open()
    return dialog
