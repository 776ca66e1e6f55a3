"""What the lists of the side panels have in common: a row's ground, fonts and text, and its menu."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QMenu,
    QStackedWidget,
    QStyle,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.panels.parts import label
from app.theme import SPACE, Tokens


def row_size(option: QStyleOptionViewItem, height: int) -> QSize:
    """One line: `height` logical pixels, or more where a large font needs it. The view decides the width."""
    return QSize(120, max(height, option.fontMetrics.height() + 6))


def is_selected(option: QStyleOptionViewItem) -> bool:
    """Is this row chosen?"""
    return bool(option.state & QStyle.StateFlag.State_Selected)


def is_hovered(option: QStyleOptionViewItem) -> bool:
    """Is the mouse over this row?"""
    return bool(option.state & QStyle.StateFlag.State_MouseOver)


def paint_ground(painter: QPainter, option: QStyleOptionViewItem, theme: Tokens, gap: int = 0) -> None:
    """The rounded ground of a chosen row or of the one under the mouse, `gap` px short above and below."""
    if not is_selected(option) and not is_hovered(option):
        return
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(theme.selection if is_selected(option) else theme.hover))
    painter.drawRoundedRect(QRectF(option.rect).adjusted(4, gap, -4, -gap), 5, 5)


def small_font(font: QFont) -> QFont:
    """The font of what stands beside a name: as the style sheet's role "small"."""
    small = QFont(font)
    small.setPointSizeF(font.pointSizeF() * 0.88)
    return small


def paint_elided(painter: QPainter, box: QRect, text: str) -> None:
    """A line of text, shortened with an ellipsis where the box ends."""
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, box.width())
    painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)


def one_line_rows(view: QListView, name: str) -> None:
    """Rows of one height that elide instead of scrolling sideways; `name` is for screen readers."""
    view.setUniformItemSizes(True)
    view.setMouseTracking(True)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    view.setAccessibleName(name)


def open_row_menus(view: QAbstractItemView, menu_of: Callable[[int], QMenu]) -> None:
    """A right click on a row opens the menu that `menu_of` makes for it."""

    def open_menu(where: QPoint) -> None:
        index = view.indexAt(where)
        if index.isValid():
            menu = menu_of(index.row())
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(view.viewport().mapToGlobal(where))

    view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
    view.customContextMenuRequested.connect(open_menu)


class UniformListView(QListView):
    """A list of rows that are all alike.

    QListView lays out everything anew when one row's data change, with `uniformItemSizes` too: 19 ms for
    ten thousand rows, at every edit and every thumbnail; and it fills an open editor anew, over what is being
    typed. Here only what is on show is painted again.
    """

    def dataChanged(
        self,
        top_left: QModelIndex | QPersistentModelIndex,
        bottom_right: QModelIndex | QPersistentModelIndex,
        roles: Sequence[int] = (),
    ) -> None:
        """Paint the row that changed, or where more than one did, all that are in sight."""
        one_row = top_left.row() == bottom_right.row()
        self.viewport().update(self.visualRect(top_left) if one_row else self.viewport().rect())


class ListOrNote(QStackedWidget):
    """A list, or while it is empty a note that says what to do."""

    def __init__(self, view: QAbstractItemView, note: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._note = label(note, "muted")
        self._note.setWordWrap(True)
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter)
        # The first line stands where a first row would stand, whatever the panel's height.
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(SPACE * 2, SPACE * 2, SPACE * 2, SPACE)
        layout.addWidget(self._note)
        self._below = layout
        layout.addStretch(1)
        self.addWidget(page)
        self.addWidget(view)

    def add_button(self, button: QWidget) -> None:
        """Put a button below the note."""
        self._below.insertSpacing(1, SPACE)
        self._below.insertWidget(2, button, 0, Qt.AlignmentFlag.AlignHCenter)

    def show_list(self, shown: bool) -> None:
        """The list, or the note."""
        self.setCurrentIndex(1 if shown else 0)

    def set_note(self, note: str) -> None:
        """Say something else while there is no list."""
        self._note.setText(note)

    @property
    def note(self) -> str:
        """The note while it is on show, else ""."""
        return self._note.text() if self.currentIndex() == 0 else ""

    def minimumSizeHint(self) -> QSize:
        """Both can be small: the list scrolls, and the note is not worth a tall panel."""
        return QSize(80, 48)
