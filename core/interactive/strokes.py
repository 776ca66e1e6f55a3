"""The area a round brush covers. numpy and shapely only."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from core.polygons.boolean import Region, clip, regions_of

_CHORD_PX: Final = 0.15
"""How far the sides of the polygon that stands for the brush's rim may lie inside it."""
_RIM_PX: Final = 0.1
"""How far the outline may lie from the rims of the pieces of the way: it needs fewer corners then."""
_PATH_PX: Final = 0.2
"""How far the simplified way of the brush may lie from the way of the hand: thinner than anyone sees."""


def stroke_region(
    points_xy: ArrayLike, radius: float, *, size_wh: tuple[int, int] | None = None
) -> list[Region]:
    """What a round brush covers on its way, largest piece first.

    Args:
        points_xy: where its middle was (N, 2), image pixels; a single point gives a disc.
        radius: of the brush, image pixels, above 0.
        size_wh: width and height of the image to stay in, if any.

    Returns:
        Outer ring and holes of each piece; a closed stroke has a hole. Nothing outside the image.
    """
    points = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2)
    if len(points) == 0 or radius <= 0 or not np.isfinite(points).all():
        return []
    moved = np.concatenate([[True], (np.diff(points, axis=0) != 0).any(axis=1)])
    points = points[moved]
    regions = regions_of(_covered(points, radius))
    if size_wh is None:
        return regions
    image = (0.0, 0.0, float(size_wh[0]), float(size_wh[1]))
    return [piece for region in regions for piece in clip(region, image)]


def _covered(points: NDArray[np.float64], radius: float) -> shapely.Geometry:
    """Every straight piece of the way for itself, united.

    GEOS's own buffer of a way that turns back within the radius leaves out half of a disc, and takes ten
    times as long for a scribble.
    """
    sides = _segments(radius)
    if len(points) == 1:
        return shapely.Point(points[0]).buffer(radius, quad_segs=sides)
    way = shapely.get_coordinates(shapely.LineString(points).simplify(_PATH_PX))
    pieces = shapely.linestrings(np.stack([way[:-1], way[1:]], axis=1))
    return shapely.union_all(shapely.buffer(pieces, radius, quad_segs=sides)).simplify(_RIM_PX)


def _segments(radius: float) -> int:
    """Sides of a quarter of the rim, so that none lies more than `_CHORD_PX` inside the circle."""
    if radius <= 2 * _CHORD_PX:
        return 2
    return min(24, max(2, math.ceil(math.pi / 4 / math.acos(1 - _CHORD_PX / radius))))
