"""The nearest vertex or edge of any shape, also while shapes come, go and change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.geometry import nearest_edge, nearest_vertex
from core.polygons.snapping import CHUNK, Outlines, SnapIndex, VertexRef

SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)


def index_of(*shapes: tuple[int, Outlines]) -> SnapIndex:
    index = SnapIndex()
    index.load(shapes)
    return index


def closed(*rings: np.ndarray) -> Outlines:
    return Outlines(tuple(np.asarray(ring, float) for ring in rings), closed=True)


def test_a_vertex_in_reach_comes_before_a_nearer_edge() -> None:
    index = index_of((7, closed(SQUARE)))
    snap = index.nearest(8.5, 0.1, 2)
    assert snap is not None
    assert (snap.kind, snap.uid, snap.ring, snap.index, snap.xy) == ("vertex", 7, 0, 1, (10.0, 0.0))


def test_between_vertices_the_edge_counts_and_far_away_nothing() -> None:
    index = index_of((7, closed(SQUARE)))
    snap = index.nearest(-1, 5, 2)
    assert snap is not None
    assert (snap.kind, snap.index, snap.xy, snap.distance) == ("edge", 3, (0.0, 5.0), 1.0)
    assert index.nearest(5, 5, 2) is None
    assert SnapIndex().nearest(0, 0, 5) is None


def test_shapes_left_out_do_not_count() -> None:
    index = index_of((1, closed(SQUARE)), (2, closed(SQUARE + 3)))
    snap = index.nearest(0, 0, 6, leave_out={1})
    assert snap is not None
    assert (snap.uid, snap.xy) == (2, (3.0, 3.0))


def test_holes_lines_and_points_count_too() -> None:
    hole = SQUARE / 5 + 4
    line = Outlines((np.array([(50, 0), (60, 0)], float),), closed=False)
    point = Outlines((np.array([(80.0, 0.0)]),), closed=False)
    index = index_of((1, closed(SQUARE, hole)), (2, line), (3, point))
    assert index.nearest(4.2, 4.1, 1).ring == 1
    assert index.nearest(55, 1, 2).xy == (55.0, 0.0)
    assert index.nearest(55, 9, 8) is None  # the line is not closed, and nothing joins line and point
    assert index.nearest(70, 0, 3) is None
    assert index.nearest(80.5, 0, 3).kind == "vertex"


def test_coinciding_vertices_of_neighbours_are_found_exactly() -> None:
    index = index_of(
        (1, closed(SQUARE)),
        (2, closed(SQUARE + np.array((10, 0)))),
        (3, closed(SQUARE + np.array((10.001, 0)))),
    )
    assert index.vertices_at(10, 0) == [VertexRef(1, 0, 1), VertexRef(2, 0, 0)]
    assert index.vertices_at(10, 0, leave_out={1}) == [VertexRef(2, 0, 0)]
    assert index.vertices_at(10, 5) == []


def test_the_rings_through_a_point_are_found() -> None:
    index = index_of((1, closed(SQUARE)), (2, closed(SQUARE + np.array((10, 0)), SQUARE / 5 + (14, 4))))
    assert index.rings_at(10, 5, 1e-3) == {(1, 0), (2, 0)}
    assert index.rings_at(14, 5, 1e-3) == {(2, 1)}
    assert index.rings_at(5, 5, 1e-3) == set()


@pytest.mark.parametrize("count", [3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 1000])
@pytest.mark.parametrize("is_closed", [True, False])
def test_long_rings_have_no_seams_between_their_chunks(count, is_closed) -> None:
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * 100
    index = index_of((1, Outlines((ring,), is_closed)))
    edges = count if is_closed else count - 1
    for edge in range(edges):
        middle = (ring[edge] + ring[(edge + 1) % count]) / 2
        reach = np.hypot(*(ring[1] - ring[0])) * 0.4
        assert index.nearest(*middle, reach).index == edge
        assert index.nearest(*ring[edge], reach).index == edge
    if not is_closed:
        assert index.nearest(*((ring[0] + ring[-1]) / 2), 0.01) is None


points = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6)
edits = st.lists(st.tuples(st.integers(0, 5), st.none() | st.tuples(points, st.booleans())), max_size=20)


@given(edits, st.lists(st.tuples(st.floats(-5, 35), st.floats(-5, 35)), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_after_any_changes_answers_are_those_of_a_plain_search(changes, asked) -> None:
    index, shapes = SnapIndex(), {}
    for uid, shape in changes:
        if shape is None:
            index.drop(uid)
            shapes.pop(uid, None)
        else:
            shapes[uid] = Outlines((np.array(shape[0], float),), shape[1])
            index.put(uid, shapes[uid])
    fresh = index_of(*shapes.items())
    for x, y in asked:
        snap, same = index.nearest(x, y, 4), fresh.nearest(x, y, 4)
        rings = [(s.rings[0], s.closed) for s in shapes.values()]
        vertices = [nearest_vertex(ring, (x, y))[1] for ring, _ in rings]
        edges = [nearest_edge(ring, (x, y), is_closed)[1] for ring, is_closed in rings if len(ring) > 1]
        if min(vertices, default=9) <= 4:
            assert snap.kind == same.kind == "vertex"
            assert snap.distance == same.distance == pytest.approx(min(vertices))
        elif min(edges, default=9) <= 4:
            assert snap.kind == same.kind == "edge"
            assert snap.distance == same.distance == pytest.approx(min(edges))
        else:
            assert snap is None
            assert same is None
