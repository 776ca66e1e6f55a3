"""What is taken for what: the confusion matrix as a grid, each row the pixels of one true class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.panels.parts import draw_swatch
from app.readable import format_share
from app.theme import SPACE, Themed, Tokens

_NAME_WIDTH: Final = 132
_NAME_HEIGHT: Final = 24
_LEAST_CELL: Final = 26
_LARGEST_CELL: Final = 84
_ROOM_FOR_TEXT: Final = 40
_COLUMN_TURNED_BELOW: Final = 64
"""Narrower columns have their names written upwards."""
_TURNED_HEIGHT: Final = 96


@dataclass(frozen=True)
class Confusion:
    """Pixels by true class (row) and predicted class (column).

    Attributes:
        names: of the classes. colors: "#rrggbb" of each. counts: (C, C).
    """

    names: tuple[str, ...]
    colors: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @cached_property
    def totals(self) -> tuple[int, ...]:
        """True pixels of each class, (C,)."""
        return tuple(map(sum, self.counts))

    def share(self, row: int, column: int) -> float | None:
        """Of the row's true pixels, how many were taken for the column's class; None without any."""
        total = self.totals[row]
        return self.counts[row][column] / total if total else None

    def sentence(self, row: int, column: int) -> str:
        """One cell in words."""
        share, count = self.share(row, column), self.counts[row][column]
        name, other = self.names[row], self.names[column]
        if share is None:
            return f"No pixel is labelled {name} in the images of the score."
        of = f"{_percent(share)} of {name} ({count:,} of {self.totals[row]:,} pixels)"
        return f"{of} was recognised." if row == column else f"{of} was taken for {other}."


class ConfusionView(Themed, QWidget):
    """The grid. Mouse and arrow keys choose a cell, which is told in words.

    Signals:
        cell_shown(str): the chosen cell in words, "" when there is none.
        cell_reached(QPointF): the middle of the cell that an arrow key has gone to.
    """

    cell_shown = Signal(str)
    cell_reached = Signal(QPointF)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._confusion = Confusion((), (), ())
        self._cell: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Confusion matrix")

    @property
    def confusion(self) -> Confusion:
        """What is shown."""
        return self._confusion

    def set_confusion(self, confusion: Confusion) -> None:
        """Show another one; the chosen cell stays where it is."""
        if confusion.names != self._confusion.names:
            self._cell = None
        self._confusion = confusion
        self.updateGeometry()
        self.update()
        self._tell()

    def cell_center(self, row: int, column: int) -> QPointF:
        """The middle of a cell, in the widget's pixels."""
        return self._cell_rect(row, column).center()

    # --- layout -------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Room for cells one can read."""
        return self._size_with(56)

    def minimumSizeHint(self) -> QSize:
        """Cells one can still point at."""
        return self._size_with(_LEAST_CELL)

    def _size_with(self, cell: int) -> QSize:
        side = max(2, len(self._confusion.names)) * cell
        return QSize(_NAME_WIDTH + side + SPACE, self._names_height(cell) + side + SPACE)

    def _names_height(self, cell: float) -> int:
        return _NAME_HEIGHT if cell >= _COLUMN_TURNED_BELOW else _TURNED_HEIGHT

    def _side(self) -> float:
        """Of a cell: what both width and height have room for."""
        classes = max(1, len(self._confusion.names))
        wide = (self.width() - _NAME_WIDTH) / classes
        high = (self.height() - _TURNED_HEIGHT) / classes
        return min(max(min(wide, high), 1.0), _LARGEST_CELL)

    def _cell_rect(self, row: int, column: int) -> QRectF:
        side = self._side()
        return QRectF(_NAME_WIDTH + column * side, self._names_height(side) + row * side, side, side)

    def _cells_in(self, rect: QRect) -> Iterator[tuple[int, int]]:
        """The cells that a part of the widget meets."""
        side, classes = self._side(), len(self._confusion.names)
        cells = QRectF(rect).translated(-_NAME_WIDTH, -self._names_height(side))
        rows, columns = (
            range(max(0, int(low // side)), min(classes, ceil(high / side)))
            for low, high in ((cells.top(), cells.bottom()), (cells.left(), cells.right()))
        )
        return product(rows, columns)

    def _cell_at(self, point: QPointF) -> tuple[int, int] | None:
        side, classes = self._side(), len(self._confusion.names)
        column = int((point.x() - _NAME_WIDTH) // side)
        row = int((point.y() - self._names_height(side)) // side)
        return (row, column) if 0 <= row < classes and 0 <= column < classes else None

    # --- choosing -----------------------------------------------------------------------------------------

    def _choose(self, cell: tuple[int, int] | None) -> None:
        if cell != self._cell:
            before, self._cell = self._cell, cell
            for changed in (before, cell):
                if changed is not None:
                    self._update_cell(*changed)
            self._tell()

    def _update_cell(self, row: int, column: int) -> None:
        """Paint a cell and its two names again: of a hundred classes there are ten thousand cells."""
        rect = self._cell_rect(row, column)
        for part in (
            rect,
            QRectF(0, rect.top(), _NAME_WIDTH, rect.height()),
            QRectF(rect.left(), 0, rect.width(), self._names_height(rect.width())),
        ):
            self.update(part.toAlignedRect())

    def _tell(self) -> None:
        self.cell_shown.emit("" if self._cell is None else self._confusion.sentence(*self._cell))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Choose the cell under the mouse."""
        self._choose(self._cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Choose none."""
        self._choose(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys go from cell to cell."""
        steps = {
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
        }
        step, last = steps.get(Qt.Key(event.key())), len(self._confusion.names) - 1
        if step is None or last < 0:
            super().keyPressEvent(event)
            return
        row, column = 0, 0
        if self._cell is not None:
            row, column = (min(max(at + by, 0), last) for at, by in zip(self._cell, step, strict=True))
        self._choose((row, column))
        self.cell_reached.emit(self.cell_center(row, column))

    def event(self, event: QEvent) -> bool:
        """Counts as a tooltip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self._cell_at(QPointF(event.pos()))
            text = "" if cell is None else self._confusion.sentence(*cell)
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    # --- painting -----------------------------------------------------------------------------------------

    def apply_tokens(self, theme: Tokens) -> None:
        """Repaint in the theme's colours."""
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names, cells, and the frame of the chosen one."""
        theme = self._tokens_in_use
        if theme is None or not self._confusion.names:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_names(painter, theme)
        parts: Iterable[QRect] = event.region()  # type: ignore[assignment]  # iterable, unlike in Qt's stubs
        for row, column in {cell for part in parts for cell in self._cells_in(part)}:
            self._paint_cell(painter, theme, row, column)
        if self._cell is not None:
            painter.setPen(QColor(theme.accent_text))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(self._cell_rect(*self._cell).adjusted(1, 1, -1, -1), 3, 3)

    def _paint_names(self, painter: QPainter, theme: Tokens) -> None:
        side, metrics = self._side(), self.fontMetrics()
        height = self._names_height(side)
        for position, (name, color) in enumerate(
            zip(self._confusion.names, self._confusion.colors, strict=True)
        ):
            chosen = self._cell or (-1, -1)
            row = self._cell_rect(position, 0)
            painter.setPen(QColor(theme.text if chosen[0] == position else theme.muted))
            room = QRectF(16, row.top(), _NAME_WIDTH - 16 - SPACE, side)
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(room.width()))
            left = room.right() - metrics.horizontalAdvance(text) - 16
            draw_swatch(painter, QRectF(left, row.center().y() - 5, 10, 10), color, theme.border_strong)
            painter.setPen(QColor(theme.text if chosen[0] == position else theme.muted))
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text)
            column = self._cell_rect(0, position)
            painter.setPen(QColor(theme.text if chosen[1] == position else theme.muted))
            if height == _NAME_HEIGHT:
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(side) - 4)
                place = QRectF(column.left(), 0, side, height)
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)
                continue
            painter.save()
            painter.translate(column.center().x(), height - SPACE / 2)
            painter.rotate(-90)
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, height - SPACE)
            place = QRectF(0, -side / 2, height - SPACE, side)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
            painter.restore()

    def _paint_cell(self, painter: QPainter, theme: Tokens, row: int, column: int) -> None:
        rect = self._cell_rect(row, column).adjusted(1, 1, -1, -1)
        share = self._confusion.share(row, column)
        ground = QColor(theme.sunken)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ground)
        painter.drawRoundedRect(rect, 3, 3)
        if share is None:
            painter.setPen(QColor(theme.faint))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, "—")
            return
        tint = QColor(theme.chart_miou if row == column else theme.danger_text)
        # A root: what is taken for something else in one pixel of a hundred should be seen.
        tint.setAlphaF(0.72 * share**0.5)
        painter.setBrush(tint)
        painter.drawRoundedRect(rect, 3, 3)
        if rect.width() >= _ROOM_FOR_TEXT and share > 0:
            painter.setPen(QColor(theme.text))
            painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, _percent(share))


def _percent(share: float) -> str:
    """A share as a percentage that calls nothing whole that is not."""
    if 0.995 <= share < 1:
        return f"{min(1000 * share // 1, 999) / 10:.1f} %"
    return format_share(share)
