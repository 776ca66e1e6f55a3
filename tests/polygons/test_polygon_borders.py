"""Following a border from one point on it to another."""

from __future__ import annotations

import numpy as np
import pytest

from core.polygons.borders import path_length, trace

SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)


def test_both_ways_round_the_shorter_first() -> None:
    short, long = trace(SQUARE, (5, 0), (10, 4))
    assert short.tolist() == [[10, 0]]
    assert long.tolist() == [[0, 0], [0, 10], [10, 10]]


def test_the_order_is_from_start_to_end() -> None:
    short, long = trace(SQUARE, (10, 4), (5, 0))
    assert short.tolist() == [[10, 0]]
    assert long.tolist() == [[10, 10], [0, 10], [0, 0]]


def test_points_on_vertices_are_not_repeated() -> None:
    short, long = trace(SQUARE, (10, 0), (0, 10))
    assert {tuple(short[0]), tuple(long[0])} == {(0.0, 0.0), (10.0, 10.0)}
    assert len(short) == len(long) == 1


def test_two_points_on_one_edge_have_nothing_between_them_one_way() -> None:
    short, long = trace(SQUARE, (2, 10), (8, 10))
    assert short.shape == (0, 2)
    assert long.tolist() == [[0, 10], [0, 0], [10, 0], [10, 10]]


def test_an_open_line_has_one_way() -> None:
    [way] = trace(SQUARE, (0, 10), (5, 0), closed=False)
    assert way.tolist() == [[10, 10], [10, 0]]
    [back] = trace(SQUARE, (5, 0), (0, 10), closed=False)
    assert back.tolist() == [[10, 0], [10, 10]]


def test_a_point_to_itself_goes_nowhere_or_all_round() -> None:
    short, long = trace(SQUARE, (5, 0), (5, 0))
    assert len(short) == 0
    assert len(long) in (0, 4)


@pytest.mark.parametrize("seed", range(20))
def test_the_two_ways_together_are_the_whole_ring(seed) -> None:
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 37, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(20, 30, (37, 1))
    (a, b), shares = rng.choice(37, 2, replace=False), rng.uniform(0.1, 0.9, 2)
    start = ring[a] + (ring[(a + 1) % 37] - ring[a]) * shares[0]
    end = ring[b] + (ring[(b + 1) % 37] - ring[b]) * shares[1]
    short, long = trace(ring, start, end)
    assert len(short) + len(long) == 37
    both = path_length([start, *short, end]) + path_length([start, *long, end])
    assert both == pytest.approx(path_length([*ring, ring[0]]))
    assert path_length([start, *short, end]) <= path_length([start, *long, end])
