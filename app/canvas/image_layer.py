"""The image itself and the ground around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPixmap

from app.canvas.layer_cache import Frame
from app.canvas.outlines import Box
from app.canvas.tile_feed import TileFeed, TileKey

CRISP_FROM: Final = 2.0
"""From this many device pixels per image pixel on, pixels are drawn as squares."""
_CHECK: Final = 8


class ImageLayer:
    """Draws the image at any scale.

    Scaled down, it is drawn from a copy halved as often as fits: a plain bilinear look-up below one half
    skips pixels, which makes thin structures flicker while zooming. A huge image is drawn from the tiles of
    the level that fits; where one has not arrived, what is coarser is stretched over its place.
    """

    margin = 2.0
    """A tile that arrives changes the interpolated pixels beside it, too."""

    def __init__(self) -> None:
        self._levels: list[QPixmap] = []
        self._smallest = QImage()
        self._transparent = False
        self._feed: TileFeed | None = None
        self.size = QSize(0, 0)
        self.ground = QColor(40, 40, 40)
        """The neutral colour around the image."""

    def set_image(self, image: QImage | None) -> None:
        """Show another image (None: nothing)."""
        self._feed = None
        self._levels = []
        self._smallest = QImage() if image is None else image
        self._transparent = image is not None and image.hasAlphaChannel()
        self.size = QSize(0, 0) if image is None else image.size()
        if image is not None:
            self._levels.append(QPixmap.fromImage(image))

    def set_tiles(self, feed: TileFeed) -> None:
        """Show a huge image."""
        self.set_image(None)
        self._feed = feed
        height, width = feed.pyramid.size_hw
        self.size = QSize(width, height)

    def render(self, target: QImage, rect: QRect, frame: Frame) -> None:
        """Draw the part inside `rect`; see `layer_cache.Layer`."""
        painter = QPainter(target)
        painter.setClipRect(rect)
        painter.fillRect(rect, self.ground)
        whole = QRectF(frame.dx, frame.dy, self.size.width() * frame.scale, self.size.height() * frame.scale)
        seen = whole.toAlignedRect().intersected(rect)
        if not self.size.isEmpty() and not seen.isEmpty():
            if self._transparent:
                self._paint_checks(painter, seen)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, frame.scale < CRISP_FROM)
            if self._feed is not None:
                painter.setClipRect(whole.intersected(QRectF(rect)))
                self._paint_tiles(painter, seen, frame, self._feed)
            else:
                level = self._level_for(frame.scale)
                shrink = level.width() / self.size.width(), level.height() / self.size.height()
                self._paint_part(painter, seen, frame, shrink, (0.0, 0.0), level.rect(), _pixmap(level))
        painter.end()

    # --- tiles --------------------------------------------------------------------------------------------

    def _paint_tiles(self, painter: QPainter, rect: QRect, frame: Frame, feed: TileFeed) -> None:
        """The tiles that meet `rect`, and a request for those that are missing and for their neighbours."""
        coarsest = len(feed.pyramid.levels) - 1
        level = min(_halvings(frame.scale), coarsest)
        if level == coarsest:
            self._paint_overview(painter, rect, frame, feed)
            return
        inside = _tiles_around(frame.to_image(rect), level, feed, rim=0)
        missing = [key for key in inside if feed.have(key) is None]
        for key in missing:
            self._paint_coarser(painter, rect, frame, feed, key)
        for key in inside:
            self._paint_tile(painter, rect, frame, feed, key)
        around = _tiles_around(frame.to_image(rect), level, feed, rim=1)
        feed.want([*missing, *(key for key in around if key not in inside)])

    def _paint_tile(self, painter: QPainter, rect: QRect, frame: Frame, feed: TileFeed, key: TileKey) -> bool:
        image = feed.have(key)
        if image is None:
            return False
        shrink = 1 / (1 << key[0])
        self._paint_part(
            painter, rect, frame, (shrink, shrink), feed.box(key)[:2], image.rect(), _image(image)
        )
        return True

    def _paint_coarser(
        self, painter: QPainter, rect: QRect, frame: Frame, feed: TileFeed, key: TileKey
    ) -> None:
        """In the place of a tile the nearest coarser one that is there, or the overview."""
        place = frame.to_device(feed.box(key), 1.0).intersected(rect)
        if place.isEmpty():
            return
        level, column, row = key
        for coarser in range(level + 1, len(feed.pyramid.levels) - 1):
            column, row = column // 2, row // 2
            if feed.have((coarser, column, row)) is not None:
                self._paint_tile(painter, place, frame, feed, (coarser, column, row))
                return
        self._paint_overview(painter, place, frame, feed)

    def _paint_overview(self, painter: QPainter, rect: QRect, frame: Frame, feed: TileFeed) -> None:
        if not feed.overviews:
            return
        first = len(feed.pyramid.levels) - 1
        number = min(max(0, _halvings(frame.scale) - first), len(feed.overviews) - 1)
        image = feed.overviews[number]
        shrink = 1 / (1 << (first + number))
        x, y = feed.pyramid.origin(first)
        self._paint_part(painter, rect, frame, (shrink, shrink), (x, y), image.rect(), _image(image))

    # --- one picture --------------------------------------------------------------------------------------

    def _paint_part(
        self,
        painter: QPainter,
        rect: QRect,
        frame: Frame,
        shrink: tuple[float, float],
        corner: tuple[float, float],
        picture: QRect,
        paint: Callable[[QPainter, QRectF, QRectF], None],
    ) -> None:
        """Draw what lies in `rect` of a picture that shows the image, or a part of it.

        Only the pixels in sight: at 6400 % the scaled image would be larger than a painter can address.

        Args:
            painter: smooth or not.
            rect: device pixels.
            frame: where the image stands.
            shrink: pixels of the picture per pixel of the image, across and down.
            corner: where the picture's corner lies in the image.
            picture: the picture's own rectangle.
            paint: draws a source rectangle of the picture into a target rectangle.
        """
        shrink_x, shrink_y = shrink
        rim = 2 / min(shrink)
        x0, y0, x1, y1 = frame.to_image(rect)
        # Whole pixels of the picture, or neighbouring tiles would be sampled from between them.
        left = max(0, int((x0 - rim - corner[0]) * shrink_x))
        top = max(0, int((y0 - rim - corner[1]) * shrink_y))
        right = min(picture.width(), int((x1 + rim - corner[0]) * shrink_x) + 1)
        bottom = min(picture.height(), int((y1 + rim - corner[1]) * shrink_y) + 1)
        if left >= right or top >= bottom:
            return
        where = QRectF(
            (corner[0] + left / shrink_x) * frame.scale + frame.dx,
            (corner[1] + top / shrink_y) * frame.scale + frame.dy,
            (right - left) / shrink_x * frame.scale,
            (bottom - top) / shrink_y * frame.scale,
        )
        painter.save()
        painter.setClipRect(rect, Qt.ClipOperation.IntersectClip)
        paint(painter, where, QRectF(left, top, right - left, bottom - top))
        painter.restore()

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


def _pixmap(level: QPixmap) -> Callable[[QPainter, QRectF, QRectF], None]:
    return lambda painter, where, source: painter.drawPixmap(where, level, source)


def _image(image: QImage) -> Callable[[QPainter, QRectF, QRectF], None]:
    return lambda painter, where, source: painter.drawImage(where, image, source)


def _halvings(scale: float) -> int:
    """How often an image may be halved before it is magnified at this scale."""
    count = 0
    while scale < 0.5 and count < 16:
        count += 1
        scale *= 2
    return count


def _tiles_around(box: Box, level: int, feed: TileFeed, *, rim: int) -> list[TileKey]:
    """The tiles of a level that meet a box of the image, and `rim` more on each side, the middle first."""
    side = feed.pyramid.tile_side << level
    height, width = feed.pyramid.size_hw
    x0, y0, x1, y1 = box
    columns = range(max(0, int(x0 // side) - rim), min(-(-width // side), int(x1 // side) + 1 + rim))
    rows = range(max(0, int(y0 // side) - rim), min(-(-height // side), int(y1 // side) + 1 + rim))
    middle_x, middle_y = (x0 + x1) / 2 / side - 0.5, (y0 + y1) / 2 / side - 0.5
    found = [(level, column, row) for row in rows for column in columns]
    return sorted(found, key=lambda key: (key[1] - middle_x) ** 2 + (key[2] - middle_y) ** 2)
