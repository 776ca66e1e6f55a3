"""Layers of the canvas as pictures the size of the viewport, drawn again only where they are out of date.

Ten thousand polygons take tens of milliseconds to draw and one to blit. A layer is therefore kept as drawn;
scrolling shifts it and draws the strip that came in, an edit draws the edited box, zooming draws all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QImage, QPainter

from app.canvas.outlines import Box

SLOW_LAYER_S: Final = 0.004
"""A layer that takes longer to draw is shown stretched while the zoom moves, and drawn when it rests.

A quarter of a frame, as the image and what else lies there are drawn as well: with 8 ms a step of the zoom
over 1,000 polygons took up to 19 ms of the processor, with 4 ms 7 to 8.
"""

VERY_SLOW_LAYER_S: Final = 0.03
"""A layer that takes longer is drawn in a worker while its last picture still says what there is."""

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


@runtime_checkable
class WorkerLayer(Layer, Protocol):
    """A layer that a worker can draw."""

    def prepared(self, rect: QRect, frame: Frame) -> Callable[[QImage], None]:
        """What draws the part inside `rect` as it is now, in any thread, whatever changes meanwhile."""


DrawLater: TypeAlias = Callable[[Callable[[], QImage], Callable[[QImage], None]], None]
"""Calls the first function in a worker and the second with its result here, in the window's thread."""


class LayerCache:
    """One layer's picture and what of it is out of date.

    Args:
        layer: draws itself on demand.
        on_stretched: called when a stretched picture was shown and `sharpen` should be called soon.
        draw_later: for a layer that takes long: what has it drawn in a worker, and then repaints.
    """

    def __init__(
        self, layer: Layer, on_stretched: Callable[[], None], draw_later: DrawLater | None = None
    ) -> None:
        self._layer = layer
        self._on_stretched = on_stretched
        self._draw_later = draw_later
        self._under_way: Frame | None = None  # what a worker draws
        self._changed_since: list[Box] = []  # while it draws
        self._requests = 0
        self._faded = False
        self._sharp_wanted = False
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
            self._forget_request()
            return
        if self._under_way is not None:
            self._changed_since.append(box)
        if not self._stale_whole:
            rect = self._frame.to_device(box, self._layer.margin * self._frame.ratio)
            if not rect.isEmpty():
                self._dirty.append(rect)

    def fade(self) -> None:
        """Say that all of it looks different now, but may be shown as it was until it has been drawn."""
        if self._draws_in_worker and self._cost_s > VERY_SLOW_LAYER_S and not self._stale_whole:
            self._faded = True
        else:
            self.invalidate()

    def adopt(self, other: LayerCache) -> None:
        """Take the picture of another cache, if it is up to date: both layers look the same now."""
        if other._stale_whole or other._dirty or other._frame is None:
            return
        if other._faded or other._under_way is not None:
            return
        self._picture = QImage(other._picture)  # shared until one of them is drawn on
        self._frame = other._frame
        self._dirty = []
        self._stale_whole = False
        self._forget_request()

    @property
    def view_box(self) -> Box | None:
        """The part of the image the picture shows, image pixels; None before the first paint."""
        if self._frame is None:
            return None
        return self._frame.to_image(QRect(0, 0, self._frame.width, self._frame.height))

    def sharpen(self) -> None:
        """Draw properly at the next paint, however long it takes; in a worker where that can be."""
        if self._draws_in_worker and self._cost_s > VERY_SLOW_LAYER_S:
            self._sharp_wanted = True
        else:
            self._cost_s = 0.0

    def paint(self, painter: QPainter, frame: Frame, exposed: QRect) -> None:
        """Bring the picture up to date and blit the exposed device rectangle of it.

        The painter's coordinates are logical viewport pixels.
        """
        if self._faded:
            self._request(frame)
        if self._may_stretch(frame):
            self._paint_stretched(painter, frame)
            if self._sharp_wanted:
                self._request(frame)
            elif frame.scale != self._stretched_to:  # other repaints must not put the sharp picture off
                self._stretched_to = frame.scale
                self._on_stretched()
            return
        self._stretched_to = 0.0
        self._sharp_wanted = False
        self._update(frame)
        ratio = frame.ratio
        target = QRectF(
            exposed.x() / ratio, exposed.y() / ratio, exposed.width() / ratio, exposed.height() / ratio
        )
        painter.drawImage(target, self._picture, QRectF(exposed))

    # --- in a worker ----------------------------------------------------------------------------------------

    @property
    def _draws_in_worker(self) -> bool:
        return self._draw_later is not None and isinstance(self._layer, WorkerLayer)

    def _request(self, frame: Frame) -> None:
        faded, self._faded, self._sharp_wanted = self._faded, False, False
        if self._under_way == frame and not faded:
            return
        assert self._draw_later is not None
        assert isinstance(self._layer, WorkerLayer)
        self._under_way, self._changed_since = frame, []
        self._requests += 1
        number = self._requests
        whole = QRect(0, 0, frame.width, frame.height)
        draw = self._layer.prepared(whole, frame)

        def picture() -> QImage:
            image = QImage(whole.size(), QImage.Format.Format_ARGB32_Premultiplied)
            image.fill(Qt.GlobalColor.transparent)
            draw(image)
            return image

        self._draw_later(picture, lambda image: self._take(number, image))

    def _take(self, number: int, image: QImage) -> None:
        """What a worker has drawn, unless something newer is wanted."""
        frame = self._under_way
        if number != self._requests or frame is None:
            return
        self._picture, self._frame = image, frame
        self._dirty = []
        self._stale_whole = False
        self._stretched_to = 0.0
        self._under_way = None
        changed, self._changed_since = self._changed_since, []
        for box in changed:
            self.invalidate(box)

    def _forget_request(self) -> None:
        self._requests += 1
        self._under_way = None
        self._changed_since = []
        self._faded = self._sharp_wanted = False

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
            self._forget_request()
            start = time.thread_time()  # what others do meanwhile makes no layer slow
            self._redraw(QRect(0, 0, frame.width, frame.height), frame)
            self._cost_s = time.thread_time() - start
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
