"""Predictions as files: index masks, labelme JSON, or overlays to look at."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState, ClassList
from core.annotation.vectorize import vectorize
from core.errors import FileProblem
from core.formats.export_folder import ExportFolder
from core.formats.report import ExportReport
from core.learning.predict import PredictedMap
from core.project.layout import ProjectLayout
from core.project.mask_file import encode_index_mask

OVERLAY_OPACITY = 0.5
POLYGON_TOLERANCE_PX = 1.0


class PredictionWriter:
    """Writes one file a prediction into a folder; equal stems get a number, nothing is written twice.

    A file that was there and is not from an earlier prediction or export of the project is left as it is:
    the folder may well be the one with the images or their annotations.

    Use it as a context; leaving it remembers in the project what was written.
    """

    def __init__(self, out: Path, output_format: str, classes: ClassList, root: Path | None) -> None:
        """`root` is the project the network comes from, None for a bare file of weights."""
        self._out = out
        self._format = output_format
        self._classes = classes
        self._report = ExportReport()
        self._folder = ExportFolder(None if root is None else ProjectLayout(root), out, self._report)

    def __enter__(self) -> Self:
        self._folder.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._folder.__exit__(kind, error, traceback)

    @property
    def files(self) -> list[Path]:
        """The files written so far."""
        return self._report.files

    @property
    def problems(self) -> list[FileProblem]:
        """The files that were in the way and have been left as they were."""
        return self._report.problems

    def write(self, image_path: Path, pixels: NDArray[np.uint8], prediction: PredictedMap) -> None:
        """Write the prediction of the image (H, W, 3). Raises StorageError when it cannot be written."""
        match self._format:
            case "masks":
                data = encode_index_mask(prediction.classes, self._classes)
            case "labelme":
                data = dumps(self._annotation(image_path, prediction.classes))
            case _:
                data = _png(blend(pixels, prediction.classes, self._classes))
        suffix = ".json" if self._format == "labelme" else ".png"
        self._folder.write(f"{self._folder.free_stem(image_path.stem)}{suffix}", data)

    def _annotation(self, image_path: Path, class_map: NDArray[np.uint8]) -> Annotation:
        shapes = tuple(
            shape
            for shape in vectorize(class_map, self._classes, tolerance=POLYGON_TOLERANCE_PX)
            if self._classes.mask_value(shape.label) != self._classes.background
        )
        try:
            image = Path(os.path.relpath(image_path.resolve(), self._out.resolve())).as_posix()
        except ValueError:  # another drive on Windows: no relative path exists
            image = image_path.resolve().as_posix()
        height, width = class_map.shape
        return Annotation(
            image_path=image, size_hw=(height, width), shapes=shapes, state=AnnotationState.DONE
        )


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


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
