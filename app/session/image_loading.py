"""Reading an image and its annotation in a worker, and keeping a few decoded images."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from PySide6.QtGui import QImage

from app.qt_pixels import paintable
from core.errors import FileProblem, ImageFileError
from core.files import file_digest
from core.images.pages import image_file
from core.images.pyramid import PYRAMIDS, Pyramid, is_huge, open_pyramid
from core.images.reader import read_image
from core.project.adopting import load_adopting
from core.project.mask_store import is_outdated

if TYPE_CHECKING:
    from core.project.project import ImageEntry, Loaded, Project

CACHE_BYTES: Final = 512 * 2**20

Stamp: TypeAlias = tuple[int, int]
"""Modification time (ns) and size of a file: tells whether decoded pixels are still those on disk."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """What a worker found for one image.

    Attributes:
        image: decoded pixels; None when they are unchanged (then `stamp` says so), huge or unreadable.
        pyramid: a huge image's tiles, opened anew each time.
        mask_outdated: the annotation was written after the mask there is.
        loaded: the annotation; None when it is unchanged or unreadable.
        problem: one sentence when the image cannot be shown or edited.
    """

    entry: ImageEntry
    stamp: Stamp | None
    image: QImage | None = None
    loaded: Loaded | None = None
    problem: str = ""
    pyramid: Pyramid | None = None
    mask_outdated: bool = False


def stamp_of(path: Path) -> Stamp | None:
    """The file's stamp, None when it is not there."""
    try:
        status = image_file(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def decode(path: Path) -> QImage:
    """The image as Qt paints it fastest (Format_RGB32). Raises ImageFileError."""
    return paintable(read_image(path))


def load_image(
    project: Project,
    entry: ImageEntry,
    known_stamp: Stamp | None,
    known_digest: tuple[str | None] | None,
    annotation_too: bool,
) -> LoadedImage:
    """Read what changed of one image since it was last read. Runs in a worker.

    Args:
        project: the open project.
        entry: the image.
        known_stamp: stamp of the pixels at hand; None to read them.
        known_digest: digest of the annotation at hand, in a tuple because None means "no file"; None when
            there is none at hand.
        annotation_too: whether the annotation may be read (not while it has unsaved edits).
    """
    stamp = stamp_of(entry.image_path)
    if stamp is None:
        return LoadedImage(entry, None, problem=vanished(entry))
    image: QImage | None = None
    pyramid: Pyramid | None = None
    try:
        loaded: Loaded | None = None
        if annotation_too and (known_digest is None or file_digest(entry.annotation_path) != known_digest[0]):
            loaded = load_adopting(project, entry)
        if stamp != known_stamp:
            if is_huge(entry.image_path):
                pyramid = open_pyramid(entry.image_path, project.layout.cache / PYRAMIDS)
            else:
                image = decode(entry.image_path)
    except FileProblem as error:
        return LoadedImage(entry, stamp, problem=str(error))
    outdated = loaded is not None and is_outdated(entry)
    return LoadedImage(entry, stamp, image, loaded, pyramid=pyramid, mask_outdated=outdated)


def prefetch_image(entry: ImageEntry) -> LoadedImage:
    """Decode one image ahead of its being asked for; what is wrong with it is said when it is.

    Not a huge one: its tiles are read when they are looked at.
    """
    stamp = stamp_of(entry.image_path)
    try:
        if is_huge(entry.image_path):
            return LoadedImage(entry, stamp)
        return LoadedImage(entry, stamp, decode(entry.image_path))
    except ImageFileError as error:
        return LoadedImage(entry, None, problem=str(error))


def vanished(entry: ImageEntry) -> str:
    """The sentence for an image that is no longer on disk."""
    return (
        f"{entry.image_path}: the image was moved or deleted; "
        "its annotation is kept and comes back with it, or choose another image"
    )


class ImageCache:
    """The most recently used decoded images, bounded by bytes; the newest is always kept."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._images: OrderedDict[str, tuple[Stamp, QImage]] = OrderedDict()

    def get(self, key: str) -> tuple[Stamp, QImage] | None:
        """Stamp and pixels of an image, now the most recently used."""
        if key in self._images:
            self._images.move_to_end(key)
        return self._images.get(key)

    def put(self, key: str, stamp: Stamp, image: QImage) -> None:
        """Keep an image, dropping the least recently used beyond the limit."""
        self._images[key] = (stamp, image)
        self._images.move_to_end(key)
        while len(self._images) > 1 and self.size_bytes > self._limit:
            self._images.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget an image."""
        self._images.pop(key, None)

    @property
    def size_bytes(self) -> int:
        """Memory of all kept images, bytes."""
        return sum(image.sizeInBytes() for _, image in self._images.values())
