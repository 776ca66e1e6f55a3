"""Tiles of an image at halving scales in one file, written once from top to bottom and read in any order.

The file is a cache: tiles as raw bytes, because they are read while a person pans (a tile of 512 x 512 in
colour takes 0.3 ms, as JPEG 3 ms, and JPEG would not be the image itself). Read with plain reads and not
mapped: mapped pages count as the program's memory.

::

    magic, length of the header, header (JSON: what it was made from)
    level 0: row after row of tiles, each tile (side, side, channels), filled up beyond the image's edge
    level 1: ...
    the overview, whole: (h, w, channels)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError

_MAGIC: Final = b"MLTILES1"
_HEADER_BYTES: Final = 4096
_ABANDONED_S: Final = 86_400.0


class StoreHeader(msgspec.Struct, frozen=True):
    """What a store holds.

    Attributes:
        source: digest of path, page, size and modification time of the image file.
        size_hw: height and width at level 0, as stored (before rotation).
        tile_levels: how many levels have tiles; 0 keeps the overview alone.
        overview_level: the level that is kept whole.
    """

    source: str
    size_hw: tuple[int, int]
    channels: int
    tile_side: int
    tile_levels: int
    overview_level: int

    def level_size(self, level: int) -> tuple[int, int]:
        """Height and width of the image halved `level` times, rounded up."""
        return level_size(self.size_hw, level)

    def grid(self, level: int) -> tuple[int, int]:
        """Rows and columns of tiles of a level."""
        height, width = self.level_size(level)
        return -(-height // self.tile_side), -(-width // self.tile_side)

    @property
    def tile_bytes(self) -> int:
        """Size of any tile."""
        return self.tile_side * self.tile_side * self.channels

    def offset(self, level: int) -> int:
        """Where a level begins in the file; the overview begins behind the last."""
        tiles = sum(rows * columns for rows, columns in map(self.grid, range(level)))
        return _HEADER_BYTES + tiles * self.tile_bytes

    @property
    def overview_hw(self) -> tuple[int, int]:
        """Height and width of the overview."""
        return self.level_size(self.overview_level)

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        height, width = self.overview_hw
        return self.offset(self.tile_levels) + height * width * self.channels


def level_size(size_hw: tuple[int, int], level: int) -> tuple[int, int]:
    """Height and width after halving `level` times, rounded up."""
    height, width = size_hw
    return -(-height >> level), -(-width >> level)


class TileStore:
    """A finished store, or one that is being written: then it has the rows that were written so far.

    Thread-safe.
    """

    def __init__(self, header: StoreHeader, file: BinaryIO, path: Path) -> None:
        self.header = header
        self._file = file
        self._path = path
        self._lock = threading.Lock()
        self._rows_done = [0] * header.tile_levels

    @classmethod
    def open(cls, path: Path, header: StoreHeader) -> TileStore | None:
        """The finished store at `path`; None if there is none, or one of another image."""
        try:
            file = path.open("rb")
        except OSError:
            return None
        if file.read(_HEADER_BYTES) != _head(header) or os.fstat(file.fileno()).st_size != header.file_bytes:
            file.close()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the least recently used is dropped first
        store = cls(header, file, path)
        store._rows_done = [header.grid(level)[0] for level in range(header.tile_levels)]
        return store

    @classmethod
    def create(cls, path: Path, header: StoreHeader) -> TileStore:
        """A store to be written; it is at `path` once `finish` was called.

        Raises:
            StorageError: the folder cannot be written.
        """
        # A name of its own: the window may lay an image out twice at once, for the canvas and a thumbnail.
        part = path.with_suffix(f".{secrets.token_hex(8)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = part.open("w+b")
            file.write(_head(header))
        except OSError as error:
            raise StorageError.from_os_error(part, error) from error
        return cls(header, file, part)

    def tile(self, level: int, column: int, row: int) -> NDArray[np.uint8] | None:
        """Pixels (h, w, channels), uint8, as stored; None while that row is not written yet."""
        header = self.header
        rows, columns = header.grid(level)
        if not (0 <= row < rows and 0 <= column < columns):
            raise IndexError(f"level {level} has {rows} x {columns} tiles, not ({row}, {column})")
        with self._lock:
            if row >= self._rows_done[level]:
                return None
            self._file.seek(header.offset(level) + (row * columns + column) * header.tile_bytes)
            data = self._file.read(header.tile_bytes)
        side = header.tile_side
        height, width = header.level_size(level)
        pixels = np.frombuffer(data, np.uint8).reshape(side, side, header.channels)
        return pixels[: height - row * side, : width - column * side]

    def part(self, level: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8] | None:
        """A box x0, y0, x1, y1 (h, w, channels), uint8, as stored; None while a part of it is not written."""
        header = self.header
        return assembled(
            box, header.tile_side, header.channels, lambda column, row: self.tile(level, column, row)
        )

    def overview(self) -> NDArray[np.uint8]:
        """The whole image at the overview's level (h, w, channels), uint8, of a finished store."""
        with self._lock:
            self._file.seek(self.header.offset(self.header.tile_levels))
            height, width = self.header.overview_hw
            data = self._file.read(height * width * self.header.channels)
        return np.frombuffer(data, np.uint8).reshape(height, width, self.header.channels)

    def write_tiles(self, level: int, row: int, pixels: NDArray[np.uint8]) -> None:
        """Write a row of tiles from the image's rows (<= side, W, channels).

        Raises:
            StorageError: the disk is full.
        """
        header = self.header
        side = header.tile_side
        columns = header.grid(level)[1]
        padded = np.zeros((side, columns * side, header.channels), np.uint8)
        padded[: pixels.shape[0], : pixels.shape[1]] = pixels
        tiles = padded.reshape(side, columns, side, header.channels).swapaxes(0, 1)
        self._write(header.offset(level) + row * columns * header.tile_bytes, np.ascontiguousarray(tiles))
        with self._lock:
            self._rows_done[level] = row + 1

    def finish(self, path: Path, overview: NDArray[np.uint8]) -> None:
        """All tiles are written: add the overview and keep the file at `path`. Raises StorageError."""
        self._write(self.header.offset(self.header.tile_levels), np.ascontiguousarray(overview))
        with self._lock:
            try:
                self._file.flush()
                self._path.replace(path)
            except OSError as error:
                raise StorageError.from_os_error(path, error) from error
            self._path = path

    def discard(self) -> None:
        """Close, and delete what was not finished."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _write(self, offset: int, pixels: NDArray[np.uint8]) -> None:
        with self._lock:
            try:
                self._file.seek(offset)
                self._file.write(pixels.data)
            except OSError as error:
                raise StorageError.from_os_error(self._path, error) from error


@dataclass(slots=True)
class _Level:
    """Rows of one level that wait until there are enough of them for a row of tiles."""

    rows: NDArray[np.uint8]
    filled: int = 0
    passed: int = 0


class PyramidWriter:
    """Takes an image in strips from the top, writes the tiles of all levels, fills in the overview.

    Each level is the mean of 2 x 2 pixels of the one above it. Holds two rows of tiles a level at most.

    Args:
        header: the levels.
        store: to write tiles to; None fills in the overview alone.
        overview: (h, w, channels), uint8, filled in as rows come.
    """

    def __init__(self, header: StoreHeader, store: TileStore | None, overview: NDArray[np.uint8]) -> None:
        self._header = header
        self._store = store
        self._overview = overview
        self._levels = [
            _Level(np.empty((header.tile_side, header.level_size(level)[1], header.channels), np.uint8))
            for level in range(header.overview_level)
        ]
        self._overview_rows = 0

    def add(self, strip: NDArray[np.uint8], level: int = 0) -> None:
        """The next rows (rows, W, channels) of a level."""
        header = self._header
        if level == header.overview_level:
            end = self._overview_rows + len(strip)
            self._overview[self._overview_rows : end] = strip
            self._overview_rows = end
            return
        waiting = self._levels[level]
        height = header.level_size(level)[0]
        while len(strip):
            taken = min(header.tile_side - waiting.filled, len(strip))
            waiting.rows[waiting.filled : waiting.filled + taken] = strip[:taken]
            waiting.filled += taken
            strip = strip[taken:]
            at_end = waiting.passed + waiting.filled == height
            if waiting.filled == header.tile_side or at_end:
                rows = waiting.rows[: waiting.filled]
                if self._store is not None and level < header.tile_levels:
                    self._store.write_tiles(level, waiting.passed // header.tile_side, rows)
                waiting.passed += waiting.filled
                waiting.filled = 0
                self.add(halved(rows), level + 1)


def assembled(
    box: tuple[int, int, int, int],
    side: int,
    channels: int,
    tile_of: Callable[[int, int], NDArray[np.uint8] | None],
) -> NDArray[np.uint8] | None:
    """A box x0, y0, x1, y1 (h, w, channels), uint8, from tiles by column and row; None if one is missing."""
    x0, y0, x1, y1 = box
    result = np.empty((y1 - y0, x1 - x0, channels), np.uint8)
    for row in range(y0 // side, -(-y1 // side)):
        for column in range(x0 // side, -(-x1 // side)):
            tile = tile_of(column, row)
            if tile is None:
                return None
            left, top = column * side, row * side
            a, b = max(x0, left), max(y0, top)
            c, d = min(x1, left + tile.shape[1]), min(y1, top + tile.shape[0])
            result[b - y0 : d - y0, a - x0 : c - x0] = tile[b - top : d - top, a - left : c - left]
    return result


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean of 2 x 2 pixels, (H, W, C) to (ceil(H / 2), ceil(W / 2), C); an odd last one counts twice."""
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    small = cv2.resize(pixels, (pixels.shape[1] // 2, pixels.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(pixels.shape[0] // 2, pixels.shape[1] // 2, pixels.shape[2])


def make_room(folder: Path, needed: int, limit: int) -> None:
    """Delete the least recently used stores of a folder until `needed` more bytes stay within `limit`.

    Left-overs of a program that died are deleted as well. What cannot be deleted stays.
    """
    found: list[tuple[float, int, Path]] = []
    for path in folder.glob("*.tiles"):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
    held = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if held + needed <= limit:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            held -= size


def _head(header: StoreHeader) -> bytes:
    body = msgspec.json.encode(header)
    return (_MAGIC + len(body).to_bytes(4, "little") + body).ljust(_HEADER_BYTES, b"\0")
