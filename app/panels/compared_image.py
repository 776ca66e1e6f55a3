"""One image as several runs see it, beside its labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.panels.parts import ElidedLabel
from app.qt_pixels import paintable
from app.readable import sentence
from app.theme import SPACE, Themed, Tokens
from core.annotation.model import UNLABELLED, ClassList

SHOWN_SIDE: Final = 720
"""Pixels of a picture's longer side: more than a pane of the dialog has."""
_OPACITY: Final = 0.5


class TintedPicture(Themed, QWidget):
    """A picture with a class map over it, as large as there is room; or words in its place."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = ElidedLabel(title, "strong")
        self._detail = ElidedLabel("", "small")
        self._pane = _Pane()
        self._mark = QLabel()
        self._mark.hide()
        heading = QHBoxLayout()
        heading.setSpacing(SPACE)
        heading.addWidget(self._mark)
        heading.addWidget(self._title, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(heading)
        layout.addWidget(self._detail)
        layout.addWidget(self._pane, 1)

    @property
    def words(self) -> str:
        """What stands in the picture's place; "" where there is one."""
        return self._pane.words

    @property
    def picture(self) -> QImage | None:
        """What is shown."""
        return self._pane.picture

    @property
    def detail(self) -> str:
        """The line under the title."""
        return self._detail.whole_text

    def set_mark(self, mark: QPixmap) -> None:
        """Put a sign before the title, by which the run is known elsewhere."""
        self._mark.setPixmap(mark)
        self._mark.show()

    def show_picture(self, picture: QImage, detail: str) -> None:
        """Show a picture, with a line about it."""
        self._pane.show_picture(picture, "")
        self._detail.set_text(detail)

    def show_words(self, words: str) -> None:
        """Say why there is none, or that it is coming."""
        self._pane.show_picture(None, words)
        self._detail.set_text("")

    def apply_tokens(self, theme: Tokens) -> None:
        """Repaint."""
        self._pane.update()


class _Pane(Themed, QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.picture: QImage | None = None
        self.words = ""
        self.setMinimumSize(120, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(260, 200)

    def show_picture(self, picture: QImage | None, words: str) -> None:
        self.picture, self.words = picture, words
        self.update()

    def apply_tokens(self, theme: Tokens) -> None:
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme = self._tokens_in_use
        if theme is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), theme.canvas)
        if self.picture is None:
            painter.setPen(theme.muted)
            room = self.rect().adjusted(SPACE, SPACE, -SPACE, -SPACE)
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.words)
            return
        size = self.picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF(
            (self.width() - size.width()) / 2,
            (self.height() - size.height()) / 2,
            size.width(),
            size.height(),
        )
        painter.drawImage(place, self.picture)


class ComparedImage(QWidget):
    """The labels and one pane a run, in a grid."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.panes: dict[str, TintedPicture] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(SPACE)

    def set_panes(self, titles: Sequence[tuple[str, str]]) -> None:
        """Make a pane for each (name, title); panes of the same names stay."""
        kept = {name: self.panes[name] for name, _ in titles if name in self.panes}
        for name, pane in self.panes.items():
            if name not in kept:
                self._grid.removeWidget(pane)
                pane.hide()
                pane.deleteLater()
        self.panes = {name: kept.get(name) or TintedPicture(title) for name, title in titles}
        columns = 2 if len(titles) in (2, 4) else 3
        for place, pane in enumerate(self.panes.values()):
            self._grid.addWidget(pane, place // columns, place % columns)
            pane.show()
        # Pictures are compared at one size; rows and columns that had some before get no room.
        rows = -(-len(titles) // columns)
        for row in range(self._grid.rowCount()):
            self._grid.setRowStretch(row, 1 if row < rows else 0)
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, 1 if column < min(columns, len(titles)) else 0)


def reduced(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) as small as it is shown."""
    height, width = pixels.shape[:2]
    factor = min(1.0, SHOWN_SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def tinted(pixels: NDArray[np.uint8], class_map: NDArray[np.uint8], classes: ClassList) -> QImage:
    """A reduced picture (h, w, 3) under the colours of a class map (H, W) of any size; background stays."""
    height, width = pixels.shape[:2]
    small = cv2.resize(class_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    colors = np.zeros((256, 3), np.float32)
    opacity = np.zeros(256, np.float32)
    for label_class in classes:
        if label_class.index not in (classes.background, UNLABELLED):
            colors[label_class.index] = label_class.rgb
            opacity[label_class.index] = _OPACITY
    share = opacity[small][..., None]
    mixed = pixels * (1 - share) + colors[small] * share
    return paintable(mixed.astype(np.uint8))


def titled(name: str, title: str) -> str:
    """A run's pane: its name and network."""
    return f"{sentence(name).rstrip('.')} · {title}" if title else name
