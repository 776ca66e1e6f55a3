"""What shapes cover, as polygons or as pixels, and shapes made of that.

A shape with an area (`AREAL`) combines with others in the way of the first one: a mask pixel by pixel, any
other as geometry. Lines and points have no area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry.base import BaseGeometry

from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.annotation.rasterize import PixelBox, draw_shape
from core.geometry import bounding_box
from core.polygons.boolean import Region, geometry_of, polygonal, regions_of

AREAL: Final = frozenset(
    (
        ShapeType.POLYGON,
        ShapeType.RECTANGLE,
        ShapeType.ORIENTED_RECTANGLE,
        ShapeType.CIRCLE,
        ShapeType.MASK,
    )
)
"""Types of shapes that have an area."""
MOST_PIXELS: Final = 2**29
"""Pixels a mask may have: as many as the largest image."""
_CHORD_ERROR: Final = 0.05
"""How far the sides of a circle's polygon may lie inside the circle, pixels."""


def has_outline(shape: Shape) -> bool:
    """A polygon, a box or a circle: a shape with an area that is no mask."""
    return shape.shape_type in AREAL and shape.shape_type is not ShapeType.MASK


def outline(shape: Shape) -> Points:
    """The outer ring (N, 2) of a shape with an area that is no mask."""
    match shape.shape_type:
        case ShapeType.RECTANGLE:
            (x0, y0), (x1, y1) = shape.points.min(axis=0), shape.points.max(axis=0)
            return frozen_points([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        case ShapeType.CIRCLE:
            radius = float(np.hypot(*(shape.points[1] - shape.points[0])))
            bend = math.acos(1 - min(_CHORD_ERROR / radius, 0.5)) if radius > 0 else math.pi / 4
            turn = np.linspace(0, 2 * math.pi, max(8, math.ceil(math.pi / bend)), endpoint=False)
            return frozen_points(shape.points[0] + radius * np.column_stack([np.cos(turn), np.sin(turn)]))
        case ShapeType.POLYGON | ShapeType.ORIENTED_RECTANGLE:
            return shape.points
        case _:
            raise ValueError(f"a {shape.shape_type.replace('_', ' ')} has no outline")


def geometry(shape: Shape) -> BaseGeometry:
    """What a shape with an area covers, as shapely has it; a mask covers whole pixels."""
    if shape.shape_type is not ShapeType.MASK:
        return geometry_of((outline(shape), shape.holes))
    assert shape.mask is not None, "a mask shape has its mask"
    x0, y0 = np.floor(shape.points.min(axis=0))
    padded = np.pad(shape.mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return polygonal(shapely.union_all(shapely.box(x0 + starts, y0 + rows, x0 + ends, y0 + rows + 1)))


def as_polygons(shape: Shape, regions: Sequence[Region]) -> tuple[Shape, ...]:
    """Polygons with the label and all else of a shape; the first one takes its identity."""
    found = [
        shape.with_(
            shape_type=ShapeType.POLYGON,
            points=frozen_points(outer),
            holes=tuple(frozen_points(hole) for hole in holes),
            mask=None,
        )
        for outer, holes in regions
    ]
    return (*found[:1], *(part.copy() for part in found[1:]))


def pixel_box(shapes: Sequence[Shape]) -> PixelBox:
    """The whole pixels around shapes."""
    boxes = np.array([bounding_box(shape) for shape in shapes])
    x0, y0 = np.floor(boxes[:, :2].min(axis=0)).astype(int).tolist()
    x1, y1 = (np.trunc(boxes[:, 2:].max(axis=0)).astype(int) + 1).tolist()  # -0.5 is drawn at 0
    return x0, y0, x1, y1


def pixels(shape: Shape, box: PixelBox) -> NDArray[np.bool_]:
    """The pixels (h, w) a shape draws within a box: just those that it draws there in the whole image.

    Therefore columns are counted from the image's left border, for Pillow would round edges otherwise. Left
    of it, and where no image reaches, nobody sees that.
    """
    x0, y0, x1, y1 = box
    if x0 < 0 < x1:
        return np.hstack([pixels(shape, (x0, y0, 0, y1)), pixels(shape, (0, y0, x1, y1))])
    left = 0 if x0 >= 0 and x1 * (y1 - y0) <= MOST_PIXELS else x0
    canvas = Image.new("L", (x1 - left, y1 - y0))
    draw_shape(canvas, shape, 1, corner=(left, y0))
    return np.asarray(np.asarray(canvas)[:, x0 - left :] != 0)


def as_mask(shape: Shape, covered: NDArray[np.bool_], corner: tuple[int, int]) -> tuple[Shape, ...]:
    """A mask shape of pixels (h, w) whose first one is at `corner` (x, y); none if no pixel is set."""
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if len(rows) == 0:
        return ()
    (top, bottom), (left, right) = rows[[0, -1]].tolist(), columns[[0, -1]].tolist()
    x, y = corner
    return (
        shape.with_(
            shape_type=ShapeType.MASK,
            points=frozen_points([(x + left, y + top), (x + right, y + bottom)]),
            holes=(),
            mask=covered[top : bottom + 1, left : right + 1].copy(),
        ),
    )


# --- shapes with and against each other -------------------------------------------------------------------


def united(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """What any of the shapes covers, in the way of the first."""
    first = shapes[0]
    if first.shape_type is ShapeType.MASK:
        x0, y0, x1, y1 = box = pixel_box(shapes)
        if (x1 - x0) * (y1 - y0) > MOST_PIXELS:
            raise ValueError("together these shapes span more pixels than a mask can have")
        covered = pixels(first, box)
        for shape in shapes[1:]:
            covered = covered | pixels(shape, box)
        return as_mask(first, covered, box[:2])
    return as_polygons(first, regions_of(shapely.union_all([geometry(shape) for shape in shapes])))


def common(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """What all of the shapes cover, in the way of the first; nothing if that is nothing."""
    first = shapes[0]
    if first.shape_type is ShapeType.MASK:
        box = pixel_box([first])
        shared = pixels(first, box)
        for shape in shapes[1:]:
            shared = shared & pixels(shape, box)
        return as_mask(first, shared, box[:2])
    covered = geometry(first)
    for shape in shapes[1:]:
        covered = polygonal(covered.intersection(geometry(shape)))
    return as_polygons(first, regions_of(covered))


def less(shape: Shape, others: Sequence[Shape]) -> tuple[Shape, ...]:
    """What a shape covers and none of the others does; the shape itself when they leave it whole."""
    if shape.shape_type is ShapeType.MASK:
        box = pixel_box([shape])
        whole = pixels(shape, box)
        taken = np.zeros_like(whole)
        for other in others:
            taken |= pixels(other, box)
        return as_mask(shape, whole & ~taken, box[:2]) if (whole & taken).any() else (shape,)
    whole_area = geometry(shape)
    taken_area = shapely.union_all([geometry(other) for other in others])
    if not regions_of(whole_area.intersection(taken_area)):
        return (shape,)
    return as_polygons(shape, regions_of(whole_area.difference(taken_area)))
