"""Every file that cannot be used, one line each; a click on a line or Enter shows its image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.parts import label
from app.theme import SPACE

if TYPE_CHECKING:
    from app.session.image_status import Problem


class ProblemsDialog(QDialog):
    """Stays open beside the window while things are mended; `set_problems` brings it up to date.

    Signals:
        image_requested(str key): show this image.
    """

    image_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Problems")
        self.resize(640, 360)
        self._heading = label("", "heading")
        lead = label("These files are left as they are; everything else can be used.", "muted")
        lead.setWordWrap(True)
        self.list = QListWidget()
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("Problems")
        self.list.itemClicked.connect(self._on_item)
        self.list.itemActivated.connect(self._on_item)
        copy = QPushButton("Copy all")
        copy.setAutoDefault(False)
        copy.clicked.connect(self._on_copy)
        close = QPushButton("Close")
        close.setProperty("kind", "primary")
        close.clicked.connect(self.close)
        row = QHBoxLayout()
        row.addWidget(copy)
        row.addStretch(1)
        row.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(self._heading)
        layout.addWidget(lead)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)

    def set_problems(self, problems: Sequence[Problem]) -> None:
        """List these; the line of the same image stays marked."""
        if [problem.text for problem in problems] == self.texts() and problems:
            return
        marked = self.list.currentItem()
        key = None if marked is None else marked.data(Qt.ItemDataRole.UserRole)
        self.list.clear()
        for problem in problems:
            item = QListWidgetItem(problem.text, self.list)
            item.setToolTip("Show this image" if problem.key else problem.text)
            item.setData(Qt.ItemDataRole.UserRole, problem.key)
            if problem.key and problem.key == key:
                self.list.setCurrentItem(item)
        count = len(problems)
        self._heading.setText(
            f"{count} problem{'s' if count != 1 else ''}" if count else "No problems: every file can be used"
        )

    def texts(self) -> list[str]:
        """The lines."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def _on_item(self, item: QListWidgetItem) -> None:
        key = item.data(Qt.ItemDataRole.UserRole)
        if key:
            self.image_requested.emit(key)

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(self.texts()))
