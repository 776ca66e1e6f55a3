"""How many points a shape of each type has in labelme's file, and what to make of another number of them."""

from __future__ import annotations

from typing import Final

from core.annotation.model import Points, ShapeType, frozen_points

_EXACTLY: Final = {
    ShapeType.RECTANGLE: 2,
    ShapeType.ORIENTED_RECTANGLE: 4,
    ShapeType.CIRCLE: 2,
    ShapeType.LINE: 2,
    ShapeType.POINT: 1,
    ShapeType.MASK: 2,
}
_AT_LEAST: Final = {ShapeType.POLYGON: 3, ShapeType.LINESTRIP: 2, ShapeType.POINTS: 1}


def fits(shape_type: ShapeType, count: int) -> bool:
    """Whether a shape of this type can have so many points."""
    at_least = _AT_LEAST.get(shape_type)
    return count == _EXACTLY[shape_type] if at_least is None else count >= at_least


def needed_points(shape_type: ShapeType) -> str:
    """What a shape of this type needs: `a circle needs exactly 2 points`."""
    at_least = _AT_LEAST.get(shape_type)
    count = at_least or _EXACTLY[shape_type]
    points = "1 point" if count == 1 else f"{count} points"
    return f"a {shape_type.replace('_', ' ')} needs {'at least' if at_least else 'exactly'} {points}"


def fitting(shape_type: ShapeType, points: Points) -> tuple[ShapeType, Points] | None:
    """The type that has so many points, for other tools are careless about it; None where there is none."""
    count = len(points)
    if fits(shape_type, count):
        return shape_type, points
    if shape_type in (ShapeType.RECTANGLE, ShapeType.ORIENTED_RECTANGLE) and count >= 3:
        return _from_corners(points)
    if shape_type is ShapeType.LINE and count > 2:
        return ShapeType.LINESTRIP, points
    if shape_type is ShapeType.POINT and count > 1:
        return ShapeType.POINTS, points
    return None


def _from_corners(points: Points) -> tuple[ShapeType, Points]:
    """A rectangle if these are the four corners of an upright one, walked around; else a polygon."""
    corners = points[:-1] if len(points) == 5 and (points[0] == points[-1]).all() else points
    if len(corners) == 4:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
        if (ax == bx and by == cy and cx == dx and dy == ay) or (
            ay == by and bx == cx and cy == dy and dx == ax
        ):
            return ShapeType.RECTANGLE, frozen_points(corners[[0, 2]])
    return ShapeType.POLYGON, points
