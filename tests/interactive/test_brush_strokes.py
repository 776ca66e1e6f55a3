"""What a round brush covers: checked against the distance of every pixel from its way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.interactive.strokes import stroke_region
from core.polygons.boolean import geometry_of

PLACES = st.floats(-10, 70).map(lambda value: round(value, 2))


def covered(regions) -> shapely.Geometry:
    return shapely.union_all([geometry_of(region) for region in regions])


@given(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=12), st.sampled_from([0.5, 3.0, 12.0]))
@example(
    way=[(0.0, 1.0), (1.0, 0.0), (0.0, 2.0), (0.0, 0.0), (0.0, 1.0)], radius=12.0
)  # to and fro on the spot
@settings(max_examples=120, deadline=None)
def test_a_stroke_covers_what_is_within_the_radius_of_its_way(way, radius):
    area = covered(stroke_region(way, radius))
    line = shapely.LineString(way) if len(way) > 1 else shapely.Point(way[0])
    places = shapely.points(np.random.default_rng(1).uniform(-20, 80, (400, 2)))
    distance = shapely.distance(line, places)
    inside = shapely.contains_xy(area, *shapely.get_coordinates(places).T)
    assert inside[distance < radius - 0.5].all()
    assert not inside[distance > radius + 0.5].any()


@given(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_nothing_lies_outside_the_image(way):
    regions = stroke_region(way, 5.0, size_wh=(60, 40))
    for outer, _ in regions:
        assert (outer >= 0).all()
        assert (outer <= (60, 40)).all()


def test_a_closed_way_has_a_hole_and_a_point_gives_a_disc():
    angle = np.linspace(0, 2 * math.pi, 80)
    ((_, holes),) = stroke_region(np.stack([50 + 30 * np.cos(angle), 50 + 30 * np.sin(angle)], axis=1), 4.0)
    assert len(holes) == 1
    ((disc, _),) = stroke_region([(10, 10), (10, 10)], 6.0)
    assert shapely.Polygon(disc).area == pytest.approx(math.pi * 36, rel=0.03)


def test_a_long_stroke_has_few_vertices():
    angle = np.linspace(0, 2, 3000)
    ((outer, _),) = stroke_region(np.stack([200 * np.cos(angle), 200 * np.sin(angle)], axis=1), 10.0)
    assert len(outer) < 150


@pytest.mark.parametrize(("way", "radius"), [([], 5.0), ([(1, 1)], 0.0), ([(math.nan, 1)], 5.0)])
def test_nothing_is_covered_by_nothing(way, radius):
    assert stroke_region(way, radius) == []
