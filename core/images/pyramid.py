"""Huge images as tiles at halving scales: what is looked at is read, the whole never is.

::

    level 0         the image itself, in tiles
    level 1, 2      each the mean of 2 x 2 pixels of the one before, in tiles
    the overview    the first level of at most 4096 pixels a side, kept whole in memory

`prepare` makes what is missing, in a worker, while everything that is there already can be asked for:

========== ================================= ==========================================================
file       overview                          tiles
========== ================================= ==========================================================
tiled TIFF from the file's own reduced copy, read from the file when asked for; nothing is laid out
           else by averaging, row by row
JPEG       decoded at 1/8 at once            laid out in the cache from top to bottom (one decode)
others     grows with the tiles              laid out in the cache from top to bottom (one decode)
========== ================================= ==========================================================

What `prepare` made is kept in the cache folder, so that opening the image again takes milliseconds.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ImageFileError
from core.files import digest
from core.images.pages import image_file
from core.images.reader import HUGE_PIXELS, decoded_small, image_size, thumbnail
from core.images.strips import StripReader
from core.images.tile_store import PyramidWriter, StoreHeader, TileStore, assembled, level_size, make_room
from core.images.upright import Box, Upright

PYRAMIDS: Final = "pyramids"
"""The folder of pyramids in a project's cache."""
TILE_SIDE: Final = 512
OVERVIEW_SIDE: Final = 4096
CACHE_BYTES: Final = 8 << 30
"""Bound of all pyramids in one cache folder: about five images of 20,000 x 20,000 in colour."""
_MEMORY_BYTES: Final = 96 << 20
_JPEG_LEVELS: Final = 3
_LAYOUT: Final = 1
"""Raised when stores of older versions are no longer right."""

Report = Callable[[float], None]
"""Told the share done, 0..1; may raise to stop the work."""


@dataclass(frozen=True, slots=True)
class PyramidShape:
    """Sides of tiles and overview: small ones make small tests."""

    tile_side: int = TILE_SIDE
    overview_side: int = OVERVIEW_SIDE


def is_huge(path: Path) -> bool:
    """Whether an image is to be shown from tiles. Raises ImageFileError."""
    height, width = image_size(path)
    return height * width > HUGE_PIXELS


def open_pyramid(
    path: Path, cache_dir: Path, *, shape: PyramidShape | None = None, limit_bytes: int = CACHE_BYTES
) -> Pyramid:
    """Open an image as a pyramid; reads its header, and what the cache has of it.

    Args:
        path: the image, perhaps a page of a TIFF.
        cache_dir: where pyramids are kept; made when needed, bounded by `limit_bytes`.
        shape: sides of tiles and overview.
        limit_bytes: what all pyramids there may take on disk; the one being made is kept in any case.

    Raises:
        ImageFileError: missing, damaged as far as the header shows it, or of an unsupported kind.
    """
    return Pyramid(path, cache_dir, shape or PyramidShape(), limit_bytes)


def huge_thumbnail(path: Path, side: int, cache_dir: Path) -> NDArray[np.uint8]:
    """As `reader.thumbnail`, of a huge image: never decoded whole, and quick where its pyramid is known.

    Raises:
        ImageFileError: as `read_image`.
    """
    pyramid = open_pyramid(path, cache_dir)
    try:
        if pyramid.decodes_reduced and not pyramid.ready:
            return thumbnail(path, side)
        return _fitted(pyramid.sketch(lambda _share: None), side)
    finally:
        pyramid.close()


def huge_thumbnail_steps(path: Path, side: int, cache_dir: Path) -> Generator[None, None, NDArray[np.uint8]]:
    """As `huge_thumbnail`, with a yield between two strips of the file."""
    pyramid = open_pyramid(path, cache_dir)
    try:
        return _fitted((yield from pyramid.sketch_steps(lambda _share: None)), side)
    finally:
        pyramid.close()


