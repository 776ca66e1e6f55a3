"""Which object each pixel belongs to: of two polygons of one class that touch, a class mask shows only one.

An instance is what one shape has drawn, or all shapes of one label in one group (labelme's `group_id`): an
object that something else cuts in two is drawn as a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import UNLABELLED, Annotation, ClassList
from core.annotation.rasterize import draw_shape

NONE: Final = 0
"""Number of pixels that belong to no object."""


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """The objects of one image.

    Attributes:
        numbers: (H, W) int32: the number of each pixel's object, from 1; 0 for none.
        values: (N + 1,) uint8: mask value of each number, UNLABELLED for 0.
    """

    numbers: NDArray[np.int32]
    values: NDArray[np.uint8]


def draw_instances(
    annotation: Annotation, classes: ClassList, size_hw: tuple[int, int] | None = None
) -> Instances:
    """Draw the shapes as `rasterize` does, each with a number instead of its class.

    Background and `__ignore__` are no objects, and hide those below them.

    Args:
        annotation: what to draw.
        classes: the labels' indices.
        size_hw: height and width; None takes the annotation's.

    Raises:
        ValueError: no size is known.
    """
    size = size_hw or annotation.size_hw
    if size is None:
        raise ValueError(f"the size of {annotation.image_path} is not known; pass size_hw")
    canvas = Image.new("I", (size[1], size[0]), NONE)
    known: dict[object, int] = {}
    values = [UNLABELLED]
    for shape in annotation.shapes:
        value = classes.mask_value(shape.label)
        if value is None:
            continue
        number = NONE
        if value not in (UNLABELLED, classes.background):
            alone = shape.group_id is None
            number = known.setdefault(shape.uid if alone else (shape.group_id, shape.label), len(values))
            if number == len(values):
                values.append(value)
        draw_shape(canvas, shape, number)
    return Instances(np.array(canvas, np.int32), np.array(values, np.uint8))
