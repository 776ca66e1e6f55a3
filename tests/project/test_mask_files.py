"""Index masks: what is written can be read by anyone, what is read is checked."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import ClassList, LabelClass
from core.errors import MaskFileError, StorageError
from core.project.mask_file import is_own_mask, read_index_mask, write_index_mask

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(7, "car", "#10ff20")), 0)


@pytest.fixture
def mask() -> NDArray[np.uint8]:
    pixels = np.zeros((6, 8), np.uint8)
    pixels[2:, 3:] = 7
    pixels[0] = 255
    return pixels


def test_a_mask_is_indexed_with_the_class_colours(tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    write_index_mask(tmp_path / "m.png", mask, CLASSES)

    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), mask)
        seen = np.asarray(image.convert("RGBA"))
    assert tuple(seen[5, 5]) == (16, 255, 32, 255)
    assert tuple(seen[0, 0]) == (255, 255, 255, 0)
    read = read_index_mask(tmp_path / "m.png", size_hw=(6, 8), classes=CLASSES)
    assert np.array_equal(read, mask)
    assert is_own_mask(tmp_path / "m.png")


def _png(depth: int, rows: list[bytes], width: int) -> bytes:
    """A greyscale PNG of less than 8 bits, which Pillow cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_foreign_masks_of_many_kinds_mean_the_same(tmp_path: Path) -> None:
    indices = np.array([[0, 1, 2, 3]], np.uint8)
    Image.fromarray(indices).save(tmp_path / "grey.png")
    Image.fromarray(indices.astype(np.uint16)).save(tmp_path / "grey16.png")
    Image.fromarray(np.dstack([indices] * 3)).save(tmp_path / "rgb.png")
    (tmp_path / "grey2.png").write_bytes(_png(2, [bytes([0b00011011])], 4))
    (tmp_path / "grey4.png").write_bytes(_png(4, [bytes([0x01, 0x23])], 4))
    palette = Image.fromarray(indices)
    palette.putpalette([9, 9, 9] * 256)
    palette.save(tmp_path / "palette.png", bits=2)
    Image.fromarray(indices).save(tmp_path / "grey.tif")

    for path in sorted(tmp_path.iterdir()):
        assert read_index_mask(path).tolist() == indices.tolist(), path.name

    Image.fromarray(indices > 1).save(tmp_path / "bilevel.png")
    assert read_index_mask(tmp_path / "bilevel.png").tolist() == [[0, 0, 1, 1]]


def test_a_wrong_size_is_refused_with_both_sizes(tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    write_index_mask(tmp_path / "m.png", mask, CLASSES)

    with pytest.raises(MaskFileError, match=r"m\.png: is 8 x 6 pixels, but its image is 9 x 6"):
        read_index_mask(tmp_path / "m.png", size_hw=(6, 9))


def test_an_unknown_index_is_named_with_its_file(tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    mask[5, 5] = 3
    Image.fromarray(mask).save(tmp_path / "m.png")

    with pytest.raises(MaskFileError, match=r"m\.png: has the class index 3 .*0 background, 7 car"):
        read_index_mask(tmp_path / "m.png", classes=CLASSES)
    with pytest.raises(MaskFileError, match="class index 3"):
        write_index_mask(tmp_path / "new.png", mask, CLASSES)
    assert not (tmp_path / "new.png").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "damaged or not an image"),
        (b"hello", "damaged or not an image"),
        (None, "no such mask"),
        (np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "colour picture"),
        (np.full((2, 4), 300, np.uint16), "values up to 300"),
    ],
)
def test_what_is_no_mask_is_one_sentence(
    tmp_path: Path, content: bytes | NDArray[np.uint8] | None, says: str
) -> None:
    path = tmp_path / "m.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        Image.fromarray(content).save(path)

    with pytest.raises(MaskFileError, match=says):
        read_index_mask(path)


def test_a_mask_cut_short_is_refused(tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    write_index_mask(tmp_path / "m.png", mask, CLASSES)
    data = (tmp_path / "m.png").read_bytes()
    (tmp_path / "m.png").write_bytes(data[:-30])

    with pytest.raises(MaskFileError, match="damaged"):
        read_index_mask(tmp_path / "m.png")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, mask: NDArray[np.uint8]) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError):
        write_index_mask(tmp_path / "file" / "m.png", mask, CLASSES)
