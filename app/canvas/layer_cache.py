"""Layers of the canvas as pictures the size of the viewport, drawn again only where they are out of date.

Ten thousand polygons take tens of milliseconds to draw and one to blit. A layer is therefore kept as drawn;
scrolling shifts it and draws the strip that came in, an edit draws the edited box, zooming draws all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QImage, QPainter

from app.canvas.outlines import Box

SLOW_LAYER_S: Final = 0.012
"""A layer that takes longer to draw is shown stretched while the zoom moves, and drawn when it rests."""

MOST_STRETCHED: Final = 2.5
"""A picture stretched or shrunk by more shows mush, or leaves most of the view empty: it is drawn anew."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the image stands in the viewport, in device pixels: device = image * scale + (dx, dy).

    Attributes:
        scale: device pixels per image pixel.
        dx, dy: position of the image's corner.
        width, height: size of the viewport.
        ratio: device pixels per logical pixel.
    """

    scale: float
    dx: float
    dy: float
    width: int
    height: int
    ratio: float

    def to_image(self, rect: QRect) -> Box:
        """A device rectangle as a box in image pixels."""
        x0, y0 = (rect.x() - self.dx) / self.scale, (rect.y() - self.dy) / self.scale
        return x0, y0, x0 + rect.width() / self.scale, y0 + rect.height() / self.scale

    def to_device(self, box: Box, margin: float = 0.0) -> QRect:
        """A box in image pixels as the device rectangle that holds it, clipped to the viewport."""
        x0, y0, x1, y1 = box
        if not (x0 <= x1 and y0 <= y1):
            return QRect()
        left = max(0.0, np.floor(x0 * self.scale + self.dx - margin))
        top = max(0.0, np.floor(y0 * self.scale + self.dy - margin))
        right = min(float(self.width), np.ceil(x1 * self.scale + self.dx + margin))
        bottom = min(float(self.height), np.ceil(y1 * self.scale + self.dy + margin))
        if left >= right or top >= bottom:
            return QRect()
        return QRect(int(left), int(top), int(right - left), int(bottom - top))


class Layer(Protocol):
    """Something that can draw any part of itself."""

    margin: float
    """How far its drawing reaches past a shape's box, device pixels at ratio 1."""

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw the part inside `rect` (device pixels) onto `target`, which is transparent there."""


class LayerCache:
    """One layer's picture and what of it is out of date.

    Args:
        layer: draws itself on demand.
        on_stretched: called when a stretched picture was shown and `sharpen` should be called soon.
    """

    def __init__(self, layer: Layer, on_stretched: Callable[[], None]) -> None:
        self._layer = layer
        self._on_stretched = on_stretched
        self._picture = QImage()
        self._frame: Frame | None = None
        self._dirty: list[QRect] = []
        self._cost_s = 0.0
        self._stretched_to = 0.0
        self._stale_whole = True

    def invalidate(self, box: Box | None = None) -> None:
        """Say that a box of the image (None: all of it) looks different now."""
        if box is None or self._frame is None:
            self._stale_whole = True
        elif not self._stale_whole:
            rect = self._frame.to_device(box, self._layer.margin * self._frame.ratio)
            if not rect.isEmpty():
                self._dirty.append(rect)

    def adopt(self, other: LayerCache) -> None:
        """Take the picture of another cache, if it is up to date: both layers look the same now."""
        if other._stale_whole or other._dirty or other._frame is None:
            return
        self._picture = QImage(other._picture)  # shared until one of them is drawn on
        self._frame = other._frame
        self._dirty = []
        self._stale_whole = False

    @property
    def view_box(self) -> Box | None:
        """The part of the image the picture shows, image pixels; None before the first paint."""
        if self._frame is None:
            return None
        return self._frame.to_image(QRect(0, 0, self._frame.width, self._frame.height))

    def sharpen(self) -> None:
        """Draw properly at the next paint, however long it takes."""
        self._cost_s = 0.0

    def paint(self, painter: QPainter, frame: Frame, exposed: QRect) -> None:
        """Bring the picture up to date and blit the exposed device rectangle of it.

        The painter's coordinates are logical viewport pixels.
        """
        if self._may_stretch(frame):
            self._paint_stretched(painter, frame)
            if frame.scale != self._stretched_to:  # other repaints must not put the sharp picture off
                self._stretched_to = frame.scale
                self._on_stretched()
            return
        self._stretched_to = 0.0
        self._update(frame)
        ratio = frame.ratio
        target = QRectF(
            exposed.x() / ratio, exposed.y() / ratio, exposed.width() / ratio, exposed.height() / ratio
        )
        painter.drawImage(target, self._picture, QRectF(exposed))

    def _may_stretch(self, frame: Frame) -> bool:
        known = self._frame
        return (
            known is not None
            and self._cost_s > SLOW_LAYER_S
            and not self._stale_whole
            and known.scale != frame.scale
            and known.ratio == frame.ratio
            and 1 / MOST_STRETCHED <= frame.scale / known.scale <= MOST_STRETCHED
        )

    def _paint_stretched(self, painter: QPainter, frame: Frame) -> None:
        assert self._frame is not None
        old = self._frame
        factor = frame.scale / old.scale
        ratio = frame.ratio
        target = QRectF(
            (frame.dx - old.dx * factor) / ratio,
            (frame.dy - old.dy * factor) / ratio,
            old.width * factor / ratio,
            old.height * factor / ratio,
        )
        painter.drawImage(target, self._picture, QRectF(0, 0, old.width, old.height))

    def _update(self, frame: Frame) -> None:
        size_changed = self._picture.width() != frame.width or self._picture.height() != frame.height
        if size_changed:
            self._picture = QImage(frame.width, frame.height, QImage.Format.Format_ARGB32_Premultiplied)
        if self._stale_whole or size_changed or not self._scroll_to(frame):
            self._frame = frame
            self._dirty = []
            self._stale_whole = False
            start = time.perf_counter()
            self._redraw(QRect(0, 0, frame.width, frame.height), frame)
            self._cost_s = time.perf_counter() - start
            return
        self._frame = frame
        for rect in merged(self._dirty):
            self._redraw(rect, frame)
        self._dirty = []

    def _scroll_to(self, frame: Frame) -> bool:
        """Shift the picture when only the scroll position changed, by whole pixels."""
        old = self._frame
        if old is None or old.scale != frame.scale or old.ratio != frame.ratio:
            return False
        shift_x, shift_y = frame.dx - old.dx, frame.dy - old.dy
        dx, dy = round(shift_x), round(shift_y)
        if abs(shift_x - dx) > 1e-3 or abs(shift_y - dy) > 1e-3:
            return False
        if abs(dx) >= frame.width or abs(dy) >= frame.height:
            return False
        if dx == 0 and dy == 0:
            return True
        pixels = image_pixels(self._picture)
        pixels[_kept(dy), _kept(dx)] = pixels[_kept(-dy), _kept(-dx)].copy()
        self._dirty = [rect.translated(dx, dy) for rect in self._dirty]
        if dx:
            self._dirty.append(QRect(0 if dx > 0 else frame.width + dx, 0, abs(dx), frame.height))
        if dy:
            self._dirty.append(QRect(0, 0 if dy > 0 else frame.height + dy, frame.width, abs(dy)))
        return True

    def _redraw(self, rect: QRect, frame: Frame) -> None:
        rect = rect.intersected(QRect(0, 0, frame.width, frame.height))
        if rect.isEmpty():
            return
        painter = QPainter(self._picture)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        painter.fillRect(rect, Qt.GlobalColor.transparent)
        painter.end()
        self._layer.render(self._picture, rect, frame)


def _kept(shift: int) -> slice:
    return slice(shift, None) if shift >= 0 else slice(None, shift)


def merged(rects: list[QRect]) -> list[QRect]:
    """Join rectangles that overlap; past a handful one bounding rectangle is cheaper than many passes."""
    if len(rects) > 8:
        whole = QRect()
        for rect in rects:
            whole = whole.united(rect)
        return [whole]
    result: list[QRect] = []
    for rect in rects:
        joined = rect
        apart: list[QRect] = []
        for other in result:
            if other.intersects(joined):
                joined = joined.united(other)
            else:
                apart.append(other)
        result = [*apart, joined]
    return result


def image_pixels(image: QImage) -> NDArray[np.uint8]:
    """The memory of a 32-bit image as (H, W, 4) uint8, in the machine's order (B, G, R, A on x86 and ARM).

    Writing to it writes to the image, as long as the image is not shared or painted on meanwhile.
    """
    pixels = np.frombuffer(image.bits(), np.uint8)
    return pixels.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()]
