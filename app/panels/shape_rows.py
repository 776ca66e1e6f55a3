"""Model and delegate of the shape list: made for ten thousand rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from PySide6.QtCore import (
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.icons import icon_pixmap
from app.panels.parts import draw_swatch
from app.panels.reorder import ReorderListModel
from app.panels.rows import paint_elided, paint_ground, row_size, small_font
from app.theme import SPACE, tokens
from core.annotation.locking import is_locked
from core.annotation.model import IGNORE_LABEL, ClassList, Shape, ShapeType, spoken_label

_INDEX = QModelIndex | QPersistentModelIndex
ROW_HEIGHT: Final = 26
_WIDEST_MARK: Final = 48
"""Room for a group's number, logical pixels: other tools may give numbers of any length."""
_IGNORED_COLOR: Final = "#8a8a8a"
_UNKNOWN_COLOR: Final = "#b0b0b0"
ShapeRole: Final = Qt.ItemDataRole.UserRole
_ColorRole: Final = Qt.ItemDataRole.UserRole + 1
_GroupRole: Final = Qt.ItemDataRole.UserRole + 2
_WidestGroupRole: Final = Qt.ItemDataRole.UserRole + 3
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


@dataclass(frozen=True, slots=True)
class GroupMark:
    """What a row shows of its shape's group.

    Attributes:
        number: the `group_id`.
        above, below: whether the row next to it is of the same group.
    """

    number: int
    above: bool
    below: bool


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
        self._groups: dict[int, frozenset[int]] = {}
        self._widest_group = ""
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
        if self._find_groups() or len(now) > MANY_ROWS:
            self._tell_all()
            now = []
        for row in now:
            self.dataChanged.emit(self.index(row), self.index(row))
        self.hidden = self.hidden.intersection(self._row_of)

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

    def group_of(self, row: int) -> frozenset[int]:
        """The uids of those that are grouped with the shape in a row, itself included; empty for none."""
        number = self._rows[row].group_id
        return frozenset() if number is None else self._groups[number]

    def rowCount(self, parent: _INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """One row a shape."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text for screen readers and type-ahead, the shape for the delegate."""
        shape = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return spoken_label(shape.label)
        if role == Qt.ItemDataRole.CheckStateRole:
            shown = shape.uid not in self.hidden
            return Qt.CheckState.Checked if shown else Qt.CheckState.Unchecked
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            kind = shape.shape_type.value.replace("_", " ")
            text = f"{spoken_label(shape.label)}, {kind}, {size_text(shape)}"
            if shape.group_id is not None:
                count = len(self._groups[shape.group_id])
                text += f", group {shape.group_id} of {count} shape{'' if count == 1 else 's'}"
            return f"{text}\n{shape.description}" if shape.description else text
        if role == ShapeRole:
            return shape
        if role == _GroupRole:
            return self._group_mark(index.row())
        if role == _WidestGroupRole:
            return self._widest_group
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

    def _find_groups(self) -> bool:
        """Who is grouped with whom. True when that is not as it was."""
        groups: dict[int, set[int]] = {}
        for shape in self._rows:
            if shape.group_id is not None:
                groups.setdefault(shape.group_id, set()).add(shape.uid)
        before = self._groups
        self._groups = {number: frozenset(uids) for number, uids in groups.items()}
        self._widest_group = max((str(number) for number in groups), key=len, default="")
        return self._groups != before

    def _group_mark(self, row: int) -> GroupMark | None:
        number = self._rows[row].group_id
        if number is None:
            return None
        above = row > 0 and self._rows[row - 1].group_id == number
        below = row + 1 < len(self._rows) and self._rows[row + 1].group_id == number
        return GroupMark(number, above, below)

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
    """Paints a row: box, swatch, group, label, type, size."""

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
        widest: str = index.data(_WidestGroupRole)
        if widest:
            left += self._paint_group(painter, left, option, index.data(_GroupRole), widest)
            painter.setFont(option.font)
            painter.setPen(QColor(theme.text if shown else theme.muted))
        room = max(0, icons_left - 6 - left)
        paint_elided(painter, QRect(left, row.top(), room, row.height()), spoken_label(shape.label))
        painter.restore()

    @staticmethod
    def _paint_group(
        painter: QPainter, left: int, option: QStyleOptionViewItem, mark: GroupMark | None, widest: str
    ) -> int:
        """The group's number in a frame, joined with those of rows next to it. Returns the column's width."""
        theme, row = tokens(), QRectF(option.rect)
        painter.setFont(small_font(option.font))
        metrics = painter.fontMetrics()
        width = min(_WIDEST_MARK, max(18, metrics.horizontalAdvance(widest) + 10))
        if mark is not None:
            frame = QRectF(left, row.center().y() - 8, width, 16).adjusted(0.5, 0.5, -0.5, -0.5)
            painter.setPen(QPen(QColor(theme.accent_text), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(frame, 4, 4)
            middle = frame.center().x()
            if mark.above:
                painter.drawLine(QPointF(middle, row.top()), QPointF(middle, frame.top()))
            if mark.below:
                painter.drawLine(QPointF(middle, frame.bottom()), QPointF(middle, row.bottom() + 1))
            painter.setPen(QColor(theme.text))
            number = metrics.elidedText(str(mark.number), Qt.TextElideMode.ElideRight, width - 4)
            painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, number)
        return width + 8
