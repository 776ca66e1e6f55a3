"""Find an encoder by its name, licence or source: those of segmentation_models_pytorch alone are dozens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QStandardItem
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.dialogs.search_popup import ModelIndex, SearchPopup
from app.panels.network_words import is_restricted, provenance, short_title
from app.panels.rows import paint_elided, small_font
from app.panels.tips import wrapped
from app.theme import SPACE, tokens
from app.typed_words import words_are_in
from core.models.specs import EncoderSpec

_WIDTH: Final = 520
_ROW_HEIGHT: Final = 44
_EncoderRole: Final = Qt.ItemDataRole.UserRole


class EncoderPicker(SearchPopup):
    """The encoders that a network can stand on.

    Args:
        chosen: the name of the one in use, which is marked.

    Signals:
        encoder_chosen(str): its name.
    """

    encoder_chosen = Signal(str)

    def __init__(
        self, encoders: Sequence[EncoderSpec], chosen: str | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(
            "Find an encoder",
            hint="Find an encoder by name, licence or source",
            nothing="No encoder of this network is called so.",
            width=_WIDTH,
            row_height=_ROW_HEIGHT,
            parent=parent,
        )
        self._encoders = encoders
        self._chosen = chosen
        self._bottom: int | None = None
        self.set_rows_drawn_by(_EncoderRow(self.list))
        self.refill("")
        names = self.names
        self.mark(names.index(chosen) if chosen in names else 0)

    @property
    def names(self) -> list[str]:
        """Of the encoders on offer."""
        return [self._encoder(row).name for row in range(self.model.rowCount())]

    def show_at(self, corner: QPoint, below: bool) -> None:
        """Open with the upper left corner there; `below`: what opened it is above, else the foot stays."""
        self._bottom = None if below else corner.y() + self.height()
        self.move(corner)
        self.show()
        self.list.scrollTo(self.list.currentIndex(), self.list.ScrollHint.PositionAtCenter)
        self.field.setFocus()

    def fill(self, typed: str) -> None:
        """Encoders of which everything typed is said."""
        for encoder in self._encoders:
            if words_are_in(typed, f"{encoder.name} {provenance(encoder)}"):
                item = QStandardItem(short_title(encoder))
                item.setData(encoder, _EncoderRole)
                item.setToolTip(wrapped(provenance(encoder)))
                self.model.appendRow(item)

    def refill(self, typed: str) -> None:
        """Stay where the combo box is, though the list has another length."""
        super().refill(typed)
        if self._bottom is not None:
            self.move(self.x(), self._bottom - self.height())

    def take(self, row: int) -> None:
        """Choose the encoder."""
        name = self._encoder(row).name
        self.accept()
        self.encoder_chosen.emit(name)

    def _encoder(self, row: int) -> EncoderSpec:
        encoder: EncoderSpec = self.model.index(row, 0).data(_EncoderRole)
        return encoder


class _EncoderRow(QStyledItemDelegate):
    """Name and size above, where its weights are from and their licence below."""

    def sizeHint(self, option: QStyleOptionViewItem, index: ModelIndex) -> QSize:
        return QSize(200, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: ModelIndex) -> None:
        theme = tokens()
        encoder: EncoderSpec = index.data(_EncoderRole)
        row = option.rect.adjusted(SPACE // 2, 1, -SPACE // 2, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            selected = option.state & QStyle.StateFlag.State_Selected
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.selection if selected else theme.hover))
            painter.drawRoundedRect(QRectF(row), 6, 6)
        inner = row.adjusted(SPACE, 3, -SPACE, -3)
        upper = QRect(inner.left(), inner.top(), inner.width(), inner.height() // 2)
        lower = upper.translated(0, inner.height() // 2)
        small = small_font(option.font)
        self._paint_upper(painter, upper, encoder, option.font, small)
        painter.setFont(small)
        painter.setPen(QColor(theme.warning if is_restricted(encoder) else theme.muted))
        paint_elided(painter, lower, f"{_SOURCES[encoder.source]} · licence {encoder.licence}")
        painter.restore()

    @staticmethod
    def _paint_upper(painter: QPainter, box: QRect, encoder: EncoderSpec, font: QFont, small: QFont) -> None:
        theme = tokens()
        size = f"{encoder.parameters / 1e6:.1f} million"
        painter.setFont(small)
        painter.setPen(QColor(theme.muted))
        width = painter.fontMetrics().horizontalAdvance(size)
        right = QRect(box.right() - width, box.top(), width + 1, box.height())
        painter.drawText(right, Qt.AlignmentFlag.AlignVCenter, size)
        painter.setFont(font)
        painter.setPen(QColor(theme.text))
        paint_elided(painter, box.adjusted(0, 0, -width - SPACE, 0), short_title(encoder))


_SOURCES: Final = {
    "embedded": "comes with the program",
    "torchvision": "download from torchvision",
    "timm": "download",
    "smp": "download",
    "none": "no pretraining",
}
