"""Every kind of image file becomes upright 8-bit RGB, or one clear sentence."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from core.errors import ImageFileError
from core.images.reader import image_size, read_image, thumbnail
from core.images.strips import StripReader

HEIGHT, WIDTH = 40, 60
RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
def corners() -> NDArray[np.uint8]:
    """Red top left, green bottom right, else black."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:20, :30] = RED
    pixels[20:, 30:] = GREEN
    return pixels


def check(path: Path) -> NDArray[np.uint8]:
    """Read, and see that size and thumbnail tell the same."""
    pixels = read_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert image_size(path) == pixels.shape[:2]
    small = thumbnail(path, 16)
    assert max(small.shape[:2]) == 16
    assert np.abs(small[1, 1].astype(int) - pixels[5, 5]).max() <= 16
    return pixels


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp", "tif", "gif", "ppm"])
def test_usual_files(tmp_path: Path, corners: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(corners).save(path)

    pixels = check(path)

    assert np.abs(pixels[5, 5].astype(int) - RED).max() <= 2
    assert np.abs(pixels[-5, -5].astype(int) - GREEN).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    Image.fromarray(white).convert(mode).save(path)

    assert (check(path) == 255).all()


def test_transparent_pixels_lie_on_white(tmp_path: Path, corners: NDArray[np.uint8]) -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, :30] = 255
    Image.fromarray(np.dstack([corners, alpha])).save(tmp_path / "a.png")

    pixels = check(tmp_path / "a.png")

    assert tuple(pixels[5, 5]) == RED
    assert tuple(pixels[-5, -5]) == (255, 255, 255)


def _grey16(path: Path, values: NDArray[np.uint16]) -> None:
    Image.fromarray(values).save(path)


def _tiff(dtype: str) -> Callable[[Path, NDArray[np.uint16]], None]:
    return lambda path, values: tifffile.imwrite(path, values.astype(dtype))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.png", _grey16),
        ("a.tif", _tiff("uint16")),
        ("a.tif", _tiff("int16")),
        ("a.tif", _tiff("uint32")),
        ("a.tif", _tiff("float32")),
        ("a.tif", _tiff("float64")),
    ],
)
def test_deep_grey_is_stretched_to_its_own_range(
    tmp_path: Path, name: str, write: Callable[[Path, NDArray[np.uint16]], None]
) -> None:
    ramp = np.linspace(900, 1100, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    write(tmp_path / name, ramp)

    pixels = check(tmp_path / name)

    assert pixels.min() == 0
    assert pixels.max() == 255
    assert 100 < pixels[HEIGHT // 2, 0, 0] < 150
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_one_hot_pixel_does_not_leave_the_rest_black(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    ramp[0, 0] = 65535
    tifffile.imwrite(tmp_path / "a.tif", ramp)

    assert 100 < read_image(tmp_path / "a.tif")[HEIGHT // 2, 0, 0] < 150


@pytest.mark.parametrize("values", [np.zeros((5, 7)), np.full((5, 7), np.nan), np.full((5, 7), 3.5)])
def test_flat_and_empty_measurements_are_black(tmp_path: Path, values: NDArray[np.float64]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values)

    assert (read_image(tmp_path / "a.tif") == 0).all()


def test_deep_colour_keeps_its_hues(tmp_path: Path, corners: NDArray[np.uint8]) -> None:
    deep = corners.astype(np.uint16) * 4  # dark: the upper bytes alone would be nearly black
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    tifffile.imwrite(tmp_path / "b.tif", deep, photometric="rgb")
    tifffile.imwrite(tmp_path / "c.tif", np.moveaxis(deep, 2, 0), photometric="rgb", planarconfig="separate")
    cv2.imwrite(str(tmp_path / "d.tif"), deep[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])

    for name in ("a.png", "b.tif", "c.tif", "d.tif"):
        assert (check(tmp_path / name) == corners).all(), name


def test_the_first_page_counts(tmp_path: Path, corners: NDArray[np.uint8]) -> None:
    deep = corners[..., 0].astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([deep, deep[::-1], deep]), photometric="minisblack")

    assert tuple(check(tmp_path / "a.tif")[5, 5]) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "deep.tif", "grey.tif"])
def test_pixels_stand_upright(
    tmp_path: Path, corners: NDArray[np.uint8], kind: str, orientation: int
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "deep.tif":
        tag = (0x0112, "H", 1, orientation, True)
        tifffile.imwrite(path, corners.astype(np.uint16), photometric="rgb", extratags=[tag])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = Image.fromarray(corners)
        (picture.getchannel("R") if kind == "grey.tif" else picture).save(path, exif=exif)

    pixels = check(path)

    assert pixels.shape[:2] == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))
    # Where the stored top left corner belongs, by the EXIF standard.
    y, x = {1: (5, 5), 2: (5, -5), 3: (-5, -5), 4: (-5, 5), 5: (5, 5), 6: (5, -5), 7: (-5, -5), 8: (-5, 5)}[
        orientation
    ]
    expected = (RED[0],) * 3 if kind == "grey.tif" else RED
    assert np.abs(pixels[y, x].astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    "entry", [struct.pack("<HHIHH", 0x0112, 3, 1, 9, 0), struct.pack("<HHI4s", 0x0112, 2, 4, b"up\0\0")]
)
def test_an_orientation_that_means_nothing_turns_nothing(
    tmp_path: Path, corners: NDArray[np.uint8], entry: bytes
) -> None:
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    Image.fromarray(corners).save(tmp_path / "a.jpg", exif=exif)

    assert check(tmp_path / "a.jpg").shape[:2] == (HEIGHT, WIDTH)
    assert StripReader(tmp_path / "a.jpg").size_hw == (HEIGHT, WIDTH)


