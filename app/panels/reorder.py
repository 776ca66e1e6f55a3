"""A list view whose rows can be dragged to another place. The model is left alone: the wish is a signal."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QDragMoveEvent, QDropEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractItemView, QWidget

from app.panels.rows import UniformListView
from app.theme import tokens


class ReorderListModel(QAbstractListModel):
    """Rows that can be chosen and dragged; the gaps between them take drops.

    Attributes:
        row_flag: what can be done with a row besides.
    """

    row_flag = Qt.ItemFlag.NoItemFlags

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        """What can be done with a row, or with a gap."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        usual = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled
        return usual | self.row_flag

    def supportedDropActions(self) -> Qt.DropAction:
        """Rows move."""
        return Qt.DropAction.MoveAction


class ReorderListView(UniformListView):
    """A list with internal drag and drop, and with hot spots in its rows.

    Args:
        spot_at: what of a row (its rectangle) is under a point, such as "eye"; "" for the row itself. A click
            on a hot spot neither selects nor edits.

    Signals:
        row_moved(int, int): row `source` was dropped so that it should become row `target` (counted after its
            removal). Not sent when nothing would change.
        spot_clicked(int, str): the row, and what of it.
        row_pressed(int): the left button goes down on a row, which is not chosen yet by that.
        space_pressed: the list itself has no use for this key.
    """

    row_moved = Signal(int, int)
    spot_clicked = Signal(int, str)
    row_pressed = Signal(int)
    space_pressed = Signal()

    def __init__(self, spot_at: Callable[[QRect, QPoint], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spot_at = spot_at
        self._pressed_spot: tuple[int, str] | None = None
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setDropIndicatorShown(False)  # painted here: the style's is a box around one row
        self._gap: int | None = None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Hold back a press on a hot spot."""
        self._pressed_spot = self._spot(event)
        if self._pressed_spot is None:
            index = self.indexAt(event.position().toPoint())
            if event.button() == Qt.MouseButton.LeftButton and index.isValid():
                self.row_pressed.emit(index.row())
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A mouse that moves a little while it clicks on a hot spot drags no row."""
        if self._pressed_spot is None or not event.buttons():
            super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Tell a click on a hot spot."""
        pressed, self._pressed_spot = self._pressed_spot, None
        if pressed is None:
            super().mouseReleaseEvent(event)
        elif pressed == self._spot(event):
            self.spot_clicked.emit(*pressed)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Two quick clicks on a hot spot are two clicks."""
        self._pressed_spot = self._spot(event)
        if self._pressed_spot is None:
            super().mouseDoubleClickEvent(event)

    def _spot(self, event: QMouseEvent) -> tuple[int, str] | None:
        where = event.position().toPoint()
        index = self.indexAt(where)
        if event.button() != Qt.MouseButton.LeftButton or not index.isValid():
            return None
        name = self._spot_at(self.visualRect(index), where)
        return (index.row(), name) if name else None

    def gap_at(self, where: QPoint) -> int:
        """The gap between rows nearest to a point of the viewport: 0 is before the first row."""
        index = self.indexAt(where)
        if not index.isValid():
            return self.model().rowCount() if where.y() > 0 else 0
        return index.row() + (where.y() > self.visualRect(index).center().y())

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Mark where a drop would go."""
        super().dragMoveEvent(event)
        if event.source() is not self:
            event.ignore()
            return
        self._gap = self.gap_at(event.position().toPoint())
        event.acceptProposedAction()
        self.viewport().update()

    def dragLeaveEvent(self, event: object) -> None:
        """Take the mark away."""
        self._gap = None
        self.viewport().update()

    def dropEvent(self, event: QDropEvent) -> None:
        """Say which row should go where."""
        self._gap = None
        self.viewport().update()
        # Whatever happens, the view must not remove the dragged row from the model.
        event.setDropAction(Qt.DropAction.IgnoreAction)
        event.accept()
        source = self.currentIndex().row()
        if event.source() is self and source >= 0:
            self.request_move(source, self.gap_at(event.position().toPoint()))

    def request_move(self, source: int, gap: int) -> None:
        """Ask for row `source` to go into a gap."""
        target = gap - (gap > source)
        if target != source:
            self.row_moved.emit(source, target)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Alt+Up and Alt+Down move a row, as dragging does; Space is told."""
        source = self.currentIndex().row()
        if event.modifiers() == Qt.KeyboardModifier.AltModifier and source >= 0:
            if event.key() == Qt.Key.Key_Up and source > 0:
                self.request_move(source, source - 1)
                return
            if event.key() == Qt.Key.Key_Down and source < self.model().rowCount() - 1:
                self.request_move(source, source + 2)
                return
        if event.key() == Qt.Key.Key_Space and not event.modifiers():
            self.space_pressed.emit()
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The rows, and a line where a drop would go."""
        super().paintEvent(event)
        if self._gap is None:
            return
        rows = self.model().rowCount()
        index: QModelIndex = self.model().index(min(self._gap, rows - 1), 0)
        rect: QRect = self.visualRect(index)
        y = rect.bottom() if self._gap >= rows else rect.top()
        painter = QPainter(self.viewport())
        painter.fillRect(QRect(rect.left(), max(0, y - 1), rect.width(), 2), QColor(tokens().accent_text))
