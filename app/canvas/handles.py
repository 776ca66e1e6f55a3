"""The points of a shape that can be grabbed, and the edit that moving one makes. No Qt."""

from __future__ import annotations

from typing import assert_never

from app.canvas.outlines import rectangle_corners
from core.annotation.commands import XY, MoveVertex, ReplaceShapes, ShapeEdit
from core.annotation.document import AnnotationDocument
from core.annotation.model import Points, Shape, ShapeType, frozen_points


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


def moved_handle(
    document: AnnotationDocument, uid: int, ring: int, index: int, to: XY, *, square: bool = False
) -> ShapeEdit:
    """The command that puts a handle at `to`; `square` keeps a rectangle's sides equal."""
    shape = document.get(uid)
    if shape.shape_type is not ShapeType.RECTANGLE or len(shape.points) != 2:
        return MoveVertex.of(document, uid, index, to, ring)
    if square:
        to = square_corner(tuple(rectangle_corners(shape.points)[(index + 2) % 4]), to)
    (x0, y0), (x1, y1) = shape.points.tolist()
    x, y = to
    # Corners go round: 0 and 2 are the stored ones, 1 shares x with 2 and y with 0, 3 the other way.
    points = (
        ((x, y), (x1, y1)),
        ((x0, y), (x, y1)),
        ((x0, y0), (x, y)),
        ((x, y0), (x1, y)),
    )[index]
    return ReplaceShapes.of(document, [shape.with_(points=frozen_points(points))], title="Resize rectangle")


def square_corner(anchor: XY, to: XY, size: tuple[float, float] | None = None) -> XY:
    """The corner that makes a square with `anchor`, on the side where `to` is.

    Args:
        anchor: the corner that stays.
        to: where the mouse is; the longer side counts.
        size: width and height of the image the square must stay in, if any.
    """
    dx, dy = to[0] - anchor[0], to[1] - anchor[1]
    side = max(abs(dx), abs(dy))
    if size is not None:
        room_x = size[0] - anchor[0] if dx >= 0 else anchor[0]
        room_y = size[1] - anchor[1] if dy >= 0 else anchor[1]
        side = min(side, room_x, room_y)
    return anchor[0] + (side if dx >= 0 else -side), anchor[1] + (side if dy >= 0 else -side)
