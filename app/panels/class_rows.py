"""Model and delegate of the class list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PySide6.QtCore import (
    QEvent,
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
from PySide6.QtGui import QColor, QFont, QHelpEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from app.icons import icon_pixmap
from app.panels.parts import draw_swatch
from app.panels.reorder import ReorderListModel
from app.panels.rows import is_hovered, is_selected, paint_elided, paint_ground, row_size, small_font
from app.readable import format_share
from app.theme import SPACE, tokens
from core.annotation.model import ClassList, LabelClass

_INDEX = QModelIndex | QPersistentModelIndex
ROW_HEIGHT: Final = 30
_ClassRole: Final = Qt.ItemDataRole.UserRole
_ShareRole: Final = Qt.ItemDataRole.UserRole + 1
_VisibleRole: Final = Qt.ItemDataRole.UserRole + 2
_DigitRole: Final = Qt.ItemDataRole.UserRole + 3
_ActiveRole: Final = Qt.ItemDataRole.UserRole + 4


def class_hotkeys(classes: ClassList) -> dict[int, int]:
    """Which digit key chooses which class: {digit: class index}.

    The background has 0, the others 1 to 9 in the order they are shown.
    """
    keys = {} if classes.background is None else {0: classes.background}
    drawn = [index for index in classes.indices if index != classes.background]
    keys.update(zip(range(1, 10), drawn, strict=False))
    return keys


class ClassesModel(ReorderListModel):
    """The classes as rows.

    Attributes:
        active: index of the class new shapes get.

    Signals:
        rename_wanted(int, str): someone typed another name for the class of this index.
    """

    rename_wanted = Signal(int, str)
    row_flag = Qt.ItemFlag.ItemIsEditable

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.classes = ClassList()
        self.active: int | None = None
        self._digits: dict[int, int] = {}
        self._shares: dict[int, float] = {}
        self._hidden: set[int] = set()

    def set_classes(self, classes: ClassList) -> None:
        """Show these; what is hidden stays hidden."""
        self.beginResetModel()
        self.classes = classes
        self._digits = {index: digit for digit, index in class_hotkeys(classes).items()}
        self._hidden &= set(classes.indices)
        self.endResetModel()

    def set_active(self, index: int | None) -> None:
        """Mark this class."""
        self.active = index
        self._tell_all_changed()

    def set_shares(self, shares: Mapping[int, float]) -> None:
        """Shares 0..1 by class index."""
        self._shares = dict(shares)
        self._tell_all_changed()

    def set_visible(self, index: int, visible: bool) -> None:
        """Open or close a class' eye."""
        (self._hidden.discard if visible else self._hidden.add)(index)
        row = self.row_of(index)
        if row is not None:
            self.dataChanged.emit(self.index(row), self.index(row))

    def _tell_all_changed(self) -> None:
        if len(self.classes):
            self.dataChanged.emit(self.index(0), self.index(len(self.classes) - 1))

    def is_visible(self, index: int) -> bool:
        """Whether the class' eye is open."""
        return index not in self._hidden

    def class_at(self, row: int) -> LabelClass:
        """The class in a row."""
        found: LabelClass = self.classes[row]
        return found

    def row_of(self, index: int | None) -> int | None:
        """The row of a class index; None when it has none."""
        return self.classes.indices.index(index) if index in self.classes.indices else None

    def rowCount(self, parent: _INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """One row a class."""
        return 0 if parent.isValid() else len(self.classes)

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text for editor and screen reader, the rest for the delegate."""
        found = self.class_at(index.row())
        share = self._shares.get(found.index)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return found.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return (
                found.name if share is None else f"{found.name}, {format_share(share)} of the labelled pixels"
            )
        if role == _ClassRole:
            return found
        if role == _ShareRole:
            return share
        if role == _VisibleRole:
            return self.is_visible(found.index)
        if role == _DigitRole:
            return self._digits.get(found.index)
        if role == _ActiveRole:
            return found.index == self.active
        return None

    def setData(self, index: _INDEX, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """An edited name becomes a wish; the row changes when the project has changed."""
        if role != Qt.ItemDataRole.EditRole:
            return False
        self.rename_wanted.emit(self.class_at(index.row()).index, str(value))
        return False


class ClassDelegate(QStyledItemDelegate):
    """Paints a row and edits its name."""

    @classmethod
    def spot_at(cls, row: QRect, where: QPoint) -> str:
        """What of a row is under a point: "swatch", "eye" or "" for the rest."""
        if cls.swatch_rect(row).contains(where):
            return "swatch"
        return "eye" if cls.eye_rect(row).contains(where) else ""

    @staticmethod
    def swatch_rect(row: QRect) -> QRect:
        """Where the swatch is, with a margin that makes it easier to hit."""
        return QRect(row.left() + SPACE, row.top() + (row.height() - 20) // 2, 20, 20)

    @staticmethod
    def eye_rect(row: QRect) -> QRect:
        """Where the eye is."""
        return QRect(row.right() - 28, row.top() + (row.height() - 24) // 2, 24, 24)

    @staticmethod
    def name_rect(row: QRect) -> QRect:
        """Where the name is, and its editor."""
        left = row.left() + SPACE + 24 + 18
        return QRect(left, row.top(), max(20, row.right() - 28 - 52 - left), row.height())

    def sizeHint(self, option: QStyleOptionViewItem, index: _INDEX) -> QSize:
        """One line."""
        return row_size(option, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _INDEX) -> None:
        """Swatch, digit, name, share, eye; on the ground of a chosen row if the class is the active one."""
        option = _marked(option, active=bool(index.data(_ActiveRole)))
        theme = tokens()
        row: QRect = option.rect
        visible = bool(index.data(_VisibleRole))
        found: LabelClass = index.data(_ClassRole)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_ground(painter, option, theme, gap=1)
        swatch = QRectF(self.swatch_rect(row)).adjusted(3, 3, -3, -3)
        draw_swatch(painter, swatch, found.color, theme.border_strong)
        middle = Qt.AlignmentFlag.AlignVCenter
        small = small_font(option.font)
        painter.setPen(QColor(theme.muted))
        digit = index.data(_DigitRole)
        if digit is not None:
            painter.setFont(small)
            box = QRect(row.left() + SPACE + 22, row.top(), 14, row.height())
            painter.drawText(box, middle | Qt.AlignmentFlag.AlignHCenter, str(digit))
        share = index.data(_ShareRole)
        if share is not None:
            painter.setFont(small)
            box = QRect(self.eye_rect(row).left() - 56, row.top(), 52, row.height())
            painter.drawText(box, middle | Qt.AlignmentFlag.AlignRight, format_share(share))
        font = QFont(option.font)
        font.setBold(is_selected(option))
        painter.setFont(font)
        painter.setPen(QColor(theme.text if visible else theme.muted))
        paint_elided(painter, self.name_rect(row), found.name)
        if not visible or is_hovered(option) or is_selected(option):
            eye = self.eye_rect(row)
            ratio = painter.device().devicePixelRatioF()
            pixmap = icon_pixmap("eye" if visible else "eye-off", theme.muted, 16, ratio)
            painter.drawPixmap(eye.left() + 4, eye.top() + 4, pixmap)
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _INDEX) -> QWidget:
        """A plain field for the name."""
        editor = QLineEdit(parent)
        editor.setMaxLength(100)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: _INDEX) -> None:
        """Over the name, up to the eye."""
        name = self.name_rect(option.rect)
        editor.setGeometry(name.adjusted(-6, 3, 54, -3))

    def helpEvent(
        self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: _INDEX
    ) -> bool:
        """Say what is under the mouse."""
        if event.type() != QEvent.Type.ToolTip or not index.isValid():
            return super().helpEvent(event, view, option, index)
        found: LabelClass = index.data(_ClassRole)
        share, digit = index.data(_ShareRole), index.data(_DigitRole)
        spot = self.spot_at(option.rect, event.pos())
        if spot == "swatch":
            text = "Change the colour"
        elif spot == "eye":
            text = "Hide the shapes of this class" if index.data(_VisibleRole) else "Show them again"
        else:
            text = found.name
            text += "" if digit is None else f"  ·  key {digit}"
            text += f"  ·  value {found.index} in masks"
            text += "" if share is None else f"  ·  {format_share(share)} of the labelled pixels"
        QToolTip.showText(event.globalPos(), text, view)
        return True


def _marked(option: QStyleOptionViewItem, *, active: bool) -> QStyleOptionViewItem:
    """How a row is painted: the active class as chosen, the row that keys are at as the one under the mouse.

    Keys, right clicks and drags move the selection without choosing a class.
    """
    marked = QStyleOptionViewItem(option)
    marked.state &= ~QStyle.StateFlag.State_Selected
    if active:
        marked.state |= QStyle.StateFlag.State_Selected
    if option.state & QStyle.StateFlag.State_HasFocus:
        marked.state |= QStyle.StateFlag.State_MouseOver
    return marked
