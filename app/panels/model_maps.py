"""Small grey pictures beside each other: feature maps and the score maps of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.panels.parts import draw_swatch
from app.theme import SPACE, Themed, Tokens

CELL: Final = 132
"""Width of a picture, logical pixels."""
_CAPTION: Final = 20


@dataclass(frozen=True, slots=True)
class MapPicture:
    """One map.

    Attributes:
        pixels: (h, w), uint8. caption: below it. color: of the class whose scores it has; "" for a feature.
    """

    pixels: NDArray[np.uint8]
    caption: str
    color: str = ""


class MapGrid(Themed, QWidget):
    """As many columns as there is room for; as high as it takes."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._pictures: tuple[MapPicture, ...] = ()
        self._images: list[QImage] = []

    @property
    def captions(self) -> tuple[str, ...]:
        """Of the pictures on show."""
        return tuple(picture.caption for picture in self._pictures)

    def set_pictures(self, pictures: Sequence[MapPicture]) -> None:
        """Show these."""
        self._pictures = tuple(pictures)
        self._images = [_gray(picture.pixels) for picture in pictures]
        self._fit()
        self.update()

    def sizeHint(self) -> QSize:
        """Four beside each other."""
        return QSize(4 * (CELL + SPACE), self.minimumHeight())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Other columns, another height."""
        super().resizeEvent(event)
        self._fit()

    def apply_tokens(self, theme: Tokens) -> None:
        """Repaint in the theme's colours."""
        self.update()

    def _columns(self) -> int:
        return max(1, (self.width() + SPACE) // (CELL + SPACE))

    def _row_height(self) -> int:
        shape = self._pictures[0].pixels.shape
        height, width = int(shape[0]), int(shape[1])
        return round(CELL * height / max(1, width)) + _CAPTION + SPACE

    def _fit(self) -> None:
        rows = -(-len(self._pictures) // self._columns())
        self.setMinimumHeight(rows * self._row_height() if rows else 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Pictures and captions."""
        theme = self._tokens_in_use
        if theme is None or not self._pictures:
            return
        painter = QPainter(self)
        columns, height = self._columns(), self._row_height()
        for number, (picture, image) in enumerate(zip(self._pictures, self._images, strict=True)):
            x, y = number % columns * (CELL + SPACE), number // columns * height
            place = QRectF(x, y, CELL, height - _CAPTION - SPACE)
            painter.drawImage(place, image)
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.drawRect(place)
            below = QRectF(x, place.bottom() + 2, CELL, _CAPTION - 2)
            if picture.color:
                draw_swatch(painter, QRectF(x, below.top() + 3, 12, 12), picture.color, theme.border_strong)
                below.setLeft(x + 18)
            painter.setPen(QColor(theme.muted))
            text = painter.fontMetrics().elidedText(
                picture.caption, Qt.TextElideMode.ElideRight, round(below.width())
            )
            painter.drawText(below, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


def _gray(pixels: NDArray[np.uint8]) -> QImage:
    """A picture in memory of its own."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape
    return QImage(pixels.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
