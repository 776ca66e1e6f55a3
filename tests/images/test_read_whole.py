"""What only decodes as a whole is read with the least memory, or refused before it takes too much."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import ImageFileError
from core.images.pyramid import huge_thumbnail, open_pyramid
from core.images.rows import open_rows
from core.images.whole import held_per_pixel, whole_strips


def jpeg_that_claims(size_wh: tuple[int, int], *, progressive: bool, subsampling: int = 0) -> bytes:
    """A small JPEG whose frame header tells another size."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "jpeg", progressive=progressive, subsampling=subsampling)
    data = bytearray(buffer.getvalue())
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", size_wh[1], size_wh[0])
    return bytes(data)


def png_that_claims(size_wh: tuple[int, int], *, interlaced: bool) -> bytes:
    """The beginning of a PNG in colour."""
    body = b"IHDR" + struct.pack(">IIBBBBB", *size_wh, 8, 2, 0, 0, int(interlaced))
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e"


SIDE = 20_000


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jpg", jpeg_that_claims((SIDE, SIDE), progressive=True), r"2\.4 GB .* a progressive JPEG cannot"),
        ("a.png", png_that_claims((23_000, 23_000), interlaced=True), r"1\.6 GB .* an interlaced PNG cannot"),
    ],
)
def test_what_would_take_too_much_memory_says_what_to_do(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)

    for look in (
        lambda path: open_pyramid(path, tmp_path / "cache"),
        lambda path: huge_thumbnail(path, 96, tmp_path / "cache"),
        lambda path: open_rows(path).__enter__(),
    ):
        with pytest.raises(ImageFileError, match=rf"{says} be read in parts; save it as a tiled TIFF"):
            look(tmp_path / name)


@pytest.mark.parametrize(
    "data",
    [
        jpeg_that_claims((SIDE, SIDE), progressive=False),
        jpeg_that_claims((SIDE, SIDE), progressive=True, subsampling=2),
        png_that_claims((SIDE, SIDE), interlaced=False),
        png_that_claims((SIDE, SIDE), interlaced=True),
    ],
)
def test_four_hundred_megapixels_are_opened_where_memory_allows(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / ("a.png" if data.startswith(b"\x89PNG") else "a.jpg")
    path.write_bytes(data)

    pyramid = open_pyramid(path, tmp_path / "cache")

    assert pyramid.size_hw == (SIDE, SIDE)
    pyramid.close()


@pytest.mark.parametrize(
    ("name", "mode", "bytes_per_pixel"),
    [("a.bmp", "RGB", 0), ("a.bmp", "P", 0), ("a.ppm", "RGB", 0), ("a.gif", "L", 1), ("a.jpg", "RGB", 0)],
)
def test_rows_that_lie_in_the_file_are_not_held(
    tmp_path: Path, name: str, mode: str, bytes_per_pixel: float
) -> None:
    Image.new(mode, (70, 50)).save(tmp_path / name)

    with Image.open(tmp_path / name) as image:
        assert held_per_pixel(image) == bytes_per_pixel


@pytest.mark.parametrize("name", ["a.bmp", "a.gif"])
def test_strips_come_from_the_top(tmp_path: Path, name: str) -> None:
    pixels = np.repeat(np.arange(600) % 251, 30).astype(np.uint8).reshape(600, 30)
    Image.fromarray(pixels).save(tmp_path / name)

    strips = list(whole_strips(tmp_path / name))

    assert len(strips) > 1
    assert np.array_equal(np.concatenate(strips)[..., 0], pixels)
