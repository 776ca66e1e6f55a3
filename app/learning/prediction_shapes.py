"""From what the network predicts to shapes a person can edit. No Qt: runs in a worker.

A person's label beats a prediction: only pixels that no shape draws yet become shapes, and those go to the
bottom of the stack, so that not even a simplified outline can cover what was drawn before.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.commands import AddShapes, Command, Composite, SetState
from core.annotation.document import AnnotationDocument
from core.annotation.model import (
    BACKGROUND_LABEL,
    UNLABELLED,
    Annotation,
    AnnotationState,
    ClassList,
    LabelClass,
    Shape,
)
from core.annotation.rasterize import draw_shape
from core.annotation.vectorize import connected_region, region_shapes
from core.errors import MaskloopError

TOLERANCE_PX: Final = 0.7
"""Outlines may leave the predicted boundary by this much: far fewer vertices, corners of a pixel survive."""
SMALLEST_PX: Final = 20
"""Predicted regions with fewer pixels are specks."""
RIM_PX: Final = 5
"""What is thinner than this along a person's shape is a difference of opinion about its outline."""


class NothingToAcceptError(MaskloopError):
    """There is no predicted region that could become a shape; the message says why."""


def shapes_of_region(
    predicted: NDArray[np.uint8],
    annotation: Annotation,
    classes: ClassList,
    x: int,
    y: int,
    label: str | None = None,
    *,
    partly: bool = False,
) -> tuple[Shape, ...]:
    """Shapes of the predicted region at a pixel, without what is drawn already; large ones first.

    Args:
        predicted: class indices (H, W), uint8.
        annotation: what is drawn.
        classes: the project's.
        x: column of the pixel.
        y: its row.
        label: another class name than the predicted one; needed where background is predicted.
        partly: what is UNLABELLED in `predicted` is still being predicted.

    Raises:
        NothingToAcceptError: outside the image, background without a `label`, drawn already, or only a piece
            of it is known yet.
    """
    height, width = predicted.shape
    if not (0 <= x < width and 0 <= y < height):
        raise NothingToAcceptError("There is nothing to accept outside the image.")
    found = classes.by_index(int(predicted[y, x]))
    if label is None:
        if found is None:
            raise NothingToAcceptError(
                "The class predicted here is not in the project any more; train again."
            )
        if found.index == classes.background:
            raise NothingToAcceptError(f"Only {found.name} is predicted here; click a predicted region.")
        label = found.name
    elif (named := classes.by_name(label)) is not None:
        label = _label_of(named, classes)
    region = connected_region(predicted, x, y)
    if partly and (_beside(region) & (predicted == UNLABELLED)).any():
        raise NothingToAcceptError("The rest of this region is still being predicted.")
    drawn = drawn_pixels(annotation, (height, width))
    if not (region & drawn).any():
        return region_shapes(region, label, TOLERANCE_PX)
    free = region & ~drawn
    parts = _worthwhile(free, drawn)
    if free[y, x]:
        parts |= connected_region(free.astype(np.uint8), x, y)  # whatever its form: it was clicked
    if not parts.any():
        raise NothingToAcceptError("The region predicted here is labelled already.")
    return region_shapes(parts, label, TOLERANCE_PX)


def shapes_of_all(
    predicted: NDArray[np.uint8], annotation: Annotation, classes: ClassList
) -> tuple[Shape, ...]:
    """Shapes of every predicted region but background, without specks and what is drawn already.

    Raises:
        NothingToAcceptError: the image is done, or nothing is left.
    """
    if annotation.state is AnnotationState.DONE:
        raise NothingToAcceptError(
            "This image is marked as done: nothing is missing in it. Mark it as in progress first."
        )
    drawn = drawn_pixels(annotation, (predicted.shape[0], predicted.shape[1]))
    shapes: list[Shape] = []
    for label_class in classes:
        if label_class.index == classes.background:
            continue
        free = (predicted == label_class.index) & ~drawn
        shapes += region_shapes(_worthwhile(free, drawn), label_class.name, TOLERANCE_PX)
    if not shapes:
        raise NothingToAcceptError("There is nothing to accept: all that is predicted is labelled already.")
    return tuple(shapes)


def accepting(document: AnnotationDocument, shapes: tuple[Shape, ...]) -> Command:
    """The one undoable command that puts accepted shapes below everything a person has drawn."""
    add = AddShapes(shapes, 0)
    title = "Accept prediction" if len(shapes) == 1 else f"Accept {len(shapes)} predicted regions"
    if document.state is not AnnotationState.UNLABELLED:
        return Composite(title, (add,))
    return Composite(title, (add, SetState.of(document, AnnotationState.IN_PROGRESS)))


def drawn_pixels(annotation: Annotation, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels (H, W) that any shape paints, background and ignored areas included."""
    canvas = Image.new("L", (size_hw[1], size_hw[0]), 0)
    for shape in annotation.shapes:
        draw_shape(canvas, shape, 1)
    return np.asarray(np.asarray(canvas) != 0)


def _label_of(label_class: LabelClass, classes: ClassList) -> str:
    return BACKGROUND_LABEL if label_class.index == classes.background else label_class.name


def _worthwhile(free: NDArray[np.bool_], drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`free` (H, W) without the connected parts that are specks or thin rims of what is drawn."""
    pixels = free.astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    touching = np.zeros(count, np.bool_)
    touching[parts[_beside(drawn) & free]] = True
    # The frame counts as inside: a region cut off by the image's edge is not thin for that.
    core = cv2.erode(pixels, np.ones((RIM_PX, RIM_PX), np.uint8), borderType=cv2.BORDER_REPLICATE)
    thick = np.zeros(count, np.bool_)
    thick[parts[core != 0]] = True
    kept = (stats[:, cv2.CC_STAT_AREA] >= SMALLEST_PX) & (thick | ~touching)
    kept[0] = False  # what is not free
    return np.asarray(kept[parts])


def _beside(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """These pixels (H, W) and their neighbours, diagonal ones too."""
    return np.asarray(cv2.dilate(pixels.astype(np.uint8), np.ones((3, 3), np.uint8)) != 0)