# --- what is no image -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.6, 0.15])
def test_a_file_cut_short_is_said(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save(buffer, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * share)])

    with pytest.raises(ImageFileError, match=rf"a\.{suffix}: is damaged or cut short"):
        read_image(path)
    with pytest.raises(ImageFileError, match="cut short"):
        thumbnail(path, 16)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b"dear diary", "not an image of a known kind"), (None, "moved or deleted")],
)
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_what_is_no_image_is_one_sentence(
    tmp_path: Path, content: bytes | None, says: str, name: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    for function in (read_image, image_size, lambda path: thumbnail(path, 9)):
        with pytest.raises(ImageFileError, match=says) as caught:
            function(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pgm", b"P5\n0 4\n255\n"),
        ("a.gif", b"GIF89a" + bytes(6) + b";"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(30)),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(20)),
        ("a.tif", b"II*\0\x08\0\0\0\0\0"),
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_an_image_without_pixels_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    for function in (read_image, image_size, lambda path: thumbnail(path, 9)):
        with pytest.raises(ImageFileError, match=r"has no pixels .* good copy"):
            function(tmp_path / name)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()

    with pytest.raises(ImageFileError, match="is a folder"):
        read_image(tmp_path / "a.png")


def test_a_small_image_has_a_thumbnail_of_its_own_size(tmp_path: Path) -> None:
    Image.new("L", (5, 3), 200).save(tmp_path / "a.png")

    small = thumbnail(tmp_path / "a.png", 64)

    assert small.shape == (3, 5, 3)
    assert (small == 200).all()


def _png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and no more."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT\x35\xaf\x06\x1e"


def test_four_hundred_megapixels_are_not_too_many(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png_header(20_000, 20_000))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image_size(tmp_path / "a.png") == (20_000, 20_000)


@pytest.mark.parametrize("side", [23_171, 60_000])
def test_larger_images_are_refused_in_one_sentence(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(_png_header(side, side))

    for function in (read_image, image_size, lambda path: thumbnail(path, 9)):
        with pytest.raises(ImageFileError, match=r"a\.png: .*megapixels.* cut it into parts"):
            function(tmp_path / "a.png")
