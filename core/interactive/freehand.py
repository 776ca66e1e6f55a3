"""From a line drawn by hand to the area it goes around. numpy and shapely only."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from core.geometry import Ring, polygons_of, simplify

_SPLINTER: Final = 0.01
"""Parts under this share of the largest one are wobbles of the hand where the line crosses itself."""

_NOTHING: Final = 1e-9
"""Square pixels. Faces smaller than this are rounding."""


def enclosed(points_xy: Ring, tolerance: float) -> list[tuple[Ring, tuple[Ring, ...]]]:
    """What a closed line goes around, whichever way it crosses itself: largest part first.

    A hand overshoots the point where it began. The even-odd rule would cut out what is enclosed twice
    there; so each face of the line counts that is wound about at all (nonzero winding).

    Args:
        points_xy: the line (N, 2), image pixels; its last point is joined to its first.
        tolerance: how far the simplified outline may lie from the line, pixels.

    Returns:
        Outer ring and holes of each part, simple and valid; nothing when nothing is enclosed.
    """
    line = simplify(points_xy, tolerance)
    if len(line) < 3 or not np.isfinite(line).all():
        return []
    if shapely.is_valid(whole := shapely.Polygon(line)):
        return polygons_of(whole)
    noded = shapely.union_all([shapely.LinearRing(line)])  # `node` gives up where lines nearly coincide
    faces = shapely.get_parts(shapely.polygonize([noded]))
    solid = [face for face in faces if face.area > _NOTHING]
    inside = [face for face in solid if _winding(line, shapely.point_on_surface(face)) != 0]
    parts = polygons_of(shapely.union_all(inside))
    least = shapely.Polygon(*parts[0]).area * _SPLINTER if parts else 0.0
    return [part for part in parts if shapely.Polygon(*part).area >= least]


def _winding(ring: Ring, point: shapely.Point) -> int:
    """How often a closed line goes around a point, counted with its sense."""
    x, y = point.x, point.y
    (ax, ay), (bx, by) = ring.T, np.roll(ring, -1, axis=0).T
    side: NDArray[np.float64] = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
    up = (ay <= y) & (by > y) & (side > 0)
    down = (ay > y) & (by <= y) & (side < 0)
    return int(np.count_nonzero(up)) - int(np.count_nonzero(down))
