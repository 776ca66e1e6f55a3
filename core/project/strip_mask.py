"""The index mask of a huge image in compressed strips: an edit draws and compresses only what it touched.

A mask of 400 megapixels takes seconds to draw, to count and to write as PNG, and as much memory again. Here
it is a column of strips, each compressed on its own so that the strips put together are the compressed pixels
of one PNG: each ends with a full flush, after which nothing refers back to it.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, Annotation, AnnotationState, ClassList, Shape
from core.annotation.rasterize import changed_box, rasterize
from core.project.mask_file import mask_palette, png_mark

STRIP_ROWS: Final = 128
"""2.5 MB of a 20,000 pixel wide mask: drawn and compressed in some ten milliseconds."""
_COMPRESSION: Final = 3
_ADLER_MODULUS: Final = 65521


@dataclass(frozen=True, slots=True)
class _Strip:
    """Some rows of a mask.

    Attributes:
        rows: how many.
        data: deflated: every row a 0 (PNG's "no filter") and its pixels; ends on a byte.
        adler: of what was deflated.
        counts: (256,) int64: how many pixels have which value.
    """

    rows: int
    data: bytes
    adler: int
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=False)
class StripMask:
    """The mask of one annotation. Never changes: `redrawn` makes the next one, which shares what is the same.

    Attributes:
        size_hw: height and width in pixels.
    """

    size_hw: tuple[int, int]
    _annotation: Annotation
    _values: tuple[object, ...]
    _strips: tuple[_Strip, ...]

    @classmethod
    def draw(cls, annotation: Annotation, classes: ClassList, size_hw: tuple[int, int]) -> StripMask:
        """Draw all of an annotation."""
        count = -(-size_hw[0] // STRIP_ROWS)
        blank: dict[tuple[int, int], _Strip] = {}
        strips = tuple(_drawn(annotation, classes, size_hw, row, blank) for row in range(count))
        return cls(size_hw, annotation, pixel_values(annotation, classes), strips)

    def redrawn(self, annotation: Annotation, classes: ClassList) -> StripMask:
        """The mask of an edited annotation of the same image."""
        values = pixel_values(annotation, classes)
        if values != self._values:
            return StripMask.draw(annotation, classes, self.size_hw)
        touched = touched_shapes(self._annotation.shapes, annotation.shapes)
        box = changed_box(touched, self.size_hw)
        if box is None:
            return replace(self, _annotation=annotation)
        strips = list(self._strips)
        blank: dict[tuple[int, int], _Strip] = {}
        for row in sorted(_rows_of(touched, self.size_hw)):
            strips[row] = _drawn(annotation, classes, self.size_hw, row, blank)
        return StripMask(self.size_hw, annotation, values, tuple(strips))

    # --- what is in it ------------------------------------------------------------------------------------

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(256,) int64: how many pixels have which value."""
        return np.asarray(np.sum([strip.counts for strip in self._strips], axis=0, dtype=np.int64))

    def rows(self, strip: int) -> NDArray[np.uint8]:
        """The pixels of a strip (rows, W), uint8."""
        return _inflated([self._strips[strip]], self.size_hw[1])

    def array(self) -> NDArray[np.uint8]:
        """The whole mask (H, W), uint8: as large as the image."""
        return _inflated(self._strips, self.size_hw[1])

    @property
    def deflated(self) -> bytes:
        """All rows as one raw deflate stream, each a 0 and then its pixels."""
        return b"".join([*(strip.data for strip in self._strips), _END])

    def png(self, classes: ClassList) -> bytes:
        """The mask as an indexed PNG, as `mask_file.encode_index_mask` makes it."""
        height, width = self.size_hw
        adler = 1
        for strip in self._strips:
            adler = _adler_joined(adler, strip.adler, strip.rows * (width + 1))
        # b"\\x78\\x01": zlib, 32 KB window, no dictionary.
        pixels = b"".join([b"\x78\x01", self.deflated, struct.pack(">I", adler)])
        transparency = bytes([255] * UNLABELLED + [0])
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"tEXt", png_mark()),
            (b"PLTE", mask_palette(classes).tobytes()),
            (b"tRNS", transparency),
            (b"IDAT", pixels),
            (b"IEND", b""),
        ]
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


_END: Final = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, -15).flush()
"""A last, empty block."""


