"""The edits of the current image, oldest first: a click goes back or forth to any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.icons import icon_pixmap
from app.panels.headings import PanelHeading
from app.panels.parts import MIN_PANEL_WIDTH, ElidedLabel
from app.panels.rows import is_selected, one_line_rows, paint_elided, paint_ground, row_size
from app.theme import SPACE, tokens

_INDEX = QModelIndex | QPersistentModelIndex
_START: Final = "As it was opened"
_ROW_HEIGHT: Final = 26
_UndoneRole: Final = Qt.ItemDataRole.UserRole


class _HistoryModel(QAbstractListModel):
    """Row 0 is the image as it was opened, row n the n-th edit."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._position = 0

    def set_history(self, names: Sequence[str], position: int) -> None:
        """Take the edits. Those at the start that are as they were keep their rows."""
        new = list(names)
        old = self._names
        same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
        kept = min(len(old), len(new)) if same is None else same
        if len(old) > kept:
            self.beginRemoveRows(QModelIndex(), kept + 1, len(old))
            self._names = old[:kept]
            self.endRemoveRows()
        if len(new) > kept:
            self.beginInsertRows(QModelIndex(), kept + 1, len(new))
            self._names = new
            self.endInsertRows()
        self._position = position
        self.dataChanged.emit(self.index(0), self.index(len(new)), [_UndoneRole])

    def rowCount(self, parent: _INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """One row an edit, and one for the start."""
        return 0 if parent.isValid() else len(self._names) + 1

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name of the edit; whether it is undone."""
        row = index.row()
        undone = row > self._position
        if role == Qt.ItemDataRole.DisplayRole:
            return self._names[row - 1] if row else _START
        if role == _UndoneRole:
            return undone
        if role == Qt.ItemDataRole.AccessibleTextRole:
            name = self._names[row - 1] if row else _START
            return f"{name}, undone" if undone else name
        if role == Qt.ItemDataRole.ToolTipRole:
            count = abs(self._position - row)
            if not count:
                return "This is where the image is now"
            steps = "1 edit" if count == 1 else f"{count:,} edits"
            return f"{'Redo' if undone else 'Undo'} {steps}"
        return None


class _HistoryDelegate(QStyledItemDelegate):
    """A mark at the present place; what is undone is pale."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _INDEX) -> QSize:
        """One line."""
        return row_size(option, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _INDEX) -> None:
        """Draw the row."""
        theme = tokens()
        row: QRect = option.rect
        undone = bool(index.data(_UndoneRole))
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme)
        font = QFont(option.font)
        font.setItalic(undone or index.row() == 0)
        painter.setFont(font)
        painter.setPen(QColor(theme.muted if undone or index.row() == 0 else theme.text))
        left = row.left() + SPACE + 24
        paint_elided(painter, QRect(left, row.top(), row.right() - left - SPACE, row.height()), index.data())
        name, color = ("redo", theme.faint) if undone else ("check", theme.muted)
        if is_selected(option):
            name, color = "chevron-right", theme.accent_text
        ratio = painter.device().devicePixelRatioF()
        painter.drawPixmap(row.left() + SPACE + 2, row.center().y() - 6, icon_pixmap(name, color, 14, ratio))
        painter.restore()


class HistoryPanel(QWidget):
    """The list with its heading. Knows no session.

    Signals:
        position_requested(int): be where so many edits, counted from the oldest, are done.
    """

    position_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._position = 0
        self.model = _HistoryModel(self)
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(_HistoryDelegate(self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        one_line_rows(self.view, "Edits of this image, oldest first")
        self.heading = PanelHeading("History", "history")
        self._count = ElidedLabel("", "small")
        self.heading.add_tool(self._count, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.heading)
        layout.addWidget(self.view, 1)
        self.setMinimumWidth(MIN_PANEL_WIDTH)
        self.view.selectionModel().currentChanged.connect(self._on_current_changed)

    def set_history(self, names: Sequence[str], position: int) -> None:
        """Show these edits, oldest first; the first `position` of them are done, the others undone."""
        self._position = position
        with QSignalBlocker(self.view.selectionModel()):
            self.model.set_history(names, position)
            flags = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.view.selectionModel().setCurrentIndex(self.model.index(position), flags)
        self.view.scrollTo(self.model.index(position))
        self.view.viewport().update()
        total = len(names)
        self._count.set_text("" if not total else f"{position:,} of {total:,}")

    def names(self) -> list[str]:
        """The rows as shown."""
        return [str(self.model.index(row).data()) for row in range(self.model.rowCount())]

    @property
    def position(self) -> int:
        """How many edits are done, as shown."""
        return self._position

    def _on_current_changed(self, current: QModelIndex) -> None:
        """A click or an arrow key."""
        if current.isValid() and current.row() != self._position:
            self.position_requested.emit(current.row())
