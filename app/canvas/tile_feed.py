"""Tiles of a huge image as Qt paints them, made in workers: what is missing is asked for and arrives."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeAlias

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QImage

from app.canvas.outlines import Box
from app.qt_pixels import paintable
from app.workers.tasks import TaskRunner
from core.images.pyramid import Pyramid

TileKey: TypeAlias = tuple[int, int, int]
"""Level, column, row."""

MEMORY_BYTES: Final = 128 << 20
"""Of painted tiles: twice what a 4K screen shows."""
OVERVIEW_EVERY_S: Final = 0.4
"""While the image is being laid out, the overview is painted anew so often."""
_MOST_WAITING: Final = 96
_SMALLEST_SIDE: Final = 16


class TileFeed(QObject):
    """The tiles of one pyramid. Lives in the GUI thread; `close` it.

    Signals:
        arrived(object): a box of the image, in its pixels, can be painted better now; None: all of it.
        progressed(float): share of the image that is laid out, 0..1; 1 when all is.
        failed(str): the image cannot be read on: one sentence.
    """

    arrived = Signal(object)
    progressed = Signal(float)
    failed = Signal(str)

    def __init__(self, pyramid: Pyramid, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.pyramid = pyramid
        self.overviews: tuple[QImage, ...] = ()
        """The overview and its halved copies; empty before there is anything to show."""
        self._painted: OrderedDict[TileKey, QImage] = OrderedDict()
        self._bytes = 0
        self._waiting: OrderedDict[TileKey, None] = OrderedDict()
        self._under_way: set[TileKey] = set()
        self._absent: set[TileKey] = set()
        self._newest: tuple[QImage, ...] = ()
        self._tiles = TaskRunner(2, self)
        self._layout = TaskRunner(1, self)
        self._closed = False
        task = self._layout.run(self._prepare, doing=f"reading {pyramid.path}", reports=True)
        task.progress.connect(self._on_progress)
        task.done.connect(self._on_prepared)
        task.failed.connect(self.failed)

    # --- asking -------------------------------------------------------------------------------------------

    def have(self, key: TileKey) -> QImage | None:
        """A tile, if it is there."""
        found = self._painted.get(key)
        if found is not None:
            self._painted.move_to_end(key)
        return found

    def want(self, keys: Iterable[TileKey]) -> None:
        """Make these tiles, the first first, and before all that was wanted earlier."""
        for key in reversed(list(keys)):
            if key not in self._painted and key not in self._under_way and key not in self._absent:
                self._waiting[key] = None
                self._waiting.move_to_end(key)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
        self._start()

    @property
    def busy(self) -> bool:
        """Something that was asked for has not arrived."""
        return bool(self._waiting or self._under_way) or self._layout.busy

    def close(self, timeout_ms: int = 200) -> bool:
        """End the workers and close the pyramid; a layout on its way is given up.

        Returns:
            False when a worker needs longer (a JPEG's first decode cannot be stopped): keep the feed then,
            and call this again later.
        """
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            self.pyramid.close()
            self._painted.clear()
            self.overviews = self._newest = ()
        ended = self._layout.close(timeout_ms)
        return self._tiles.close(timeout_ms) and ended

    # --- tiles --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        while self._waiting and len(self._under_way) < 2:
            key, _ = self._waiting.popitem()
            self._under_way.add(key)
            task = self._tiles.run(paintable_tile, self.pyramid, key, doing=f"reading {self.pyramid.path}")
            task.done.connect(partial(self._on_tile, key))
            task.failed.connect(partial(self._on_tile_failed, key))

    def _on_tile(self, key: TileKey, image: QImage | None) -> None:
        self._under_way.discard(key)
        if image is None:
            self._absent.add(key)  # not laid out yet: asked for again when more of it is
        else:
            self._painted[key] = image
            self._bytes += image.sizeInBytes()
            while self._bytes > MEMORY_BYTES and len(self._painted) > 1:
                self._bytes -= self._painted.popitem(last=False)[1].sizeInBytes()
            self.arrived.emit(self.box(key))
        self._start()

    def _on_tile_failed(self, key: TileKey, sentence: str) -> None:
        self._under_way.discard(key)
        self._absent.add(key)
        self.failed.emit(sentence)
        self._start()

    def box(self, key: TileKey) -> Box:
        """Where a tile lies, in pixels of the image; pixels that fill up a level reach beyond it."""
        level = key[0]
        x, y = self.pyramid.origin(level)
        x0, y0, x1, y1 = (float(value << level) for value in self.pyramid.tile_box(*key))
        return x0 + x, y0 + y, x1 + x, y1 + y

    # --- overview -----------------------------------------------------------------------------------------

    def _prepare(self, report: Callable[..., None]) -> None:
        """Worker: lay the image out, and paint the overview now and then."""
        shown_at = 0.0

        def tell(share: float) -> None:
            nonlocal shown_at
            now = time.monotonic()
            if now - shown_at > OVERVIEW_EVERY_S:
                self._newest = paintable_overviews(self.pyramid)
                shown_at = time.monotonic()
            report(share)

        self.pyramid.prepare(tell)
        self._newest = paintable_overviews(self.pyramid)

    def _on_progress(self, share: float, _text: str) -> None:
        if self._newest is not self.overviews:
            self._take_overview()
        if share < 1.0:
            self.progressed.emit(share)

    def _on_prepared(self, _nothing: object) -> None:
        self._take_overview()
        self.progressed.emit(1.0)

    def _take_overview(self) -> None:
        self.overviews = self._newest
        self._absent.clear()
        self.arrived.emit(None)


def paintable_tile(pyramid: Pyramid, key: TileKey) -> QImage | None:
    """Worker: a tile as Qt paints it fastest; None while it is not laid out."""
    pixels = pyramid.tile(*key)
    return None if pixels is None else paintable(pixels)


def paintable_overviews(pyramid: Pyramid) -> tuple[QImage, ...]:
    """Worker: the overview and its halved copies."""
    pixels = pyramid.overview()
    if pixels is None:
        return ()
    levels = [paintable(pixels)]
    while min(levels[-1].width(), levels[-1].height()) >= 2 * _SMALLEST_SIDE:
        last = levels[-1]
        half = QSize((last.width() + 1) // 2, (last.height() + 1) // 2)
        levels.append(
            last.scaled(
                half, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
        )
    return tuple(levels)
