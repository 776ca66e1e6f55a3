"""Fewer vertices, or softer outlines, of polygons that stay valid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from core.geometry import MIN_RING, Ring, rings_are_valid
from core.polygons.boolean import Region

_MOST_SAMPLES: Final = 50_000
_GIVE_UP_AFTER: Final = 6
"""Halvings of the strength before an outline is left as it is."""


def simplify(region: Region, tolerance: float) -> Region:
    """The region with fewer vertices: what is left out lay within `tolerance` pixels of what stays.

    Douglas-Peucker, with the topology kept: a valid region stays valid, a ring never falls under three
    vertices (around its first vertex, where it is cut open, a ring may move by up to twice the tolerance). A
    region that is not valid comes back as it is.
    """
    outer, holes = region
    if tolerance <= 0 or not rings_are_valid(outer, holes):
        return region
    simpler = Polygon(outer, holes).simplify(tolerance, preserve_topology=True)
    return _checked(simpler, region)


class SharedBorders:
    """Whether neighbours among regions share borders, and none overlap: found out when first asked for."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = regions

    @cached_property
    def found(self) -> bool:
        """Do any two share a border?"""
        if len(self._regions) < 2 or not all(rings_are_valid(*region) for region in self._regions):
            return False
        polygons = [Polygon(*region) for region in self._regions]
        return bool(shapely.coverage_is_valid(polygons)) and _share_borders(polygons)


def simplify_together(
    regions: Sequence[Region], tolerance: float, borders: SharedBorders | None = None
) -> list[Region]:
    """Several regions at once: borders that neighbours share stay shared.

    Where no two of them share a border, or some overlap, each is simplified by itself.

    Args:
        regions: to simplify.
        tolerance: pixels.
        borders: of all regions, where `regions` are but some of them: they come out as they would with all.
    """
    if tolerance > 0 and (borders or SharedBorders(regions)).found:
        # Visvalingam-Whyatt: its tolerance is the square root of the area a vertex may take away.
        simpler = shapely.coverage_simplify([Polygon(*region) for region in regions], tolerance)
        return [_checked(after, before) for after, before in zip(simpler, regions, strict=True)]
    return [simplify(region, tolerance) for region in regions]


def simplify_line(points: Ring, tolerance: float) -> Ring:
    """An open line with fewer vertices; its ends stay."""
    if tolerance <= 0 or len(points) <= 2:
        return points
    return np.array(LineString(points).simplify(tolerance).coords, dtype=np.float64)


def smooth(region: Region, radius: float) -> Region:
    """The region with softer outlines: details smaller than about `radius` pixels go.

    A Gaussian of that width along every ring; no point goes farther than `radius` from where it was. Where
    the result would not be valid, less is done, and at last nothing.
    """
    if radius <= 0 or not rings_are_valid(*region):
        return region
    for _ in range(_GIVE_UP_AFTER):
        rings = [_softened(ring, radius) for ring in (region[0], *region[1])]
        if rings_are_valid(rings[0], rings[1:]):
            return rings[0], tuple(rings[1:])
        radius /= 2
    return region


def _softened(ring: Ring, radius: float) -> Ring:
    """One ring, sampled evenly, low-passed around its length, and thinned out again."""
    closed = np.vstack([ring, ring[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    length = float(along[-1])
    sigma = min(radius, length / 16)  # a small ring keeps its form
    step = max(sigma / 4, length / _MOST_SAMPLES)
    count = max(16, math.ceil(length / step))
    at = np.arange(count) * (length / count)
    samples = np.column_stack([np.interp(at, along, closed[:, axis]) for axis in (0, 1)])
    frequencies = np.fft.rfftfreq(count, d=length / count)  # cycles per pixel
    damping = np.exp(-0.5 * (2 * math.pi * sigma * frequencies) ** 2)[:, None]
    soft = np.fft.irfft(np.fft.rfft(samples, axis=0) * damping, n=count, axis=0)
    moved = soft - samples
    distance = np.hypot(*moved.T)
    moved *= np.minimum(1.0, radius / np.maximum(distance, 1e-12))[:, None]
    dense = Polygon(samples + moved)
    thin = dense.simplify(min(0.25, sigma / 8), preserve_topology=True) if dense.is_valid else dense
    result = np.array(thin.exterior.coords, dtype=np.float64)[:-1]
    return result if len(result) >= MIN_RING else ring


def _share_borders(polygons: Sequence[Polygon]) -> bool:
    tree = shapely.STRtree(polygons)
    first, second = tree.query(polygons, predicate="intersects")
    return any(
        polygons[a].boundary.intersection(polygons[b].boundary).length > 0
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
        if a < b
    )


def _checked(geometry: shapely.Geometry, otherwise: Region) -> Region:
    """Rings of one polygon, if it is one and valid; else what it was."""
    if not isinstance(geometry, Polygon) or geometry.is_empty:
        return otherwise
    outer = np.array(geometry.exterior.coords, dtype=np.float64)[:-1]
    holes = tuple(np.array(ring.coords, dtype=np.float64)[:-1] for ring in geometry.interiors)
    if len(holes) != len(otherwise[1]) or not rings_are_valid(outer, holes):
        return otherwise
    return outer, holes
