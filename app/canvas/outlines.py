"""What a shape looks like as rings of points, whatever its type. numpy and OpenCV only, no Qt.

Everything the canvas draws or hits goes through `Outline`, so that a new shape type is added here once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from core import geometry
from core.annotation.model import Points, Shape, ShapeType

CIRCLE_SEGMENTS: Final = 96
"""Sides of the polygon that stands for a circle: half a pixel off at a radius of 900 screen pixels."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in image pixels."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A shape as it is drawn.

    Attributes:
        rings: point arrays (N, 2), float64, image pixels. Of a closed outline the first is the outside and
            inside is decided by the even-odd rule.
        closed: the last point joins the first, and there is an inside.
        dots: every point stands alone (types point and points).
        box: bounding box of all rings.
    """

    rings: tuple[Points, ...]
    closed: bool
    dots: bool
    box: Box


def outline_of(shape: Shape) -> Outline:
    """The rings of a shape.

    A shape whose points do not fit its type (a hand-edited file) is drawn as an open line through what
    points it has.
    """
    points = shape.points
    match shape.shape_type:
        case ShapeType.POLYGON:
            return _outline((points, *shape.holes), closed=True)
        case ShapeType.RECTANGLE if len(points) == 2:
            return _outline((rectangle_corners(points),), closed=True)
        case ShapeType.CIRCLE if len(points) == 2:
            return _outline((circle_ring(points),), closed=True)
        case ShapeType.ORIENTED_RECTANGLE:
            return _outline((points,), closed=True)
        case ShapeType.POINT | ShapeType.POINTS:
            return _outline((points,), closed=False, dots=True)
        case ShapeType.MASK if shape.mask is not None and len(points) > 0:
            rings = tuple(ring + np.floor(points.min(axis=0)) for ring in mask_rings(shape.mask))
            return _outline(rings or (points,), closed=bool(rings))
        case ShapeType.LINE | ShapeType.LINESTRIP:
            return _outline((points,), closed=False)
        case ShapeType.RECTANGLE | ShapeType.CIRCLE | ShapeType.MASK:
            return _outline((points,), closed=False)
        case unknown:
            assert_never(unknown)


def outlines_of(shapes: Sequence[Shape]) -> list[Outline]:
    """The rings of many shapes; the boxes of all plain polygons are found together."""
    plain = [_is_plain_polygon(shape) for shape in shapes]
    boxes = iter(_boxes_of([shape.points for shape, is_plain in zip(shapes, plain, strict=True) if is_plain]))
    return [
        Outline((shape.points,), closed=True, dots=False, box=next(boxes)) if is_plain else outline_of(shape)
        for shape, is_plain in zip(shapes, plain, strict=True)
    ]


def _is_plain_polygon(shape: Shape) -> bool:
    return shape.shape_type is ShapeType.POLYGON and not shape.holes and len(shape.points) >= 3


def _boxes_of(rings: Sequence[Points]) -> list[Box]:
    """The boxes of rings that have points; one by one those of ten thousand take a tenth of a second."""
    if not rings:
        return []
    first = np.cumsum([0, *(len(ring) for ring in rings[:-1])])
    points = np.concatenate(rings)
    corners = [np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)]
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.hstack(corners).tolist()]


def rectangle_corners(points: Points) -> Points:
    """Two opposite corners (2, 2) to all four (4, 2), starting with the first and going round."""
    (x0, y0), (x1, y1) = points
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def circle_ring(points: Points) -> Points:
    """Centre and rim point (2, 2) to a polygon (CIRCLE_SEGMENTS, 2)."""
    (cx, cy), (rx, ry) = points
    angle = np.linspace(0, 2 * math.pi, CIRCLE_SEGMENTS, endpoint=False) + math.atan2(ry - cy, rx - cx)
    radius = math.hypot(rx - cx, ry - cy)
    return np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], axis=1)


def mask_rings(mask: NDArray[np.bool_]) -> tuple[Points, ...]:
    """Trace the borders of a bitmap (H, W) exactly along its pixels' edges.

    OpenCV follows pixel centres. On the bitmap doubled in both directions a centre with an even coordinate
    can only lie on a left or top border and an odd one on a right or bottom border, so halving the even ones
    and halving the odd ones upwards lands on the true edge, inner corners included.

    Returns:
        Outer and inner borders alike, each (N, 2) in pixels from the bitmap's corner; by the even-odd rule
        they give the bitmap again.
    """
    doubled = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings = (_corners((contour[:, 0, :] + 1) // 2) for contour in contours)
    return tuple(ring for ring in rings if len(ring) >= 4)


def _corners(ring: NDArray[Any]) -> Points:
    """Drop repeated points, then points on the straight line between their neighbours."""
    ring = ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)]
    before = ring - np.roll(ring, 1, axis=0)
    after = np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    reverses = (before * after).sum(axis=1) < 0
    corners: Points = ring[turns | reverses].astype(np.float64)
    return corners


def _outline(rings: tuple[Points, ...], *, closed: bool, dots: bool = False) -> Outline:
    filled = [ring for ring in rings if len(ring)]
    if not filled:
        return Outline((), closed=False, dots=dots, box=(math.inf, math.inf, -math.inf, -math.inf))
    spread = filled[0] if len(filled) == 1 else np.concatenate(filled)
    x, y = spread[:, 0], spread[:, 1]
    return Outline(
        tuple(filled),
        closed=closed and len(filled[0]) >= 3,
        dots=dots,
        box=(float(x.min()), float(y.min()), float(x.max()), float(y.max())),
    )


def middle_of(outline: Outline) -> tuple[float, float]:
    """A point inside a closed outline, well away from its border: where a name can stand.

    The middle of the box where that is inside; else (rings, crescents) the centre of the largest circle that
    fits inside.
    """
    x0, y0, x1, y1 = outline.box
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    if not outline.closed or contains(outline, *middle):
        return middle
    areas = [
        shapely.make_valid(shapely.Polygon(ring), method="structure", keep_collapsed=False)
        for ring in outline.rings
        if len(ring) >= 3
    ]
    inside = functools.reduce(shapely.symmetric_difference, areas, shapely.Polygon())
    if inside.area == 0:
        return middle
    circle = shapely.maximum_inscribed_circle(inside, tolerance=max(x1 - x0, y1 - y0) / 100)
    x, y = circle.coords[0]
    return x, y


def contains(outline: Outline, x: float, y: float) -> bool:
    """Is the point inside a closed outline (even-odd over all rings)? Open outlines have no inside."""
    x0, y0, x1, y1 = outline.box
    if not (outline.closed and x0 <= x <= x1 and y0 <= y <= y1):
        return False
    return geometry.encloses(outline.rings, (x, y))


def edge_distance(outline: Outline, x: float, y: float) -> float:
    """Distance from the point to the nearest edge or lone point of an outline, pixels."""
    if outline.dots:
        return min((geometry.nearest_vertex(ring, (x, y))[1] for ring in outline.rings), default=math.inf)
    rings = [ring for ring in outline.rings if len(ring) > 1]
    return geometry.distance_to_edges(rings, (x, y), outline.closed)
