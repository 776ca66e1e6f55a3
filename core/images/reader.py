"""Image files to RGB pixels: one decode, the same for the window, the engine and the command line.

What every file becomes: RGB, 8 bits, EXIF orientation applied. Palettes and CMYK are converted, alpha is laid
over white, 16-bit, integer and float pixels are stretched to their own 0.1 and 99.9 percentiles (`stretch`).
Of a multi-page TIFF, `stack.tif` is the first page and `stack.tif#2` the second (`pages`).
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import ImageFileError
from core.images.pages import TIFF_SUFFIXES, image_file, page_directory, page_header, split_page
from core.images.stretch import Sampler

IMAGE_SUFFIXES: Final = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif"}
    | {".tiff", ".webp"}
)
"""Suffixes, in lower case, of the files that are taken for images."""

MOST_PIXELS: Final = 1 << 29
"""Larger images (536 megapixels, a square of 23,170) are refused: masks of them would not fit into memory."""

HUGE_PIXELS: Final = 40_000_000
"""Images of more pixels are shown from tiles and have their masks in strips; smaller ones are read whole."""

# Pillow warns above its limit and refuses above twice as much, 178 megapixels unless told otherwise. Images
# up to MOST_PIXELS are wanted here; `opened_image` refuses larger ones itself, with a sentence.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS

# Named, because Pillow would otherwise also try formats that run other programs (EPS runs Ghostscript).
_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "WEBP", "GIF", "PPM", "AVIF")
_MAGIC: Final = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM"),
    *(b"P%d\n" % kind for kind in range(1, 7)),
)
"""How files of these kinds begin, as far as it can be told from a few bytes."""
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
_ORIENTATION: Final = 0x0112
_BITS_PER_SAMPLE: Final = 258

# Everything Pillow's, tifffile's and OpenCV's decoders were seen to raise on damaged files.
_DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file.

    Returns:
        Pixels (H, W, 3), uint8, RGB, C-contiguous and writable, after EXIF rotation.

    Raises:
        ImageFileError: missing, empty, truncated, not an image, or of an unsupported kind.
    """
    with as_image_file_error(path):
        with opened_image(path) as image:
            if image is not None and not is_deep(image):
                return rgb8(_upright(image))
            if image is not None and image.format != "TIFF" and image.mode.startswith(("I", "F")):
                return _stretched(np.asarray(_upright(image)))
        return _stretched(_read_deep(path))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels after EXIF rotation, from the header alone.

    Raises:
        ImageFileError: as `read_image`, as far as the header shows it.
    """
    with as_image_file_error(path):
        file, number = split_page(path)
        if number:  # decoders go through all pages before it
            header = page_header(file, number)
            check_size(path, header.size_hw)
            return _upright_size(header.size_hw, header.orientation)
        with opened_image(path) as image:
            if image is not None:
                # Pillow's size of a TIFF is already the rotated one.
                orientation = 1 if image.format == "TIFF" else exif_orientation(image)
                return _upright_size((image.height, image.width), orientation)
        import tifffile

        with tifffile.TiffFile(file) as tiff:
            page = _page(tiff, 0)
            check_size(path, (page.imagelength, page.imagewidth))
            return _upright_size((page.imagelength, page.imagewidth), _tiff_orientation(page))


def _upright_size(stored_hw: tuple[int, int], orientation: int) -> tuple[int, int]:
    height, width = stored_hw
    return (width, height) if orientation in _SIDEWAYS else (height, width)


def thumbnail(path: Path, side: int) -> NDArray[np.uint8]:
    """A small version that fits a square of `side` pixels; images that fit already keep their size.

    JPEG decodes reduced, in about a tenth of the time of the whole image.

    Returns:
        Pixels (h, w, 3), uint8, RGB, with max(h, w) <= side.

    Raises:
        ImageFileError: as `read_image`.
    """
    with as_image_file_error(path):
        with opened_image(path) as image:
            if image is not None and not is_deep(image):
                image.draft("RGB", (side, side))
                upright = _upright(image)
                if upright.mode not in ("RGB", "L"):
                    upright = Image.fromarray(rgb8(upright))
                upright.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
                return rgb8(upright)
        small = Image.fromarray(read_image(path))
        small.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return rgb8(small)


def decoded_small(path: Path, at_least_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A JPEG decoded at 1/2, 1/4 or 1/8, but not below a size, and not turned.

    Returns:
        Pixels (h, w, 3), uint8, RGB, as they lie in the file.

    Raises:
        ImageFileError: as `read_image`.
    """
    with as_image_file_error(path), opened_image(path) as image:
        if image is None:
            raise ImageFileError(path, "is no JPEG")
        image.draft(None, (at_least_hw[1], at_least_hw[0]))
        return rgb8(image)


