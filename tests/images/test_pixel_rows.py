"""Pictures in rows: the same pixels as the whole picture, at any scale, in little memory."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.annotation.model import ClassList, LabelClass
from core.formats.png_stream import PngStream
from core.images import pyramid
from core.images.reader import read_image
from core.images.rows import PixelRows, ReducedRows, WholePicture, open_rows, padded_rows
from core.learning.labels.data import read_resized
from core.project.mask_file import is_own_mask, read_index_mask


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def in_bands(rows: PixelRows, band: int, overlap: int = 0) -> np.ndarray:
    """All rows, asked for from top to bottom, each band reaching back into the one before."""
    height = rows.size_hw[0]
    parts = []
    for top in range(0, height, band):
        first = max(0, top - overlap)
        parts.append(rows.rows(first, min(height, top + band))[top - first :])
    return np.concatenate(parts)


@pytest.mark.parametrize("size_hw", [(64, 48), (100, 77), (37, 50), (33, 66), (1, 5)])
def test_reduced_rows_are_those_of_the_reduced_picture(size_hw: tuple[int, int]) -> None:
    whole = picture(100, 77)
    expected = cv2.resize(whole, size_hw[::-1], interpolation=cv2.INTER_AREA)
    found = in_bands(ReducedRows(WholePicture(whole), size_hw), band=7, overlap=3)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_enlarged_rows_are_interpolated() -> None:
    whole = picture(40, 30)
    expected = cv2.resize(whole, (45, 100), interpolation=cv2.INTER_LINEAR)
    found = in_bands(ReducedRows(WholePicture(whole), (100, 45)), band=9)
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("top, bottom", [(0, 64), (32, 64), (40, 64), (33, 64)])
def test_padded_rows_are_mirrored(top: int, bottom: int) -> None:
    whole = picture(41, 50)
    mirrored = np.pad(whole, ((0, 23), (0, 14), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(padded_rows(WholePicture(whole), top, bottom, 64), mirrored[top:bottom])


@pytest.mark.parametrize("name, save", [
    ("a.png", {}),
    ("grey.png", {"grey": True}),
    ("a.jpg", {"quality": 90}),
    ("turned.jpg", {"quality": 90, "orientation": 6}),
    ("a.tif", {"compression": "tiff_lzw"}),
])  # fmt: skip
def test_huge_files_stream_as_they_are_read(
    name: str, save: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramid, "HUGE_PIXELS", 1000)
    path = tmp_path / name
    smooth = cv2.GaussianBlur(picture(600, 200), (0, 0), 5)
    image = Image.fromarray(smooth[..., 0] if save.pop("grey", False) else smooth)
    if (orientation := save.pop("orientation", None)) is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        save["exif"] = exif
    image.save(path, **save)  # type: ignore[arg-type]
    expected = read_image(path)
    with open_rows(path) as rows:
        assert not isinstance(rows, WholePicture)
        assert rows.size_hw == expected.shape[:2]
        np.testing.assert_array_equal(in_bands(rows, band=150, overlap=40), expected)
        np.testing.assert_array_equal(rows.rows(0, 30), expected[:30])  # and once more from the top


def test_a_mask_written_row_by_row_is_a_mask(tmp_path: Path) -> None:
    classes = ClassList((LabelClass(0, "background", "#000000"), LabelClass(7, "cell", "#ff8000")), 0)
    mask = np.where(picture(90, 70)[..., 0] > 200, 7, 0).astype(np.uint8)
    mask[:5] = 255
    with PngStream(tmp_path / "mask.png", (90, 70), classes) as stream:
        for top in range(0, 90, 40):
            stream.add(mask[top : top + 40])
        stream.finish()
    np.testing.assert_array_equal(read_index_mask(tmp_path / "mask.png", classes=classes), mask)
    assert is_own_mask(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # what is unlabelled is transparent


def test_a_picture_with_missing_rows_is_refused(tmp_path: Path) -> None:
    with PngStream(tmp_path / "a.png", (9, 7), None) as stream:
        stream.add(picture(5, 7))
        with pytest.raises(ValueError, match="5 of 9 rows"):
            stream.finish()


def test_memory_holds_only_what_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid, "HUGE_PIXELS", 1000)
    path = tmp_path / "long.png"
    Image.fromarray(np.zeros((4000, 32, 3), np.uint8)).save(path)
    with open_rows(path) as rows:
        for top in range(0, 4000, 64):
            held = rows.rows(top, min(4000, top + 64))
            assert (held if held.base is None else held.base).shape[0] <= 64 + 256


def test_training_reads_huge_images_at_its_own_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run learns from is the same as of a small image; the full size is never in memory."""
    whole = picture(500, 240)
    path = tmp_path / "huge.png"
    Image.fromarray(whole).save(path)
    expected = read_resized(path, 0.25)
    monkeypatch.setattr(pyramid, "HUGE_PIXELS", 1000)
    monkeypatch.setattr("core.learning.labels.data.read_image", lambda _path: pytest.fail("decoded whole"))
    assert np.abs(read_resized(path, 0.25).astype(int) - expected).max() <= 1
