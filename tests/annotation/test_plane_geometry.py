"""Rings: areas, picking, validity, mending, and the seams that hide holes in one ring."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon

from core import geometry
from core.annotation.model import Shape, ShapeType, frozen_points

SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], dtype=float)
HOLE = np.array([(2, 2), (2, 4), (4, 4), (4, 2)], dtype=float)
BOWTIE = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], dtype=float)


def test_area_is_the_same_whichever_way_a_ring_runs_and_leaves_holes_out() -> None:
    assert geometry.polygon_area(SQUARE) == 100
    assert geometry.polygon_area(SQUARE[::-1]) == 100
    assert geometry.polygon_area(SQUARE, [HOLE]) == 96
    assert geometry.polygon_area(SQUARE + 1e8) == pytest.approx(100)
    assert geometry.polygon_area(SQUARE[:2]) == 0


def test_distance_to_a_segment_is_to_its_nearest_point() -> None:
    assert geometry.distance_to_segment((5, 3), (0, 0), (10, 0)) == 3
    assert geometry.distance_to_segment((13, 4), (0, 0), (10, 0)) == 5
    assert geometry.distance_to_segment((3, 4), (0, 0), (0, 0)) == 5


def test_nearest_vertex_and_edge_tell_where_a_click_would_go() -> None:
    assert geometry.nearest_vertex(SQUARE, (9, 2)) == (1, pytest.approx(np.hypot(1, 2)))
    assert geometry.nearest_edge(SQUARE, (-2, 5)) == (3, 2, (0, 5))
    # An open line has no edge back to its start.
    assert geometry.nearest_edge(SQUARE, (-2, 5), closed=False)[0] in (0, 2)
    with pytest.raises(ValueError, match="no vertex"):
        geometry.nearest_vertex(np.empty((0, 2)), (0, 0))
    with pytest.raises(ValueError, match="two vertices"):
        geometry.nearest_edge(SQUARE[:1], (0, 0))


def test_a_point_in_a_hole_is_not_in_the_polygon() -> None:
    assert geometry.encloses([SQUARE], (3, 3))
    assert not geometry.encloses([SQUARE, HOLE], (3, 3))
    assert geometry.encloses([SQUARE, HOLE], (5, 5))
    assert not geometry.encloses([SQUARE, HOLE], (11, 5))


@pytest.mark.parametrize(
    ("shape_type", "points", "box"),
    [
        (ShapeType.POLYGON, [(1, 2), (5, 3), (2, 8)], (1, 2, 5, 8)),
        (ShapeType.RECTANGLE, [(5, 8), (1, 2)], (1, 2, 5, 8)),
        (ShapeType.CIRCLE, [(5, 5), (8, 9)], (0, 0, 10, 10)),
        (ShapeType.MASK, [(1, 2), (3, 4)], (1, 2, 4, 5)),
    ],
)
def test_bounding_box_knows_how_points_are_meant(shape_type, points, box) -> None:
    assert geometry.bounding_box(Shape("a", shape_type, frozen_points(points))) == box


def test_crossing_flat_and_short_rings_are_not_valid() -> None:
    assert geometry.ring_is_valid(SQUARE)
    assert not geometry.ring_is_valid(BOWTIE)
    assert not geometry.ring_is_valid(SQUARE[:2])
    assert not geometry.ring_is_valid([(0, 0), (5, 5), (10, 10)])
    assert not geometry.ring_is_valid([(0, 0), (5, float("nan")), (10, 0)])


def test_holes_must_lie_inside_and_apart() -> None:
    assert geometry.rings_are_valid(SQUARE, [HOLE])
    assert geometry.rings_are_valid(SQUARE, [HOLE, HOLE + 4])
    assert not geometry.rings_are_valid(SQUARE, [HOLE + 20])
    assert not geometry.rings_are_valid(SQUARE, [HOLE + 7])
    assert not geometry.rings_are_valid(SQUARE, [HOLE, HOLE + 1])


def test_mending_a_bowtie_gives_its_two_wings() -> None:
    parts = geometry.repaired(BOWTIE)
    assert len(parts) == 2
    assert all(geometry.rings_are_valid(outer, holes) for outer, holes in parts)
    assert sum(geometry.polygon_area(outer, holes) for outer, holes in parts) == pytest.approx(50)


def test_mending_leaves_a_valid_polygon_alone_and_gives_nothing_for_nothing() -> None:
    [(outer, (hole,))] = geometry.repaired(SQUARE, [HOLE])
    assert np.array_equal(outer, SQUARE)
    assert np.array_equal(hole, HOLE)
    assert geometry.repaired([(0, 0), (5, 5)]) == []
    assert geometry.repaired([(0, 0), (5, 5), (10, 10)]) == []


def test_mending_cuts_off_the_part_of_a_hole_that_leaves_its_polygon() -> None:
    [(outer, holes)] = geometry.repaired(SQUARE, [HOLE - (3, 0)])
    assert geometry.rings_are_valid(outer, holes)
    assert geometry.polygon_area(outer, holes) == pytest.approx(100 - 2)


def test_simplifying_drops_what_lies_within_the_tolerance_only() -> None:
    bumpy = np.array([(0, 0), (5, 0.3), (10, 0), (10, 10), (5, 7), (0, 10)])
    simpler = geometry.simplify(bumpy, 0.5)
    assert sorted(map(tuple, simpler)) == [(0, 0), (0, 10), (5, 7), (10, 0), (10, 10)]
    assert np.array_equal(geometry.simplify(bumpy, 0), bumpy)
    assert len(geometry.simplify(SQUARE, 1000)) >= 3


# --- seams ------------------------------------------------------------------------------------------------


def apart(outer, holes):
    ring, starts = geometry.seam_holes(outer, holes)
    return geometry.unseam(ring, starts, geometry.first_vertices(ring, starts, holes))


def assert_same(parts, outer, holes) -> None:
    assert parts is not None
    assert np.array_equal(parts[0], outer)
    assert len(parts[1]) == len(holes)
    for found, expected in zip(parts[1], holes, strict=True):
        assert np.array_equal(found, expected)


@st.composite
def polygons_with_holes(draw):
    """A convex outline with star-shaped holes in cells of a grid, so that some hide behind others."""
    cells = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), unique=True, max_size=9))
    holes = []
    for column, row in cells:
        count = draw(st.integers(3, 8))
        phase = draw(st.floats(0, 6))
        radii = np.array(draw(st.lists(st.floats(1, 4.5), min_size=count, max_size=count)))
        angles = phase + 2 * np.pi * np.arange(count) / count
        centre = np.array([10 * column + 5, 10 * row + 5])
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] + centre
        holes.append(ring)
    corners = draw(st.integers(3, 12))
    angles = 2 * np.pi * np.arange(corners) / corners
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 90 + 25
    return np.roll(outer, draw(st.integers(0, 11)), axis=0), holes


@given(polygons_with_holes())
@settings(max_examples=150, deadline=None)
def test_a_seamed_polygon_comes_apart_into_the_very_same_rings(polygon) -> None:
    outer, holes = polygon
    if geometry.rings_are_valid(outer, holes):
        assert_same(apart(outer, holes), outer, holes)


@given(polygons_with_holes())
@settings(max_examples=100, deadline=None)
def test_seams_stay_inside_the_polygon_and_leave_its_area_alone(polygon) -> None:
    outer, holes = polygon
    if not geometry.rings_are_valid(outer, holes):
        return
    ring, starts = geometry.seam_holes(outer, holes)
    whole = Polygon(outer, holes)
    for start in starts:
        seam = LineString([ring[start - 1], ring[start]])
        # A seam may end on the rings; it must not run through a hole or outside.
        assert seam.difference(whole.buffer(1e-6)).length == 0
    # Walking over a seam and back adds nothing to the area; holes run either way round in our data.
    oriented = [hole if _counterclockwise(hole) != _counterclockwise(outer) else hole[::-1] for hole in holes]
    seamed, _ = geometry.seam_holes(outer, oriented)
    assert geometry.polygon_area(seamed) == pytest.approx(whole.area)


def _counterclockwise(ring) -> bool:
    return Polygon(ring).exterior.is_ccw


def test_seams_survive_holes_that_touch_at_a_corner() -> None:
    upper = np.array([(4, 1), (5, 2), (4, 3), (3, 2)], dtype=float)
    lower = np.add(upper, (0, 2))  # touches at (4, 3)
    beside = np.add(upper, (1, 1))  # touches both
    for holes in ([upper, lower], [lower, upper], [beside, lower, upper]):
        assert_same(apart(SQUARE, holes), SQUARE, holes)


def test_seams_survive_a_hole_that_touches_the_outline() -> None:
    hole = np.array([(0, 0), (3, 1), (1, 3)], dtype=float)
    assert_same(apart(SQUARE, [hole]), SQUARE, [hole])


def test_without_holes_there_is_no_seam() -> None:
    ring, starts = geometry.seam_holes(SQUARE, [])
    assert starts == []
    assert np.array_equal(ring, SQUARE)


@pytest.mark.parametrize("edit", ["moved", "added", "removed"])
def test_an_edit_at_the_seam_undoes_the_hole_not_the_ring(edit) -> None:
    ring, starts = geometry.seam_holes(SQUARE, [HOLE])
    at = starts[0]
    if edit == "moved":
        ring = ring.copy()
        ring[at] += 0.5
    elif edit == "added":
        ring = np.insert(ring, 1, (1, 1), axis=0)
    else:
        ring = np.delete(ring, at, axis=0)
    assert geometry.unseam(ring, starts) is None


@pytest.mark.parametrize("starts", [[0], [-1], [99], [1, 1], [3]])
def test_nonsense_ring_starts_are_not_honoured(starts) -> None:
    ring, _ = geometry.seam_holes(SQUARE, [HOLE])
    assert geometry.unseam(ring, starts) is None


def test_a_ring_closed_by_hand_before_its_seam_comes_apart_too() -> None:
    ring = np.concatenate([SQUARE, SQUARE[:1], HOLE, HOLE[:1]])
    assert_same(geometry.unseam(ring, [5]), SQUARE, [HOLE])


@pytest.mark.parametrize("xy", [(0.5, 0.5), (3.0, 3.0), (5.0, 5.0), (7.5, 2.0), (11.0, 4.0), (-3.0, 20.0)])
def test_many_rings_together_answer_as_one_by_one(xy) -> None:
    def square(x, y, side):
        return np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], dtype=np.float64)

    rings = [square(0, 0, 10), square(2, 2, 2), square(4.5, 4.5, 3)]
    assert geometry.encloses(rings, xy) == (sum(geometry.encloses([ring], xy) for ring in rings) % 2 == 1)
    for closed in (True, False):
        one_by_one = min(geometry.nearest_edge(ring, xy, closed)[1] for ring in rings)
        assert geometry.distance_to_edges(rings, xy, closed) == pytest.approx(one_by_one)


def test_no_rings_enclose_nothing_and_are_infinitely_far() -> None:
    assert not geometry.encloses([], (1.0, 1.0))
    assert geometry.distance_to_edges([], (1.0, 1.0)) == np.inf
