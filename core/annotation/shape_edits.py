"""What commands do to single shapes: pure functions from a shape to the edited one, and what they refuse."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.annotation.model import Points, Shape, ShapeType, frozen_points
from core.geometry import polygon_area, repaired, rings_are_valid

_FEWEST_POINTS: Final = {
    ShapeType.POLYGON: 3,
    ShapeType.RECTANGLE: 2,
    ShapeType.ORIENTED_RECTANGLE: 4,
    ShapeType.CIRCLE: 2,
    ShapeType.LINE: 2,
    ShapeType.LINESTRIP: 2,
    ShapeType.POINT: 1,
    ShapeType.POINTS: 1,
    ShapeType.MASK: 2,
}
_FLAT: Final = 1e-6
"""Square pixels: what encloses less encloses nothing."""
GROWING: Final = (ShapeType.POLYGON, ShapeType.LINESTRIP, ShapeType.POINTS)
"""Types that take any further number of points."""


def mended(shape: Shape) -> tuple[Shape, ...]:
    """The shape itself, or for a polygon that crosses itself the valid polygons that cover the same.

    The largest keeps the shape's uid. Splinters of less than a pixel are left out. Raises ValueError when
    nothing is enclosed.
    """
    if shape.shape_type is not ShapeType.POLYGON:
        return (shape,)
    parts = repaired(shape.points, shape.holes)
    if not parts:
        raise ValueError("the outline encloses nothing; a polygon needs three vertices that are not in line")
    first, *others = [
        shape.with_(points=frozen_points(outer), holes=tuple(frozen_points(hole) for hole in holes))
        for outer, holes in parts
    ]
    return first, *(part.copy() for part in others if polygon_area(part.points, part.holes) >= 1.0)


def translated(shape: Shape, offset: Points) -> Shape:
    """The shape moved by an offset (2,) in pixels; a mask moves by whole pixels."""
    step = np.round(offset) if shape.shape_type is ShapeType.MASK else offset
    return shape.with_(
        points=frozen_points(shape.points + step),
        holes=tuple(frozen_points(hole + step) for hole in shape.holes),
    )


def ring_of(shape: Shape, ring: int, vertex: int = 0) -> Points:
    """The outline or a hole; ValueError when there is no such ring or vertex."""
    rings = (shape.points, *shape.holes)
    if not 0 <= ring < len(rings):
        raise ValueError(f"this shape has no ring {ring}")
    if not 0 <= vertex < len(rings[ring]):
        raise ValueError(f"ring {ring} of this shape has no vertex {vertex}")
    return rings[ring]


def with_ring(shape: Shape, ring: int, points: Points) -> Shape:
    """The shape with another outline (ring 0) or another hole ring - 1."""
    frozen = frozen_points(points)
    if ring == 0:
        return shape.with_(points=frozen)
    holes = list(shape.holes)
    holes[ring - 1] = frozen
    return shape.with_(holes=tuple(holes))


def with_vertex(shape: Shape, ring: int, vertex: int, to: tuple[float, float]) -> Shape:
    """The shape with one vertex at `to`.

    The corner of an oriented rectangle takes its neighbours along, the centre of a circle its rim.
    """
    if shape.shape_type is ShapeType.MASK:
        raise ValueError("a mask has no vertices to move; move the whole shape")
    points = ring_of(shape, ring, vertex).copy()
    if shape.shape_type is ShapeType.ORIENTED_RECTANGLE:
        move_corner(points, vertex, np.asarray(to, dtype=np.float64))
    elif shape.shape_type is ShapeType.CIRCLE and vertex == 0:
        points += np.asarray(to) - points[0]
    else:
        points[vertex] = to
    return with_ring(shape, ring, points)


def move_corner(points: Points, corner: int, to: Points) -> None:
    """Move a corner of an oriented rectangle (4, 2) in place; the opposite corner and the angles stay."""
    opposite = (corner + 2) % 4
    reach = to - points[opposite]
    for neighbour in ((corner + 1) % 4, (corner + 3) % 4):
        side = points[neighbour] - points[opposite]
        length = float(np.hypot(*side))
        if length == 0:
            raise ValueError("this rectangle has no width; draw it again")
        direction = side / length
        points[neighbour] = points[opposite] + (reach @ direction) * direction
    points[corner] = to


def check_points(shape: Shape) -> None:
    """Raise ValueError for a shape that lacks points or its mask, or has a coordinate that is no number."""
    fewest = _FEWEST_POINTS[shape.shape_type]
    kind = shape.shape_type.replace("_", " ")
    if len(shape.points) < fewest:
        raise ValueError(f"a {kind} needs at least {_numbered(fewest)}, not {len(shape.points)}")
    if any(len(hole) < 3 for hole in shape.holes):
        raise ValueError("a hole needs at least 3 points; fill it instead")
    if not all(np.isfinite(ring).all() for ring in (shape.points, *shape.holes)):
        raise ValueError(f"a {kind} has a coordinate that is not a number")
    if shape.shape_type is ShapeType.MASK and shape.mask is None:
        raise ValueError("a mask shape needs its mask")


def checked(before: Shape, after: Shape) -> tuple[Shape, Shape]:
    """The pair, if the edit is allowed; else ValueError with the reason.

    A polygon that was valid must stay so. A foreign one that crosses itself may go on doing so.
    """
    check_points(after)
    if (
        after.shape_type is ShapeType.POLYGON
        and not rings_are_valid(after.points, after.holes)
        and (before.shape_type is not ShapeType.POLYGON or rings_are_valid(before.points, before.holes))
    ):
        raise ValueError("the polygon would cross itself or its holes")
    if _is_flat(after) and not _is_flat(before):
        raise ValueError(f"nothing of the {after.shape_type.replace('_', ' ')} would be left")
    return before, after


def _is_flat(shape: Shape) -> bool:
    """A box or a circle without an inside: its handles lie on one another and cannot be told apart."""
    match shape.shape_type:
        case ShapeType.RECTANGLE:
            return bool((np.ptp(shape.points, axis=0) == 0).any())
        case ShapeType.ORIENTED_RECTANGLE:
            return polygon_area(shape.points) < _FLAT
        case ShapeType.CIRCLE:
            return bool((shape.points[0] == shape.points[1]).all())
        case _:
            return False


def _numbered(count: int) -> str:
    return "1 point" if count == 1 else f"{count} points"
