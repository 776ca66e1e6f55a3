"""Per-class IoU as a list of bars with their intervals, and what the last minutes have brought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.learning.score_words import MEANINGS, images_words
from app.panels.parts import ElidedLabel, IconButton, draw_swatch, label
from app.panels.rows import one_line_rows, paint_elided, row_size
from app.readable import capital, sentence
from app.theme import SPACE, tokens
from core.annotation.model import ClassList
from core.learning.events import Validated
from core.learning.scores.bootstrap import Interval
from core.learning.scores.trust import FEW_IMAGES

_ROW_HEIGHT: Final = 22
_INDEX = QModelIndex | QPersistentModelIndex
_ScoreRole: Final = Qt.ItemDataRole.UserRole
_UNKNOWN_COLOR: Final = "#808080"


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One row.

    Attributes:
        iou: None for a class without a true pixel. interval: where other images would put it.
        note: why there is none, or how little it rests on.
    """

    name: str
    color: str
    iou: float | None
    interval: Interval | None = None
    note: str = ""

    @property
    def value(self) -> str:
        """The IoU; "~0.97" where it rests on little, which makes it no worse."""
        if self.iou is None:
            return "—"
        return f"{'~' if self.note else ''}{self.iou:.2f}"

    @property
    def explanation(self) -> str:
        """The row in words."""
        if self.iou is None:
            return f"{self.name}: {self.note or 'no true pixel'}"
        said = f"IoU {self.iou:.3f}"
        if self.interval is not None:
            said += f", 95 % between {self.interval.low:.2f} and {self.interval.high:.2f}"
        return f"{self.name}: {said}" + (f"; {self.note}" if self.note else "")