def _fitted(sketch: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = min(1.0, side / max(sketch.shape[:2]))
    size = max(1, round(sketch.shape[1] * scale)), max(1, round(sketch.shape[0] * scale))
    return np.asarray(cv2.resize(sketch, size, interpolation=cv2.INTER_AREA), np.uint8)


class Pyramid:
    """One image in tiles. Everything but `prepare`, which is called once, may be called from any thread.

    Attributes:
        path: the image.
        size_hw: height and width after EXIF rotation.
        levels: heights and widths of all levels; the last is the overview's.
        tile_side: tiles are squares of so many pixels, cut off at the right and lower edge.
    """

    def __init__(self, path: Path, cache_dir: Path, shape: PyramidShape, limit_bytes: int) -> None:
        self.path = path
        self._reader = StripReader(path)
        self._upright = Upright(self._reader.orientation)
        self.size_hw = self._upright.size(self._reader.size_hw)
        count = 0
        while max(level_size(self.size_hw, count)) > shape.overview_side:
            count += 1
        self.levels = tuple(level_size(self.size_hw, level) for level in range(count + 1))
        self.tile_side = shape.tile_side
        self._header = StoreHeader(
            source=_source_digest(path),
            size_hw=self._reader.size_hw,
            channels=self._reader.channels,
            tile_side=shape.tile_side,
            tile_levels=0 if self._reader.random_access else count,
            overview_level=count,
        )
        self._cache_dir = cache_dir
        self._limit_bytes = limit_bytes
        self._store_path = cache_dir / f"{self._header.source[:32]}.tiles"
        self._store = TileStore.open(self._store_path, self._header)
        self._ready = self._store is not None
        self._closed = threading.Event()
        self._overview: NDArray[np.uint8] | None = None
        if self._store is not None:
            self._overview = self._store.overview()
        self._kept: OrderedDict[tuple[int, int, int], NDArray[np.uint8]] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Every tile can be had."""
        return self._ready

    @property
    def decodes_reduced(self) -> bool:
        """A small version can be decoded without the rest (JPEG)."""
        return self._reader.is_jpeg

    # --- making -------------------------------------------------------------------------------------------

    def prepare(self, report: Report) -> None:
        """Make what is missing; `report` is told the share done, and stops the work by raising.

        Raises:
            ImageFileError: the file turned out to be damaged.
            StorageError: the cache's disk is full.
        """
        if self._ready:
            return
        overview = np.zeros((*self._header.overview_hw, self._header.channels), np.uint8)
        if self._reader.is_jpeg and self._header.overview_level <= _JPEG_LEVELS:
            height, width = overview.shape[:2]
            small = decoded_small(self.path, (height, width))[..., : self._header.channels]
            overview[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA).reshape(
                overview.shape
            )
            self._overview = overview
            report(0.0)
            overview = overview.copy()  # what is shown must not turn into the exact one row by row
        else:
            self._overview = overview
            report(0.0)
        make_room(self._cache_dir, self._header.file_bytes, self._limit_bytes)
        store = TileStore.create(self._store_path, self._header)
        try:
            if self._reader.random_access:
                self._shrink_into(overview, report)
            else:
                self._lay_out(store, overview, report)
            store.finish(self._store_path, overview)
        except BaseException:
            self._store = None
            store.discard()
            raise
        self._store = store
        self._overview = overview
        self._ready = True
        if self._closed.is_set():
            store.close()
        report(1.0)

    def sketch(self, report: Report) -> NDArray[np.uint8]:
        """The overview alone (h, w, 3), uint8: from the cache, else from a pass over the file; not kept.

        Raises:
            ImageFileError: the file is damaged.
        """
        steps = self.sketch_steps(report)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return np.asarray(end.value)

    def sketch_steps(self, report: Report) -> Generator[None, None, NDArray[np.uint8]]:
        """As `sketch`, with a yield between two parts of the file."""
        if self._ready and self._overview is not None:
            return self._shown(self._overview)
        overview = np.zeros((*self._header.overview_hw, self._header.channels), np.uint8)
        if self._reader.random_access:
            yield from self._shrink_steps(overview, report)
        else:
            writer = PyramidWriter(self._header, None, overview)
            for strip in self._reader.strips(report):
                writer.add(strip)
                yield
        return self._shown(overview)

    def _shrink_into(self, overview: NDArray[np.uint8], report: Report) -> None:
        for _ in self._shrink_steps(overview, report):
            pass

    def _shrink_steps(self, overview: NDArray[np.uint8], report: Report) -> Generator[None, None, None]:
        passes = 2 if self._reader.measured(lambda share: report(share / 2)) is not None else 1
        for top, part in self._reader.reduced(1 << self._header.overview_level):
            overview[top : top + len(part)] = part
            report((passes - 1 + (top + len(part)) / len(overview)) / passes)
            yield

    def _lay_out(self, store: TileStore, overview: NDArray[np.uint8], report: Report) -> None:
        self._store = store
        writer = PyramidWriter(self._header, store, overview)
        for strip in self._reader.strips(report):
            writer.add(strip)

    # --- looking ------------------------------------------------------------------------------------------

    def overview(self) -> NDArray[np.uint8] | None:
        """The whole image at the last level (h, w, 3), uint8: black where `prepare` has not come yet.

        None before it has begun.
        """
        overview = self._overview
        return None if overview is None else self._shown(overview)

    def tile(self, level: int, column: int, row: int) -> NDArray[np.uint8] | None:
        """One tile (h, w, 3), uint8, RGB, not to be written to; None while it is not laid out yet.

        Tiles that were asked for last are kept in memory.

        Raises:
            IndexError: there is no such tile.
            ImageFileError: the file is damaged there.
        """
        key = level, column, row
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        x0, y0, x1, y1 = self.tile_box(level, column, row)
        if level == len(self.levels) - 1:
            overview = self.overview()
            return None if overview is None else overview[y0:y1, x0:x1]
        stored = self._stored_part(level, (x0, y0, x1, y1))
        if stored is None:
            return None
        pixels = np.ascontiguousarray(self._shown(stored))
        with self._lock:
            self._keep(key, pixels)
        return pixels

    def tile_box(self, level: int, column: int, row: int) -> Box:
        """x0, y0, x1, y1 of a tile in pixels of its level. Raises IndexError."""
        if not 0 <= level < len(self.levels):
            raise IndexError(f"{self.path.name} has {len(self.levels)} levels, not {level}")
        height, width = self.levels[level]
        side = self.tile_side
        x0, y0 = column * side, row * side
        if not (0 <= x0 < width and 0 <= y0 < height):
            raise IndexError(f"level {level} of {self.path.name} has no tile ({column}, {row})")
        return x0, y0, min(width, x0 + side), min(height, y0 + side)

    def origin(self, level: int) -> tuple[int, int]:
        """x, y of a level's corner in pixels of the image: 0, or a little less (`Upright.origin`)."""
        return self._upright.origin(level, self.levels[level], self.size_hw)

    def region(self, x0: int, y0: int, x1: int, y1: int, *, level: int = 0) -> NDArray[np.uint8] | None:
        """Any part of the image itself, or of a level (y1 - y0, x1 - x0, 3), uint8.

        None while it is not laid out yet.

        Raises:
            IndexError: it does not lie inside the level.
        """
        return assembled(
            (x0, y0, x1, y1), self.tile_side, 3, lambda column, row: self.tile(level, column, row)
        )

    def pixel(self, x: int, y: int) -> tuple[int, int, int] | None:
        """RGB of a pixel if that costs nothing: its tile is in memory, or its level is the overview's."""
        with self._lock:
            tile = self._kept.get((0, x // self.tile_side, y // self.tile_side))
        if tile is None:
            return None
        red, green, blue = tile[y % self.tile_side, x % self.tile_side].tolist()
        return red, green, blue

    def close(self) -> None:
        """Give files and memory back; a `prepare` on its way ends with its next report that raises."""
        self._closed.set()
        self._reader.close()
        if self._store is not None and self._ready:
            self._store.close()
        with self._lock:
            self._kept.clear()
            self._kept_bytes = 0

    # --- inside -------------------------------------------------------------------------------------------

    def _stored_part(self, level: int, box: Box) -> NDArray[np.uint8] | None:
        """A box of an upright level, as stored; None while a part of it is not laid out."""
        stored = self._upright.stored_box(box, self.levels[level])
        if self._reader.random_access:
            return self._reader.averaged(level, stored)
        store = self._store
        if store is None or self._closed.is_set():
            return None
        try:
            return store.part(level, stored)
        except (OSError, ValueError):  # closed meanwhile, or the cache's disk is gone
            return None

    def _shown(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored pixels (h, w, channels) as upright RGB."""
        pixels = self._upright.pixels(stored)
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels

    def _keep(self, key: tuple[int, int, int], pixels: NDArray[np.uint8]) -> None:
        if self._closed.is_set() or key in self._kept:
            return
        self._kept[key] = pixels
        self._kept_bytes += pixels.nbytes
        while self._kept_bytes > _MEMORY_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.nbytes


def _source_digest(path: Path) -> str:
    with contextlib.suppress(OSError):
        status = image_file(path).stat()
        return digest(f"{path}|{status.st_mtime_ns}|{status.st_size}|{_LAYOUT}".encode())
    raise ImageFileError(path, "there is no such image; it was moved or deleted")
