"""The image itself and the ground around it."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap

from app.canvas.layer_cache import Frame
from app.canvas.outlines import Box

CRISP_FROM: Final = 2.0
"""From this many device pixels per image pixel on, pixels are drawn as squares."""
_CHECK: Final = 8


class ImageLayer:
    """Draws the image at any scale.

    Scaled down, it is drawn from a copy halved as often as fits: a plain bilinear look-up below one half
    skips pixels, which makes thin structures flicker while zooming.
    """

    margin = 0.0

    def __init__(self) -> None:
        self._levels: list[QPixmap] = []
        self._smallest = QImage()
        self._transparent = False
        self.size = QSize(0, 0)
        self.ground = QColor(40, 40, 40)
        """The neutral colour around the image."""

    def set_image(self, image: QImage | None) -> None:
        """Show another image (None: nothing)."""
        self._levels = []
        self._smallest = QImage() if image is None else image
        self._transparent = image is not None and image.hasAlphaChannel()
        self.size = QSize(0, 0) if image is None else image.size()
        if image is not None:
            self._levels.append(QPixmap.fromImage(image))

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw the part inside `rect`; see `layer_cache.Layer`."""
        painter = QPainter(target)
        painter.setClipRect(rect)
        painter.fillRect(rect, self.ground)
        if self._levels:
            whole = QRectF(
                frame.dx, frame.dy, self.size.width() * frame.scale, self.size.height() * frame.scale
            )
            if self._transparent:
                self._paint_checks(painter, whole.toAlignedRect().intersected(rect))
            self._paint_image(painter, rect, frame)
        painter.end()

    def _paint_image(self, painter: QPainter, rect: QRect, frame: Frame) -> None:
        level = self._level_for(frame.scale)
        shrink_x = level.width() / self.size.width()
        shrink_y = level.height() / self.size.height()
        # Only the pixels in sight: at 6400 % the scaled image would be larger than a painter can address.
        x0, y0, x1, y1 = _pixels_around(frame.to_image(rect), 2 / min(shrink_x, shrink_y), self.size)
        if x0 >= x1 or y0 >= y1:
            return
        source = QRectF(x0 * shrink_x, y0 * shrink_y, (x1 - x0) * shrink_x, (y1 - y0) * shrink_y)
        where = QRectF(
            x0 * frame.scale + frame.dx,
            y0 * frame.scale + frame.dy,
            (x1 - x0) * frame.scale,
            (y1 - y0) * frame.scale,
        )
        smooth = frame.scale < CRISP_FROM
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawPixmap(where, level, source)

    def _level_for(self, scale: float) -> QPixmap:
        """The smallest halved copy that is still not magnified."""
        wanted = 0
        while scale < 0.5 and min(self.size.width(), self.size.height()) >> (wanted + 1) >= 16:
            wanted += 1
            scale *= 2
        while len(self._levels) <= wanted:
            half = QSize(max(1, self._smallest.width() // 2), max(1, self._smallest.height() // 2))
            self._smallest = self._smallest.scaled(
                half, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            self._levels.append(QPixmap.fromImage(self._smallest))
        return self._levels[wanted]

    def _paint_checks(self, painter: QPainter, rect: QRect) -> None:
        """A checkerboard behind transparent images, fixed to the viewport."""
        light, dark = QColor(200, 200, 200), QColor(160, 160, 160)
        tile = QPixmap(2 * _CHECK, 2 * _CHECK)
        tile.fill(light)
        tile_painter = QPainter(tile)
        tile_painter.fillRect(0, 0, _CHECK, _CHECK, dark)
        tile_painter.fillRect(_CHECK, _CHECK, _CHECK, _CHECK, dark)
        tile_painter.end()
        painter.drawTiledPixmap(rect, tile, rect.topLeft())


def _pixels_around(box: Box, rim: float, size: QSize) -> tuple[int, int, int, int]:
    """Whole pixels of the image that meet a box, and a rim for the interpolation."""
    x0, y0, x1, y1 = box
    return (
        max(0, int(x0 - rim)),
        max(0, int(y0 - rim)),
        min(size.width(), int(x1 + rim) + 1),
        min(size.height(), int(y1 + rim) + 1),
    )
