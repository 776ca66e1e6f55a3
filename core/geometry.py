"""Plane geometry of rings: areas, hit distances, validity, simplification, and the seams of holes.

numpy and shapely only. A *ring* is an (N, 2) float64 array of x, y in image pixels, not closed: its last
vertex is joined to its first. Distances are in pixels.
"""

from __future__ import annotations

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


def contains(points: ArrayLike, holes: Iterable[ArrayLike], xy: ArrayLike) -> bool:
    """Whether `xy` is inside the ring and in none of its holes (even-odd rule)."""
    x, y = np.asarray(xy, dtype=np.float64)
    if not _encloses(_ring(points), x, y):
        return False
    return not any(_encloses(_ring(hole), x, y) for hole in holes)


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
# `ring_starts[k]` says where in that ring vertex 0 of hole k stands.


def seam_holes(outer: ArrayLike, holes: Sequence[ArrayLike]) -> tuple[Ring, list[int]]:
    """Join holes to their outer ring by zero-width seams, so that one ring draws the polygon.

    Seams do not leave the polygon when it is valid: each runs from the leftmost vertex of a hole to a vertex
    it sees on its left (D. Eberly, "Triangulation by Ear Clipping", section 5).

    Returns:
        The ring (N + sum of M + 2 per hole, 2), and for each hole the index of its first vertex in it;
        `unseam` takes both apart again, exactly.
    """
    ring = _ring(outer)
    owner = np.full(len(ring), -1)  # which hole a vertex came from; -1 the outer ring and seam ends
    vertex = np.full(len(ring), -1)  # its index there
    inner = [_ring(hole) for hole in holes]
    if any(len(hole) == 0 for hole in inner):
        raise ValueError("a hole needs vertices")
    # From left to right, so that whatever a hole sees on its left is part of the ring already.
    for number in sorted(range(len(inner)), key=lambda k: tuple(inner[k].min(axis=0))):
        hole = inner[number]
        first = int(np.lexsort((hole[:, 1], hole[:, 0]))[0])
        order = np.roll(np.arange(len(hole)), -first)
        at = _visible_on_the_left(ring, hole[first])
        run = np.concatenate([hole[order], hole[first : first + 1], ring[at : at + 1]])
        ring = np.insert(ring, at + 1, run, axis=0)
        owner = np.insert(owner, at + 1, [number] * len(hole) + [-1, -1])
        vertex = np.insert(vertex, at + 1, [*order, -1, -1])
    starts = np.zeros(len(inner), dtype=np.int64)
    heads = np.flatnonzero((owner >= 0) & (vertex == 0))
    starts[owner[heads]] = heads
    return ring, [int(start) for start in starts]


def unseam(ring: ArrayLike, ring_starts: Sequence[int]) -> tuple[Ring, tuple[Ring, ...]] | None:
    """Take a seamed ring apart into its outer ring and holes; the inverse of `seam_holes`.

    Returns:
        None when the seams no longer coincide, because somebody moved, added or removed a vertex: the ring
        must then be taken as it is.
    """
    points = _ring(ring)
    if not ring_starts:
        return points, ()
    if len(set(ring_starts)) != len(ring_starts) or not all(0 < s < len(points) for s in ring_starts):
        return None
    runs = [_run_around(points, start) for start in ring_starts]
    alive = np.ones(len(points), dtype=np.bool_)
    holes: dict[int, Ring] = {}
    # Shortest first: a hole may hang on another hole, and is then inside that one's run.
    for number in sorted(range(len(runs)), key=lambda k: _length(runs[k])):
        run = runs[number]
        if run is None:
            return None
        begin, end = run
        members = begin + np.flatnonzero(alive[begin:end])
        head = int(np.searchsorted(members, ring_starts[number]))
        if len(members) < MIN_RING or head == len(members) or members[head] != ring_starts[number]:
            return None
        holes[number] = points[np.roll(members, -head)]
        alive[begin : end + 1] = False
        alive[end + 1 if end + 1 < len(points) else begin - 1] = False
    outer = points[alive]
    if len(outer) < MIN_RING:
        return None
    return outer, tuple(holes[number] for number in range(len(runs)))


def _run_around(points: Ring, start: int) -> tuple[int, int] | None:
    """First and last index of the shortest closed walk around `start` between two coinciding seam edges."""
    count = len(points)
    following = np.roll(points, -1, axis=0)
    for begin in range(start, 0, -1):
        ends = np.arange(start + 1, count)
        same = (points[ends] == points[begin]).all(axis=1) & (following[ends] == points[begin - 1]).all(
            axis=1
        )
        if same.any():
            return begin, int(ends[int(same.argmax())])
    return None


def _length(run: tuple[int, int] | None) -> int:
    return -1 if run is None else run[1] - run[0]


def _visible_on_the_left(ring: Ring, point: Ring) -> int:
    """Index of a vertex of `ring` that `point` sees, looking to the left; the nearest one if it is blind."""
    x, y = point
    starts, ends = ring, np.roll(ring, -1, axis=0)
    (ax, ay), (bx, by) = starts.T, ends.T
    straddles = (np.minimum(ay, by) <= y) & (np.maximum(ay, by) >= y) & (ay != by)
    hits = np.full(len(ring), -np.inf)
    hits[straddles] = ax[straddles] + (y - ay[straddles]) / (by - ay)[straddles] * (bx - ax)[straddles]
    hits[hits > x] = -np.inf
    edge = int(hits.argmax())
    if hits[edge] == -np.inf:  # the hole is not inside the ring: any seam will do
        return nearest_vertex(ring, point)[0]
    hit_x = hits[edge]
    for end in (edge, (edge + 1) % len(ring)):
        if ring[end, 0] == hit_x and ring[end, 1] == y:
            return end
    # The ends of that edge on this side are candidates, unless another vertex stands between.
    candidate = edge if ax[edge] > bx[edge] else (edge + 1) % len(ring)
    corner = ring[candidate]
    inside = _in_triangle(ring, point, np.array([hit_x, y]), corner)
    inside[(ring == corner).all(axis=1)] = False
    blockers = np.flatnonzero(inside)
    if len(blockers) == 0:
        return candidate
    offsets = ring[blockers] - point
    slopes = np.arctan2(np.abs(offsets[:, 1]), -offsets[:, 0])
    return int(blockers[np.lexsort((-offsets[:, 0], slopes))[0]])


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


def _encloses(ring: Ring, x: float, y: float) -> bool:
    if len(ring) < MIN_RING:
        return False
    (ax, ay), (bx, by) = ring.T, np.roll(ring, -1, axis=0).T
    crosses = (ay > y) != (by > y)
    at = ax[crosses] + (y - ay[crosses]) / (by - ay)[crosses] * (bx - ax)[crosses]
    return bool(np.count_nonzero(at > x) % 2)


def _feet(point: Ring, starts: Ring, ends: Ring) -> Ring:
    """The point of each segment (N, 2) next to `point`."""
    along = ends - starts
    squared = (along**2).sum(axis=1)
    share = ((point - starts) * along).sum(axis=1) / np.where(squared > 0, squared, 1.0)
    return np.asarray(starts + np.clip(share, 0.0, 1.0)[:, None] * along)
