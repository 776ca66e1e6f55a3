"""Following a border from one point on it to another."""

from __future__ import annotations

import numpy as np
import pytest

from core.polygons.border_network import trace_across
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


# --- across several rings ---------------------------------------------------------------------------------

NEXT = np.add(SQUARE, (10, 0))


def test_a_way_goes_on_along_the_next_ring() -> None:
    short, long = trace_across([(SQUARE, True), (NEXT, True)], (5, 0), (15, 0))
    assert short.tolist() == [[10, 0]]
    assert long.tolist() == [[0, 0], [0, 10], [10, 10], [20, 10], [20, 0]]


def test_rings_touch_where_a_vertex_of_one_lies_on_an_edge_of_the_other() -> None:
    lower = np.array([(10, 6), (30, 6), (30, 20), (10, 20)], float)
    [way, *_] = trace_across([(SQUARE, True), (lower, True)], (10, 2), (20, 6))
    assert way.tolist() == [[10, 6]]


def test_rings_apart_have_no_way_between_them() -> None:
    assert trace_across([(SQUARE, True), (np.add(SQUARE, (12, 0)), True)], (5, 0), (15, 0)) == []
    assert trace_across([], (0, 0), (1, 1)) == []


def test_an_open_line_is_a_bridge() -> None:
    bridge = np.array([(10, 5), (15, 7), (20, 5)], float)
    far = np.add(SQUARE, (20, 0))
    [way, *more] = trace_across([(SQUARE, True), (bridge, False), (far, True)], (10, 2), (20, 2))
    assert way.tolist() == [[10, 5], [15, 7], [20, 5]]
    assert more == []


@pytest.mark.parametrize("seed", range(10))
def test_on_one_ring_it_finds_what_following_it_finds(seed) -> None:
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 23, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * rng.uniform(20, 30, (23, 1))
    a, b = rng.choice(23, 2, replace=False)
    for found, known in zip(
        trace_across([(ring, True)], ring[a], ring[b]), trace(ring, ring[a], ring[b]), strict=True
    ):
        assert np.allclose(found, known)
