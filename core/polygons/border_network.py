"""Ways along the borders of several shapes that touch: from one on to the next."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from core.geometry import Ring
from core.polygons.borders import ON_RING, path_length

Graph = dict[int, dict[int, float]]
"""Length of the piece of border between two points that follow each other, by their numbers."""


def trace_across(rings: Iterable[tuple[Ring, bool]], start: ArrayLike, end: ArrayLike) -> list[Ring]:
    """The ways along rings that touch, from a point on one of them to a point on another.

    Rings touch where a vertex of one lies on the other (within `ON_RING`), or on a vertex of it: there a way
    may go on along the next one.

    Args:
        rings: (N, 2) and whether the last vertex is joined to the first.
        start: a point on one of the rings.
        end: another one.

    Returns:
        The points (M, 2) strictly between, in order: the shortest way, and the shortest that has no piece in
        common with it, if there is one. Nothing when no way leads there.
    """
    points, graph, (first, last) = _network(list(rings), np.array([start, end], dtype=np.float64))
    ways: list[Ring] = []
    while len(ways) < 2 and first != last and (numbers := _shortest(graph, first, last)):
        ways.append(points[numbers[1:-1]])
        for a, b in pairwise(numbers):
            del graph[a][b], graph[b][a]
    whole = [path_length([points[first], *way, points[last]]) for way in ways]
    return [way for _, way in sorted(zip(whole, ways, strict=True), key=lambda pair: pair[0])]


def _network(
    rings: list[tuple[Ring, bool]], ends: NDArray[np.float64]
) -> tuple[Ring, Graph, tuple[int, int]]:
    """All vertices and `ends`, the pieces of border between them, and the numbers of the ends."""
    parts = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring, _ in rings]
    points = np.concatenate([*parts, ends])
    begins = np.cumsum([0, *map(len, parts)])
    starts, stops = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for begin, part, (_, closed) in zip(begins.tolist(), parts, rings, strict=False):
        numbers = np.arange(begin, begin + len(part))
        starts.append(numbers if closed else numbers[:-1])
        stops.append(np.roll(numbers, -1) if closed else numbers[1:])
    edges = np.stack([np.concatenate(starts), np.concatenate(stops)], axis=1)
    same = _merged(points)
    graph: Graph = {}
    for numbers in _along_edges(points, edges):
        for a, b in pairwise(same[numbers].tolist()):
            if a != b:
                length = float(np.hypot(*(points[a] - points[b])))
                graph.setdefault(a, {})[b] = length
                graph.setdefault(b, {})[a] = length
    return points, graph, (int(same[-2]), int(same[-1]))


def _merged(points: Ring) -> NDArray[np.intp]:
    """For each point the first of those that lie where it does."""
    dots = shapely.points(points)
    pairs = shapely.STRtree(dots).query(dots, predicate="dwithin", distance=ON_RING)
    same = np.arange(len(points))
    np.minimum.at(same, pairs[0], pairs[1])
    return same[same]


def _along_edges(points: Ring, edges: NDArray[np.intp]) -> Iterable[NDArray[np.intp]]:
    """For each edge the numbers of the points on it, its ends included, from one end to the other."""
    lines = shapely.linestrings(points[edges])
    on, edge = shapely.STRtree(lines).query(shapely.points(points), predicate="dwithin", distance=ON_RING)
    along = ((points[on] - points[edges[edge, 0]]) * (points[edges[edge, 1]] - points[edges[edge, 0]])).sum(1)
    order = np.lexsort((along, edge))
    return np.split(on[order], np.flatnonzero(np.diff(edge[order])) + 1)


def _shortest(graph: Graph, first: int, last: int) -> list[int]:
    """Dijkstra: the numbers from first to last; empty when there is no way."""
    before: dict[int, int] = {}
    best = {first: 0.0}
    queue = [(0.0, first)]
    while queue:
        length, here = heapq.heappop(queue)
        if here == last:
            numbers = [last]
            while numbers[-1] != first:
                numbers.append(before[numbers[-1]])
            return numbers[::-1]
        if length > best[here]:
            continue
        for there, step in graph.get(here, {}).items():
            if length + step < best.get(there, np.inf):
                best[there], before[there] = length + step, here
                heapq.heappush(queue, (length + step, there))
    return []
