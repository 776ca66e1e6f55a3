"""Polygons with and against each other: unite, subtract, intersect, split, clip.

A *region* is one polygon: its outer ring and its holes, rings as in `core.geometry`. Results are valid
regions, largest first; an operation may leave none, one or several. What comes in may cross itself: it
counts as what it encloses.

Splinters are left out: where two outlines nearly coincide, exact arithmetic leaves pieces far thinner than a
pixel, which nobody sees and everybody stumbles over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from core.geometry import MIN_RING, Box, Ring, polygons_of, repaired, rings_are_valid

Region: TypeAlias = tuple[Ring, tuple[Ring, ...]]
"""Outer ring (N, 2) and holes, each (M, 2)."""

LEAST_AREA: Final = 0.05
"""Pieces smaller than this, in square pixels, are splinters."""
LEAST_WIDTH: Final = 0.05
"""Pieces thinner than this on average, in pixels, are splinters."""
OVERSHOOT: Final = 2.0
"""How far short of the outline, in pixels, a line that splits a polygon may end."""


def geometry_of(region: Region) -> BaseGeometry:
    """A region for shapely, valid; empty when it encloses nothing."""
    outer, holes = region
    if rings_are_valid(outer, holes):
        return Polygon(outer, holes)
    return polygonal(shapely.union_all([Polygon(ring, inner) for ring, inner in repaired(outer, holes)]))


def polygonal(geometry: BaseGeometry) -> BaseGeometry:
    """Only the polygons of a geometry: where outlines touch, an intersection has lines and points as well.

    Those would make the next operation fail.
    """
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type in ("Polygon", "MultiPolygon")]
    return shapely.union_all(parts) if parts else Polygon()


def regions_of(geometry: BaseGeometry) -> list[Region]:
    """The regions of a shapely geometry, largest first, splinters and repeated points left out."""
    found: list[Region] = []
    for outer, holes in polygons_of(geometry):
        region = _without_repeats(outer), tuple(_without_repeats(hole) for hole in holes)
        region = region[0], tuple(hole for hole in region[1] if not _is_splinter(Polygon(hole)))
        sound = [region] if rings_are_valid(*region) else repaired(*region)
        found.extend(part for part in sound if not _is_splinter(Polygon(*part)))
    return found


def union(regions: Iterable[Region]) -> list[Region]:
    """What is covered by any of them."""
    return regions_of(shapely.union_all([geometry_of(region) for region in regions]))


def subtract(region: Region, others: Iterable[Region]) -> list[Region]:
    """What is covered by the first and by none of the others: the free pixels, if the others are taken."""
    taken = shapely.union_all([geometry_of(other) for other in others])
    return regions_of(geometry_of(region).difference(taken))


def intersect(regions: Sequence[Region]) -> list[Region]:
    """What is covered by all of them."""
    if not regions:
        return []
    common = geometry_of(regions[0])
    for region in regions[1:]:
        common = polygonal(common.intersection(geometry_of(region)))
    return regions_of(common)


def fill_holes(region: Region) -> Region:
    """The region without its holes."""
    return region[0], ()


def clip(region: Region, box: Box) -> list[Region]:
    """The part of a region inside a rectangle."""
    return regions_of(geometry_of(region).intersection(shapely.box(*box)))


def split(region: Region, line: ArrayLike) -> list[Region]:
    """The pieces a line (N, 2), straight or bent, cuts a region into.

    An end within `OVERSHOOT` pixels of the outline counts as on it. A line that does not divide the region
    gives it back as one piece.
    """
    whole = geometry_of(region)
    path = np.asarray(line, dtype=np.float64).reshape(-1, 2)
    path = _without_repeats(path, closed=False)
    if len(path) < 2 or whole.is_empty:
        return regions_of(whole)
    knife = LineString(_prolonged(path))
    faces = shapely.polygonize([shapely.union_all([whole.boundary, knife])])
    inside = [face for face in faces.geoms if whole.contains(face.representative_point())]
    pieces = regions_of(shapely.GeometryCollection(inside))
    return pieces if len(pieces) > 1 else regions_of(whole)


def _prolonged(path: Ring) -> Ring:
    """The path with both ends drawn out by `OVERSHOOT` pixels."""
    ends = []
    for end, before in ((path[0], path[1]), (path[-1], path[-2])):
        direction = end - before
        ends.append(end + direction / np.hypot(*direction) * OVERSHOOT)
    return np.vstack([ends[0], path, ends[1]])


def _without_repeats(points: Ring, *, closed: bool = True) -> Ring:
    """The points less those that repeat the one before them."""
    if len(points) <= MIN_RING and closed:
        return points
    keep = (points != np.roll(points, 1, axis=0)).any(axis=1)
    if not closed:
        keep[0] = True
    kept: Ring = points[keep]
    return kept


def _is_splinter(piece: Polygon) -> bool:
    return bool(piece.area < LEAST_AREA or 2 * piece.area < LEAST_WIDTH * piece.length)
