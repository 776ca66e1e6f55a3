"""The points of a shape that can be grabbed, and the edit that moving one makes. No Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, assert_never

import numpy as np

from app.canvas.outlines import rectangle_corners
from core.annotation.commands import XY, MoveVertex, ReplaceShapes, ShapeEdit
from core.annotation.document import AnnotationDocument
from core.annotation.model import Points, Shape, ShapeType, frozen_points

GRIP_DISTANCE: Final = 22.0
"""How far the handle that turns a rectangle stands off its side, screen pixels."""


def handle_rings(shape: Shape) -> tuple[Points, ...]:
    """Grabbable points by ring, each (N, 2): vertices; all four corners of a rectangle; none of a mask."""
    match shape.shape_type:
        case ShapeType.POLYGON:
            return (shape.points, *shape.holes)
        case ShapeType.RECTANGLE if len(shape.points) == 2:
            return (rectangle_corners(shape.points),)
        case ShapeType.MASK:
            return ()
        case (
            ShapeType.RECTANGLE
            | ShapeType.ORIENTED_RECTANGLE
            | ShapeType.CIRCLE
            | ShapeType.LINE
            | ShapeType.LINESTRIP
            | ShapeType.POINT
            | ShapeType.POINTS
        ):
            return (shape.points,)
        case unknown:
            assert_never(unknown)


def takes_vertices(shape: Shape) -> bool:
    """Can vertices be added to its edges?"""
    return shape.shape_type in (ShapeType.POLYGON, ShapeType.LINESTRIP)


def moves_by_pixels(shapes: Iterable[Shape]) -> bool:
    """Do these shapes move together by whole pixels? A mask among them can be moved by no less."""
    return any(shape.shape_type is ShapeType.MASK for shape in shapes)


def moved_handle(
    document: AnnotationDocument,
    uid: int,
    ring: int,
    index: int,
    to: XY,
    *,
    square_in: tuple[float, float] | None = None,
) -> ShapeEdit:
    """The command that puts a handle at `to`, one step of a drag.

    `square_in`, width and height of the image, keeps a rectangle's sides equal, as far as the image reaches.
    """
    shape = document.get(uid)
    if shape.shape_type is not ShapeType.RECTANGLE or len(shape.points) != 2:
        return MoveVertex.of(document, uid, index, to, ring)
    if square_in is not None:
        to = square_corner(tuple(rectangle_corners(shape.points)[(index + 2) % 4]), to, square_in)
    (x0, y0), (x1, y1) = shape.points.tolist()
    x, y = to
    # Corners go round: 0 and 2 are the stored ones, 1 shares x with 2 and y with 0, 3 the other way.
    points = (
        ((x, y), (x1, y1)),
        ((x0, y), (x, y1)),
        ((x0, y0), (x, y)),
        ((x, y0), (x1, y)),
    )[index]
    resized = shape.with_(points=frozen_points(points))
    return ReplaceShapes.of(document, [resized], title="Resize rectangle", drag=True)


def square_corner(anchor: XY, to: XY, size: tuple[float, float]) -> XY:
    """The corner that makes a square with `anchor`, on the side where `to` is.

    Args:
        anchor: the corner that stays.
        to: where the mouse is; the longer side counts.
        size: width and height of the image the square must stay in.
    """
    dx, dy = to[0] - anchor[0], to[1] - anchor[1]
    room_x = size[0] - anchor[0] if dx >= 0 else anchor[0]
    room_y = size[1] - anchor[1] if dy >= 0 else anchor[1]
    side = min(max(abs(dx), abs(dy)), room_x, room_y)
    return anchor[0] + (side if dx >= 0 else -side), anchor[1] + (side if dy >= 0 else -side)


# --- oriented rectangles ----------------------------------------------------------------------------------


def rectangle_on_side(a: XY, b: XY, to: XY, size: tuple[float, float] | None = None) -> Points:
    """The rectangle (4, 2) with the side a, b that reaches as far as `to`.

    Args:
        a: first end of the side.
        b: its other end.
        to: where the mouse is; only its distance from the side counts.
        size: width and height of the image the corners must stay in, if any.

    Raises:
        ValueError: the side has no length.
    """
    start, end = np.array(a), np.array(b)
    length = math.dist(a, b)
    if length == 0:
        raise ValueError("this side has no length; its ends must differ")
    across = np.array([-(end - start)[1], (end - start)[0]]) / length
    reach = float((np.array(to) - start) @ across)
    if size is not None:
        direction = across if reach >= 0 else -across
        reach = math.copysign(min(abs(reach), *(_room(p, direction, size) for p in (start, end))), reach)
    return np.stack([start, end, end + reach * across, start + reach * across])


def _room(start: Points, direction: Points, size: tuple[float, float]) -> float:
    """How far one can go from a point of the image before leaving it."""
    ways = [
        ((limit - at) if step > 0 else -at) / step
        for at, step, limit in zip(start.tolist(), direction.tolist(), size, strict=True)
        if abs(step) > 1e-9
    ]
    return max(0.0, min(ways, default=math.inf))


def rotation_grip(shape: Shape, scale: float) -> XY | None:
    """Where the handle that turns a shape stands, image pixels; None where a shape cannot be turned.

    Args:
        shape: an oriented rectangle has one, off the middle of its first side.
        scale: screen pixels per image pixel.
    """
    if shape.shape_type is not ShapeType.ORIENTED_RECTANGLE or len(shape.points) != 4:
        return None
    middle = shape.points[:2].mean(axis=0)
    outwards = middle - shape.points.mean(axis=0)
    length = float(np.hypot(*outwards))
    if length == 0:
        return None
    x, y = (middle + outwards / length * GRIP_DISTANCE / scale).tolist()
    return x, y


def rotated(document: AnnotationDocument, uid: int, angle: float) -> ShapeEdit:
    """The command that turns a shape about its middle, `angle` in radians, clockwise on the screen."""
    shape = document.get(uid)
    centre = shape.points.mean(axis=0)
    cos, sin = math.cos(angle), math.sin(angle)
    points = (shape.points - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre
    return ReplaceShapes.of(document, [shape.with_(points=frozen_points(points))], title="Turn rectangle")
