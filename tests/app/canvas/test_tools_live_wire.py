"""The live wire, by mouse and keys."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.canvas.tools import live_wire
from app.qt_pixels import paintable
from core.annotation.commands import AddShapes
from core.errors import ImageFileError

KEY = Qt.Key
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
CENTER, RADIUS = (200.0, 150.0), 80.0


def disc() -> np.ndarray:
    rows, columns = np.mgrid[:300, :400]
    return np.hypot(columns + 0.5 - CENTER[0], rows + 0.5 - CENTER[1]) <= RADIUS


def rim(angle: float) -> tuple[float, float]:
    return CENTER[0] + RADIUS * math.cos(angle), CENTER[1] + RADIUS * math.sin(angle)


def off_rim(points: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(*(points - CENTER).T) - RADIUS)


@pytest.fixture
def desk(make_desk):
    pixels = np.where(disc(), 190, 60)[..., None].repeat(3, axis=2).astype(np.uint8)
    desk = make_desk(image=paintable(pixels))
    desk.view.set_tool("live_wire")
    return desk


@pytest.fixture
def flat_desk(make_desk):
    desk = make_desk()
    desk.view.set_tool("live_wire")
    return desk


def click_around(desk, *angles: float, wait: bool = True) -> None:
    for angle in angles:
        desk.click(*rim(angle))
        if wait:
            desk.settle()


def assert_is_the_disc(desk) -> None:
    (shape,) = desk.shapes
    assert shape.label == "nerve"
    assert len(shape.points) > 12
    assert off_rim(shape.points).max() < 4
    assert off_rim(shape.points).mean() < 1.5


@pytest.mark.parametrize("wait", [True, False])
def test_three_clicks_and_enter_outline_a_disc(desk, wait):
    click_around(desk, 0.0, 2.1, 4.2, wait=wait)
    desk.key(KEY.Key_Return)
    desk.settle()
    assert_is_the_disc(desk)
    assert not desk.view.busy
    desk.history.undo()
    assert desk.shapes == ()


def test_a_click_on_the_first_anchor_closes(desk):
    click_around(desk, 0.0, 2.1, 4.2)
    desk.click(*rim(0.02))
    desk.settle()
    assert_is_the_disc(desk)


def test_a_double_click_adds_its_anchor_and_closes(desk):
    click_around(desk, 0.0, 2.1)
    desk.double_click(*rim(4.2))
    desk.settle()
    assert_is_the_disc(desk)


def test_the_wire_follows_the_edge_under_the_mouse_before_a_click(desk):
    click_around(desk, 0.0)
    background = desk.color(*rim(0.8))
    desk.move(*rim(1.6))
    assert desk.color(*rim(0.8)) != background


def test_with_alt_the_wire_is_straight(desk):
    click_around(desk, 0.0)
    desk.click(*rim(2.1), keys=ALT)
    desk.click(*rim(4.2), keys=ALT)
    desk.settle()
    desk.key(KEY.Key_Return)
    desk.settle()
    (shape,) = desk.shapes
    corners = [rim(0.0), rim(2.1)]
    for corner in corners:
        assert np.hypot(*(shape.points - corner).T).min() < 1.5
    middle = (np.array(rim(0.0)) + rim(2.1)) / 2
    assert np.hypot(*(shape.points - middle).T).min() > 20  # no vertex on the way


@pytest.mark.parametrize("keys", [(KEY.Key_Backspace, Qt.KeyboardModifier.NoModifier), (KEY.Key_Z, CTRL)])
def test_the_last_anchor_can_be_taken_back(desk, keys):
    click_around(desk, 0.0, 2.1)
    desk.click(30, 30)
    desk.settle()
    desk.key(*keys)
    desk.settle()
    click_around(desk, 4.2)
    desk.key(KEY.Key_Return)
    desk.settle()
    assert_is_the_disc(desk)


def test_taking_everything_back_leaves_nothing(desk):
    click_around(desk, 0.0)
    desk.key(KEY.Key_Backspace)
    assert not desk.view.busy


def test_esc_drops_it_and_one_anchor_makes_nothing(desk):
    click_around(desk, 0.0)
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()
    assert desk.view.busy
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy


def test_a_shown_prediction_leads_the_wire_where_the_image_does_not(flat_desk):
    flat_desk.view.set_prediction(disc().astype(np.uint8), np.full((300, 400), 255, np.uint8))
    click_around(flat_desk, 0.0, 2.1, 4.2)
    flat_desk.key(KEY.Key_Return)
    flat_desk.settle()
    assert_is_the_disc(flat_desk)


def test_without_a_class_the_label_is_asked_for_and_the_outline_stays(desk):
    desk.view.set_active_class(None)
    click_around(desk, 0.0, 2.1, 4.2)
    desk.key(KEY.Key_Return)
    desk.settle()
    assert len(desk.unlabelled) == 1
    assert desk.view.busy


def test_only_its_own_shape_in_the_document_ends_an_outline_that_waits_for_its_label(desk, square):
    desk.view.set_active_class(None)
    click_around(desk, 0.0, 2.1, 4.2)
    desk.key(KEY.Key_Return)
    desk.settle()
    (asked,) = desk.unlabelled  # and the question is cancelled
    desk.history.push(AddShapes((square,)))
    assert desk.view.busy
    desk.history.push(AddShapes((asked.with_(label="nerve"),)))
    assert not desk.view.busy


def test_two_clicks_on_one_spot_enclose_nothing(desk):
    desk.click(30, 30)
    desk.click(30.5, 30, keys=ALT)
    desk.settle()
    desk.key(KEY.Key_Return)
    desk.settle()
    assert desk.shapes == ()


def test_anchors_snap_to_neighbours_as_points_of_polygons_do(make_desk, square):
    desk = make_desk(square)
    desk.view.set_tool("live_wire")
    for x, y in ((201, 99), (260, 100), (260, 200), (199, 201)):
        desk.click(x, y)
        desk.settle()
    desk.key(KEY.Key_Return)
    desk.settle()
    drawn = desk.shapes[-1].points.tolist()
    assert [200, 100] in drawn
    assert [200, 200] in drawn
    desk.click(201, 99, ALT)  # suspends it
    assert desk.view._tool.points[0] != (200, 100)


@pytest.mark.parametrize("wait", [True, False])
def test_backspace_brings_a_dropped_outline_back(desk, wait):
    click_around(desk, 0.0, 2.1, 4.2, wait=wait)
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.key(KEY.Key_Backspace)
    assert desk.view.busy
    desk.settle()
    desk.key(KEY.Key_Return)
    desk.settle()
    assert_is_the_disc(desk)


def test_closing_can_be_tried_again_when_the_edges_could_not_be_read(desk, monkeypatch):
    click_around(desk, 0, 2.1)
    working = live_wire.build_map

    def failing(*_args):
        raise ImageFileError(Path("a.tif"), "is still being read; try again in a moment")

    monkeypatch.setattr(live_wire, "build_map", failing)
    desk.click(*rim(4.2))
    desk.key(KEY.Key_Return)
    desk.settle()
    assert "still being read" in desk.view.hint
    assert desk.shapes == ()
    monkeypatch.setattr(live_wire, "build_map", working)
    desk.key(KEY.Key_Return)
    desk.settle()
    assert_is_the_disc(desk)
