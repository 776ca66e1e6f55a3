"""Oriented rectangles: drawn by a side and a width, reshaped at their corners, turned at their handle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.canvas.handles import rotation_grip
from core.annotation.model import ShapeType

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
UPRIGHT = [(100, 100), (200, 100), (200, 160), (100, 160)]


def is_rectangle(points):
    sides = np.roll(points, -1, axis=0) - points
    return all(
        abs(a @ b) < 1e-6 * (1 + abs(a).sum() * abs(b).sum())
        for a, b in zip(sides, np.roll(sides, -1, 0), strict=True)
    )


@pytest.fixture
def desk(make_desk):
    desk = make_desk()
    desk.view.set_tool("oriented_rectangle")
    return desk


@pytest.fixture
def turned(make_desk, make_shape):
    """A desk with an upright oriented rectangle, selected."""
    desk = make_desk(make_shape(UPRIGHT, shape_type=ShapeType.ORIENTED_RECTANGLE))
    desk.click(150, 130)
    return desk


def grip(desk):
    return rotation_grip(desk.shapes[0], desk.view.zoom)


def test_two_clicks_for_a_side_and_one_for_the_width(desk):
    desk.click(100, 100)
    desk.click(200, 150)
    desk.move(150, 220)
    desk.click(130, 215)
    (shape,) = desk.shapes
    assert shape.shape_type is ShapeType.ORIENTED_RECTANGLE
    assert shape.label == "nerve"
    assert len(shape.points) == 4
    assert desk.points()[:2] == [[100, 100], [200, 150]]
    assert is_rectangle(shape.points)
    assert not desk.view.busy


def test_a_drag_for_the_side_and_a_click_for_the_width(desk):
    desk.drag((100, 100), (200, 100))
    assert desk.view.busy
    desk.click(150, 160)
    assert desk.points() == [[100, 100], [200, 100], [200, 160], [100, 160]]


def test_shift_holds_the_side_to_steps_of_fifteen_degrees(desk):
    desk.click(100, 100)
    desk.click(200, 104, SHIFT)
    desk.click(150, 160)
    assert desk.points()[1][1] == 100


def test_points_are_taken_back_one_by_one_and_escape_drops_all(desk):
    desk.click(100, 100)
    desk.click(200, 100)
    desk.key(KEY.Key_Backspace)
    desk.click(100, 200)
    desk.click(150, 150)
    assert desk.points()[:2] == [[100, 100], [100, 200]]
    desk.click(20, 20)
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    assert len(desk.shapes) == 1


def test_a_rectangle_needs_a_width(desk):
    desk.click(100, 100)
    desk.click(200, 100)
    desk.click(150, 100)
    assert desk.shapes == ()
    desk.click(150, 130)
    assert len(desk.shapes) == 1


def test_the_width_ends_where_the_image_does(desk):
    desk.click(100, 250)
    desk.click(200, 250)
    desk.press(150, 330)
    assert desk.shapes[0].points[:, 1].max() == pytest.approx(300)


def test_dragging_a_corner_keeps_the_right_angles(turned):
    turned.drag((200, 160), (240, 190))
    points = turned.shapes[0].points
    assert is_rectangle(points)
    assert turned.points()[2] == [240, 190]
    assert turned.points()[0] == [100, 100]


def test_the_handle_turns_the_rectangle_about_its_middle_in_one_step(turned):
    x, y = grip(turned)
    turned.drag((x, y), (220, 100), (210, 130))  # from above the middle to its right: a quarter turn
    points = turned.shapes[0].points
    assert is_rectangle(points)
    np.testing.assert_allclose(points.mean(axis=0), (150, 130), atol=0.5)
    np.testing.assert_allclose(np.ptp(points, axis=0), (60, 100), atol=2)
    assert turned.history.undo_name == "Turn rectangle"
    turned.history.undo()
    assert turned.points() == [list(map(float, p)) for p in UPRIGHT]


def test_shift_turns_in_steps(turned):
    x, y = grip(turned)
    turned.drag((x, y), (x + 14, y + 4), keys=SHIFT)
    side = turned.shapes[0].points[1] - turned.shapes[0].points[0]
    degrees = math.degrees(math.atan2(side[1], side[0]))
    assert degrees == pytest.approx(round(degrees / 15) * 15)
    assert degrees != 0


def test_escape_while_turning_changes_nothing(turned):
    x, y = grip(turned)
    turned.press(x, y)
    turned.move(220, 130, held=LEFT)
    turned.key(KEY.Key_Escape)
    turned.release(220, 130)
    assert not turned.history.can_undo


def test_the_handle_is_shown_only_on_a_selected_rectangle(turned):
    x, y = grip(turned)
    assert turned.color(x, y).lightness() > 200
    turned.move(x, y)
    assert turned.view.viewport().cursor().shape() == Qt.CursorShape.PointingHandCursor
    turned.select(frozenset())
    turned.move(350, 250)
    assert turned.color(x, y).red() == 128
