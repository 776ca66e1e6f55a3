"""Shapes to a class mask, drawn as labelme draws them.

Pillow's `ImageDraw` decides which pixels a shape covers: polygons with their boundary, lines ten pixels
wide, points as discs of radius five. It cuts coordinates down to whole pixels, so that any point of the
square [x, x + 1) x [y, y + 1) stands for pixel (x, y).

Inside a hole one sees what lies below; the hole's own outline belongs to the polygon, as its outer boundary
does. (Another reader draws the seamed ring of the file and gets the same, save for single pixels where Pillow
rounds the two edges of a slanted seam.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.annotation.model import UNLABELLED, Annotation, AnnotationState, ClassList, Points, Shape, ShapeType
from core.geometry import bounding_box

LINE_WIDTH: Final = 10
POINT_RADIUS: Final = 5

PixelBox: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; the last column and row are not part of it."""

_LARGEST_ELLIPSE: Final = 100_000.0
"""Radius in pixels up to which Pillow draws in milliseconds; from a million on it takes half a minute."""
_FARTHEST: Final = 2.0**29  # Pillow reckons in 32-bit integers, and with differences of them


def rasterize(
    annotation: Annotation,
    classes: ClassList,
    size_hw: tuple[int, int] | None = None,
    *,
    box: PixelBox | None = None,
) -> NDArray[np.uint8]:
    """Draw the shapes in order, later ones on top.

    Where nothing is drawn a DONE image is background, if the project has one; else UNLABELLED. A shape of the
    label `_background_` draws the background's index, `__ignore__` draws UNLABELLED over whatever is below.
    A shape whose label is no class is left out.

    Args:
        annotation: what to draw.
        classes: the labels' indices.
        size_hw: height and width of the mask; None takes the annotation's.
        box: draw only what lies in this part of the mask; it must lie inside. Equal to cutting the part out
            of the whole mask, at the price of the shapes that touch it and of the box's rows.

    Returns:
        Mask (H, W), or (y1 - y0, x1 - x0) for a box, uint8: class index, or UNLABELLED.

    Raises:
        ValueError: no size is known, or `box` does not lie inside it.
    """
    height, width = _size(annotation, size_hw)
    x0, y0, x1, y1 = box or (0, 0, width, height)
    if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
        raise ValueError(f"the box {box} does not lie inside a mask of {width} x {height} pixels")
    # A canvas of the box's rows alone, but from column 0 on: Pillow steps along an edge from row to row by
    # differences, so that rows may be counted from anywhere, and adds the column in 32 bits, so that columns
    # counted from elsewhere would round edges otherwise.
    canvas = Image.new("L", (x1, y1 - y0), _bottom(annotation.state, classes))
    shapes = annotation.shapes if box is None else touching(annotation.shapes, (x0, y0, x1, y1))
    values = {label: classes.mask_value(label) for label in {shape.label for shape in shapes}}
    for shape in shapes:
        value = values[shape.label]
        if value is not None:
            draw_shape(canvas, shape, value, corner=(0, y0))
    return np.array(canvas if x0 == 0 else canvas.crop((x0, 0, x1, y1 - y0)), dtype=np.uint8)


