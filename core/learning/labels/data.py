"""What the learner knows about the labels: masks, states and revisions, and the pixels they belong to.

The store is filled once from a project and then kept up to date by `put` and `remove` while training runs;
whoever reads it compares `revision` with the one seen last. It belongs to one thread: the engine applies the
window's messages between two steps. No torch here.

Masks hold class *indices* with 255 for unlabelled, as on disk. `ChannelMap` is the one place that turns them
into a network's channels and back.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState, ClassList
from core.errors import ImageFileError, MaskFileError
from core.images.pages import stamp
from core.images.pyramid import is_huge
from core.images.reader import image_size, read_image
from core.images.rows import PixelRows, ReducedRows, open_rows
from core.learning.labels.drawn_shapes import DrawnShapes
from core.learning.labels.laid_out import gathered, laid_out

if TYPE_CHECKING:
    from core.project.project import Project

PIXEL_BUDGET_BYTES: Final = 2 << 30
"""Decoded images kept in memory; what does not fit is read again when it is needed."""
IN_MEMORY_BYTES: Final = 128 << 20
"""Of one image at the wanted scale; a larger one is kept on disk (`core.learning.labels.laid_out`)."""
DISK_BUDGET_BYTES: Final = 8 << 30
"""Images kept there: about five of 20,000 x 20,000 in colour."""
LOOK_EVERY_S: Final = 1.0
"""So often it is asked whether an image's file is another one now; on a network drive that takes a while."""
NO_REVISIONS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """Class index <-> network channel: channel k stands for `classes[k]`, whose mask value is its index."""

    classes: ClassList

    @property
    def background(self) -> int | None:
        """Channel of the background class; None if there is none."""
        if self.classes.background is None:
            return None
        return self.classes.indices.index(self.classes.background)

    def named_as(self, present: ClassList) -> ChannelMap:
        """The same channels with the names and colours their classes have now, or had before they went."""
        named = tuple(present.by_index(c.index) or c for c in self.classes)
        return ChannelMap(ClassList(named, self.classes.background))

    def to_channels(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class indices (any shape) to channels; UNLABELLED and indices of other classes become 255."""
        table = np.full(256, UNLABELLED, np.uint8)
        table[list(self.classes.indices)] = np.arange(len(self.classes), dtype=np.uint8)
        return table[mask]

    def to_indices(self, channels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Channels (any shape) to class indices; 255 stays."""
        table = np.full(256, UNLABELLED, np.uint8)
        table[: len(self.classes)] = self.classes.indices
        return table[channels]


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """The labels of one image as the learner knows them.

    Attributes:
        mask: class indices (H, W), uint8, 255 unlabelled, read-only.
        revision: the annotation document's, which predictions carry back to the window.
        version: the store's revision when these labels came.
        counts: pixels of each mask value, (256,), int64.
        digest: of mask, state and size.
    """

    key: str
    image_path: Path
    mask: NDArray[np.uint8]
    state: AnnotationState
    revision: int
    version: int
    counts: NDArray[np.int64]
    digest: str

    @property
    def has_labels(self) -> bool:
        """Whether any pixel is labelled."""
        return int(self.counts[UNLABELLED]) < self.mask.size


class LabelStore:
    """All labels of a project, and its images on demand.

    Attributes:
        classes: the project's.
        revision: grows by one with every change of labels or classes.
        drawn: the shapes behind the masks; None where there are only masks.
    """

    def __init__(
        self,
        classes: ClassList,
        *,
        pixel_budget_bytes: int = PIXEL_BUDGET_BYTES,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A store without labels.

        Args:
            classes: the project's.
            pixel_budget_bytes: of decoded images in memory.
            folder: for the pixels of huge images; by default where the system keeps temporary files.
            clock: monotonic, seconds.
        """
        self.classes = classes
        self.revision = 0
        self.drawn: DrawnShapes | None = None
        self._labels: dict[str, ImageLabels] = {}
        self._pixels = _PixelCache(pixel_budget_bytes)
        self._laid_out = _PixelCache(DISK_BUDGET_BYTES)
        self._folder = folder
        self._clock = clock
        self._looks: dict[str, tuple[float, str]] = {}  # when a file is to be looked at again, and its stamp

    @classmethod
    def from_project(
        cls, project: Project, revisions: Mapping[str, tuple[int, int]] = NO_REVISIONS
    ) -> LabelStore:
        """Everything the project has labels for. Files with problems are in `project.problems`.

        Args:
            project: read as it is on disk.
            revisions: as `revisions()`, of labels that were sent before; those of others are 0.
        """
        store = cls(project.classes, folder=project.layout.cache)
        store.drawn = DrawnShapes(project)
        for labelled in project.labelled():
            entry = labelled.entry
            _, revision = revisions.get(entry.key, (0, 0))
            store.put(entry.key, entry.image_path, labelled.mask, labelled.annotation.state, revision)
        return store

    def put(
        self,
        key: str,
        image_path: Path | str,
        mask: NDArray[np.uint8],
        state: AnnotationState,
        revision: int = 0,
    ) -> None:
        """Take over an image's labels: new ones, or instead of those it had.

        Labels that say what is known already only bring their document's `revision`.
        """
        if mask.dtype != np.uint8 or mask.ndim != 2:
            raise ValueError(f"{key}: a mask is (H, W) uint8, not {mask.shape} {mask.dtype}")
        path = Path(image_path)
        digest = hashlib.blake2b(f"{state} {mask.shape}".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(mask).data)
        known = self._labels.get(key)
        unchanged = known is not None and known.digest == digest.hexdigest() and known.image_path == path
        if not unchanged:
            self.revision += 1
        frozen = known.mask if unchanged and known is not None else mask.copy()
        frozen.flags.writeable = False
        self._looks.pop(key, None)  # new labels are of the pixels that the file has now
        self._labels[key] = ImageLabels(
            key=key,
            image_path=path,
            mask=frozen,
            state=state,
            revision=revision,
            version=known.version if unchanged and known is not None else self.revision,
            counts=np.bincount(frozen.ravel(), minlength=256),
            digest=digest.hexdigest(),
        )

    def remove(self, key: str) -> None:
        """Forget an image; one that is not there is no error."""
        if self._labels.pop(key, None) is not None:
            self._pixels.forget(key)
            self._laid_out.forget(key)
            self._looks.pop(key, None)
            self.revision += 1

    def set_classes(self, classes: ClassList) -> None:
        """Take over the project's classes."""
        if classes != self.classes:
            self.classes = classes
            self.revision += 1

    def __contains__(self, key: object) -> bool:
        return key in self._labels

    def get(self, key: str) -> ImageLabels:
        """One image's labels. Raises KeyError for an image without."""
        return self._labels[key]

    def revisions(self) -> dict[str, tuple[int, int]]:
        """Of every image's labels as they are now: `ImageLabels.version` and `ImageLabels.revision`."""
        return {key: (labels.version, labels.revision) for key, labels in self._labels.items()}

    def labelled_keys(self) -> tuple[str, ...]:
        """Images with at least one labelled pixel, sorted."""
        return tuple(sorted(key for key, labels in self._labels.items() if labels.has_labels))

    def done_keys(self) -> tuple[str, ...]:
        """Those of them that are completely labelled, sorted."""
        return tuple(key for key in self.labelled_keys() if self._labels[key].state is AnnotationState.DONE)

    def counts(self, keys: Iterable[str] | None = None) -> NDArray[np.int64]:
        """Pixels of each mask value over these images (default: all), (256,), int64."""
        chosen = self.labelled_keys() if keys is None else [key for key in keys if key in self._labels]
        return sum((self._labels[key].counts for key in chosen), np.zeros(256, np.int64))

    def lacks_background(self, index: int, keys: Iterable[str]) -> bool:
        """Must undrawn pixels of these images stand in for the background `index`?

        One done image says what background is. A first stroke of it does not: until as much background as
        all else together is drawn, so many different things it may be are not among it.
        """
        chosen = tuple(keys)
        counts = self.counts(chosen)
        if any(self._labels[key].state is AnnotationState.DONE for key in chosen if key in self._labels):
            return not counts[index]
        return bool(2 * counts[index] < counts[:UNLABELLED].sum())

    def pixels(self, key: str, scale: float = 1.0, *, of: str | None = None) -> NDArray[np.uint8]:
        """The image resized by `scale`, RGB (h, w, 3), uint8, read-only.

        Of a huge one the part that is looked at is read from disk.

        Args:
            key: the image.
            scale: factor to resize it by.
            of: its file's stamp (`core.images.pages.stamp`), where pixels of an older file will not do. By
                default a file that was replaced is noticed within LOOK_EVERY_S; while the new one cannot be
                read, being written perhaps, the older pixels are given as long as they are kept.

        Raises:
            ImageFileError: it cannot be read.
            MaskFileError: its labels are of another size.
        """
        path = self._labels[key].image_path
        present = self._looked_at(key, path) if of is None else of
        caches = (self._pixels, self._laid_out)
        for cache in caches:
            if (found := cache.get(key, path, scale, present)) is not None:
                return found
        try:
            scaled, on_disk = self._fitting(key, scale)
        except ImageFileError:
            for cache in caches if of is None else ():
                if (older := cache.older(key, path, scale)) is not None:
                    self._looks[key] = self._clock() + LOOK_EVERY_S, older[0]
                    return older[1]
            raise
        scaled.flags.writeable = False
        for cache in caches:
            cache.forget(key, but=present)
        caches[on_disk].add(key, path, scale, present, scaled)
        return scaled

    def _looked_at(self, key: str, path: Path) -> str:
        """The stamp of an image's file, at most LOOK_EVERY_S old."""
        now_s = self._clock()
        again_s, found = self._looks.get(key, (now_s, ""))
        if now_s >= again_s:
            found = stamp(path)
            self._looks[key] = now_s + LOOK_EVERY_S, found
        return found

    def _fitting(self, key: str, scale: float) -> tuple[NDArray[np.uint8], bool]:
        """As `_read`, where the image has the size of its labels. Raises as `pixels`."""
        path = self._labels[key].image_path
        self.check_size(key, image_size(path))
        return self._read(path, scale)

    def check_size(self, key: str, size_hw: tuple[int, int]) -> None:
        """Raise MaskFileError unless an image of this size is what its labels are of."""
        labels = self._labels[key]
        if size_hw != labels.mask.shape:
            (height, width), (mask_height, mask_width) = size_hw, labels.mask.shape
            raise MaskFileError(
                labels.image_path,
                f"the image is {width} x {height} pixels, its labels are {mask_width} x {mask_height};"
                " open it and save its annotation again",
            )

    def _read(self, path: Path, scale: float) -> tuple[NDArray[np.uint8], bool]:
        """The image resized by `scale`, and whether it lies on disk."""
        height, width = scaled_size(image_size(path), scale)
        if scale <= 1 and 3 * height * width > IN_MEMORY_BYTES:
            with open_rows(path) as picture, contextlib.suppress(OSError):  # without room there: in memory
                return laid_out(rows_at(picture, scale), self._folder), True
        return read_resized(path, scale), False

    def digest(self, keys: Iterable[str] | None = None) -> str:
        """Names the training data in a weights header: classes, and the labels of these images."""
        whole = hashlib.blake2b(digest_size=16)
        for label_class in self.classes:
            whole.update(f"{label_class.index} {label_class.name}\n".encode())
        for key in sorted(self.labelled_keys() if keys is None else keys):
            if key in self._labels:
                whole.update(f"{key} {self._labels[key].digest}\n".encode())
        return whole.hexdigest()


def scaled_size(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width after resizing by `scale`, at least one pixel each."""
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def read_resized(path: Path, scale: float) -> NDArray[np.uint8]:
    """Read an image and resize it by `scale`; a huge one is never in memory at its full size.

    Raises:
        ImageFileError: it cannot be read.
    """
    if scale >= 1 or not is_huge(path):
        return resized(read_image(path), scale)
    with open_rows(path) as picture:
        return gathered(rows_at(picture, scale))


def rows_at(picture: PixelRows, scale: float) -> PixelRows:
    """A picture resized by `scale` while its rows are asked for."""
    size_hw = scaled_size(picture.size_hw, scale)
    return picture if size_hw == picture.size_hw else ReducedRows(picture, size_hw)


def resized(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Resize an image (H, W, 3) by averaging, or by interpolation where it grows; a copy."""
    height, width = scaled_size((image.shape[0], image.shape[1]), scale)
    if (height, width) == image.shape[:2]:
        return image.copy()
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)  # type: ignore[return-value]


def resized_mask(mask: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Resize a mask (H, W) without mixing its values."""
    height, width = scaled_size(mask.shape, scale)
    if (height, width) == mask.shape:
        return mask
    # The exact variant keeps pixel centres in place, as the image's resize does.
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)  # type: ignore[return-value]


class _PixelCache:
    """The images used last, up to a number of bytes; each with its file's stamp."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._used = 0
        self._images: OrderedDict[tuple[str, Path, float], tuple[str, NDArray[np.uint8]]] = OrderedDict()

    def get(self, key: str, path: Path, scale: float, of: str) -> NDArray[np.uint8] | None:
        """Pixels of the file with this stamp; None: they are not here."""
        found = self._images.get((key, path, scale))
        if found is None or found[0] != of:
            return None
        self._images.move_to_end((key, path, scale))
        return found[1]

    def older(self, key: str, path: Path, scale: float) -> tuple[str, NDArray[np.uint8]] | None:
        """The file's stamp as it was, and its pixels then; None: they are not here."""
        return self._images.get((key, path, scale))

    def add(self, key: str, path: Path, scale: float, of: str, image: NDArray[np.uint8]) -> None:
        self._images[key, path, scale] = of, image
        self._used += image.nbytes
        while self._used > self._budget and len(self._images) > 1:
            _, (_, dropped) = self._images.popitem(last=False)
            self._used -= dropped.nbytes

    def forget(self, key: str, *, but: str = "") -> None:
        """Drop what is here of an image, but for pixels of the file with this stamp."""
        known = [(entry, of) for entry, (of, _) in self._images.items() if entry[0] == key]
        for entry in (entry for entry, of in known if of != but):
            self._used -= self._images.pop(entry)[1].nbytes
