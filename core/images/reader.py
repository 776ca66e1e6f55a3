"""Image files to RGB pixels: one decode, the same for the window, the engine and the command line.

What every file becomes: RGB, 8 bits, EXIF orientation applied. Palettes and CMYK are converted, alpha is laid
over white, 16-bit, integer and float pixels are stretched to their own 0.1 and 99.9 percentiles; of a
multi-page file the first page is taken.
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

IMAGE_SUFFIXES: Final = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif"}
    | {".tiff", ".webp"}
)
"""Suffixes, in lower case, of the files that are taken for images."""

# Named, because Pillow would otherwise also try formats that run other programs (EPS runs Ghostscript).
_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "WEBP", "GIF", "PPM", "AVIF")
_TIFF_SUFFIXES: Final = frozenset({".tif", ".tiff"})
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
_ORIENTATION: Final = 0x0112
_BITS_PER_SAMPLE: Final = 258
_STRETCH_PERCENTILES: Final = (0.1, 99.9)
_STRETCH_SAMPLE: Final = 1 << 20

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
    with _as_image_file_error(path):
        with _opened(path) as image:
            if image is not None and not _is_deep(image):
                return _rgb8(_upright(image))
            if image is not None and image.format != "TIFF" and image.mode.startswith(("I", "F")):
                return _stretched(np.asarray(_upright(image)))
        return _stretched(_read_deep(path))


def image_size(path: Path) -> tuple[int, int]:
    """Height and width in pixels after EXIF rotation, from the header alone.

    Raises:
        ImageFileError: as `read_image`, as far as the header shows it.
    """
    with _as_image_file_error(path):
        with _opened(path) as image:
            if image is not None:
                width, height = image.size
                # Pillow's size of a TIFF is already the rotated one.
                sideways = image.format != "TIFF" and _orientation(image) in _SIDEWAYS
                return (width, height) if sideways else (height, width)
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            page = _first_page(tiff)
            height, width = page.imagelength, page.imagewidth
            return (width, height) if _tiff_orientation(page) in _SIDEWAYS else (height, width)


def thumbnail(path: Path, side: int) -> NDArray[np.uint8]:
    """A small version that fits a square of `side` pixels; images that fit already keep their size.

    JPEG decodes reduced, in about a tenth of the time of the whole image.

    Returns:
        Pixels (h, w, 3), uint8, RGB, with max(h, w) <= side.

    Raises:
        ImageFileError: as `read_image`.
    """
    with _as_image_file_error(path):
        with _opened(path) as image:
            if image is not None and not _is_deep(image):
                image.draft("RGB", (side, side))
                upright = _upright(image)
                if upright.mode not in ("RGB", "L"):
                    upright = Image.fromarray(_rgb8(upright))
                upright.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
                return _rgb8(upright)
        small = Image.fromarray(read_image(path))
        small.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return _rgb8(small)


# --- opening and what can go wrong ------------------------------------------------------------------------


@contextlib.contextmanager
def _as_image_file_error(path: Path) -> Iterator[None]:
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
            path, f"is larger than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels; cut it into parts"
        ) from error
    except MemoryError as error:
        raise ImageFileError(path, "does not fit into memory; cut it into parts") from error
    except _DECODER_ERRORS as error:
        raise ImageFileError(
            path, f"is damaged or cut short ({_brief(error)}); replace it by a good copy"
        ) from error


def _why_unidentified(path: Path) -> str:
    if path.stat().st_size == 0:
        return "is empty (0 bytes); replace it by a good copy"
    kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    return f"is not an image of a known kind ({kinds}), whatever its name says"


def _brief(error: BaseException) -> str:
    text = str(error).splitlines()[0].strip() if str(error) else type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image | None]:
    """The image with its header read; None for a TIFF whose pixel format Pillow does not know."""
    try:
        image = Image.open(path, formats=_FORMATS)
    except UnidentifiedImageError:
        if path.suffix.lower() in _TIFF_SUFFIXES and path.read_bytes()[:2] in (b"II", b"MM"):
            yield None
            return
        raise
    with image:
        if 0 in image.size:
            raise ImageFileError(path, "has no pixels (its width or height is 0); replace it by a good copy")
        yield image


def _orientation(image: Image.Image) -> int:
    # Not image.getexif(): for PNG that decodes all pixels to look for EXIF after them. Reading and measuring
    # must agree, so both only honour what stands before the pixels.
    return int(Image.Image.getexif(image).get(_ORIENTATION, 1))


def _upright(image: Image.Image) -> Image.Image:
    """Decode and apply the EXIF orientation."""
    orientation = 1 if image.format == "TIFF" else _orientation(image)
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


def _rgb8(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "RGB":
        return np.array(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return np.array(Image.alpha_composite(paper, layer).convert("RGB"))
    return np.array(image.convert("RGB"))


# --- more than eight bits ---------------------------------------------------------------------------------


def _is_deep(image: Image.Image) -> bool:
    """Whether the file holds more than 8 bits a sample (Pillow would drop the lower ones of colour)."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        return bool(max(bits) > 8)
    return image.format == "PNG" and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _read_deep(path: Path) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, 3) in the file's own type, upright, of a deep TIFF or a 16-bit colour PNG."""
    if path.suffix.lower() not in _TIFF_SUFFIXES:
        return _read_with_opencv(path)
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = _first_page(tiff)
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            # LZW and its like: OpenCV's own libtiff knows them, and turns by the orientation tag itself.
            return _read_with_opencv(path)
        if pixels.ndim == 3 and "S" in page.axes and page.axes.index("S") == 0:
            pixels = np.moveaxis(pixels, 0, -1)
        while pixels.ndim > 3 or (pixels.ndim == 3 and "S" not in page.axes):
            pixels = pixels[0]
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            pixels = pixels.max() - pixels
        pixels = _drop_extra_samples(pixels)
        return _turned(pixels, _tiff_orientation(page))


