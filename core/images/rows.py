"""Pictures given out in rows, so that images of any size are worked through in little memory. Torch-free.

::

    open_rows(path)            a huge file from its decoder, strip by strip; another one from memory
    ReducedRows(rows, scale)   the same picture at another scale, made as the rows are asked for
    padded_rows(rows, ...)     mirrored at the right and lower edge
    mirrored_rows(rows, ...)   mirrored at all edges
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ImageFileError
from core.images.pyramid import Pyramid, is_huge, open_pyramid
from core.images.reader import read_image
from core.images.strips import StripReader

_CHUNK_ROWS: Final = 64
"""Rows that are resized at a time."""


class PixelRows(Protocol):
    """A picture whose rows are asked for from top to bottom.

    A request may reach back as far as the one before began; one from the very top starts over.
    """

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Rows top..bottom (bottom - top, W, 3), uint8, RGB. Raises ImageFileError."""
        ...


class WholePicture:
    """A picture in memory (H, W, 3), uint8."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels
        self.size_hw: tuple[int, int] = (pixels.shape[0], pixels.shape[1])

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """As `PixelRows.rows`."""
        return self._pixels[top:bottom]


class _Sliding:
    """Rows kept since the last request began; `_more` brings the following ones."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self.size_hw: tuple[int, int] = size_hw
        self._kept = np.empty((0, size_hw[1], 3), np.uint8)
        self._first = 0

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """As `PixelRows.rows`."""
        if top < self._first:
            self._begin_again()
            self._kept, self._first = self._kept[:0], 0
        parts = [self._kept[max(0, top - self._first) :]]
        end = self._first + len(self._kept)
        while end < bottom:
            part = self._more(end)
            parts.append(part[max(0, top - end) :])
            end += len(part)
        self._kept = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._first = end - len(self._kept)
        return self._kept[top - self._first : bottom - self._first]

    def _begin_again(self) -> None:
        raise NotImplementedError

    def _more(self, top: int) -> NDArray[np.uint8]:
        """Some rows from `top` on, at least one."""
        raise NotImplementedError


class StripRows(_Sliding):
    """An image file as its decoder streams it; for files that are stored upright.

    Args:
        reader: of the file; it is closed by its owner.
    """

    def __init__(self, reader: StripReader) -> None:
        super().__init__(reader.size_hw)
        self._reader = reader
        self._strips: Iterator[NDArray[np.uint8]] = iter(())
        self._begin_again()

    def _begin_again(self) -> None:
        self._strips = self._reader.strips(_ignore)

    def _more(self, top: int) -> NDArray[np.uint8]:
        strip = next(self._strips, None)
        if strip is None:
            raise ImageFileError(self._reader.path, f"ends after {top} of its {self.size_hw[0]} rows")
        return np.repeat(strip, 3, axis=2) if strip.shape[2] == 1 else strip


class PyramidRows:
    """Rows of a pyramid that is laid out."""

    def __init__(self, pyramid: Pyramid) -> None:
        self._pyramid = pyramid
        self.size_hw: tuple[int, int] = pyramid.size_hw

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """As `PixelRows.rows`."""
        found = self._pyramid.region(0, top, self.size_hw[1], bottom)
        if found is None:
            raise ImageFileError(self._pyramid.path, "its cache was taken away while it was read; try again")
        return found


class ReducedRows(_Sliding):
    """A picture at another scale: means of the pixels that fall together, as `cv2.INTER_AREA` makes them.

    Where it grows, pixels are interpolated linearly.
    """

    def __init__(self, source: PixelRows, size_hw: tuple[int, int]) -> None:
        super().__init__(size_hw)
        self._source = source

    def _begin_again(self) -> None:
        pass  # the source starts over by itself

    def _more(self, top: int) -> NDArray[np.uint8]:
        height, width = self.size_hw
        bottom = min(height, top + _CHUNK_ROWS)
        first, weights = _row_weights(top, bottom, height, self._source.size_hw[0])
        pixels = self._source.rows(first, first + weights.shape[1]).astype(np.float32)
        method = cv2.INTER_AREA if width <= pixels.shape[1] else cv2.INTER_LINEAR
        narrow = cv2.resize(pixels, (width, len(pixels)), interpolation=method)  # (n, w, 3)
        mean = weights @ narrow.reshape(len(pixels), -1)
        return np.asarray(np.rint(mean).clip(0, 255), np.uint8).reshape(bottom - top, width, 3)


