"""Polygons with and against each other: what is covered is right, what comes out is valid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from core.geometry import polygon_area, rings_are_valid
from core.polygons import boolean
from core.polygons.boolean import Region, geometry_of


def box(x0: float, y0: float, x1: float, y1: float) -> Region:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float), ()


def perforated(outer: Region, *holes: Region) -> Region:
    return outer[0], tuple(hole[0] for hole in holes)


def area(regions: list[Region]) -> float:
    return sum(polygon_area(*region) for region in regions)


def star(angles: list[float], radii: list[float], centre: tuple[float, float]) -> Region:
    """A simple polygon: vertices around a centre by their angles."""
    turn = np.sort(np.array(angles))
    count = min(len(turn), len(radii))
    reach = np.array(radii[:count])
    return np.column_stack([np.cos(turn[:count]), np.sin(turn[:count])]) * reach[:, None] + centre, ()


SQUARE = box(0, 0, 10, 10)


def test_neighbours_with_a_common_border_become_one_polygon_without_it() -> None:
    [(outer, holes)] = boolean.union([SQUARE, box(10, 0, 20, 10)])
    assert holes == ()
    assert Polygon(outer).equals(Polygon(box(0, 0, 20, 10)[0]))


def test_polygons_apart_stay_two() -> None:
    found = boolean.union([SQUARE, box(20, 0, 25, 5)])
    assert [polygon_area(*region) for region in found] == [100, 25]


def test_a_frame_of_four_bars_has_a_hole() -> None:
    bars = [box(0, 0, 30, 5), box(0, 25, 30, 30), box(0, 0, 5, 30), box(25, 0, 30, 30)]
    [(outer, holes)] = boolean.union(bars)
    assert polygon_area(outer) == 900
    assert [polygon_area(hole) for hole in holes] == [400]


def test_subtracting_the_middle_leaves_two_pieces_or_a_hole() -> None:
    assert [polygon_area(*part) for part in boolean.subtract(SQUARE, [box(4, -1, 6, 11)])] == [40, 40]
    [(outer, holes)] = boolean.subtract(SQUARE, [box(4, 4, 6, 6)])
    assert (polygon_area(outer), len(holes)) == (100, 1)


def test_only_free_pixels_are_what_all_others_leave() -> None:
    others = [box(0, 0, 5, 10), box(5, 5, 10, 10), perforated(box(-50, -50, 60, 60), box(-5, -5, 15, 15))]
    free = boolean.subtract(SQUARE, others)
    assert area(free) == 25
    assert boolean.subtract(SQUARE, [box(-1, -1, 11, 11)]) == []


def test_intersecting_keeps_what_all_have() -> None:
    found = boolean.intersect([SQUARE, box(2, 2, 12, 12), box(0, 4, 10, 6)])
    assert area(found) == 8 * 2
    assert boolean.intersect([SQUARE, box(20, 20, 30, 30)]) == []
    assert boolean.intersect([]) == []


def test_polygons_that_also_touch_along_a_line_intersect_a_third() -> None:
    comb = np.array([(0, 0), (30, 0), (30, 10), (20, 10), (20, 5), (10, 5), (10, 10), (0, 10)], float)
    other = np.array([(0, 5), (30, 5), (30, 20), (0, 20)], float)
    assert area(boolean.intersect([(comb, ()), (other, ()), box(0, 0, 25, 30)])) == 50 + 25
    flat = np.array([(0, 0), (5, 5), (9, 9)], float)
    assert boolean.intersect([(flat, ()), SQUARE, SQUARE]) == []
    assert area(boolean.union([(flat, ()), SQUARE])) == 100


def test_filled_holes_are_gone() -> None:
    outer, holes = boolean.fill_holes(perforated(SQUARE, box(2, 2, 4, 4), box(6, 6, 8, 8)))
    assert polygon_area(outer, holes) == 100


def test_clipping_keeps_what_lies_inside_the_image() -> None:
    [region] = boolean.clip(box(-5, -5, 5, 200), (0, 0, 100, 50))
    assert Polygon(region[0]).bounds == (0, 0, 5, 50)
    assert boolean.clip(box(-5, -5, -1, -1), (0, 0, 100, 50)) == []


def test_a_line_splits_a_polygon_and_its_hole() -> None:
    pieces = boolean.split(perforated(SQUARE, box(4, 4, 6, 6)), [(5, -1), (5, 11)])
    assert [polygon_area(*piece) for piece in pieces] == [48, 48]
    assert all(rings_are_valid(*piece) for piece in pieces)


def test_a_bent_line_cuts_out_a_corner() -> None:
    pieces = boolean.split(SQUARE, [(0, 4), (4, 4), (4, 0)])
    assert [polygon_area(*piece) for piece in pieces] == [84, 16]


@pytest.mark.parametrize("line", [[(1, 1), (5, 5)], [(-5, -5), (-5, 20)], [(3, 3)], [(3, 3), (3, 3)]])
def test_a_line_that_does_not_divide_leaves_one_piece(line) -> None:
    assert area(boolean.split(SQUARE, line)) == 100
    assert len(boolean.split(SQUARE, line)) == 1


def test_a_line_that_ends_on_the_outline_or_a_little_short_of_it_divides() -> None:
    tilted = np.array([(0, 0), (10, 1 / 3), (10, 10), (0, 10)])
    on_edge = (10 / 3, 1 / 9)
    assert len(boolean.split((tilted, ()), [on_edge, (10 / 3, 9)])) == 2


def test_nearly_equal_outlines_leave_no_splinters() -> None:
    nudged = box(0, 0, 10 + 1e-9, 10 - 1e-7)
    assert boolean.subtract(SQUARE, [nudged]) == []
    [(outer, holes)] = boolean.union([box(0, 0, 5 - 1e-9, 10), box(5, 0, 10, 10), box(3, 2, 7, 4)])
    assert polygon_area(outer, holes) == pytest.approx(100, abs=1e-3)


def test_outlines_that_cross_themselves_count_as_what_they_enclose() -> None:
    bowtie = np.array([(0, 0), (10, 10), (10, 0), (0, 10)], float), ()
    assert area(boolean.union([bowtie])) == 50
    assert area(boolean.intersect([bowtie, box(0, 0, 5, 10)])) == 25


angle = st.floats(0, 2 * math.pi, exclude_max=True)
stars = st.builds(
    star,
    st.lists(angle, min_size=3, max_size=12, unique_by=lambda a: round(a, 2)),
    st.lists(st.floats(2, 40), min_size=12, max_size=12),
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
)


@given(st.lists(stars, min_size=2, max_size=4), st.lists(st.tuples(angle, angle), min_size=2, max_size=4))
@settings(max_examples=150, deadline=None)
def test_what_comes_out_is_valid_and_covers_what_it_should(regions, turns) -> None:
    first, *others = regions
    whole = geometry_of(first)
    rest = [geometry_of(other) for other in others]
    line = np.array([(30 * math.cos(a), 30 * math.sin(b)) for a, b in turns])
    united, free = boolean.union(regions), boolean.subtract(first, others)
    pieces, inside = boolean.split(first, line), boolean.clip(first, (-10, -10, 15, 15))
    for found in (united, free, pieces, inside, boolean.intersect(regions)):
        assert all(rings_are_valid(*region) for region in found)
    both = whole
    for other in rest:
        both = both.union(other)
    # Splinters go, and a needle as long as an outline may be among them.
    lost = 1 + boolean.LEAST_WIDTH * sum(each.length for each in (whole, *rest))
    assert area(united) == pytest.approx(both.area, abs=lost)
    taken = rest[0]
    for other in rest[1:]:
        taken = taken.union(other)
    assert area(free) == pytest.approx(whole.difference(taken).area, abs=lost)
    assert area(pieces) == pytest.approx(whole.area, abs=lost)