def _read_with_opencv(path: Path) -> NDArray[Any]:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise OSError("no decoder for its compression")
    if pixels.ndim == 3:
        pixels = _drop_extra_samples(pixels)
        pixels = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    if path.suffix.lower() in _TIFF_SUFFIXES:
        return pixels
    with Image.open(path, formats=_FORMATS) as image:  # IMREAD_UNCHANGED leaves the EXIF orientation
        return _turned(pixels, _orientation(image))


def _drop_extra_samples(pixels: NDArray[Any]) -> NDArray[Any]:
    """First sample of one or two (grey with alpha), first three of more."""
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[-1] < 3 else pixels[..., :3]


def _first_page(tiff: Any) -> Any:
    if not tiff.pages:
        raise ValueError("it has no pages")
    return tiff.pages[0]


def _tiff_orientation(page: Any) -> int:
    tag = page.tags.get(_ORIENTATION)
    return 1 if tag is None else int(tag.value)


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an EXIF orientation, 1..8, to (H, W, ...) pixels."""
    if orientation in _SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _stretched(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Stretch (H, W) or (H, W, 3) of any number type to RGB (H, W, 3) uint8 between its outer percentiles.

    Percentiles, because one hot pixel of a microscope's camera would leave the rest black. All channels
    share one stretch, so that hues stay. NaN and minus infinity become black.
    """
    values = pixels.astype(np.float32)
    sample = values.ravel()[:: max(1, values.size // _STRETCH_SAMPLE)]
    finite = sample[np.isfinite(sample)]
    if finite.size == 0:
        return np.zeros((*pixels.shape[:2], 3), np.uint8)
    low, high = (float(v) for v in np.percentile(finite, _STRETCH_PERCENTILES))
    if high <= low:  # nearly everything has one value: what differs is all there is to see
        low, high = float(finite.min()), float(finite.max())
    if high <= low:
        return np.zeros((*pixels.shape[:2], 3), np.uint8)
    scaled = np.nan_to_num((values - low) * np.float32(255 / (high - low)), nan=0.0, posinf=255, neginf=0)
    grey = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    if grey.ndim == 2:
        grey = np.repeat(grey[..., None], 3, axis=2)
    return np.ascontiguousarray(grey)
