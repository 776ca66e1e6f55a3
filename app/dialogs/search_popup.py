"""A field over a list: what is typed narrows the list, Enter or a click takes a row, Esc closes."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QKeyEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QStyledItemDelegate,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.popups import fit_to_content
from app.panels.parts import IconLabel, hairline, label
from app.theme import SPACE

ModelIndex = QModelIndex | QPersistentModelIndex
MOST_ROWS: Final = 9


class SearchPopup(QDialog):
    """Subclasses fill `model` for what is typed (`fill`), and act on a row (`take`).

    Args:
        title: of the window, for screen readers. hint: in the empty field. nothing: said where no row fits.
        row_height: logical pixels.
    """

    def __init__(
        self,
        title: str,
        *,
        hint: str,
        nothing: str,
        width: int,
        row_height: int,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self.setFixedWidth(width)
        self._row_height = row_height
        self.model = QStandardItemModel(self)
        self.field = QLineEdit()
        self.field.setProperty("kind", "bare")
        self.field.setPlaceholderText(hint)
        self.field.setAccessibleName(title)
        self.field.installEventFilter(self)
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._nothing = label(nothing, "muted")
        self._nothing.setContentsMargins(SPACE * 2, SPACE, SPACE * 2, SPACE)
        frame = QFrame()
        frame.setProperty("kind", "floating")
        head = QHBoxLayout()
        head.setContentsMargins(SPACE * 3 // 2, SPACE, SPACE * 3 // 2, SPACE)
        head.setSpacing(SPACE // 2)
        head.addWidget(IconLabel("search"))
        head.addWidget(self.field, 1)
        inner = QVBoxLayout(frame)
        inner.setContentsMargins(1, 1, 1, SPACE // 2)
        inner.setSpacing(SPACE // 2)
        inner.addLayout(head)
        inner.addWidget(hairline())
        inner.addWidget(self.list)
        inner.addWidget(self._nothing)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        self.field.textChanged.connect(self.refill)
        self.list.clicked.connect(self._on_clicked)

    def set_rows_drawn_by(self, delegate: QStyledItemDelegate) -> None:
        """Paint the rows so."""
        self.list.setItemDelegate(delegate)

    def fill(self, typed: str) -> None:
        """Put into `model` what fits, best first."""
        raise NotImplementedError

    def take(self, row: int) -> None:
        """A person wants this row."""
        raise NotImplementedError

    def refill(self, typed: str) -> None:
        """Show what fits, with the first row marked."""
        self.model.clear()
        self.fill(typed)
        count = self.model.rowCount()
        self.list.setFixedHeight(max(1, min(count, MOST_ROWS)) * self._row_height + 2)
        self.list.setVisible(count > 0)
        self._nothing.setVisible(count == 0)
        self.mark(0)
        fit_to_content(self)

    def mark(self, row: int) -> None:
        """Mark a row; one that cannot be taken now is not marked."""
        self.list.setCurrentIndex(self.model.index(row, 0))

    def _on_clicked(self, index: QModelIndex) -> None:
        self._take(index.row())

    def _take(self, row: int) -> None:
        if 0 <= row < self.model.rowCount():
            self.take(row)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows and pages move the mark, Enter takes it, while the field keeps the keyboard."""
        if watched is not self.field or not isinstance(event, QKeyEvent):
            return False
        if event.type() != QEvent.Type.KeyPress:
            return False
        row = self.list.currentIndex().row()
        able = [place for place in range(self.model.rowCount()) if self.model.item(place).isEnabled()]
        first, last = (able[0], able[-1]) if able else (-1, -1)
        match event.key():
            case Qt.Key.Key_Down:  # beyond the last comes the first
                self.mark(min((place for place in able if place > row), default=first))
            case Qt.Key.Key_Up:
                self.mark(max((place for place in able if place < row), default=last))
            case Qt.Key.Key_PageDown:
                self.mark(max((place for place in able if place <= row + MOST_ROWS), default=first))
            case Qt.Key.Key_PageUp:
                self.mark(min((place for place in able if place >= row - MOST_ROWS), default=last))
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._take(row)
            case _:
                return False
        return True
