"""Per-class IoU as a list of bars: swatch, name, bar, value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.panels.parts import ElidedLabel, draw_swatch
from app.panels.rows import one_line_rows, paint_elided, row_size
from app.theme import SPACE, tokens
from core.annotation.model import ClassList

_ROW_HEIGHT: Final = 22
_INDEX = QModelIndex | QPersistentModelIndex
_ColorRole: Final = Qt.ItemDataRole.UserRole
_IouRole: Final = Qt.ItemDataRole.UserRole + 1
_UNKNOWN_COLOR: Final = "#808080"


class _ScoresModel(QAbstractListModel):
    """Rows (name, colour, IoU or None)."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[str, str, float | None]] = []

    def set_rows(self, rows: list[tuple[str, str, float | None]]) -> None:
        """Replace the rows; the view keeps its place when only values changed."""
        same_names = [row[0] for row in rows] == [row[0] for row in self._rows]
        if same_names and rows:
            self._rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def rowCount(self, parent: _INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """One row a class."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text for screen readers, colour and value for the delegate."""
        name, color, iou = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{name}: {'no true pixel' if iou is None else f'IoU {iou:.2f}'}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{name}: no true pixel" if iou is None else f"{name}: IoU {iou:.4f}"
        if role == _ColorRole:
            return color
        if role == _IouRole:
            return iou
        return None


class _ScoreDelegate(QStyledItemDelegate):
    """Paints one row."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _INDEX) -> QSize:
        """One line."""
        return row_size(option, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _INDEX) -> None:
        """Swatch, name, bar, value, in columns that stay put while values change."""
        theme = tokens()
        row = QRectF(option.rect).adjusted(0, 0, -SPACE / 2, 0)
        value_width = option.fontMetrics.horizontalAdvance("0.00") + SPACE
        name_width = min(110.0, row.width() * 0.36)
        color, iou = index.data(_ColorRole), index.data(_IouRole)
        draw_swatch(painter, QRectF(row.left(), row.center().y() - 5, 10, 10), color, theme.border_strong)
        painter.setPen(QColor(theme.text))
        name_rect = QRectF(row.left() + 18, row.top(), name_width, row.height())
        paint_elided(painter, name_rect.toRect(), index.data())
        bar = QRectF(
            name_rect.right() + SPACE,
            row.center().y() - 3,
            max(0.0, row.right() - value_width - name_rect.right() - SPACE),
            6,
        )
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.border))
        painter.drawRoundedRect(bar, 3, 3)
        if iou:
            painter.setBrush(QColor(theme.chart_miou))
            filled = QRectF(bar.left(), bar.top(), max(bar.height(), bar.width() * iou), bar.height())
            painter.drawRoundedRect(filled, 3, 3)
        painter.restore()
        painter.setPen(QColor(theme.muted if iou is None else theme.text))
        value_rect = QRectF(row.right() - value_width, row.top(), value_width, row.height())
        painter.drawText(
            value_rect,
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            "—" if iou is None else f"{iou:.2f}",
        )


class ClassScores(QWidget):
    """Heading "mIoU 0.71 on 3 validation images" over one bar a class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _ScoresModel(self)
        self._heading = ElidedLabel("Scores", "strong")
        self._explanation = ElidedLabel("appear after the first validation", "small")
        self.view = QListView()
        self.view.setModel(self._model)
        self.view.setItemDelegate(_ScoreDelegate(self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        one_line_rows(self.view, "IoU of each class")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._heading)
        layout.addWidget(self._explanation)
        layout.addSpacing(2)
        layout.addWidget(self.view, 1)

    @property
    def heading_text(self) -> str:
        """What the two heading lines say."""
        return f"{self._heading.whole_text} {self._explanation.whole_text}".strip()

    def clear(self) -> None:
        """Forget all scores."""
        self._model.set_rows([])
        self._heading.set_text("Scores")
        self._explanation.set_text("appear after the first validation")

    def set_scores(
        self,
        miou: float | None,
        per_class: Mapping[str, float | None],
        classes: ClassList,
        *,
        images: int,
        on_training: bool,
    ) -> None:
        """Show one validation. Colours come from `classes`; a class it does not know gets a grey swatch."""
        self._heading.set_text("mIoU —" if miou is None else f"mIoU {miou:.2f}")
        if on_training:
            self._explanation.set_text(
                "on training images: too few are done",
                "Scores are on training images: too few done images to hold any out. "
                "Mark five or more images as done to get scores on images the network has not seen.",
            )
        else:
            self._explanation.set_text(f"on {images} validation image{'' if images == 1 else 's'}")
        rows = []
        for name, iou in per_class.items():
            found = classes.by_name(name)
            rows.append((name, _UNKNOWN_COLOR if found is None else found.color, iou))
        self._model.set_rows(rows)
