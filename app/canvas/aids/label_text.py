"""The names of shapes, written on the canvas."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Final

import numpy as np
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from app.canvas.layer_cache import Frame
from app.canvas.outlines import Outline, middle_of
from app.canvas.shape_index import ShapeIndex
from app.canvas.style import visible_line
from core.annotation.commands import XY

_PIXELS: Final = 11
"""Height of the letters, screen pixels."""
_LONGEST: Final = 28
"""Letters of a name that are shown."""
_GROUND: Final = QColor(20, 20, 24, 190)
_OFFSET: Final = 8
"""How far the name of a point or line stands from it, screen pixels."""
_OPEN_FROM: Final = 0.25
"""Screen pixels per image pixel from which on points and lines, which have no inside, are named."""

_FEW_GONE: Final = 64
"""Middles of so many shapes that are gone are no reason to look through them."""


class LabelTextLayer:
    """Writes each shape's label in its middle, where there is room for it inside.

    Whether a name is written depends on its own shape alone and on the zoom. So a part drawn anew looks like
    the whole, names never lie in heaps, and ten thousand small shapes cost one comparison of their boxes.
    """

    margin = 220.0  # a name beside a point

    def __init__(
        self, index: ShapeIndex, label_of: Callable[[int], str], color_of: Callable[[int], QColor]
    ) -> None:
        self._index = index
        self._label_of = label_of
        self._color_of = color_of
        self._middles: dict[int, tuple[Outline, XY]] = {}
        self.moving: Collection[int] = frozenset()
        """Shapes shown elsewhere than they are; without a name meanwhile."""

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Write what meets `rect`; see `layer_cache.Layer`."""
        grow = round(self.margin * frame.ratio)
        uids = self._index.near(frame.to_image(rect.adjusted(-grow, -grow, grow, grow)))
        if not uids:
            return
        boxes = np.array([self._index[uid].box for uid in uids]).reshape(-1, 4)
        sizes = (boxes[:, 2:] - boxes[:, :2]) * frame.scale
        tall = sizes[:, 1] >= _tag_height() * frame.ratio
        if frame.scale / frame.ratio >= _OPEN_FROM:
            tall |= ~np.array([self._index[uid].closed for uid in uids])
        painter = QPainter(target)
        painter.setClipRect(rect)
        for place in np.flatnonzero(tall).tolist():
            uid = uids[place]
            label = self._label_of(uid)
            if uid in self.moving or not label:
                continue
            tag = label_tag(label, self._color_of(uid).rgb(), frame.ratio)
            _, y0, x1, y1 = boxes[place].tolist()
            if self._index[uid].closed:
                if tag.width() > sizes[place, 0]:
                    continue
                middle = self._middle_of(uid)
                x = middle[0] * frame.scale + frame.dx - tag.width() / 2
                y = middle[1] * frame.scale + frame.dy - tag.height() / 2
            else:
                x = x1 * frame.scale + frame.dx + _OFFSET * frame.ratio
                y = (y0 + y1) / 2 * frame.scale + frame.dy - tag.height() / 2
            # The picture is as fine as the target already: its size must not be taken for logical pixels.
            painter.drawImage(QRectF(round(x), round(y), tag.width(), tag.height()), tag)
        painter.end()

    def _middle_of(self, uid: int) -> XY:
        """Where the name of a closed shape stands; kept while the shape looks as it does."""
        outline = self._index[uid]
        known = self._middles.get(uid)
        if known is None or known[0] is not outline:
            if len(self._middles) > _FEW_GONE + 2 * len(self._index):  # those of other images are among them
                self._middles = {uid: kept for uid, kept in self._middles.items() if uid in self._index}
            known = self._middles[uid] = outline, middle_of(outline)
        return known[1]


def _font() -> QFont:
    font = QFont()
    font.setPixelSize(_PIXELS)
    return font


@functools.lru_cache(maxsize=1)
def _tag_height() -> float:
    return QFontMetricsF(_font()).height() + 2


@functools.lru_cache(maxsize=512)
def label_tag(label: str, rgb: int, ratio: float) -> QImage:
    """A name on a dark plate with a stripe of its colour, in device pixels."""
    text = label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
    metrics = QFontMetricsF(_font())
    width, height = metrics.horizontalAdvance(text) + 14, metrics.height() + 2
    image = QImage(round(width * ratio), round(height * ratio), QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.scale(ratio, ratio)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_GROUND)
    painter.drawRoundedRect(QRectF(0, 0, width, height), 3, 3)
    painter.setBrush(visible_line(QColor.fromRgb(rgb)))
    painter.drawRoundedRect(QRectF(3, 3, 3, height - 6), 1.5, 1.5)
    painter.setFont(_font())
    painter.setPen(QColor(245, 245, 245))
    painter.drawText(QRectF(10, 0, width - 10, height), Qt.AlignmentFlag.AlignVCenter, text)
    painter.end()
    return image
