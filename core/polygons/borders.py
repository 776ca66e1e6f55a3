"""Following a neighbour's border, so that two shapes share it vertex by vertex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from core.geometry import Ring, nearest_edge

ON_RING: Final = 1e-3
"""A point this near, in pixels, lies on a ring: snapped points do, up to rounding."""


def trace(ring: ArrayLike, start: ArrayLike, end: ArrayLike, *, closed: bool = True) -> list[Ring]:
    """The ways along a ring from one point on it to another: the vertices strictly between, in order.

    Args:
        ring: (N, 2), not closed by a repeated vertex.
        start: a point on the ring (the nearest point of the ring counts).
        end: another one.
        closed: whether the last vertex is joined to the first; an open line has but one way.

    Returns:
        Arrays (M, 2), M possibly 0; both ways round, the shorter one first.

    Raises:
        ValueError: the ring has fewer than two vertices.
    """
    points = np.asarray(ring, dtype=np.float64).reshape(-1, 2)
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    first, last = _place(points, a, closed=closed), _place(points, b, closed=closed)
    if not closed:
        if first <= last:
            return [_between(points, first, last, a, b)]
        return [_between(points, last, first, b, a)[::-1]]
    count = len(points)
    onward = _between(points, first, last if last >= first else last + count, a, b)
    back = _between(points, last, first if first >= last else first + count, b, a)[::-1]
    return sorted([onward, back], key=lambda way: path_length([a, *way, b]))


def path_length(points: Sequence[ArrayLike]) -> float:
    """Length of an open line, pixels."""
    steps = np.diff(np.array(points, dtype=np.float64).reshape(-1, 2), axis=0)
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


def _place(ring: Ring, point: Ring, *, closed: bool) -> float:
    """Where on the ring a point lies: the edge's number, and how far along it as a share."""
    edge, _, foot = nearest_edge(ring, point, closed)
    a, b = ring[edge], ring[(edge + 1) % len(ring)]
    length = float(np.hypot(*(b - a)))
    return edge + (float(np.hypot(*(np.array(foot) - a))) / length if length > 0 else 0.0)


def _between(ring: Ring, start: float, end: float, a: Ring, b: Ring) -> Ring:
    """The vertices from place `start` up to place `end`, without those that `a` and `b` stand on."""
    numbers = np.arange(int(np.ceil(start)), int(np.floor(end)) + 1)
    vertices = ring[numbers % len(ring)]
    away = np.minimum(
        np.hypot(*(vertices - a).T),
        np.hypot(*(vertices - b).T),
    )
    return np.asarray(vertices[away > ON_RING])
