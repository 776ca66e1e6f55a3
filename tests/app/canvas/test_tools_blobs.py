"""Blob proposals, by mouse and keys."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.canvas.pixels import PixelReader
from app.qt_pixels import paintable
from core.annotation.commands import AddShapes
from core.annotation.model import BACKGROUND_LABEL, ShapeType
from core.annotation.rasterize import shape_mask
from core.errors import ImageFileError

KEY = Qt.Key
NO_KEY = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier
KEYPAD = Qt.KeyboardModifier.KeypadModifier
SIZE_HW = (300, 400)
DOTS = ((60, 60), (150, 80), (260, 70), (100, 200), (300, 210))


@pytest.fixture
def desk(make_desk):
    pixels = np.full((*SIZE_HW, 3), 60, np.uint8)
    for center in DOTS:
        cv2.circle(pixels, center, 9, (190, 190, 190), -1)
    desk = make_desk(image=paintable(cv2.GaussianBlur(pixels, (0, 0), 1.0)))
    desk.view.set_tool("blobs")
    desk.settle()
    return desk


def on_show(desk) -> int:
    return int(desk.view.hint.split()[0]) if desk.view.hint[0].isdigit() else 0


def test_candidates_are_offered_and_a_click_adds_one(desk, qtbot):
    assert on_show(desk) == len(DOTS)
    desk.click(*DOTS[1])
    (shape,) = desk.shapes
    assert shape.label == "nerve"
    mask = shape_mask(shape, SIZE_HW)
    assert mask[DOTS[1][1], DOTS[1][0]]
    assert 150 < mask.sum() < 400
    qtbot.waitUntil(lambda: on_show(desk) == len(DOTS) - 1)


@pytest.mark.parametrize("label", [BACKGROUND_LABEL, "background"])
def test_candidates_on_a_finished_area_are_offered(desk, qtbot, make_shape, label):
    desk.click(*DOTS[1])
    qtbot.waitUntil(lambda: on_show(desk) == len(DOTS) - 1)
    ground = make_shape([(0, 0), (400, 300)], label=label, shape_type=ShapeType.RECTANGLE)
    desk.history.push(AddShapes((ground,), index=0))
    desk.click(*DOTS[2])
    qtbot.waitUntil(lambda: on_show(desk) == len(DOTS) - 2)


def test_undo_brings_a_candidate_back(desk, qtbot):
    desk.click(*DOTS[1])
    qtbot.waitUntil(lambda: on_show(desk) == len(DOTS) - 1)
    desk.history.undo()
    assert desk.shapes == ()
    qtbot.waitUntil(lambda: on_show(desk) == len(DOTS))


def test_a_click_beside_them_adds_nothing(desk):
    desk.click(200, 150)
    assert desk.shapes == ()


def test_a_drag_adds_those_in_the_box_in_one_step(desk):
    desk.drag((30, 30), (290, 120))
    assert len(desk.shapes) == 3
    desk.history.undo()
    assert desk.shapes == ()


def test_a_drag_takes_those_on_which_it_begins_and_ends(desk):
    (x0, y0), (x1, y1) = DOTS[0], DOTS[1]
    desk.drag((x0 + 3, y0 + 2), (x1 - 3, y1 + 2))
    assert len(desk.shapes) == 2


@pytest.mark.parametrize(("key", "modifier"), [(KEY.Key_Return, NO_KEY), (KEY.Key_Enter, KEYPAD)])
def test_a_key_takes_all_in_one_step(desk, qtbot, key, modifier):
    desk.key(key, modifier)
    assert len(desk.shapes) == len(DOTS)
    qtbot.waitUntil(lambda: on_show(desk) == 0)
    desk.history.undo()
    assert desk.shapes == ()


def test_esc_drops_the_box_being_dragged(desk):
    desk.press(30, 30)
    desk.move(290, 120, held=Qt.MouseButton.LeftButton)
    desk.key(KEY.Key_Escape)
    desk.release(290, 120)
    assert desk.shapes == ()


def test_brackets_change_the_size_looked_for(desk):
    for _ in range(7):
        desk.key(KEY.Key_BracketRight)
    desk.settle()
    assert on_show(desk) == 0
    for _ in range(7):
        desk.key(KEY.Key_BracketLeft)
    desk.settle()
    assert on_show(desk) == len(DOTS)


@pytest.mark.parametrize(
    ("modifiers", "typed"),
    [(SHIFT, True), (CTRL | ALT, True), (KEYPAD, True), (CTRL, False), (ALT, False), (CTRL | SHIFT, False)],
)
def test_a_slash_counts_with_the_keys_that_type_it_on_other_layouts(desk, modifiers, typed):
    desk.key(KEY.Key_Slash, modifiers)
    desk.settle()
    assert ("spots of any form of radius" in desk.view.hint) == typed


def test_the_other_method_finds_them_too(desk):
    desk.key(KEY.Key_Slash)
    desk.settle()
    assert "spots of any form of radius" in desk.view.hint
    assert on_show(desk) == len(DOTS)


def test_dark_ones_can_be_asked_for(desk):
    desk.key(KEY.Key_I)
    desk.key(KEY.Key_I)
    desk.settle()
    assert "dark" in desk.view.hint
    desk.click(*DOTS[0])
    assert desk.shapes == ()


def test_outlines_are_painted_and_the_one_under_the_mouse_is_filled(desk):
    desk.move(200, 150)
    x, y = DOTS[2]
    before = desk.color(x, y)
    desk.move(x, y)
    assert desk.color(x, y) != before


def test_a_move_looks_again_where_the_image_could_not_be_read(desk, monkeypatch):
    def unreadable(*_args):
        raise ImageFileError("a.tif", "is still being read; try again in a moment")

    desk.view.set_tool("select")
    with monkeypatch.context() as patched:
        patched.setattr(PixelReader, "window", unreadable)
        desk.view.set_tool("blobs")
        desk.settle()
    assert "still being read" in desk.view.hint
    desk.move(200, 150)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == len(DOTS)


def test_another_image_drops_the_candidates(desk):
    desk.view.set_image(paintable(np.full((*SIZE_HW, 3), 60, np.uint8)))
    desk.view.set_document(desk.document)
    desk.settle()
    assert on_show(desk) == 0


def test_another_image_is_searched_at_once(desk, make_desk):
    pixels = np.full((*SIZE_HW, 3), 60, np.uint8)
    for center in DOTS[:2]:
        cv2.circle(pixels, center, 9, (190, 190, 190), -1)
    desk.view.set_document(None)
    desk.view.set_image(paintable(cv2.GaussianBlur(pixels, (0, 0), 1.0)))
    desk.view.set_document(desk.document)
    desk.settle()
    assert on_show(desk) == 2
