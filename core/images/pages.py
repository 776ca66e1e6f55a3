"""Pages of a TIFF: each is an image of its own, named `stack.tif`, `stack.tif#2`, `stack.tif#3`, ...

The first page keeps the file's own name, so that a TIFF of one page is what it always was and an annotation
made by another program (they all show the first page) stays with it. Reduced copies that viewers of large
images keep in the file, and masks, are no pages.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import BinaryIO, Final

TIFF_SUFFIXES: Final = frozenset({".tif", ".tiff"})

_PAGE: Final = re.compile(r"(?P<file>.+\.tiff?)#(?P<number>[1-9]\d{0,5})", re.IGNORECASE)
_SUBFILE_TYPE: Final = 254
_OLD_SUBFILE_TYPE: Final = 255
_REDUCED_OR_MASK: Final = 0b101
_OLD_REDUCED: Final = 2
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_MOST_DIRECTORIES: Final = 100_000
_MOST_ENTRIES: Final = 65_535
"""In one directory: what TIFF can count to; BigTIFF could claim more than fits into memory."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One image file directory of a TIFF.

    Attributes:
        number: its place in the file, from 0; what decoders call the page.
        size_hw: stored height and width, before any rotation.
        reduced: a smaller copy of another page, or a mask: not a page to label.
        orientation: how the stored pixels lie, 1..8 as in EXIF.
    """

    number: int
    size_hw: tuple[int, int]
    reduced: bool
    orientation: int = 1


def image_file(path: Path) -> Path:
    """The file that holds an image: `stack.tif` for `stack.tif#2`, any other path itself."""
    return split_page(path)[0]


def image_stem(path: PurePath) -> str:
    """The name of an image without its suffix: `stack` for `stack.tif`, `stack#2` for `stack.tif#2`.

    Files made of a page are named so: an export of the third page alone must not look like the first.
    """
    match = _PAGE.fullmatch(path.name)
    return path.stem if match is None else f"{PurePath(match['file']).stem}#{match['number']}"


def stamp(path: Path) -> str:
    """Changes when the file that holds this image does."""
    try:
        status = image_file(path).stat()
    except OSError:
        return "missing"  # reading it says what is wrong
    return f"{path} {status.st_mtime_ns} {status.st_size}"


def split_page(path: Path) -> tuple[Path, int]:
    """The file and the page in it, from 0, that an image's path stands for."""
    match = _PAGE.fullmatch(path.name)
    if match is None or match["number"] == "1":
        return path, 0
    return path.with_name(match["file"]), int(match["number"]) - 1


def page_of(file: Path, page: int) -> Path:
    """The path of a page, from 0, in a file: the inverse of `split_page`."""
    return file if page == 0 else file.with_name(f"{file.name}#{page + 1}")


def page_names(path: Path) -> tuple[str, ...]:
    """Names of the images in a file: its own name and, for a TIFF, one for each further page.

    A file that cannot be read has its own name only; reading it says why.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return (path.name,)
    try:
        count = len(_pages(path))
    except (OSError, ValueError, struct.error):
        count = 1
    return (path.name, *(f"{path.name}#{number}" for number in range(2, count + 1)))


def page_directory(path: Path, page: int) -> int:
    """The number of the directory that holds a page (from 0).

    Raises:
        ValueError: the file has not so many pages, or is no TIFF.
        OSError: it cannot be read.
    """
    return page_header(path, page).number if page else 0


def page_header(path: Path, page: int) -> Directory:
    """The directory that holds a page (from 0). Raises as `page_directory`."""
    pages = _pages(path)
    if page >= len(pages):
        raise ValueError("it has not so many pages any more")
    return pages[page]


def _pages(path: Path) -> tuple[Directory, ...]:
    """The directories of a file that are pages."""
    status = path.stat()
    return _pages_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _pages_of(path: Path, _mtime_ns: int, _size: int) -> tuple[Directory, ...]:
    # Kept, because each page of a stack is looked for by itself: 2000 walks to the end of a stack of 2000.
    return tuple(directory for directory in directories(path) if not directory.reduced)


def directories(path: Path) -> Iterator[Directory]:
    """Walk the directories of a TIFF, without reading pixels.

    The first is never called reduced: something has to be the image.

    Raises:
        ValueError: no TIFF, or a chain of directories that leads in a circle or out of the file.
        OSError, struct.error: it cannot be read, or is cut short.
    """
    with path.open("rb") as file:
        order, wide, offset = _header(file)
        count_format, entry_bytes, offset_format = ("Q", 20, "Q") if wide else ("H", 12, "I")
        end = os.fstat(file.fileno()).st_size
        seen: set[int] = set()
        while offset:
            if offset >= end:
                raise ValueError("its pages are not all there")
            if offset in seen or len(seen) >= _MOST_DIRECTORIES:
                raise ValueError("its pages lead in a circle")
            seen.add(offset)
            file.seek(offset)
            entries = _unpack(file, order + count_format)
            if entries > _MOST_ENTRIES:
                raise ValueError("one of its directories makes no sense")
            tags = file.read(entries * entry_bytes)
            yield _directory(len(seen) - 1, tags, order, wide=wide)
            offset = _unpack(file, order + offset_format)


def _header(file: BinaryIO) -> tuple[str, bool, int]:
    """Byte order, whether offsets have 64 bits, and the first directory's offset."""
    start = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        raise ValueError("it is no TIFF")
    (version,) = struct.unpack(f"{order}H", start[2:4])
    if version == 42:
        return order, False, int(struct.unpack(f"{order}I", start[4:8])[0])
    if version == 43:
        return order, True, _unpack(file, f"{order}Q")
    raise ValueError("it is no TIFF")


def _unpack(file: BinaryIO, layout: str) -> int:
    return int(struct.unpack(layout, file.read(struct.calcsize(layout)))[0])


def _directory(number: int, tags: bytes, order: str, *, wide: bool) -> Directory:
    entry_bytes, value_at = (20, 12) if wide else (12, 8)
    values: dict[int, int] = {}
    for start in range(0, len(tags) - entry_bytes + 1, entry_bytes):
        tag, kind = struct.unpack_from(f"{order}HH", tags, start)
        if tag > _ORIENTATION:  # in ascending order
            break
        layout = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if layout is not None:
            values[tag] = struct.unpack_from(f"{order}{layout}", tags, start + value_at)[0]
    reduced = bool(values.get(_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK)
    reduced = reduced or values.get(_OLD_SUBFILE_TYPE) == _OLD_REDUCED
    size_hw = values.get(_HEIGHT, 0), values.get(_WIDTH, 0)
    orientation = values.get(_ORIENTATION, 1)
    return Directory(number, size_hw, reduced and number > 0, orientation if 1 <= orientation <= 8 else 1)