# --- opening and what can go wrong ------------------------------------------------------------------------


@contextlib.contextmanager
def as_image_file_error(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence."""
    try:
        yield
    except ImageFileError:
        raise
    except FileNotFoundError as error:
        raise ImageFileError(path, "there is no such image; it was moved or deleted") from error
    except IsADirectoryError as error:
        raise ImageFileError(path, "is a folder, not an image") from error
    except PermissionError as error:
        raise ImageFileError(path, "may not be read; change the file's permissions") from error
    except UnidentifiedImageError as error:
        raise ImageFileError(path, _why_unidentified(path)) from error
    except Image.DecompressionBombError as error:
        raise ImageFileError(
            path, f"has more than {2 * MOST_PIXELS // 10**6} megapixels; cut it into parts"
        ) from error
    except MemoryError as error:
        raise ImageFileError(path, "does not fit into memory; cut it into parts") from error
    except _DECODER_ERRORS as error:
        raise ImageFileError(
            path, f"is damaged or cut short ({_brief(error)}); replace it by a good copy"
        ) from error


def _why_unidentified(path: Path) -> str:
    if image_file(path).stat().st_size == 0:
        return "is empty (0 bytes); replace it by a good copy"
    with image_file(path).open("rb") as opened:
        if opened.read(8).startswith(_MAGIC):
            return "is damaged or has no pixels (its header makes no sense); replace it by a good copy"
    kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    return f"is not an image of a known kind ({kinds}), whatever its name says; convert it or take it away"


def _brief(error: BaseException) -> str:
    text = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."


@contextlib.contextmanager
def opened_image(path: Path) -> Iterator[Image.Image | None]:
    """The image with its header read; None for a TIFF whose pixel format Pillow does not know."""
    file, page = split_page(path)
    try:
        image = Image.open(file, formats=_FORMATS)
        # With a file name Pillow maps grey pixels of TIFFs into memory, in rows of the upright width.
        image.filename = ""
        if page:
            image.seek(page_directory(file, page))
    except UnidentifiedImageError:
        if file.suffix.lower() in TIFF_SUFFIXES and _starts_like_tiff(file):
            yield None
            return
        raise
    with image:
        check_size(path, (image.height, image.width))
        yield image


def check_size(path: Path, size_hw: tuple[int, int]) -> None:
    """Refuse images without pixels, and of more than MOST_PIXELS, with an ImageFileError."""
    height, width = size_hw
    if height * width == 0:
        raise ImageFileError(path, "has no pixels (its width or height is 0); replace it by a good copy")
    if height * width > MOST_PIXELS:
        raise ImageFileError(
            path,
            f"is {width} x {height} pixels; images of more than {MOST_PIXELS // 10**6} megapixels are not "
            "opened, cut it into parts",
        )


def _starts_like_tiff(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) in (b"II", b"MM")


def exif_orientation(image: Image.Image) -> int:
    """How the pixels of a file (no TIFF, which Pillow turns itself) lie, 1..8."""
    # Not image.getexif(): for PNG that decodes all pixels to look for EXIF after them. Reading and measuring
    # must agree, so both only honour what stands before the pixels.
    return _orientation(Image.Image.getexif(image).get(_ORIENTATION))


def _upright(image: Image.Image) -> Image.Image:
    """Decode and apply the EXIF orientation."""
    orientation = 1 if image.format == "TIFF" else exif_orientation(image)
    image.load()  # a TIFF is turned by Pillow here
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if turn is None else image.transpose(turn)


# --- eight bits -------------------------------------------------------------------------------------------


def rgb8(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels (H, W, 3), uint8, of an image of at most 8 bits a sample; what is transparent lies on white."""
    if image.mode == "RGB":
        return np.array(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return np.array(Image.alpha_composite(paper, layer).convert("RGB"))
    return np.array(image.convert("RGB"))


# --- more than eight bits ---------------------------------------------------------------------------------


def is_deep(image: Image.Image) -> bool:
    """Whether the file holds more than 8 bits a sample (Pillow would drop the lower ones of colour)."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        return bool(max(bits) > 8)
    return image.format == "PNG" and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _read_deep(path: Path) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, 3) in the file's own type, upright, of a deep TIFF or a 16-bit colour PNG."""
    file, number = split_page(path)
    if file.suffix.lower() not in TIFF_SUFFIXES:
        return _read_with_opencv(path)
    import tifffile

    directory = page_directory(file, number)
    with tifffile.TiffFile(file) as tiff:
        page = _page(tiff, directory)
        check_size(path, (page.imagelength, page.imagewidth))
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            pixels = _read_with_vips(file, directory)  # LZW, JPEG and their like
        else:
            if pixels.ndim == 3 and "S" in page.axes and page.axes.index("S") == 0:
                pixels = np.moveaxis(pixels, 0, -1)
            while pixels.ndim > 3 or (pixels.ndim == 3 and "S" not in page.axes):
                pixels = pixels[0]
            if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                pixels = pixels.max() - pixels
        return turned(_drop_extra_samples(pixels), _tiff_orientation(page))


def _read_with_vips(file: Path, directory: int) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, C) as stored, of one directory of a TIFF."""
    import pyvips

    try:
        pixels = pyvips.Image.tiffload(str(file), page=directory, fail_on="truncated").numpy()
    except pyvips.Error as error:
        raise OSError(vips_reason(error)) from error
    return np.asarray(pixels)


def vips_reason(error: Exception) -> str:
    """What libvips has to say, in one line."""
    detail = str(getattr(error, "detail", "") or error).strip()
    return detail.splitlines()[0] if detail else "no decoder for it"


def _read_with_opencv(path: Path) -> NDArray[Any]:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OSError("no decoder for its compression")
    if pixels.ndim == 3:
        pixels = _drop_extra_samples(pixels)
        pixels = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    with Image.open(path, formats=_FORMATS) as image:  # IMREAD_UNCHANGED leaves the EXIF orientation
        return turned(pixels, exif_orientation(image))


def _drop_extra_samples(pixels: NDArray[Any]) -> NDArray[Any]:
    """First sample of one or two (grey with alpha), first three of more."""
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[-1] < 3 else pixels[..., :3]


def _page(tiff: Any, directory: int) -> Any:
    if not tiff.pages:
        raise ValueError("it has no pages")
    return tiff.pages[directory]


def _tiff_orientation(page: Any) -> int:
    tag = page.tags.get(_ORIENTATION)
    return 1 if tag is None else _orientation(tag.value)


def _orientation(value: object) -> int:
    """1..8 as a file has it; whatever else it has means nothing."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an EXIF orientation, 1..8, to (H, W, ...) pixels."""
    if orientation in _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _stretched(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Stretch (H, W) or (H, W, 3) of any number type to RGB (H, W, 3) uint8; see `core.images.stretch`."""
    sampler = Sampler(pixels.size)
    sampler.add(pixels)
    grey = sampler.stretch().apply(pixels)
    if grey.ndim == 2:
        grey = np.repeat(grey[..., None], 3, axis=2)
    return np.ascontiguousarray(grey)
