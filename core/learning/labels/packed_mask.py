"""Masks in messages: `bytes` of uint8 with their size beside them.

A 4-megapixel mask takes about 10 ms through a pipe.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PackedMask:
    """A uint8 map (H, W) as bytes.

    Attributes:
        data: the pixels row by row; a view of them in the process that made the map (see `of`).
        deflated: `data` is raw deflate of rows that each begin with a 0 (see `core.project.strip_mask`).
    """

    size_hw: tuple[int, int]
    data: bytes | memoryview = field(repr=False)
    deflated: bool = False

    @classmethod
    def pack(cls, array: NDArray[np.uint8]) -> PackedMask:
        """Copy a (H, W) uint8 array."""
        height, width = array.shape
        return cls((height, width), np.ascontiguousarray(array, dtype=np.uint8).tobytes())

    @classmethod
    def of(cls, array: NDArray[np.uint8]) -> PackedMask:
        """A contiguous (H, W) uint8 array itself: what is written into it later shows. For no message."""
        height, width = array.shape
        return cls((height, width), array.data.cast("B").toreadonly())

    def unpack(self) -> NDArray[np.uint8]:
        """The array (H, W), uint8, read-only."""
        if self.deflated:
            height, width = self.size_hw
            rows = np.frombuffer(zlib.decompress(self.data, -15), np.uint8).reshape(height, width + 1)
            return rows[:, 1:]
        return np.frombuffer(self.data, dtype=np.uint8).reshape(self.size_hw)
