"""The confusion matrix of the last validation, beside the window and live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.learning.score_words import MEANINGS, images_words
from app.panels.confusion import Confusion, ConfusionView
from app.panels.parts import label
from app.theme import SPACE
from core.learning.events import Validated

_UNKNOWN_COLOR: Final = "#808080"


class _Scroll(QScrollArea):
    """As large as what is in it, where the screen has room."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setWidget(content)

    def sizeHint(self) -> QSize:
        """All of it; Qt's own is small."""
        return self._content.sizeHint()


class ConfusionDialog(QDialog):
    """Stays open beside the window; every validation brings it up to date."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Confusion matrix")
        self.view = ConfusionView()
        self._area = _Scroll(self.view)
        self._heading = label("What is taken for what", "heading")
        self._lead = label("", "muted")
        self._lead.setWordWrap(True)
        self._cell = label("", "muted")
        self._cell.setWordWrap(True)
        self._cell.setMinimumHeight(2 * self._cell.fontMetrics().height())
        self._cell.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._empty = label("The matrix comes with the first validation: press Train.", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._area)
        close = QPushButton("Close")
        close.setProperty("kind", "primary")
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.setSpacing(SPACE * 2)
        foot.addWidget(self._cell, 1)
        foot.addWidget(close, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(self._heading)
        layout.addWidget(self._lead)
        layout.addWidget(self._stack, 1)
        layout.addLayout(foot)
        self.view.cell_shown.connect(self._on_cell_shown)
        self.view.cell_reached.connect(self._on_cell_reached)
        self.resize(560, 420)
        self.clear()

    @property
    def lead_text(self) -> str:
        """What the matrix is of."""
        return self._lead.text()

    @property
    def cell_text(self) -> str:
        """The chosen cell in words."""
        return self._cell.text()

    def clear(self) -> None:
        """There is no score."""
        self.view.set_confusion(Confusion((), (), ()))
        self._stack.setCurrentWidget(self._empty)
        self._lead.setText("Each row has the pixels of one true class, each column what they were taken for.")
        self._cell.clear()

    def show_validation(self, event: Validated, colors: Mapping[str, str]) -> None:
        """Show a validation's counts; `colors`: of classes by their names, as #rrggbb."""
        if not event.confusion:
            return
        first = self._stack.currentWidget() is self._empty
        names = tuple(event.per_class_iou)
        shown = tuple(colors.get(name, _UNKNOWN_COLOR) for name in names)
        self.view.set_confusion(Confusion(names, shown, event.confusion))
        self._stack.setCurrentWidget(self._area)
        on = images_words(event.on, event.images)
        self._lead.setText(
            f"Step {event.step:,}, on {on}: {MEANINGS[event.on]}. Each row has the pixels of one true class,"
            " each column what they were taken for."
        )
        if first:
            self._on_cell_shown("")
            self.adjustSize()

    def _on_cell_reached(self, middle: QPointF) -> None:
        self._area.ensureVisible(int(middle.x()), int(middle.y()))

    def _on_cell_shown(self, text: str) -> None:
        self._cell.setText(text or "Point at a cell to read its counts.")
