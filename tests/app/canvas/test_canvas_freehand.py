"""Outlines drawn in one drag."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt

from core.annotation.commands import AddShapes
from core.annotation.model import AnnotationState, ShapeType
from core.geometry import polygon_area, rings_are_valid
from core.interactive.freehand import enclosed

COORDINATES = st.floats(0, 50).map(lambda value: round(value, 3))
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def desk(make_desk):
    desk = make_desk()
    desk.view.set_tool("freehand")
    return desk


def circle(turns=1.0, center=(200, 150), radius=80.0, count=120):
    angles = np.linspace(0, 2 * math.pi * turns, count)
    return [(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a)) for a in angles]


def test_a_drag_around_an_object_makes_a_simple_polygon_of_the_active_class(desk):
    desk.drag(*circle(0.98))
    (shape,) = desk.shapes
    assert shape.shape_type is ShapeType.POLYGON
    assert shape.label == "nerve"
    assert len(shape.points) < 60  # of 240 positions of the mouse
    assert polygon_area(shape.points) == pytest.approx(math.pi * 80**2, rel=0.02)
    assert desk.document.state is AnnotationState.IN_PROGRESS
    desk.history.undo()
    assert desk.shapes == ()


def test_the_simplified_outline_stays_within_a_screen_pixel_of_the_hand(desk):
    stops = circle(0.98)
    desk.drag(*stops)
    ring = desk.shapes[0].points
    reach = 1.0 / desk.view.zoom + 1.0 / desk.view.zoom  # the tolerance, and whole pixels of the mouse
    distances = [math.hypot(*(p - np.array([200, 150]))) for p in ring]
    assert max(abs(d - 80) for d in distances) < reach


def test_zoomed_in_a_line_keeps_more_of_its_bends(desk):
    desk.drag(*circle(0.98, radius=20))
    coarse = len(desk.shapes[0].points)
    desk.view.set_zoom(8)
    desk.view.centerOn(200, 150)
    desk.drag(*circle(0.98, radius=20))
    assert len(desk.shapes[1].points) > coarse


def test_overshooting_the_start_cuts_nothing_out(desk):
    desk.drag(*circle(1.12), (235, 150))
    assert [len(shape.holes) for shape in desk.shapes] == [0]
    assert polygon_area(desk.shapes[0].points) == pytest.approx(math.pi * 80**2, rel=0.05)


def test_a_figure_of_eight_becomes_two_valid_polygons_in_one_step(desk):
    angles = np.linspace(0, 2 * math.pi, 160)
    desk.drag(*[(200 + 90 * math.sin(a), 150 + 60 * math.sin(2 * a)) for a in angles])
    assert len(desk.shapes) == 2
    assert all(rings_are_valid(shape.points, shape.holes) for shape in desk.shapes)
    assert desk.history.position == 1


def test_without_an_active_class_the_label_is_asked_for(desk):
    desk.view.set_active_class(None)
    desk.drag(*circle(0.98))
    assert desk.shapes == ()
    assert [shape.label for shape in desk.unlabelled] == [""]
    x, y = circle(0.98)[30]
    assert desk.color(x, y).red() != 128  # in sight until the question is answered
    desk.history.push(AddShapes((desk.unlabelled[0].with_(label="vessel"),)))
    desk.history.undo()
    assert desk.color(x, y).red() == 128


def test_a_click_or_a_line_there_and_back_adds_nothing(desk):
    desk.click(100, 100)
    assert desk.shapes == ()
    desk.drag((100, 100), (200, 100), (100, 100))
    assert desk.shapes == ()
    assert "goes around nothing" in desk.view.hint


def test_escape_drops_the_line(desk):
    desk.press(100, 100)
    desk.move(150, 180, held=LEFT)
    assert desk.view.busy
    desk.key(Qt.Key.Key_Escape)
    desk.move(220, 100, held=LEFT)
    desk.release(220, 100)
    assert desk.shapes == ()
    assert not desk.view.busy


def test_the_line_is_shown_while_it_is_drawn_and_stays_inside_the_image(desk):
    desk.press(20, 20)
    for x, y in ((200, 20), (380, 20), (380, 500), (20, 500)):
        desk.move(x, y, held=LEFT)
    assert desk.color(200, 20).red() > 180
    desk.release(20, 500)
    assert desk.shapes[0].points[:, 1].max() <= 300


@given(
    st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=25),
    st.sampled_from([0.0, 0.5, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_drawn_the_outlines_are_valid_and_disjoint(points, tolerance):
    parts = enclosed(np.array(points), tolerance)
    assert all(rings_are_valid(outer, holes) for outer, holes in parts)
    areas = [polygon_area(outer, holes) for outer, holes in parts]
    assert areas == sorted(areas, reverse=True)


def test_a_very_long_line_is_seen_whole_while_it_is_drawn(desk):
    stops = circle(10, radius=100, count=1600)
    desk.press(*stops[0])
    for stop in stops[1:]:
        desk.move(*stop, held=LEFT)
    assert desk.view._tool.overlay_box() == pytest.approx((100, 50, 300, 250), abs=1)
    assert max(desk.color(x, 150).red() for x in (299, 299.5, 300, 300.5, 301)) > 200
    assert 128 < desk.color(200, 150).red() < 200
    assert desk.color(320, 150).red() == 128
    desk.release(*stops[-1])
    assert len(desk.shapes) == 1


@pytest.mark.parametrize("turns", range(2, 12))
def test_a_hand_that_goes_around_and_around_encloses_a_disc(turns):
    line = np.round(np.array(circle(turns, count=100 * turns)) / 0.67) * 0.67
    outer, _holes = enclosed(line, 0.67)[0]
    assert polygon_area(outer) == pytest.approx(math.pi * 80**2, rel=0.02)
