"""The rows of the label audit: what is drawn, what the network sees instead, and a picture of it."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable
from typing import Any, Final

import cv2
import numpy as np
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.panels.parts import draw_swatch
from app.panels.rows import paint_elided, paint_ground, small_font
from app.qt_pixels import paintable
from app.theme import SPACE, tokens
from core.annotation.model import ClassList, LabelClass
from core.learning.labels.suspects import Suspect

_INDEX = QModelIndex | QPersistentModelIndex
SuspectRole: Final = Qt.ItemDataRole.UserRole
ClassesRole: Final = Qt.ItemDataRole.UserRole + 1
PICTURE: Final = 56
ROW_HEIGHT: Final = PICTURE + SPACE + 4
SWATCH: Final = 10


class AuditModel(QAbstractListModel):
    """Suspects, the most suspicious first. What is settled is hidden, and comes back if it is taken back."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.classes = ClassList()
        self._rows: list[Suspect] = []
        self._hidden: list[Suspect] = []

    def set_classes(self, classes: ClassList) -> None:
        """Take names and colours."""
        self.classes = classes
        if self._rows:
            self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))

    def add(self, suspects: Iterable[Suspect]) -> None:
        """Put these where they belong; the others keep their order."""
        for suspect in suspects:
            row = bisect.bisect_right(self._rows, -suspect.loss, key=lambda known: -known.loss)
            self.beginInsertRows(QModelIndex(), row, row)
            self._rows.insert(row, suspect)
            self.endInsertRows()

    def clear(self) -> None:
        """Forget all."""
        self.beginResetModel()
        self._rows, self._hidden = [], []
        self.endResetModel()

    def settle(self, keep: Callable[[Suspect], bool]) -> None:
        """List those, of all that were found, of which `keep` is true."""
        for row in range(len(self._rows) - 1, -1, -1):
            if not keep(self._rows[row]):
                self.beginRemoveRows(QModelIndex(), row, row)
                self._hidden.append(self._rows.pop(row))
                self.endRemoveRows()
        back = [suspect for suspect in self._hidden if keep(suspect)]
        self._hidden = [suspect for suspect in self._hidden if suspect not in back]
        self.add(back)

    def suspects(self) -> list[Suspect]:
        """As listed."""
        return list(self._rows)

    def all_found(self) -> list[Suspect]:
        """Those that are listed and those that are settled."""
        return [*self._rows, *self._hidden]

    @property
    def found(self) -> int:
        """How many there were, settled ones included."""
        return len(self._rows) + len(self._hidden)

    def rowCount(self, parent: _INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """One row a suspect."""
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Words for screen readers and the tooltip, the suspect for the delegate."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        suspect = self._rows[index.row()]
        if role == SuspectRole:
            return suspect
        if role == ClassesRole:
            return self.classes
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return describe(suspect, self.classes)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{suspect.key}\n{describe(suspect, self.classes)}"
        return None


def describe(suspect: Suspect, classes: ClassList) -> str:
    """One line: "Drawn as nerve; the network sees vessel, 93 %"."""
    sure = f"{suspect.sure:.0%}".replace("%", " %")
    seen = name_of(classes, suspect.seen)
    if suspect.kind == "missing":
        return f"Nothing drawn; the network sees {seen}, {sure}"
    return f"Drawn as {name_of(classes, suspect.drawn)}; the network sees {seen}, {sure}"


def name_of(classes: ClassList, index: int) -> str:
    """A class' name, of one that is gone a word that says so."""
    found = classes.by_index(index)
    return "a class that is gone" if found is None else found.name


class AuditDelegate(QStyledItemDelegate):
    """Paints a row: picture with the region's outline, drawn class, arrow, seen class, image, certainty."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pictures: dict[int, tuple[Suspect, QImage, list[QPolygonF]]] = {}

    def sizeHint(self, option: QStyleOptionViewItem, index: _INDEX) -> QSize:
        """All rows are alike."""
        return QSize(160, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _INDEX) -> None:
        """Draw the row."""
        suspect: Suspect = index.data(SuspectRole)
        classes: ClassList = index.data(ClassesRole)
        theme = tokens()
        rect: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        paint_ground(painter, option, theme, gap=1)
        frame = QRectF(rect.left() + 10, rect.top() + (rect.height() - PICTURE) / 2, PICTURE, PICTURE)
        shown = suspect.seen if suspect.kind == "missing" else suspect.drawn
        self._paint_picture(painter, frame, suspect, classes.by_index(shown))
        left = int(frame.right()) + SPACE + 2
        width = rect.right() - SPACE - left
        fonts = QFontMetrics(option.font), QFontMetrics(small_font(option.font))
        height = fonts[0].height() + 3 + fonts[1].height()
        first = QRect(left, rect.center().y() - height // 2 + 1, width, fonts[0].height())
        second = QRect(left, first.bottom() + 4, width, fonts[1].height())
        painter.setFont(option.font)
        painter.setPen(QColor(theme.text))
        self._paint_change(painter, first, suspect, classes)
        painter.setFont(small_font(option.font))
        painter.setPen(QColor(theme.muted))
        sure = f"{suspect.sure:.0%}".replace("%", " %")
        room = fonts[1].horizontalAdvance(sure)
        painter.drawText(second, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, sure)
        name = second.adjusted(0, 0, -room - SPACE, 0)
        middle = Qt.TextElideMode.ElideMiddle
        file = suspect.key.rpartition("/")[2]
        painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, fonts[1].elidedText(file, middle, name.width()))
        painter.restore()

    def _paint_change(self, painter: QPainter, box: QRect, suspect: Suspect, classes: ClassList) -> None:
        """Drawn class, arrow, seen class: each as long as its share of the room allows."""
        theme = tokens()
        metrics = painter.fontMetrics()
        missing = suspect.kind == "missing"
        words = ["nothing" if missing else name_of(classes, suspect.drawn), name_of(classes, suspect.seen)]
        swatches = [None if missing else classes.by_index(suspect.drawn), classes.by_index(suspect.seen)]
        arrow = " → "
        marks = sum(SWATCH + 5 for swatch in swatches if swatch is not None)
        room = box.width() - metrics.horizontalAdvance(arrow) - marks
        widths = [metrics.horizontalAdvance(word) for word in words]
        if sum(widths) > room:
            widths[0] = min(widths[0], max(room // 2, room - widths[1]))
            widths[1] = min(widths[1], room - widths[0])
        x = box.left()
        for number, (word, swatch, width) in enumerate(zip(words, swatches, widths, strict=True)):
            if swatch is not None:
                top = box.center().y() - SWATCH / 2 + 1
                draw_swatch(painter, QRectF(x, top, SWATCH, SWATCH), swatch.color, theme.border_strong)
                x += SWATCH + 5
            painter.setPen(QColor(theme.muted if missing and number == 0 else theme.text))
            paint_elided(painter, QRect(x, box.top(), width + 1, box.height()), word)
            x += width
            if number == 0:
                painter.setPen(QColor(theme.muted))
                painter.drawText(x, box.top(), box.width(), box.height(), 0, arrow)
                x += metrics.horizontalAdvance(arrow)

    def _paint_picture(
        self, painter: QPainter, frame: QRectF, suspect: Suspect, label_class: LabelClass | None
    ) -> None:
        theme = tokens()
        picture, rings = self._picture(suspect)
        scale = min(frame.width() / picture.width(), frame.height() / picture.height())
        size = picture.width() * scale, picture.height() * scale
        place = QRectF(frame.center().x() - size[0] / 2, frame.center().y() - size[1] / 2, *size)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.sunken))
        painter.drawRoundedRect(frame, 4, 4)
        painter.drawImage(place, picture)
        painter.save()
        painter.setClipRect(place)
        painter.translate(place.topLeft())
        painter.scale(scale, scale)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        color = QColor("#ffffff" if label_class is None else label_class.color)
        # Dark below light: a class' colour alone would vanish on a ground of the same colour.
        for pen_color, width in ((QColor(0, 0, 0, 150), 3.0), (color, 1.6)):
            pen = QPen(pen_color, width)
            pen.setCosmetic(True)
            if suspect.kind == "missing":
                pen.setStyle(Qt.PenStyle.DotLine)
            painter.setPen(pen)
            for ring in rings:
                painter.drawPolygon(ring)
        painter.restore()

    def _picture(self, suspect: Suspect) -> tuple[QImage, list[QPolygonF]]:
        known = self._pictures.get(id(suspect))
        if known is None:
            found, _ = cv2.findContours(
                suspect.outline.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
            )
            rings = [
                QPolygonF([QPointF(float(x) + 0.5, float(y) + 0.5) for x, y in contour[:, 0]])
                for contour in found
            ]
            # The suspect itself is kept with it: its id belongs to it only as long as it lives.
            known = self._pictures[id(suspect)] = suspect, paintable(suspect.picture), rings
            if len(self._pictures) > 500:
                self._pictures.pop(next(iter(self._pictures)))
        return known[1], known[2]
