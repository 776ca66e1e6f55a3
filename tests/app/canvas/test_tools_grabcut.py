"""The object in a box, by mouse and keys."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.qt_pixels import paintable
from core.annotation.rasterize import shape_mask

KEY = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier
SIZE_HW = (300, 400)
BOX = (130, 90), (270, 210)


def truth() -> np.ndarray:
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return np.hypot((columns - 200) / 60, (rows - 150) / 50) <= 1


@pytest.fixture
def desk(make_desk):
    noise = np.random.default_rng(0).normal(0, 6, (*SIZE_HW, 1))
    pixels = np.clip(np.where(truth()[..., None], (170, 150, 110), (60, 80, 70)) + noise, 0, 255)
    desk = make_desk(image=paintable(pixels.astype(np.uint8)))
    desk.view.set_tool("grabcut")
    return desk


def drawn(desk) -> np.ndarray:
    (shape,) = desk.shapes
    return shape_mask(shape, SIZE_HW)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("corners", [BOX, (BOX[1], BOX[0])])
def test_a_box_and_enter_make_a_polygon_of_the_object(desk, corners):
    desk.drag(*corners)
    desk.settle()
    assert desk.shapes == ()
    desk.key(KEY.Key_Return)
    assert desk.shapes[0].label == "nerve"
    assert iou(drawn(desk), truth()) > 0.95
    assert not desk.view.busy
    desk.history.undo()
    assert desk.shapes == ()


def test_while_it_is_searched_the_hint_says_so_and_enter_waits(desk):
    desk.drag(*BOX)
    assert "Finding" in desk.view.hint
    desk.key(KEY.Key_Return)
    desk.settle()
    assert len(desk.shapes) == 1


def test_strokes_with_shift_take_out_and_without_put_back(desk):
    desk.drag(*BOX)
    desk.settle()
    desk.drag((180, 150), (220, 150), keys=SHIFT)
    desk.settle()
    desk.drag((180, 150), (190, 150))
    desk.settle()
    desk.key(KEY.Key_Return)
    mask = drawn(desk)
    assert not mask[150, 210]
    assert mask[150, 183]


def test_a_stroke_outside_the_box_adds_what_it_covers(desk):
    desk.drag(*BOX)
    desk.settle()
    desk.drag((264, 150), (276, 150))
    desk.settle()
    desk.key(KEY.Key_Return)
    assert any(shape_mask(shape, SIZE_HW)[150, 272] for shape in desk.shapes)


def test_esc_drops_box_and_object_and_a_new_box_can_be_drawn(desk):
    desk.drag(*BOX)
    desk.settle()
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.drag(*BOX)
    desk.settle()
    desk.key(KEY.Key_Enter)
    assert len(desk.shapes) == 1


def test_results_for_a_dropped_box_do_not_come_back(desk):
    desk.drag(*BOX)
    desk.key(KEY.Key_Escape)
    desk.settle()
    assert not desk.view.busy
    assert desk.shapes == ()


def test_a_click_is_no_box(desk):
    desk.click(200, 150)
    assert not desk.view.busy


def test_a_box_may_reach_past_the_image(desk):
    desk.drag((-8, 60), (300, 230))
    desk.settle()
    desk.key(KEY.Key_Return)
    assert iou(drawn(desk), truth()) > 0.5


def test_the_box_is_painted(desk):
    before = desk.color(130, 150)
    desk.drag(*BOX)
    desk.settle()
    row = [desk.color(x, 150) for x in (129.5, 130, 130.5)]
    assert any(color != before for color in row)


def test_a_box_beside_the_image_is_none(make_desk):
    desk = make_desk()
    desk.view.set_tool("grabcut")
    desk.drag((50, 310), (110, 340))
    assert not desk.view.busy
    assert desk.view.hint == "Drag a box around an object"