def pixel_values(annotation: Annotation, classes: ClassList) -> tuple[object, ...]:
    """Everything but the shapes that decides which value a pixel gets."""
    ground = classes.background if annotation.state is AnnotationState.DONE else None
    return (ground, *((label_class.name, label_class.index) for label_class in classes), classes.background)


def touched_shapes(before: Sequence[Shape], after: Sequence[Shape]) -> list[Shape]:
    """Shapes that came, went, changed, or stand elsewhere in the stack."""
    old, new = {id(shape) for shape in before}, {id(shape) for shape in after}
    touched = [shape for shape in before if id(shape) not in new]
    touched += [shape for shape in after if id(shape) not in old]
    kept_before = [shape for shape in before if id(shape) in new]
    kept_after = [shape for shape in after if id(shape) in old]
    moved = [i for i, (a, b) in enumerate(zip(kept_before, kept_after, strict=True)) if a is not b]
    if moved:  # whatever lies between the first and the last that moved may show more or less of itself
        touched += kept_after[moved[0] : moved[-1] + 1]
    return touched


def _rows_of(shapes: Iterable[Shape], size_hw: tuple[int, int]) -> set[int]:
    """The strips that shapes paint on."""
    rows: set[int] = set()
    for shape in shapes:
        box = changed_box([shape], size_hw)
        if box is not None:
            rows.update(range(box[1] // STRIP_ROWS, -(-box[3] // STRIP_ROWS)))
    return rows


def _drawn(
    annotation: Annotation,
    classes: ClassList,
    size_hw: tuple[int, int],
    row: int,
    blank: dict[tuple[int, int], _Strip],
) -> _Strip:
    """Draw and compress one strip; `blank` keeps strips of one value, which most are."""
    height, width = size_hw
    top = row * STRIP_ROWS
    bottom = min(height, top + STRIP_ROWS)
    pixels = rasterize(annotation, classes, size_hw, box=(0, top, width, bottom))
    first = int(pixels[0, 0])
    key = first, bottom - top
    uniform = bool((pixels == first).all())
    if uniform and key in blank:
        return blank[key]
    strip = _compressed(pixels)
    if uniform:
        blank[key] = strip
    return strip


def _compressed(pixels: NDArray[np.uint8]) -> _Strip:
    rows, width = pixels.shape
    filtered = np.zeros((rows, width + 1), np.uint8)
    filtered[:, 1:] = pixels
    compressor = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, -15)
    data = compressor.compress(filtered.data) + compressor.flush(zlib.Z_FULL_FLUSH)
    counts = np.bincount(pixels.ravel(), minlength=256).astype(np.int64)
    return _Strip(rows, data, zlib.adler32(filtered.data), counts)


def _inflated(strips: Sequence[_Strip], width: int) -> NDArray[np.uint8]:
    pixels = np.empty((sum(strip.rows for strip in strips), width), np.uint8)
    top = 0
    for strip in strips:
        data = zlib.decompressobj(-15).decompress(strip.data)
        pixels[top : top + strip.rows] = np.frombuffer(data, np.uint8).reshape(strip.rows, width + 1)[:, 1:]
        top += strip.rows
    return pixels


def _adler_joined(first: int, second: int, length: int) -> int:
    """Adler-32 of two texts put together, from both sums and the second's length in bytes (as in zlib)."""
    low_1, high_1 = first & 0xFFFF, first >> 16
    low_2, high_2 = second & 0xFFFF, second >> 16
    low = (low_1 + low_2 - 1) % _ADLER_MODULUS
    high = (high_1 + high_2 + (length % _ADLER_MODULUS) * (low_1 - 1)) % _ADLER_MODULUS
    return high << 16 | low


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class StripMasks:
    """The masks of the huge images seen last, so that an edit is drawn into the last. Thread-safe."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._known: OrderedDict[str, StripMask] = OrderedDict()
        self._turn = threading.Lock()

    def drawn(
        self, key: str, annotation: Annotation, classes: ClassList, size_hw: tuple[int, int]
    ) -> StripMask:
        """The mask of this annotation of the image `key`."""
        with self._turn:  # two workers may want the same: the second finds it done
            known = self._known.pop(key, None)
            if known is None or known.size_hw != size_hw:
                mask = StripMask.draw(annotation, classes, size_hw)
            else:
                mask = known.redrawn(annotation, classes)
            self._known[key] = mask
            if len(self._known) > self._most:
                self._known.popitem(last=False)
            return mask
