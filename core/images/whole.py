"""Files that libvips does not read in parts, and files that nothing can: with the least memory there is.

Rows that lie in the file as they are (BMP, PNM) are read where they are wanted. Everything else is held by
its decoder, as a whole, in more or fewer bytes a pixel; what would hold too many is refused beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ImageFileError
from core.images.pages import image_file
from core.images.reader import is_deep, opened_image, rgb8

MOST_HELD_BYTES: Final = 1_250_000_000
"""The window takes 1.5 GB with an image of any size; the rest is for everything but the decoder."""

_STRIP_ROWS: Final = 256
_WEBP_BYTES: Final = 8.0
"""What libvips and libwebp hold of a pixel (measured: 7 without alpha)."""
_AVIF_BYTES: Final = 10.0
"""What Pillow and libavif hold of a pixel (measured: 9.3)."""
_ONE_BYTE_MODES: Final = frozenset({"1", "L", "P"})


class _RawTile(NamedTuple):
    """Where the rows of a file lie: Pillow's own words for it."""

    offset: int
    mode: str
    stride: int
    step: int  # -1: the lowest row comes first


def refuse_too_large(path: Path, image: Image.Image | None) -> None:
    """Raise ImageFileError where decoding the file would hold more than MOST_HELD_BYTES."""
    if image is None:
        return  # a TIFF that only tifffile and libvips know; these read it in parts
    held = image.width * image.height * held_per_pixel(image)
    if held > MOST_HELD_BYTES:
        raise ImageFileError(
            path,
            f"would take {held / 1e9:.1f} GB of memory, for {_kind(image)} cannot be read in parts; save it "
            "as a tiled TIFF, or as a PNG or JPEG that is not interlaced or progressive",
        )


def held_per_pixel(image: Image.Image) -> float:
    """Bytes that a decoder holds for every pixel of a file, whatever part of it is wanted; 0 for none."""
    match image.format:
        case "JPEG" | "MPO":
            return _coefficients(image) if image.info.get("progressive") else 0.0
        case "PNG":
            return _sample_bytes(image) if image.info.get("interlace") else 0.0
        case "TIFF":
            return 0.0
        case "WEBP":
            return _WEBP_BYTES
        case "AVIF":
            return _AVIF_BYTES
    if _raw_tile(image) is not None:
        return 0.0
    held = 1.0 if image.mode in _ONE_BYTE_MODES else 4.0
    return held + 8.0 if is_deep(image) else held  # deep ones are stretched whole


def whole_strips(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The image from top to bottom, in parts (rows, W, 3), uint8, as stored, of a file of 8 bits a sample.

    Raises:
        OSError, ValueError, ...: what Pillow raises where the file is damaged.
    """
    with opened_image(path) as image:
        assert image is not None, "no TIFF comes here"
        tile = _raw_tile(image)
        if tile is None:
            image.load()
        for top in range(0, image.height, _STRIP_ROWS):
            bottom = min(image.height, top + _STRIP_ROWS)
            if tile is None:
                yield rgb8(image.crop((0, top, image.width, bottom)))
            else:
                yield rgb8(_raw_rows(image_file(path), image, tile, top, bottom))


def _raw_tile(image: Image.Image) -> _RawTile | None:
    """Where the rows lie, of a file that holds them as they are."""
    tiles: Any = getattr(image, "tile", ())
    if image.format not in ("BMP", "DIB", "PPM") or len(tiles) != 1 or is_deep(image):
        return None
    codec, extents, offset, args = tiles[0]
    if codec != "raw" or tuple(extents) != (0, 0, *image.size):
        return None
    mode, stride, step = (args, 0, 1) if isinstance(args, str) else args
    row = len(Image.new(image.mode, (image.width, 1)).tobytes("raw", mode))
    return _RawTile(offset, mode, stride or row, step)


def _raw_rows(file: Path, image: Image.Image, tile: _RawTile, top: int, bottom: int) -> Image.Image:
    first = top if tile.step > 0 else image.height - bottom
    with file.open("rb") as opened:
        opened.seek(tile.offset + first * tile.stride)
        data = opened.read((bottom - top) * tile.stride)
    size = image.width, bottom - top
    part = Image.frombytes(image.mode, size, data, "raw", tile.mode, tile.stride, tile.step)
    if image.palette is not None:
        raw_mode, colors = image.palette.getdata()
        part.putpalette(colors, raw_mode)
    return part


def _coefficients(image: Image.Image) -> float:
    """Bytes a pixel of the coefficients of a progressive JPEG: two for each, until its last scan is read."""
    layers: Any = getattr(image, "layer", None)
    if not layers:
        return 6.0
    widest, highest = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    return float(2 * sum(layer[1] * layer[2] for layer in layers) / (widest * highest))


def _sample_bytes(image: Image.Image) -> float:
    """Bytes a pixel of an interlaced PNG, decoded."""
    return len(image.getbands()) * (2.0 if is_deep(image) else 1.0)


def _kind(image: Image.Image) -> str:
    match image.format:
        case "JPEG" | "MPO":
            return "a progressive JPEG"
        case "PNG":
            return "an interlaced PNG"
    return f"{image.format} of this kind"
