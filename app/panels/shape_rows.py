"""Model and delegate of the shape list: made for ten thousand rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.icons import icon_pixmap
from app.panels.parts import draw_swatch
from app.panels.reorder import ReorderListModel
from app.panels.rows import paint_elided, paint_ground, row_size, small_font
from app.theme import SPACE, tokens
from core.annotation.locking import is_locked
from core.annotation.model import IGNORE_LABEL, ClassList, Shape, ShapeType

_INDEX = QModelIndex | QPersistentModelIndex
ROW_HEIGHT: Final = 26
_IGNORED_COLOR: Final = "#8a8a8a"
_UNKNOWN_COLOR: Final = "#b0b0b0"
ShapeRole: Final = Qt.ItemDataRole.UserRole
_ColorRole: Final = Qt.ItemDataRole.UserRole + 1
_ICONS: Final = {
    ShapeType.ORIENTED_RECTANGLE: "oriented-rectangle",
}


def size_text(shape: Shape) -> str:
    """How much there is of a shape: vertices, or pixels of a mask."""
    if shape.mask is not None:
        height, width = shape.mask.shape
        return f"{width} x {height} px"
    count = len(shape.points) + sum(len(hole) for hole in shape.holes)
    holes = len(shape.holes)
    text = f"{count} pt"
    return f"{text}, {holes} hole{'' if holes == 1 else 's'}" if holes else text


MANY_ROWS: Final = 64
"""When more rows than this look different the view is told that all do."""


class ShapesModel(ReorderListModel):
    """Shapes topmost first. Edits change only the rows they touch, so that selection and place are kept.

    Signals:
        hidden_changed: the person ticked a box.
    """

    hidden_changed = Signal()
    row_flag = Qt.ItemFlag.ItemIsUserCheckable

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Shape] = []
        self._row_of: dict[int, int] = {}
        self._classes = ClassList()
        self.hidden: frozenset[int] = frozenset()

    def set_shapes(self, shapes: Sequence[Shape]) -> None:
        """Show these, given bottom to top as documents keep them."""
        new = list(reversed(shapes))
        old = self._rows
        head = _common(old, new)
        tail = _common(old[head:][::-1], new[head:][::-1])
        removed, added = len(old) - head - tail, len(new) - head - tail
        if removed:
            self.beginRemoveRows(QModelIndex(), head, head + removed - 1)
            self._rows = old[:head] + old[head + removed :]
            self._index_rows()
            self.endRemoveRows()
        if added:
            self.beginInsertRows(QModelIndex(), head, head + added - 1)
            self._rows = new
            self._index_rows()
            self.endInsertRows()
        changed = [
            row
            for row in (*range(head), *range(head + removed, len(old)))
            if old[row] is not new[row if row < head else row - removed + added]
        ]
        self._rows = new
        now = [row if row < head else row - removed + added for row in changed]
        if len(now) > MANY_ROWS:
            self._tell_all()
            now = []
        for row in now:
            self.dataChanged.emit(self.index(row), self.index(row))
        if self.hidden:
            self.hidden = self.hidden & self._row_of.keys()

    def set_classes(self, classes: ClassList) -> None:
        """Take colours and names of the classes."""
        self._classes = classes
        self._tell_all()

    def set_hidden(self, hidden: frozenset[int]) -> None:
        """Untick these uids, tick all others."""
        if hidden != self.hidden:
            self.hidden = frozenset(hidden)
            self._tell_all()

    def shape_at(self, row: int) -> Shape:
        """The shape in a row."""
        return self._rows[row]

    def row_of(self, uid: int) -> int | None:
        """The row of a shape; None when it is not listed."""
        return self._row_of.get(uid)

    def rowCount(self, parent: _INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """One row a shape."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text for screen readers and type-ahead, the shape for the delegate."""
        shape = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return shape.label
        if role == Qt.ItemDataRole.CheckStateRole:
            shown = shape.uid not in self.hidden
            return Qt.CheckState.Checked if shown else Qt.CheckState.Unchecked
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            kind = shape.shape_type.value.replace("_", " ")
            text = f"{shape.label}, {kind}, {size_text(shape)}"
            return f"{text}\n{shape.description}" if shape.description else text
        if role == ShapeRole:
            return shape
        if role == _ColorRole:
            found = self._classes.by_name(shape.label)
            if found is not None:
                return found.color
            return _IGNORED_COLOR if shape.label == IGNORE_LABEL else _UNKNOWN_COLOR
        return None

    def setData(self, index: _INDEX, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tick or untick."""
        if role != Qt.ItemDataRole.CheckStateRole:
            return False
        uid = self._rows[index.row()].uid
        shown = Qt.CheckState(value) == Qt.CheckState.Checked
        self.hidden = self.hidden - {uid} if shown else self.hidden | {uid}
        self.dataChanged.emit(index, index)
        self.hidden_changed.emit()
        return True

    def _index_rows(self) -> None:
        self._row_of = {shape.uid: row for row, shape in enumerate(self._rows)}

    def _tell_all(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))


def _common(old: Sequence[Shape], new: Sequence[Shape]) -> int:
    """How many shapes both lists have in common at their start, by identity of the shape."""
    count = 0
    for before, after in zip(old, new, strict=False):
        if before.uid != after.uid:
            break
        count += 1
    return count


class ShapeDelegate(QStyledItemDelegate):
    """Paints a row: box, swatch, label, type, size."""

    @classmethod
    def spot_at(cls, row: QRect, where: QPoint) -> str:
        """The word "box" where the tick box is, with a margin that makes it easier to hit; else ""."""
        return "box" if cls.box_rect(row).adjusted(-6, -5, 4, 5).contains(where) else ""

    @staticmethod
    def box_rect(row: QRect) -> QRect:
        """Where the tick box is."""
        return QRect(row.left() + SPACE + 2, row.top() + (row.height() - 16) // 2, 16, 16)

    def sizeHint(self, option: QStyleOptionViewItem, index: _INDEX) -> QSize:
        """One line."""
        return row_size(option, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _INDEX) -> None:
        """Draw the row."""
        theme = tokens()
        row: QRect = option.rect
        shape: Shape = index.data(ShapeRole)
        shown = Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) == Qt.CheckState.Checked
        ratio = painter.device().devicePixelRatioF()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme)
        box = QRectF(self.box_rect(row)).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QColor(theme.accent if shown else theme.faint))
        painter.setBrush(QColor(theme.accent if shown else theme.sunken))
        painter.drawRoundedRect(box, 4, 4)
        if shown:
            pixmap = icon_pixmap("check", theme.on_accent, 12, ratio)
            painter.drawPixmap(round(box.left() + 1.5), round(box.top() + 1.5), pixmap)
        swatch = QRectF(row.left() + SPACE + 26, QRectF(row).center().y() - 5.5, 11, 11)
        draw_swatch(painter, swatch, index.data(_ColorRole), theme.border_strong)
        painter.setFont(small_font(option.font))
        painter.setPen(QColor(theme.muted))
        size = size_text(shape)
        size_width = painter.fontMetrics().horizontalAdvance(size)
        right = row.right() - SPACE - 4
        middle = Qt.AlignmentFlag.AlignVCenter
        size_box = QRect(right - size_width, row.top(), size_width + 1, row.height())
        painter.drawText(size_box, middle | Qt.AlignmentFlag.AlignRight, size)
        name = _ICONS.get(shape.shape_type, shape.shape_type.value)
        kind = icon_pixmap(name, theme.muted, 14, ratio)
        icons_left = right - size_width - 20
        painter.drawPixmap(icons_left, row.center().y() - 6, kind)
        if is_locked(shape):
            icons_left -= 18
            painter.drawPixmap(icons_left, row.center().y() - 6, icon_pixmap("lock", theme.muted, 14, ratio))
        painter.setFont(option.font)
        painter.setPen(QColor(theme.text if shown else theme.muted))
        left = row.left() + SPACE + 44
        room = max(0, icons_left - 6 - left)
        paint_elided(painter, QRect(left, row.top(), room, row.height()), shape.label)
        painter.restore()
