"""Predictions as files: index masks, labelme JSON, overlays or uncertainty; of pictures of any size."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState, ClassList
from core.annotation.vectorize import vectorize
from core.errors import FileProblem, ImageFileError, StorageError
from core.files import TEMPORARY_PREFIX, digest, file_digest
from core.formats.export_folder import ExportFolder
from core.formats.png_stream import PngStream
from core.formats.report import ExportReport
from core.images.reader import HUGE_PIXELS
from core.project.layout import ProjectLayout
from core.project.mask_file import encode_index_mask

OVERLAY_OPACITY: Final = 0.5
POLYGON_TOLERANCE_PX: Final = 1.0
SUFFIXES: Final = {"masks": ".png", "labelme": ".json", "overlay": ".png", "uncertainty": ".png"}
NO_PIXELS: Final = np.empty((0, 0, 3), np.uint8)
"""For files that show nothing of the image itself."""


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """A prediction that only needs to be put in its place.

    Attributes:
        name: below the folder, with `/`.
        digest, size: of its content; size in bytes.
        content: the file, or a hidden one in the folder that has it.
    """

    name: str
    digest: str
    size: int
    content: bytes | Path


class PredictionFiles:
    """Writes one file a prediction into a folder; equal stems get a number, nothing is written twice.

    A file that was there and is not from an earlier prediction or export of the project is left as it is:
    the folder may well be the one with the images or their annotations. What is written is remembered in the
    project.
    """

    def __init__(self, out: Path, output_format: str, classes: ClassList, root: Path | None) -> None:
        """`root` is the project the network comes from, None for a bare file of weights.

        Raises:
            StorageError: the folder cannot be made.
        """
        self.out = out
        self._format = output_format
        self._classes = classes
        self._report = ExportReport()
        self._folder = ExportFolder(None if root is None else ProjectLayout(root), out, self._report)

    @property
    def files(self) -> list[Path]:
        """The files written so far."""
        return self._report.files

    @property
    def problems(self) -> list[FileProblem]:
        """The files that were in the way and have been left as they were."""
        return self._report.problems

    def adopt(self, name: str, content_digest: str) -> None:
        """A file is from an earlier prediction, whoever remembers that: it may be replaced."""
        self._folder.adopt(name, content_digest)

    def write(self, image_path: Path, pixels: NDArray[np.uint8], class_map: NDArray[np.uint8]) -> None:
        """Write the prediction of the image (H, W, 3) at once. Raises StorageError."""
        stem = self._folder.free_stem(image_path)
        begun = self.begin(image_path, stem, (class_map.shape[0], class_map.shape[1]))
        begun.add(pixels, class_map)
        self.put(begun.ready())

    def begin(self, image_path: Path, stem: str, size_hw: tuple[int, int]) -> BegunFile:
        """Start the file of one image; `stem` may have folders before it.

        Raises:
            StorageError: the folder cannot be written.
            ImageFileError: no such file is made of so large an image.
        """
        name = f"{stem}{SUFFIXES[self._format]}"
        target = self.out / name
        if self._format == "labelme":
            return _LabelmeFile(name, image_path, target, size_hw, self._classes)
        if self._format == "uncertainty":
            return _StreamedPicture(name, target, size_hw, None, tinted=False)
        if size_hw[0] * size_hw[1] > HUGE_PIXELS:
            return _StreamedPicture(name, target, size_hw, self._classes, tinted=self._format == "overlay")
        return _Picture(name, size_hw, self._classes, tinted=self._format == "overlay")

    def put(self, ready: ReadyFile) -> bool:
        """Put a file in its place; False if another one is there, which joins `problems`.

        Raises:
            StorageError: the folder cannot be written.
        """
        if isinstance(ready.content, bytes):
            return self._folder.write(ready.name, ready.content)
        return self._folder.place(ready.name, ready.content, ready.digest)


class BegunFile:
    """The file of one prediction, which comes in rows.

    Attributes:
        started: some have come.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = False

    def add(self, pixels: NDArray[np.uint8], class_map: NDArray[np.uint8]) -> None:
        """The next rows: of the image (n, W, 3), and their indices or shades (n, W). Raises StorageError."""
        raise NotImplementedError

    def ready(self) -> ReadyFile:
        """After the last row. Raises StorageError."""
        raise NotImplementedError

    def discard(self) -> None:
        """It will not be finished."""