def _row_weights(top: int, bottom: int, height: int, source: int) -> tuple[int, NDArray[np.float32]]:
    """Which source rows make rows top..bottom of a picture of `height` rows, and with which weights.

    Returns:
        The first source row, and weights (bottom - top, n), float32, each row of which adds up to 1.
    """
    ratio = source / height
    wanted = np.arange(top, bottom, dtype=np.float64)
    if ratio >= 1:
        begin, end = wanted * ratio, (wanted + 1) * ratio
        first = int(begin[0])
        last = min(source, int(np.ceil(end[-1] - 1e-9)))
        rows = np.arange(first, last)
        share = np.minimum(end[:, None], rows + 1) - np.maximum(begin[:, None], rows)
        weights = share.clip(0, None)
        return first, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    middle = ((wanted + 0.5) * ratio - 0.5).clip(0, source - 1)
    first, last = int(middle[0]), min(source, int(middle[-1]) + 2)
    rows = np.arange(first, last)
    weights = (1 - np.abs(middle[:, None] - rows)).clip(0, None)
    return first, weights.astype(np.float32)


def padded_rows(source: PixelRows, top: int, bottom: int, width: int) -> NDArray[np.uint8]:
    """Rows top..bottom of a picture mirrored at its right edge, up to `width`, and at its lower edge."""
    height = source.size_hw[0]
    below = max(0, bottom - height)
    first = max(0, min(top, height - 1 - below))  # as many real rows as are to be mirrored
    strip = source.rows(first, min(bottom, height))
    beside = width - strip.shape[1]
    if below or beside:
        strip = np.pad(strip, ((0, below), (0, beside), (0, 0)), mode="reflect")
    return strip[top - first :]


def mirrored_rows(source: PixelRows, top: int, bottom: int, left: int, right: int) -> NDArray[np.uint8]:
    """Part of a picture (bottom - top, right - left, 3), mirrored at its edges as often as it takes."""
    height, width = source.size_hw
    rows, columns = _mirrored(top, bottom, height), _mirrored(left, right, width)
    first = int(rows.min())
    strip = source.rows(first, int(rows.max()) + 1)
    return strip[rows - first][:, columns]


def _mirrored(start: int, end: int, length: int) -> NDArray[np.intp]:
    period = max(1, 2 * (length - 1))
    places = np.arange(start, end) % period
    return np.minimum(places, period - places)


@contextlib.contextmanager
def open_rows(path: Path) -> Iterator[PixelRows]:
    """An image file of any size: in memory where that is small, else as its decoder streams it.

    A huge file that is stored turned is laid out on disk first, in a temporary folder.

    Raises:
        ImageFileError: missing, damaged or of an unsupported kind; for a huge file, perhaps from `rows`.
    """
    if not is_huge(path):
        yield WholePicture(read_image(path))
        return
    reader = StripReader(path)
    try:
        if reader.orientation == 1:
            yield StripRows(reader)
            return
    finally:
        reader.close()
    with tempfile.TemporaryDirectory(prefix="maskloop-rows-", ignore_cleanup_errors=True) as folder:
        pyramid = open_pyramid(path, Path(folder))
        try:
            pyramid.prepare(_ignore)
            yield PyramidRows(pyramid)
        finally:
            pyramid.close()


def _ignore(_share: float) -> None:
    """Nobody waits for this."""
