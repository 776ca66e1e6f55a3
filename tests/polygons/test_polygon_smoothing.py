"""Fewer vertices and softer outlines: near where they were, and valid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon

from core.geometry import polygon_area, rings_are_valid
from core.polygons.smoothing import simplify, simplify_line, simplify_together, smooth


def circle(
    radius: float, count: int, centre: tuple[float, float] = (50, 50), wobble: float = 0
) -> np.ndarray:
    turn = np.linspace(0, 2 * math.pi, count, endpoint=False)
    reach = radius + wobble * np.where(np.arange(count) % 2, 1, -1)
    return np.column_stack([np.cos(turn) * reach, np.sin(turn) * reach]) + centre


def farthest(points: np.ndarray, ring: np.ndarray) -> float:
    return Polygon(ring).exterior.hausdorff_distance(Polygon(points).exterior)


def test_simplifying_stays_within_the_tolerance() -> None:
    ring, hole = circle(40, 400), circle(10, 200)
    outer, holes = simplify((ring, (hole,)), 0.5)
    assert len(outer) < 60
    assert len(holes[0]) < 30
    assert farthest(outer, ring) <= 0.5
    assert farthest(holes[0], hole) <= 0.5


def test_a_tolerance_of_zero_changes_nothing() -> None:
    region = circle(40, 100), ()
    assert simplify(region, 0) is region
    assert smooth(region, 0) is region


def test_a_huge_tolerance_leaves_a_valid_polygon_with_its_hole() -> None:
    outer, holes = simplify((circle(40, 400), (circle(30, 300),)), 1000)
    assert rings_are_valid(outer, holes)
    assert len(holes) == 1


def test_a_line_keeps_its_ends() -> None:
    line = np.array([(0, 0), (5, 0.1), (10, 0), (10, 5), (10.1, 7), (10, 10)], float)
    assert simplify_line(line, 0.5).tolist() == [[0, 0], [10, 0], [10, 10]]


def test_neighbours_simplified_together_keep_their_common_border() -> None:
    border = [(50 + 3 * math.sin(y / 3), y) for y in range(101)]
    left = np.array([(0, 0), *border, (0, 100)], float)
    right = np.array([*border, (100, 100), (100, 0)], float)[::-1]
    (a, _), (b, _) = simplify_together([(left, ()), (right, ())], 2.0)
    assert len(a) < len(left) / 2
    shared = Polygon(a).boundary.intersection(Polygon(b).boundary)
    assert shared.length > 100
    assert Polygon(a).intersection(Polygon(b)).area == 0
    assert polygon_area(a) + polygon_area(b) == pytest.approx(100 * 100)


def test_shapes_that_overlap_are_simplified_each_by_itself() -> None:
    regions = [(circle(40, 300), ()), (circle(40, 300, (70, 50)), ())]
    assert [len(r[0]) for r in simplify_together(regions, 1.0)] == [len(simplify(r, 1.0)[0]) for r in regions]


def test_smoothing_takes_the_teeth_off_an_outline() -> None:
    saw = circle(40, 120, wobble=1.5)
    outer, _ = smooth((saw, ()), 3.0)
    reach = np.hypot(*(outer - 50).T)
    assert np.ptp(reach) < 0.5
    assert reach.mean() == pytest.approx(40, abs=0.5)


def test_smoothing_rounds_the_corners_of_a_square_and_leaves_its_sides() -> None:
    square = np.array([(0, 0), (100, 0), (100, 100), (0, 100)], float)
    outer, _ = smooth((square, ()), 5.0)
    assert len(outer) > 12
    assert Polygon(square).contains(Polygon(outer).buffer(-0.3))
    assert LineString(outer).distance(LineString([(50, 0), (50, 1)])) < 0.3
    assert 1 < min(np.hypot(*outer.T)) <= 5.3  # the corner came in, by no more than the radius


@given(
    st.lists(st.floats(5, 60), min_size=3, max_size=24),
    st.floats(0.1, 40),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_polygon_stays_valid_and_near(radii, amount, holed) -> None:
    turn = np.linspace(0, 2 * math.pi, len(radii), endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * np.array(radii)[:, None]
    hole = circle(1.0, 12, (0, 0))
    region = (ring, (hole,) if holed and rings_are_valid(ring, [hole]) else ())
    for changed, reach in ((simplify(region, amount), 2 * amount), (smooth(region, amount), amount + 0.3)):
        assert rings_are_valid(*changed)
        assert len(changed[1]) == len(region[1])
        assert farthest(changed[0], ring) <= reach + 1e-9
