"""Delete a class: what shall happen to its shapes?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.parts import IconPushButton, label, swatch_icon
from app.theme import SPACE, tokens
from core.annotation.model import LabelClass

Answer: TypeAlias = Literal["delete", "ignore"] | int


class DeleteClassDialog(QDialog):
    """Asks before a class goes. After `accept`, `answer` is what was chosen.

    Args:
        label_class: the class to delete.
        shapes: how many shapes in the whole project carry its label.
        others: classes its shapes could move to; the background is offered last, as it hides what was drawn.
        background: index of the project's background, if it has one.
    """

    def __init__(
        self,
        label_class: LabelClass,
        shapes: int,
        others: Sequence[LabelClass],
        background: int | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Delete class")
        self.setMinimumWidth(420)
        amount = "1 shape" if shapes == 1 else f"{shapes:,} shapes"
        heading = label(f"Delete the class “{label_class.name}”?", "heading")
        heading.setWordWrap(True)
        lead = label(
            f"{amount} in this project {'carries' if shapes == 1 else 'carry'} this label."
            " Undo does not bring a class back."
            if shapes
            else "No shape carries this label; nothing else changes.",
            "muted",
        )
        lead.setWordWrap(True)
        one = shapes == 1
        which = "the shape" if one else f"the {amount}"
        self.delete_choice = QRadioButton(f"Delete {which} too")
        self.move_choice = QRadioButton(f"Move {which} to")
        areas = "an ignored area" if one else "ignored areas"
        self.ignore_choice = QRadioButton(f"Keep {which} as {areas}: nothing is learned there")
        self._group = QButtonGroup(self)
        self.target = QComboBox()
        outline = tokens().border_strong
        self.target.setAccessibleName("Class that the shapes move to")
        targets = [other for other in others if other.index != label_class.index]
        for other in sorted(targets, key=lambda each: each.index == background):
            if other.index == background and self.target.count():
                self.target.insertSeparator(self.target.count())
            self.target.addItem(swatch_icon(other.color, outline), other.name, other.index)
        self.move_choice.setEnabled(self.target.count() > 0)
        # What loses nothing is chosen at first: another real class, else an ignored area.
        real = any(other.index != background for other in targets)
        (self.move_choice if real else self.ignore_choice).setChecked(True)
        self.confirm = IconPushButton("trash", "Delete class", "danger")
        cancel = QPushButton("Cancel")
        cancel.setAutoDefault(False)

        choices = QVBoxLayout()
        choices.setSpacing(SPACE)
        move = QHBoxLayout()
        move.addWidget(self.move_choice)
        move.addWidget(self.target, 1)
        choices.addWidget(self.delete_choice)
        choices.addLayout(move)
        choices.addWidget(self.ignore_choice)
        for choice in (self.delete_choice, self.move_choice, self.ignore_choice):
            self._group.addButton(choice)
            choice.setVisible(shapes > 0)
        self.target.setVisible(shapes > 0)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(cancel)
        buttons.addWidget(self.confirm)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(heading)
        layout.addWidget(lead)
        layout.addSpacing(SPACE)
        layout.addLayout(choices)
        layout.addSpacing(SPACE * 2)
        layout.addLayout(buttons)
        self.move_choice.toggled.connect(self.target.setEnabled)
        self.target.setEnabled(self.move_choice.isChecked())
        self.confirm.clicked.connect(self.accept)
        cancel.clicked.connect(self.reject)
        # Enter must not destroy anything by accident.
        cancel.setDefault(True)

    @property
    def answer(self) -> Answer:
        """Either "delete" or "ignore", or the index of the class the shapes move to."""
        if self.delete_choice.isChecked():
            return "delete"
        if self.ignore_choice.isChecked():
            return "ignore"
        index: int = self.target.currentData()
        return index
