"""Predictions as files: index masks, labelme JSON, or overlays to look at."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState, ClassList
from core.annotation.vectorize import vectorize
from core.errors import StorageError
from core.files import write_atomic
from core.learning.predict import PredictedMap
from core.project.mask_file import encode_index_mask

OVERLAY_OPACITY = 0.5
POLYGON_TOLERANCE_PX = 1.0


class PredictionWriter:
    """Writes one file a prediction into a folder; equal stems get a number, nothing is written twice."""

    def __init__(self, out: Path, output_format: str, classes: ClassList) -> None:
        self._out = out
        self._format = output_format
        self._classes = classes
        self._taken: set[str] = set()
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError.from_os_error(out, error) from error

    def write(self, image_path: Path, pixels: NDArray[np.uint8], prediction: PredictedMap) -> Path:
        """Write the prediction of the image (H, W, 3) and say where."""
        target = self._target(image_path.stem, ".json" if self._format == "labelme" else ".png")
        match self._format:
            case "masks":
                data = encode_index_mask(prediction.classes, self._classes)
            case "labelme":
                data = dumps(self._annotation(image_path, prediction.classes))
            case _:
                data = _png(blend(pixels, prediction.classes, self._classes))
        write_atomic(target, data)
        return target

    def _target(self, stem: str, suffix: str) -> Path:
        name = stem
        number = 2
        while name.lower() in self._taken:
            name = f"{stem}_{number}"
            number += 1
        self._taken.add(name.lower())
        return self._out / f"{name}{suffix}"

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
