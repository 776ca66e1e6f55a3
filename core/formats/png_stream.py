"""A PNG written row by row: pictures of any size in little memory."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, ClassList
from core.project.mask_file import mask_palette, png_mark

_COMPRESSION: Final = 3
_GREY: Final = 0
_PALETTE: Final = 3
_RGB: Final = 2


class PngStream:
    """Writes one file; use it as a context, which closes the file.

    Args:
        path: a file that is not there yet, or may be replaced.
        size_hw: of the picture.
        classes: for an index mask, as `mask_file.encode_index_mask` makes it; None for another picture.
        grey: it has shades of grey, not colours.

    Raises:
        OSError: from every method: it cannot be written.
    """

    def __init__(
        self, path: Path, size_hw: tuple[int, int], classes: ClassList | None, *, grey: bool = False
    ) -> None:
        self._size_hw = size_hw
        self._rows = 0
        self._compressor = zlib.compressobj(_COMPRESSION)
        self._file = path.open("wb")
        height, width = size_hw
        kind = _PALETTE if classes is not None else _GREY if grey else _RGB
        self._file.write(b"\x89PNG\r\n\x1a\n")
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        if classes is not None:
            self._chunk(b"tEXt", png_mark())
            self._chunk(b"PLTE", mask_palette(classes).tobytes())
            self._chunk(b"tRNS", bytes([255] * UNLABELLED + [0]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, rows: NDArray[np.uint8]) -> None:
        """The next rows: indices or shades (n, W), or pixels (n, W, 3); uint8."""
        # Each row begins with how it was filtered: not at all.
        flat = rows.reshape(len(rows), -1)
        filtered = np.zeros((len(flat), flat.shape[1] + 1), np.uint8)
        filtered[:, 1:] = flat
        self._rows += len(flat)
        self._data(self._compressor.compress(filtered.data))

    def finish(self) -> None:
        """After the last row. Raises ValueError where rows are missing."""
        if self._rows != self._size_hw[0]:
            raise ValueError(f"{self._rows} of {self._size_hw[0]} rows were given")
        self._data(self._compressor.flush())
        self._chunk(b"IEND", b"")
        self._file.flush()

    def _data(self, data: bytes) -> None:
        if data:
            self._chunk(b"IDAT", data)

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + kind + data)
        self._file.write(struct.pack(">I", zlib.crc32(kind + data)))
