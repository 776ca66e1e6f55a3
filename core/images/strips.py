"""An image file read in strips or boxes, for images that should not be decoded whole.

libvips decodes PNG, JPEG and TIFF from top to bottom holding a few hundred rows, and of a tiled TIFF only the
tiles that are asked for; `whole` has what it does not read so. What comes out is what `reader.read_image`
gives, before the EXIF rotation: 8 bits, transparent pixels on white, deep images stretched between their
percentiles.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ImageFileError
from core.images.pages import Directory, directories, page_directory, split_page
from core.images.reader import (
    as_image_file_error,
    exif_orientation,
    image_size,
    is_deep,
    opened_image,
    read_image,
    rgb8,
    vips_reason,
)
from core.images.stretch import Sampler, Stretch
from core.images.whole import refuse_too_large, whole_strips

_STRIP_ROWS: Final = 256
_LOADERS: Final = {
    "PNG": "pngload",
    "JPEG": "jpegload",
    "MPO": "jpegload",  # of some cameras and phones: more pictures stand behind the JPEG that counts
    "TIFF": "tiffload",
    "WEBP": "webpload",
}
_MODES: Final = frozenset({"1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})

Report = Callable[[float], None]
"""Told the share done, 0..1; may raise to stop the work."""


class StripReader:
    """One image file; thread-safe, and keeps nothing of its pixels.

    Attributes:
        path: the image, perhaps a page of a file.
        size_hw: height and width as stored: before the rotation by `orientation`, 1..8.
        channels: 1 for grey, 3 for colour.
        random_access: `box` is quick anywhere in the image (a tiled TIFF).

    Raises:
        ImageFileError: as `read_image`, as far as the header shows it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file, page = split_page(path)
        self._directory = 0
        self._stretch: Stretch | None = None
        self._random: Any = None
        self._regions: list[Any] = []
        self._lock = threading.Lock()
        upright_hw = image_size(path)
        with as_image_file_error(path), opened_image(path) as image:
            # None: a TIFF of a kind that Pillow does not know, so a deep one.
            self._deep = image is None or is_deep(image)
            self._mode = "" if image is None else image.mode
            refuse_too_large(path, image)
            self._loader = _LOADERS.get("TIFF" if image is None else str(image.format))
            self.is_jpeg = self._loader == "jpegload"
            self.orientation = 1 if image is None or self._loader == "tiffload" else exif_orientation(image)
            if self._loader == "tiffload":
                self._directory = page_directory(self._file, page)
                self.orientation = next(
                    d.orientation for d in directories(self._file) if d.number == self._directory
                )
                self._require_whole_tiff()
        header = self._header()
        if header is None:
            self._loader = None
        self._by_rows = header is None and not self._deep
        if header is None and self._deep:  # decoded by `read_image`, and so upright
            self.orientation = 1
        self.size_hw = (upright_hw[1], upright_hw[0]) if self.orientation > 4 else upright_hw
        self._bands = 3 if header is None else header.bands
        self.channels = 1 if self._bands < 3 else 3
        tiled = header is not None and header.get_typeof("tile-width") != 0
        self.random_access = self._loader == "tiffload" and tiled

    def _require_whole_tiff(self) -> None:
        """Libvips fills up what a file cut short lacks; the directory says how long it should be."""
        import tifffile

        with tifffile.TiffFile(self._file) as tiff:
            page = tiff.pages[self._directory]
            ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or max(ends) > self._file.stat().st_size:
            raise ImageFileError(
                self.path, "is damaged or cut short (its pixels are not all there); replace it by a good copy"
            )

    def _header(self) -> Any:
        """What libvips says of the image; None where it reads the file otherwise than `read_image`."""
        if self._loader is None or not (self._deep or self._mode in _MODES):
            return None
        try:
            header = self._open("sequential")
        except ImageFileError:
            return None
        return header if header.format in _DTYPES else None

    # --- pixels -------------------------------------------------------------------------------------------

    def strips(self, report: Report) -> Iterator[NDArray[np.uint8]]:
        """The image from top to bottom, in parts (rows, W, channels), uint8, as stored.

        Formats that no decoder streams are decoded whole, as far as memory allows.

        Raises:
            ImageFileError: the file is damaged or cut short.
        """
        height = self.size_hw[0]
        if self._loader is None:
            done = 0
            with as_image_file_error(self.path):
                for strip in whole_strips(self.path) if self._by_rows else self._deep_strips():
                    yield strip
                    done += len(strip)
                    report(done / height)
            return
        passes = 2 if self._deep else 1
        stretch = self.measured(lambda share: report(share / passes))
        for top, raw in self._raw_strips():
            yield self._converted(raw, stretch)
            report((passes - 1 + (top + len(raw)) / height) / passes)

    def _deep_strips(self) -> Iterator[NDArray[np.uint8]]:
        pixels = read_image(self.path)
        for top in range(0, len(pixels), _STRIP_ROWS):
            yield pixels[top : top + _STRIP_ROWS]

    def box(self, x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
        """Pixels (y1 - y0, x1 - x0, channels), uint8, of a part that lies inside, as stored.

        Quick for `random_access` alone.
        """
        stretch = self.measured(_ignore)
        with self._vips_errors():
            # One image for all boxes, and a region for each thread that is reading: every opened one holds on
            # to two rows of tiles, which are 30 MB.
            with self._lock:
                if self._random is None:
                    self._random = self._open("random")
                region = self._regions.pop() if self._regions else _region(self._random)
            raw = _fetched(region, self._random, x0, y0, x1 - x0, y1 - y0)
            with self._lock:
                self._regions.append(region)
            return self._converted(raw, stretch)

    def averaged(self, level: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """A box x0, y0, x1, y1 of the image halved `level` times, (h, w, channels), uint8, as stored.

        Averaged from `box`, some rows at a time: larger blocks, freed again, would stay with the process as
        fragments (500 MB after a hundred tiles).
        """
        height, width = self.size_hw
        x0, y0, x1, y1 = box
        result = np.empty((y1 - y0, x1 - x0, self.channels), np.uint8)
        rows = max(1, _STRIP_ROWS >> level)
        for top in range(y0, y1, rows):
            bottom = min(y1, top + rows)
            left, right = x0 << level, min(x1 << level, width)
            pixels = self.box(left, top << level, right, min(bottom << level, height))
            if level:
                below = (bottom - top << level) - pixels.shape[0]
                beside = (x1 - x0 << level) - pixels.shape[1]
                if below or beside:
                    pixels = np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode="edge")
                small = cv2.resize(pixels, (x1 - x0, bottom - top), interpolation=cv2.INTER_AREA)
                pixels = np.asarray(small, np.uint8).reshape(bottom - top, x1 - x0, -1)
            result[top - y0 : bottom - y0] = pixels
        return result

    def close(self) -> None:
        """Give back what `box` keeps open."""
        with self._lock:
            self._regions.clear()
            self._random = None

    def measured(self, report: Report) -> Stretch | None:
        """The stretch of a deep image, from a pass over all its pixels the first time; None for 8 bits."""
        if not self._deep or self._loader is None:
            return None
        if self._stretch is None:
            height, width = self.size_hw
            sampler = Sampler(height * width * (1 if self._bands < 3 else 3))
            for top, raw in self._raw_strips():
                sampler.add(raw[..., : 1 if self._bands < 3 else 3])
                report((top + len(raw)) / height)
            self._stretch = sampler.stretch()
        return self._stretch

    def reduced(self, factor: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """A tiled TIFF shrunk by averaging `factor` x `factor` pixels, as (first row, part) from the top.

        Reads the smallest reduced copy in the file that is large enough, if it has one.
        """
        height, width = self.size_hw
        stretch = self.measured(_ignore)
        wanted = -(-height // factor), -(-width // factor)
        with self._vips_errors():
            image = self._open("random").shrink(factor, factor, ceil=True)
            for directory in self._reduced_copies():
                if directory.size_hw[0] >= wanted[0] and directory.size_hw[1] >= wanted[1]:
                    copy = self._open("random", directory.number)
                    across, down = wanted[1] / copy.width, wanted[0] / copy.height
                    image = copy.resize(across, vscale=down, kernel="linear")
            region = _region(image)
            for top in range(0, wanted[0], 64):
                rows = min(64, wanted[0] - top)
                yield top, self._converted(_fetched(region, image, 0, top, wanted[1], rows), stretch)

    def _reduced_copies(self) -> list[Directory]:
        """Smaller copies of this page that stand behind it in the file, the smallest last."""
        found: list[Directory] = []
        for directory in directories(self._file):
            if directory.number > self._directory:
                if not directory.reduced:
                    break
                found.append(directory)
        return found

    # --- libvips ------------------------------------------------------------------------------------------

    def _open(self, access: str, directory: int | None = None) -> Any:
        import pyvips

        pyvips.cache_set_max(0)  # its cache of operations would hold on to decoded pixels
        options: dict[str, Any] = {"access": access, "fail_on": "truncated"}
        if self._loader == "tiffload":
            options["page"] = self._directory if directory is None else directory
        if self._loader == "pngload":
            options["unlimited"] = True
        with self._vips_errors():
            return getattr(pyvips.Image, str(self._loader))(str(self._file), **options)

    def _raw_strips(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """First row and pixels (rows, W, bands) in the file's own type, from the top."""
        with self._vips_errors():
            image = self._open("sequential")
            region = _region(image)
            for top in range(0, image.height, _STRIP_ROWS):
                rows = min(_STRIP_ROWS, image.height - top)
                yield top, _fetched(region, image, 0, top, image.width, rows)

    def _converted(self, raw: NDArray[Any], stretch: Stretch | None) -> NDArray[np.uint8]:
        """(rows, W, bands) of any kind to (rows, W, channels), uint8, by the rules of `read_image`."""
        if stretch is not None:
            return stretch.apply(raw[..., : self.channels])
        if raw.dtype != np.uint8:
            raise ImageFileError(self.path, f"has pixels of the kind {raw.dtype}, which nothing here reads")
        bands = raw.shape[-1]
        if bands == self.channels:
            return raw
        if self._mode == "CMYK":
            return rgb8(Image.fromarray(raw, "CMYK"))
        if bands in (2, 4):
            return rgb8(Image.fromarray(raw, "LA" if bands == 2 else "RGBA"))[..., : self.channels]
        return np.ascontiguousarray(raw[..., : self.channels])

    @contextlib.contextmanager
    def _vips_errors(self) -> Iterator[None]:
        import pyvips

        try:
            yield
        except pyvips.Error as error:
            raise ImageFileError(
                self.path, f"is damaged or cut short ({vips_reason(error)}); replace it by a good copy"
            ) from error


_DTYPES: Final = {
    "uchar": np.uint8,
    "char": np.int8,
    "ushort": np.uint16,
    "short": np.int16,
    "uint": np.uint32,
    "int": np.int32,
    "float": np.float32,
    "double": np.float64,
}


def _region(image: Any) -> Any:
    import pyvips

    return pyvips.Region.new(image)


def _fetched(region: Any, image: Any, x: int, y: int, width: int, height: int) -> NDArray[Any]:
    """Pixels (height, width, bands) of a part, computed in the calling thread."""
    data = region.fetch(x, y, width, height)
    return np.frombuffer(data, _DTYPES[image.format]).reshape(height, width, image.bands)


def _ignore(_share: float) -> None:
    pass