def shape_mask(shape: Shape, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of one shape (H, W)."""
    canvas = Image.new("L", (size_hw[1], size_hw[0]), 0)
    draw_shape(canvas, shape, 1)
    return np.asarray(np.asarray(canvas) != 0)


def draw_shape(canvas: Image.Image, shape: Shape, value: int, *, corner: tuple[int, int] = (0, 0)) -> None:
    """Paint one shape onto an "L" or "I" image in place; what lies outside is cut off.

    The first pixel of the canvas is pixel `corner` (x, y) of the whole image.
    """
    points = np.clip(shape.points, -_FARTHEST, _FARTHEST)
    pen = ImageDraw.Draw(canvas)
    match shape.shape_type:
        case ShapeType.POLYGON | ShapeType.ORIENTED_RECTANGLE:
            if shape.holes:
                _perforated(canvas, [points, *shape.holes], value, corner)
            else:
                pen.polygon(_flat(_cut_down(points, corner)), fill=value)
        case ShapeType.RECTANGLE:
            ends = np.stack([points.min(axis=0), points.max(axis=0)])
            pen.rectangle(_flat(_cut_down(ends, corner)), fill=value)
        case ShapeType.CIRCLE:
            _disc(canvas, points[0], float(np.hypot(*(points[1] - points[0]))), value, corner)
        case ShapeType.LINE:
            pen.line(_flat(_cut_down(points, corner)), fill=value, width=LINE_WIDTH)
        case ShapeType.LINESTRIP:
            _strip(canvas, points, value, corner)
        case ShapeType.POINT | ShapeType.POINTS:
            for point in points:
                _disc(canvas, point, POINT_RADIUS, value, corner)
        case ShapeType.MASK:
            _paste(canvas, shape, value, corner)


def painted_box(shape: Shape, size_hw: tuple[int, int]) -> PixelBox | None:
    """A box around every pixel a shape paints on a mask of this size; None if it paints none there."""
    left, top, right, bottom = np.floor(_painted_bounds([shape])[0])
    x0, y0 = max(0, int(left)), max(0, int(top))
    x1, y1 = min(size_hw[1], int(right) + 1), min(size_hw[0], int(bottom) + 1)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def changed_box(shapes: Iterable[Shape], size_hw: tuple[int, int]) -> PixelBox | None:
    """One box around all that these shapes (before and after an edit) paint; None if that is nothing."""
    boxes = [box for shape in shapes if (box := painted_box(shape, size_hw)) is not None]
    if not boxes:
        return None
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def touching(shapes: Sequence[Shape], box: PixelBox) -> list[Shape]:
    """The shapes, in their order, that may paint a pixel of the box."""
    return Touching(shapes)(box)


class Touching:
    """Asks of many boxes which of the same shapes, in their order, may paint a pixel of them.

    Args:
        shapes: what they may paint is found once: that of ten thousand takes a hundredth of a second.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._shapes = shapes
        self._bounds = _painted_bounds(shapes).T if shapes else np.zeros((4, 0))

    def __call__(self, box: PixelBox) -> list[Shape]:
        """Those that may paint a pixel of the box."""
        x0, y0, x1, y1 = box
        left, top, right, bottom = self._bounds
        near = (left <= x1) & (top <= y1) & (right >= x0) & (bottom >= y0)
        return [self._shapes[index] for index in np.flatnonzero(near).tolist()]


# --- inside -----------------------------------------------------------------------------------------------


def _size(annotation: Annotation, size_hw: tuple[int, int] | None) -> tuple[int, int]:
    size = size_hw or annotation.size_hw
    if size is None:
        raise ValueError(f"the size of {annotation.image_path} is not known; pass size_hw")
    return size


def _bottom(state: AnnotationState, classes: ClassList) -> int:
    if state is AnnotationState.DONE and classes.background is not None:
        return classes.background
    return UNLABELLED


def _cut_down(points: Points, corner: tuple[int, int]) -> Points:
    """Points as Pillow cuts them down, counted from `corner`: cut down first, for -0.5 becomes 0."""
    return np.asarray(np.trunc(points) - corner)


def _strip(canvas: Image.Image, points: Points, value: int, corner: tuple[int, int]) -> None:
    """Paint a line of several segments, with round corners: without them it has notches where it turns.

    Of a line across a huge image only the segments that may reach the canvas are drawn: rounding a corner
    takes some twenty microseconds.
    """
    line = _cut_down(points, corner)
    upper, lower = np.minimum(line[:-1, 1], line[1:, 1]), np.maximum(line[:-1, 1], line[1:, 1])
    near = np.flatnonzero((upper <= canvas.height + LINE_WIDTH) & (lower >= -LINE_WIDTH))
    if len(near) == 0:
        return
    line = line[near[0] : near[-1] + 2]
    moves = np.append(True, np.diff(line, axis=0).any(axis=1))
    if moves.sum() > 1:  # from a pixel to itself there is no direction, and no corner to round
        line = line[moves]
    ImageDraw.Draw(canvas).line(_flat(line), fill=value, width=LINE_WIDTH, joint="curve")


def _perforated(canvas: Image.Image, rings: Sequence[Points], value: int, corner: tuple[int, int]) -> None:
    """Paint an outer ring less its holes, by way of a mask of its own as small as its box."""
    outer, *holes = (_cut_down(np.clip(ring, -_FARTHEST, _FARTHEST), corner) for ring in rings)
    x0, y0 = np.maximum(outer.min(axis=0), 0).astype(int).tolist()
    x1, y1 = np.minimum(outer.max(axis=0) + 1, (canvas.width, canvas.height)).astype(int).tolist()
    if x0 >= x1 or y0 >= y1:
        return
    inside = Image.new("L", (x1 - x0, y1 - y0), 0)
    pen = ImageDraw.Draw(inside)
    pen.polygon(_flat(outer - (x0, y0)), fill=255)
    for hole in holes:
        pen.polygon(_flat(hole - (x0, y0)), fill=0)
    for hole in holes:  # after all fills: two holes may meet at a pixel of both outlines
        pen.polygon(_flat(hole - (x0, y0)), outline=255)
    canvas.paste(value, (x0, y0), inside)


def _flat(points: Points) -> list[float]:
    return list(points.ravel().tolist())


def _disc(canvas: Image.Image, centre: Points, radius: float, value: int, corner: tuple[int, int]) -> None:
    x, y = centre.tolist()
    if radius > _LARGEST_ELLIPSE:
        left, top = corner
        down, across = np.ogrid[top : top + canvas.height, left : left + canvas.width]
        inside = np.asarray((across - x) ** 2 + (down - y) ** 2 <= radius**2)
        canvas.paste(value, (0, 0), Image.fromarray(inside))
        return
    ends = np.array([[x - radius, y - radius], [x + radius, y + radius]])
    ImageDraw.Draw(canvas).ellipse(_flat(_cut_down(ends, corner)), fill=value)


def _paste(canvas: Image.Image, shape: Shape, value: int, corner: tuple[int, int]) -> None:
    if shape.mask is None:
        raise ValueError("a mask shape needs its mask")
    x, y = (math.floor(least) - first for least, first in zip(shape.points.min(axis=0), corner, strict=True))
    height, width = shape.mask.shape
    if -width < x < canvas.width and -height < y < canvas.height:  # Pillow takes no places far away
        canvas.paste(value, (x, y), Image.fromarray(shape.mask))


def _reach(shape: Shape) -> int:
    """How far beyond its geometry a shape may paint, pixels: its pen, and a pixel for rounding."""
    if shape.shape_type in (ShapeType.LINE, ShapeType.LINESTRIP):
        return LINE_WIDTH + 1
    if shape.shape_type in (ShapeType.POINT, ShapeType.POINTS):
        return POINT_RADIUS + 1
    return 1


def _painted_bounds(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    """Boxes (N, 4) around what shapes may paint; all at once, because there may be ten thousand."""
    counts = np.array([len(shape.points) for shape in shapes])
    points = np.concatenate([shape.points for shape in shapes])
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    reach = np.array([_reach(shape) for shape in shapes], dtype=np.float64)[:, None]
    bounds = np.hstack(
        [np.minimum.reduceat(points, first) - reach, np.maximum.reduceat(points, first) + reach]
    )
    for index, shape in enumerate(shapes):
        if shape.shape_type is ShapeType.CIRCLE:  # the rim is not between its two points
            bounds[index] = bounding_box(shape) + reach[index] * (-1, -1, 1, 1)
    return bounds
