"""A network of some thousand parameters, and projects of squares for it to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points
from core.learning.config import TrainConfig
from core.project.project import ImageEntry, Project

TINY = TrainConfig(
    model="unet",
    encoder="plain",
    encoder_weights="none",
    model_options=(("encoder_width", 4), ("width", 4)),
    device="cpu",
    threads=1,
    crop=64,
    batch=2,
    image_scale=1.0,
)
"""Takes a few milliseconds a step; without a budget."""


def squares_project(
    root: Path, boxes: list[tuple[int, int, int, int]], *, side: int, labelled: int
) -> list[ImageEntry]:
    """A project of the classes background (0) and square (1).

    Args:
        root: a folder that is not there yet.
        boxes: (left, top, right, bottom) of the bright square in each image, its last pixel included.
        side: of the images, pixels.
        labelled: so many of the images, from the first on, are done.
    """
    (root / "images").mkdir(parents=True)
    for number, (left, top, right, bottom) in enumerate(boxes):
        pixels = np.full((side, side, 3), 40, np.uint8)
        pixels[top : bottom + 1, left : right + 1] = 220
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
    with Project.create(root, classes=("background", "square")) as project:
        entries = list(project.images())
        for entry, (left, top, right, bottom) in list(zip(entries, boxes, strict=True))[:labelled]:
            square = Shape("square", ShapeType.RECTANGLE, frozen_points([(left, top), (right, bottom)]))
            annotation = Annotation(entry.image_path.name, (side, side), (square,), AnnotationState.DONE)
            project.save(entry, annotation, None)
    return entries
