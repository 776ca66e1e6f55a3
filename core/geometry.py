"""Plane geometry of rings: areas, hit distances, validity, simplification, and the seams of holes.

numpy and shapely only. A *ring* is an (N, 2) float64 array of x, y in image pixels, not closed: its last
vertex is joined to its first. Distances are in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeAlias

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

Ring: TypeAlias = NDArray[np.float64]
Box: TypeAlias = tuple[float, float, float, float]
"""x0, y0, x1, y1 with x0 <= x1 and y0 <= y1."""

MIN_RING: Final = 3
"""Vertices a ring needs to enclose anything."""


class Outlined(Protocol):
    """What `bounding_box` needs of a shape (`core.annotation.model.Shape` is one)."""

    @property
    def shape_type(self) -> str:
        """The type, by its name in the file."""

    @property
    def points(self) -> Ring:
        """(N, 2) float64."""


# --- measures ---------------------------------------------------------------------------------------------


def polygon_area(points: ArrayLike, holes: Iterable[ArrayLike] = ()) -> float:
    """Area of a ring less the area of its holes, square pixels, never negative."""
    area = abs(_signed_area(_ring(points)))
    return max(0.0, area - sum(abs(_signed_area(_ring(hole))) for hole in holes))


def bounding_box(shape: Outlined) -> Box:
    """Smallest box around a shape's geometry; pen widths and point radii are not part of it.

    Raises:
        ValueError: the shape has no points.
    """
    points = shape.points
    if len(points) == 0:
        raise ValueError(f"a {shape.shape_type} without points has no bounding box")
    if shape.shape_type == "circle" and len(points) > 1:
        (cx, cy), radius = points[0], float(np.hypot(*(points[1] - points[0])))
        return float(cx - radius), float(cy - radius), float(cx + radius), float(cy + radius)
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    if shape.shape_type == "mask":  # its corners are inclusive pixels
        x1, y1 = x1 + 1, y1 + 1
    return float(x0), float(y0), float(x1), float(y1)


# --- picking ----------------------------------------------------------------------------------------------


def distance_to_segment(xy: ArrayLike, a: ArrayLike, b: ArrayLike) -> float:
    """Distance from the point `xy` to the segment from `a` to `b`."""
    point = np.asarray(xy, dtype=np.float64)
    foot = _feet(point, np.atleast_2d(np.asarray(a, np.float64)), np.atleast_2d(np.asarray(b, np.float64)))
    return float(np.hypot(*(foot[0] - point)))


def nearest_vertex(points: ArrayLike, xy: ArrayLike) -> tuple[int, float]:
    """Index of the vertex next to `xy`, and its distance. Raises ValueError without vertices."""
    ring = _ring(points)
    if len(ring) == 0:
        raise ValueError("there is no vertex to find")
    distances = np.hypot(*(ring - np.asarray(xy, dtype=np.float64)).T)
    index = int(distances.argmin())
    return index, float(distances[index])


def nearest_edge(
    points: ArrayLike, xy: ArrayLike, closed: bool = True
) -> tuple[int, float, tuple[float, float]]:
    """The edge next to `xy`: its index, the distance, and the nearest point on it.

    Edge k runs from vertex k to vertex k + 1 (a vertex put there gets index k + 1); the last edge of a
    closed ring returns to vertex 0.

    Raises:
        ValueError: fewer than two vertices.
    """
    ring = _ring(points)
    if len(ring) < 2:
        raise ValueError("an edge needs two vertices")
    point = np.asarray(xy, dtype=np.float64)
    starts, ends = (ring, np.roll(ring, -1, axis=0)) if closed else (ring[:-1], ring[1:])
    feet = _feet(point, starts, ends)
    distances = np.hypot(*(feet - point).T)
    index = int(distances.argmin())
    return index, float(distances[index]), (float(feet[index, 0]), float(feet[index, 1]))


def encloses(rings: Sequence[Ring], xy: ArrayLike) -> bool:
    """Whether `xy` is inside by the even-odd rule over all rings; a thousand holes are looked at together."""
    x, y = np.asarray(xy, dtype=np.float64)
    return _crossings(*_edges(rings), x, y) % 2 == 1


def distance_to_edges(rings: Sequence[Ring], xy: ArrayLike, closed: bool = True) -> float:
    """Distance from `xy` to the nearest edge of all rings; infinite without one."""
    starts, ends = _edges(rings) if closed else _open_edges(rings)
    if len(starts) == 0:
        return math.inf
    point = np.asarray(xy, dtype=np.float64)
    return float(np.hypot(*(_feet(point, starts, ends) - point).T).min())


# --- validity ---------------------------------------------------------------------------------------------


def ring_is_valid(points: ArrayLike) -> bool:
    """Whether a ring has three vertices, encloses an area, and neither crosses nor touches itself."""
    return rings_are_valid(points, ())


def rings_are_valid(outer: ArrayLike, holes: Sequence[ArrayLike]) -> bool:
    """Whether `outer` with `holes` is one simple polygon: holes inside, apart, touching at points at most."""
    rings = [_ring(outer), *(_ring(hole) for hole in holes)]
    if any(len(ring) < MIN_RING or not np.isfinite(ring).all() for ring in rings):
        return False
    polygon = Polygon(rings[0], rings[1:])
    return bool(polygon.is_valid) and polygon.area > 0


def repaired(outer: ArrayLike, holes: Sequence[ArrayLike] = ()) -> list[tuple[Ring, tuple[Ring, ...]]]:
    """The valid polygons, with their holes, that cover what a crossing ring encloses; largest first.

    A valid polygon comes back as it is, vertex for vertex. Nothing comes back if nothing is enclosed.
    """
    first = _ring(outer)
    inner = tuple(_ring(hole) for hole in holes)
    if rings_are_valid(first, inner):
        return [(first, inner)]
    if len(first) < MIN_RING or not np.isfinite(first).all():
        return []
    whole = shapely.make_valid(Polygon(first))
    for hole in inner:
        if len(hole) >= MIN_RING and np.isfinite(hole).all():
            whole = whole.difference(shapely.make_valid(Polygon(hole)))
    return polygons_of(whole)


def polygons_of(geometry: BaseGeometry) -> list[tuple[Ring, tuple[Ring, ...]]]:
    """Outer ring and holes of every polygon in a shapely geometry, largest first; lines are left out."""
    if isinstance(geometry, Polygon):
        parts = [geometry]
    elif isinstance(geometry, MultiPolygon) or geometry.geom_type == "GeometryCollection":
        parts = [part for child in geometry.geoms for part in _polygon_parts(child)]
    else:
        parts = []
    parts = sorted((part for part in parts if part.area > 0), key=lambda part: -part.area)
    return [
        (_open(part.exterior.coords), tuple(_open(interior.coords) for interior in part.interiors))
        for part in parts
    ]


def simplify(points: ArrayLike, tolerance: float) -> Ring:
    """Leave out vertices that lie within `tolerance` pixels of the simplified ring (Douglas-Peucker).

    A valid ring stays valid, and a ring never falls under three vertices.
    """
    ring = _ring(points)
    if tolerance <= 0 or len(ring) <= MIN_RING:
        return ring
    simpler = Polygon(ring).simplify(tolerance, preserve_topology=True)
    if not isinstance(simpler, Polygon) or simpler.is_empty:
        return ring
    result = _open(simpler.exterior.coords)
    return result if len(result) >= MIN_RING else ring


# --- seams ------------------------------------------------------------------------------------------------
#
# A format without holes gets one ring: walk the outer ring to a vertex that can see the hole, cross over,
# walk around the hole, return over the same edge, go on. The two crossings are the seam; it has no width.
# In that ring `ring_starts[k]` is where the walk around hole k begins; it need not begin with vertex 0 of
# the hole, which `first_vertices` tells.


def seam_holes(outer: ArrayLike, holes: Sequence[ArrayLike]) -> tuple[Ring, list[int]]:
    """Join holes to their outer ring by zero-width seams, so that one ring draws the polygon.

    Seams do not leave the polygon when it is valid: each runs from the topmost vertex of a hole to a vertex
    it sees above (D. Eberly, "Triangulation by Ear Clipping", section 5). Upwards because steep seams are
    the ones that other programs draw right: Pillow widens the two edges of a flat one to runs of pixels.

    Returns:
        The ring (N + sum of M + 2 per hole, 2), and for each hole the index where its walk begins;
        `unseam` takes it apart again.
    """
    ring = _ring(outer)
    owner = np.full(len(ring), -1)  # at the start of each walk the hole's number
    inner = [_ring(hole) for hole in holes]
    if any(len(hole) == 0 for hole in inner):
        raise ValueError("a hole needs vertices")
    tops = [int(np.lexsort((hole[:, 0], hole[:, 1]))[0]) for hole in inner]
    # From the top down, so that whatever a hole sees above is part of the ring already.
    for number in sorted(range(len(inner)), key=lambda k: tuple(inner[k][tops[k], ::-1])):
        hole = np.roll(inner[number], -tops[number], axis=0)
        at = _visible_above(ring, hole[0])
        ring = np.insert(ring, at + 1, np.concatenate([hole, hole[:1], ring[at : at + 1]]), axis=0)
        owner = np.insert(owner, at + 1, [number] + [-1] * (len(hole) + 1))
    starts = np.zeros(len(inner), dtype=np.int64)
    heads = np.flatnonzero(owner >= 0)
    starts[owner[heads]] = heads
    return ring, [int(start) for start in starts]


def first_vertices(ring: Ring, ring_starts: Sequence[int], holes: Sequence[Ring]) -> list[int]:
    """For each hole the index of the vertex that its walk in the seamed ring begins with."""
    return [
        int((hole == ring[start]).all(axis=1).argmax())
        for hole, start in zip(holes, ring_starts, strict=True)
    ]


def unseam(
    ring: ArrayLike, ring_starts: Sequence[int], first: Sequence[int] = ()
) -> tuple[Ring, tuple[Ring, ...]] | None:
    """Take a seamed ring apart into its outer ring and holes.

    With `first_vertices` this is the exact inverse of `seam_holes`; without, holes come back with another
    vertex first.

    Returns:
        None when the seams no longer coincide, because somebody moved, added or removed a vertex: the ring
        must then be taken as it is.
    """
    points = _ring(ring)
    if len(set(ring_starts)) != len(ring_starts) or not all(0 < s < len(points) for s in ring_starts):
        return None
    left = np.arange(len(points))
    holes: dict[int, Ring] = {}
    # From the last walk to the first: a hole may hang on another hole, and lies within that one's walk.
    for number in sorted(range(len(ring_starts)), key=lambda k: -ring_starts[k]):
        begin = int(np.searchsorted(left, ring_starts[number]))
        end = _end_of_walk(points[left], begin)
        if end is None or end - begin < MIN_RING:
            return None
        shift = first[number] if len(first) == len(ring_starts) else 0
        holes[number] = np.roll(points[left[begin:end]], shift, axis=0)
        seam_back = begin - 1 if end + 1 == len(left) else begin
        left = np.delete(left, np.s_[seam_back : seam_back + end - begin + 2])
    if len(left) < MIN_RING:
        return None
    return points[left], tuple(holes[number] for number in range(len(ring_starts)))


def _end_of_walk(ring: Ring, begin: int) -> int | None:
    """Index where a walk that begins at `begin` is back, about to return over the seam it came by."""
    after = np.roll(ring, -1, axis=0)
    back = (ring == ring[begin]).all(axis=1) & (after == ring[begin - 1]).all(axis=1)
    ends = np.flatnonzero(back[begin + 1 :])
    return begin + 1 + int(ends[0]) if len(ends) else None


def _visible_above(ring: Ring, point: Ring) -> int:
    """Index of a vertex of `ring` that `point` sees, looking up; the nearest one if it is blind."""
    x, y = point
    starts, ends = ring, np.roll(ring, -1, axis=0)
    (ax, ay), (bx, by) = starts.T, ends.T
    straddles = (np.minimum(ax, bx) <= x) & (np.maximum(ax, bx) >= x) & (ax != bx)
    hits = np.full(len(ring), -np.inf)
    hits[straddles] = ay[straddles] + (x - ax[straddles]) / (bx - ax)[straddles] * (by - ay)[straddles]
    hits[hits > y] = -np.inf
    edge = int(hits.argmax())
    if hits[edge] == -np.inf:  # the hole is not inside the ring: any seam will do
        return nearest_vertex(ring, point)[0]
    hit = np.array([x, hits[edge]])
    for end in (edge, (edge + 1) % len(ring)):
        if (ring[end] == hit).all():
            return end
    # The upper end of that edge is the candidate, unless another vertex stands between.
    candidate = edge if ay[edge] < by[edge] else (edge + 1) % len(ring)
    corner = ring[candidate]
    inside = _in_triangle(ring, point, hit, corner)
    inside[(ring == corner).all(axis=1)] = False
    blockers = np.flatnonzero(inside)
    if len(blockers) == 0:
        return candidate
    offsets = ring[blockers] - point
    angles = np.arctan2(np.abs(offsets[:, 0]), -offsets[:, 1])
    return int(blockers[np.lexsort((-offsets[:, 1], angles))[0]])


def _in_triangle(points: Ring, a: Ring, b: Ring, c: Ring) -> NDArray[np.bool_]:
    """Which points lie in the triangle a, b, c, its boundary included."""

    def side(p: Ring, q: Ring) -> Ring:
        return np.asarray((q[0] - p[0]) * (points[:, 1] - p[1]) - (q[1] - p[1]) * (points[:, 0] - p[0]))

    sides = np.stack([side(a, b), side(b, c), side(c, a)])
    return np.asarray((sides >= 0).all(axis=0) | (sides <= 0).all(axis=0))


# --- small things -----------------------------------------------------------------------------------------


def _ring(points: ArrayLike) -> Ring:
    return np.asarray(points, dtype=np.float64).reshape(-1, 2)


def _open(coordinates: Iterable[Sequence[float]]) -> Ring:
    """A shapely ring without its repeated last vertex."""
    return np.array([(c[0], c[1]) for c in coordinates], dtype=np.float64)[:-1]


def _polygon_parts(geometry: BaseGeometry) -> list[Polygon]:
    if isinstance(geometry, Polygon):
        return [geometry]
    return [part for part in getattr(geometry, "geoms", ()) if isinstance(part, Polygon)]


def _signed_area(ring: Ring) -> float:
    if len(ring) < MIN_RING:
        return 0.0
    x, y = (ring - ring[0]).T  # far from the origin the products would lose digits
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _crossings(starts: Ring, ends: Ring, x: float, y: float) -> int:
    """How many edges a ray from the point to the right crosses."""
    (ax, ay), (bx, by) = starts.T, ends.T
    crosses = (ay > y) != (by > y)
    at = ax[crosses] + (y - ay[crosses]) / (by - ay)[crosses] * (bx - ax)[crosses]
    return int(np.count_nonzero(at > x))


def _edges(rings: Sequence[Ring]) -> tuple[Ring, Ring]:
    """Where the edges of closed rings start and end."""
    if not rings:
        return np.zeros((0, 2)), np.zeros((0, 2))
    starts = np.concatenate(rings)
    ends = np.roll(starts, -1, axis=0)
    counts = np.array([len(ring) for ring in rings])
    lasts = np.cumsum(counts) - 1
    ends[lasts] = starts[lasts - counts + 1]
    return starts, ends


def _open_edges(rings: Sequence[Ring]) -> tuple[Ring, Ring]:
    """Where the edges of open lines start and end."""
    if not rings:
        return np.zeros((0, 2)), np.zeros((0, 2))
    return np.concatenate([ring[:-1] for ring in rings]), np.concatenate([ring[1:] for ring in rings])


def _feet(point: Ring, starts: Ring, ends: Ring) -> Ring:
    """The point of each segment (N, 2) next to `point`."""
    along = ends - starts
    squared = (along**2).sum(axis=1)
    share = ((point - starts) * along).sum(axis=1) / np.where(squared > 0, squared, 1.0)
    return np.asarray(starts + np.clip(share, 0.0, 1.0)[:, None] * along)