class _ScoresModel(QAbstractListModel):
    """One row a class."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ClassScore] = []

    @property
    def rows(self) -> tuple[ClassScore, ...]:
        """What is shown."""
        return tuple(self._rows)

    def set_rows(self, rows: list[ClassScore]) -> None:
        """Replace the rows; the view keeps its place when only values changed."""
        same_names = [row.name for row in rows] == [row.name for row in self._rows]
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
        row = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.name
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return row.explanation
        if role == _ScoreRole:
            return row
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
        value_width = option.fontMetrics.horizontalAdvance("~0.00") + SPACE
        name_width = min(110.0, row.width() * 0.36)
        score: ClassScore = index.data(_ScoreRole)
        swatch = QRectF(row.left(), row.center().y() - 5, 10, 10)
        draw_swatch(painter, swatch, score.color, theme.border_strong)
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
        if score.iou:
            painter.setBrush(QColor(theme.chart_miou))
            filled = QRectF(bar.left(), bar.top(), max(bar.height(), bar.width() * score.iou), bar.height())
            painter.drawRoundedRect(filled, 3, 3)
        painter.restore()
        if score.iou is not None and score.interval is not None:
            _draw_interval(painter, bar, score.interval, theme.text)
        painter.setPen(QColor(theme.muted if score.iou is None else theme.text))
        value_rect = QRectF(row.right() - value_width, row.top(), value_width, row.height())
        painter.drawText(
            value_rect,
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            score.value,
        )


def _draw_interval(painter: QPainter, bar: QRectF, interval: Interval, color: str) -> None:
    """A line from one end to the other, with a stroke at each, over the bar."""
    low, high = (bar.left() + bar.width() * min(max(end, 0.0), 1.0) for end in interval)
    painter.setPen(QColor(color))
    middle = bar.center().y()
    painter.drawLine(round(low), round(middle), round(high), round(middle))
    for end in (low, high):
        painter.drawLine(round(end), round(middle - 4), round(end), round(middle + 4))


class ClassScores(QWidget):
    """Heading "mIoU 0.71 (0.66–0.75)" over what it is on, what was gained, and one bar a class.

    Signals:
        confusion_requested: show what is taken for what.
    """

    confusion_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _ScoresModel(self)
        self._heading = ElidedLabel("Scores", "strong")
        self._explanation = ElidedLabel("appear after the first validation", "small")
        self._gain = label("", "small")
        self._gain.setWordWrap(True)
        self._gain.hide()
        self.confusion_button = IconButton("grid", "Confusion matrix: what is taken for what")
        self.confusion_button.clicked.connect(self.confusion_requested)
        self.confusion_button.setEnabled(False)
        self.view = QListView()
        self.view.setModel(self._model)
        self.view.setItemDelegate(_ScoreDelegate(self.view))
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        one_line_rows(self.view, "IoU of each class")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        lines = QVBoxLayout()
        lines.setSpacing(2)
        for line in (self._heading, self._explanation):
            lines.addWidget(line)
        top = QHBoxLayout()
        top.setSpacing(SPACE // 2)
        top.addLayout(lines, 1)
        top.addWidget(self.confusion_button, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(top)
        layout.addWidget(self._gain)
        layout.addSpacing(2)
        layout.addWidget(self.view, 1)

    @property
    def heading_text(self) -> str:
        """What the two heading lines say."""
        return f"{self._heading.whole_text} {self._explanation.whole_text}".strip()

    @property
    def gain_text(self) -> str:
        """What the last minutes have brought; empty before that can be said."""
        return self._gain.text()

    def clear(self) -> None:
        """Forget all scores."""
        self._model.set_rows([])
        self._heading.set_text("Scores")
        self._explanation.set_text("appear after the first validation")
        self._explanation.set_role("small")
        self._gain.hide()
        self._gain.clear()
        self.confusion_button.setEnabled(False)

    def follow(self, before: ClassList, now: ClassList) -> None:
        """The project's classes have other names or colours: so have the rows, whose scores stay."""
        rows = []
        for row in self._model.rows:
            known = before.by_name(row.name)
            found = None if known is None else now.by_index(known.index)
            rows.append(row if found is None else replace(row, name=found.name, color=found.color))
        self._model.set_rows(rows)

    def show_validation(self, event: Validated, classes: ClassList) -> None:
        """Show one validation. Colours come from `classes`; a class it does not know gets a grey swatch."""
        self._heading.set_text(*_heading(event))
        self._explanation.set_text(*_explanation(event))
        self._explanation.set_role(
            "warning" if event.on != "training" and event.images < FEW_IMAGES else "small"
        )
        gained = "" if event.gain is None else capital(event.gain.sentence)
        self._gain.setText(gained)
        self._gain.setVisible(bool(gained))
        self.confusion_button.setEnabled(bool(event.confusion))
        rows = []
        for name, iou in event.per_class_iou.items():
            found = classes.by_name(name)
            rows.append(
                ClassScore(
                    name,
                    _UNKNOWN_COLOR if found is None else found.color,
                    iou,
                    event.class_intervals.get(name),
                    event.class_notes.get(name, ""),
                )
            )
        self._model.set_rows(rows)


def _heading(event: Validated) -> tuple[str, str]:
    """The score with its interval, and what the interval means."""
    if event.miou is None:
        return "mIoU —", "No class has a true pixel in the images of the score."
    if event.interval is None:
        return f"mIoU {event.miou:.2f}", "There are too few images to say how far this can be trusted."
    low, high = event.interval
    of = f"{event.images} other images like these"
    if event.interval_over == "parts":
        of = "other parts of this one image (of other images nothing can be said)"
    meaning = f"With a probability of 95 % the mIoU on {of} lies between {low:.2f} and {high:.2f}."
    return f"mIoU {event.miou:.2f} ({low:.2f}–{high:.2f})", meaning


def _explanation(event: Validated) -> tuple[str, str]:
    """What was scored, and what limits that."""
    limits = " ".join(sentence(note) for note in event.notes)
    images = images_words(event.on, event.images)
    text, meaning = f"on {images}", f"On {images}: {MEANINGS[event.on]}."
    if event.on == "training":
        text += ": none is held out"
        meaning += " Mark five or more images as done to get scores on images that it has not seen."
    elif event.images < FEW_IMAGES:
        text += ", which is few" if event.images == 1 else ", which are few"
    elif event.notes:
        text += f" · {event.notes[0]}"
    return text, f"{meaning} {limits}".strip()