class _Whole(BegunFile):
    """Keeps the class map, and the image if it is wanted, until it is complete."""

    def __init__(self, name: str, size_hw: tuple[int, int], *, with_pixels: bool) -> None:
        super().__init__(name)
        self._row = 0
        self._map = np.empty(size_hw, np.uint8)
        self._pixels = np.empty((*size_hw, 3), np.uint8) if with_pixels else None

    def add(self, pixels: NDArray[np.uint8], class_map: NDArray[np.uint8]) -> None:
        self.started = True
        rows = slice(self._row, self._row + len(class_map))
        self._map[rows] = class_map
        if self._pixels is not None:
            self._pixels[rows] = pixels
        self._row = rows.stop

    def ready(self) -> ReadyFile:
        data = self._encoded()
        return ReadyFile(self.name, digest(data), len(data), data)

    def _encoded(self) -> bytes:
        raise NotImplementedError


class _Picture(_Whole):
    """An index mask or an overlay."""

    def __init__(self, name: str, size_hw: tuple[int, int], classes: ClassList, *, tinted: bool) -> None:
        super().__init__(name, size_hw, with_pixels=tinted)
        self._classes = classes

    def _encoded(self) -> bytes:
        if self._pixels is None:
            return encode_index_mask(self._map, self._classes)
        buffer = io.BytesIO()
        Image.fromarray(blend(self._pixels, self._map, self._classes)).save(buffer, "PNG")
        return buffer.getvalue()


class _LabelmeFile(_Whole):
    """Polygons, as labelme reads them."""

    def __init__(
        self, name: str, image_path: Path, target: Path, size_hw: tuple[int, int], classes: ClassList
    ) -> None:
        if size_hw[0] * size_hw[1] > HUGE_PIXELS:
            megapixels = HUGE_PIXELS // 10**6
            problem = f"has more than {megapixels} megapixels, too many for labelme files; choose masks"
            raise ImageFileError(image_path, problem)
        super().__init__(name, size_hw, with_pixels=False)
        self._image_path = image_path
        self._target = target
        self._classes = classes

    def _encoded(self) -> bytes:
        shapes = tuple(
            shape
            for shape in vectorize(self._map, self._classes, tolerance=POLYGON_TOLERANCE_PX)
            if self._classes.mask_value(shape.label) != self._classes.background
        )
        image = self._image_path.resolve()
        try:
            image_path = Path(os.path.relpath(image, self._target.parent.resolve())).as_posix()
        except ValueError:  # another drive on Windows: no relative path exists
            image_path = image.as_posix()
        height, width = self._map.shape
        return dumps(Annotation(image_path, (height, width), shapes, AnnotationState.DONE))


class _StreamedPicture(BegunFile):
    """An index mask, an overlay, or without classes a grey picture, which goes to disk as its rows come."""

    def __init__(
        self, name: str, target: Path, size_hw: tuple[int, int], classes: ClassList | None, *, tinted: bool
    ) -> None:
        super().__init__(name)
        self._tint = classes if tinted else None
        self._path = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = PngStream(self._path, size_hw, None if tinted else classes, grey=classes is None)
        except OSError as error:
            raise StorageError.from_os_error(target, error) from error

    def add(self, pixels: NDArray[np.uint8], class_map: NDArray[np.uint8]) -> None:
        self.started = True
        try:
            self._stream.add(class_map if self._tint is None else blend(pixels, class_map, self._tint))
        except OSError as error:
            self.discard()
            raise StorageError.from_os_error(self._path, error) from error

    def ready(self) -> ReadyFile:
        try:
            with self._stream:
                self._stream.finish()
            size = self._path.stat().st_size
        except OSError as error:
            self.discard()
            raise StorageError.from_os_error(self._path, error) from error
        return ReadyFile(self.name, file_digest(self._path) or "", size, self._path)

    def discard(self) -> None:
        with contextlib.suppress(OSError), self._stream:
            pass
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def blend(pixels: NDArray[np.uint8], class_map: NDArray[np.uint8], classes: ClassList) -> NDArray[np.uint8]:
    """Tint an image (H, W, 3) by its class map (H, W); background and unlabelled pixels stay as they are."""
    colors = np.zeros((256, 3), np.float32)
    opacity = np.zeros((256, 1), np.float32)
    for label_class in classes:
        if label_class.index != classes.background:
            colors[label_class.index] = label_class.rgb
            opacity[label_class.index] = OVERLAY_OPACITY
    alpha = opacity[class_map]
    return np.asarray(pixels * (1 - alpha) + colors[class_map] * alpha + 0.5).astype(np.uint8)
