"""Picking superpixels, by mouse and keys."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt

from app.canvas.pixels import PixelReader
from app.canvas.tools import superpixel
from app.qt_pixels import paintable
from core.annotation.commands import AddShapes
from core.annotation.rasterize import shape_mask
from core.errors import ImageFileError
from tests.app.canvas.conftest import Desk
from tests.patience import PATIENCE_S

KEY = Qt.Key
ALT = Qt.KeyboardModifier.AltModifier
SIZE_HW = (300, 400)


@pytest.fixture
def desk(make_desk, qtbot):
    """Two halves, bright to the right of x = 203: segments end there."""
    pixels = np.full((*SIZE_HW, 3), 60, np.uint8)
    pixels[:, 203:] = 190
    desk = make_desk(image=paintable(pixels))
    desk.view.set_tool("superpixel")
    desk.settle()
    return desk


def click_and_enter(desk, x, y):
    desk.click(x, y)
    desk.key(KEY.Key_Return)


def unreadable(*_args):
    raise ImageFileError("a.tif", "is still being read; try again in a moment")


def test_a_click_picks_a_segment_that_ends_at_the_edge(desk):
    desk.click(210, 150)
    desk.settle()
    desk.key(KEY.Key_Return)
    mask = desk.covered()
    assert desk.shapes[0].label == "nerve"
    assert mask[150, 210]
    assert not mask[:, :202].any()
    assert 60 < mask.sum() < 700


def test_the_segment_under_the_mouse_is_highlighted(desk):
    desk.move(50, 50)
    before = desk.color(300, 100)
    desk.move(300, 100)
    assert desk.color(300, 100) != before


def test_a_drag_paints_one_polygon_and_undo_takes_it_back_whole(desk):
    desk.drag((250, 60), (250, 140), (330, 140))
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 1
    mask = desk.covered()
    assert mask[60, 250]
    assert mask[140, 250]
    assert mask[140, 330]
    desk.history.undo()
    assert desk.shapes == ()


def test_a_drag_around_leaves_a_hole(desk):
    desk.drag((240, 60), (340, 60), (340, 160), (240, 160), (240, 60))
    desk.settle()
    desk.key(KEY.Key_Return)
    (shape,) = desk.shapes
    assert len(shape.holes) == 1
    assert not desk.covered()[110, 290]


def test_an_alt_drag_takes_segments_out(desk):
    desk.drag((250, 60), (350, 60))
    desk.settle()
    desk.drag((340, 60), (355, 60), keys=ALT)
    desk.settle()
    desk.key(KEY.Key_Return)
    mask = desk.covered()
    assert mask[60, 250]
    assert not mask[60, 350]


def test_taking_everything_out_leaves_nothing_to_accept(desk):
    desk.click(250, 60)
    desk.settle()
    desk.click(250, 60, ALT)
    desk.settle()
    assert not desk.view.busy
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()


def test_brackets_change_the_size_of_segments_and_what_is_painted_stays(desk):
    desk.click(300, 100)
    desk.settle()
    for _ in range(4):
        desk.key(KEY.Key_BracketRight)
    desk.settle()
    assert "39 px" in desk.view.hint or "size" in desk.view.hint
    desk.click(100, 100)
    desk.settle()
    desk.key(KEY.Key_Return)
    small, large = sorted(int(shape_mask(shape, SIZE_HW).sum()) for shape in desk.shapes)
    assert large > 2 * small


def test_segments_stay_after_accepting(desk):
    desk.click(300, 100)
    desk.settle()
    desk.key(KEY.Key_Return)
    desk.click(100, 100)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2


def test_esc_drops_what_is_painted(desk):
    desk.click(300, 100)
    desk.settle()
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()


def test_while_the_image_is_cut_the_hint_says_so(desk):
    desk.key(KEY.Key_BracketRight)
    assert "Cutting" in desk.view.hint
    desk.settle()
    assert "Cutting" not in desk.view.hint


def test_another_image_is_cut_at_once(desk):
    desk.view.set_document(None)
    desk.view.set_image(paintable(np.full((*SIZE_HW, 3), 60, np.uint8)))
    desk.view.set_document(desk.document)
    assert desk.view.hint.startswith("Cutting")
    desk.settle()
    assert desk.view.hint.startswith("Click or drag")


def test_segments_stay_when_a_label_had_to_be_asked_for(desk):
    desk.view.set_active_class(None)
    desk.click(210, 150)
    desk.settle()
    before = desk.view._tool.overlay_box()
    desk.key(KEY.Key_Return)
    (asked,) = desk.unlabelled
    desk.history.push(AddShapes((asked.with_(label="nerve"),)))
    assert not desk.view.busy
    assert desk.view._tool.overlay_box() == before


def test_accepting_while_more_is_cut_does_not_end_the_cutting(make_desk, qtbot):
    desk = make_desk(size_wh=(4000, 3000))
    desk.view.set_zoom(1.0)
    desk.view.set_tool("superpixel")
    desk.settle()
    desk.click(*centre(desk))
    desk.settle()
    before = desk.view._tool._cut
    desk.view.centerOn(3500, 2500)
    desk.move(*centre(desk))
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 1
    desk.settle()
    assert desk.view._tool._cut is not before
    desk.click(*centre(desk))
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2


@pytest.mark.parametrize(("wait", "end"), [(True, 560), (False, 260)])
def test_a_drag_past_the_segments_there_are_leaves_none_out(make_desk, monkeypatch, wait, end):
    monkeypatch.setattr(superpixel, "_WINDOW_PIXELS", 40_000)  # some 200 x 200
    desk = make_desk(size_wh=(end + 20, 200))
    desk.view.set_tool("superpixel")
    desk.move(40, 100)
    desk.settle()
    desk.press(40, 100)
    for x in range(50, end + 1, 10):
        desk.move(x, 100, held=Qt.MouseButton.LeftButton)
        if wait:
            desk.settle()
    desk.release(end, 100)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert desk.covered()[100, 40:end].all()
    assert len(desk.shapes) == 1


@pytest.fixture
def uncut_desk(make_desk):
    """No segments before `settle`: the worker has something else to do."""
    gate = threading.Event()
    desk = make_desk()
    desk.view.context.runner.run(gate.wait, PATIENCE_S)
    desk.view.set_tool("superpixel")
    settle = desk.settle
    desk.settle = lambda: (gate.set(), settle())
    yield desk
    gate.set()


def test_all_clicks_while_the_image_is_cut_count(uncut_desk):
    desk = uncut_desk
    desk.click(210, 150)
    desk.click(330, 230)
    desk.drag((90, 230), (150, 230))
    desk.click(150, 230, ALT)
    desk.move(50, 50)
    desk.settle()
    desk.key(KEY.Key_Return)
    covered = desk.covered()
    assert covered[150, 210]
    assert covered[230, 330]
    assert covered[230, 90]
    assert not covered[50, 50]
    assert not covered[230, 150]


@pytest.mark.parametrize("accept", [Desk.double_click, click_and_enter])
def test_what_is_accepted_while_the_image_is_cut_is_added_when_it_is(uncut_desk, accept):
    desk = uncut_desk
    accept(desk, 210, 150)
    assert desk.shapes == ()
    desk.settle()
    assert desk.covered()[150, 210]
    assert not desk.view.busy


def test_accepting_an_alt_click_while_the_image_is_cut_adds_nothing(uncut_desk):
    desk = uncut_desk
    desk.click(210, 150, ALT)
    desk.key(KEY.Key_Return)
    desk.settle()
    assert desk.shapes == ()
    assert not desk.view.busy


def test_esc_drops_what_is_clicked_while_the_image_is_cut(uncut_desk):
    desk = uncut_desk
    click_and_enter(desk, 210, 150)
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.settle()
    assert desk.shapes == ()
    assert not desk.view.busy


def test_what_is_accepted_while_the_image_is_cut_is_added_though_another_is_begun(uncut_desk):
    desk = uncut_desk
    click_and_enter(desk, 210, 150)
    desk.view.set_active_class(desk.view.classes[2])
    click_and_enter(desk, 330, 230)
    desk.settle()
    at = {shape.label: shape_mask(shape, SIZE_HW) for shape in desk.shapes}
    assert at["nerve"][150, 210]
    assert not at["nerve"][230, 330]
    assert at["vessel"][230, 330]
    assert not at["vessel"][150, 210]


def test_what_is_accepted_while_the_image_is_cut_is_added_though_another_tool_is_chosen(uncut_desk):
    desk = uncut_desk
    click_and_enter(desk, 210, 150)
    desk.view.set_tool("select")
    desk.settle()
    assert desk.covered()[150, 210]


def test_what_is_clicked_while_the_image_cannot_be_cut_is_not_accepted_later(uncut_desk, monkeypatch):
    desk = uncut_desk
    with monkeypatch.context() as patched:
        patched.setattr(PixelReader, "window", unreadable)
        click_and_enter(desk, 210, 150)
        desk.settle()
    assert "still being read" in desk.view.hint
    assert not desk.view.busy
    desk.click(330, 230)
    desk.settle()
    assert desk.shapes == ()
    assert desk.view.busy


@pytest.mark.parametrize("bracket", [KEY.Key_BracketLeft, KEY.Key_BracketRight])
def test_a_bracket_held_to_the_end_leaves_segments_of_the_size_it_says(desk, bracket):
    desk.move(200, 150)
    for _ in range(14):
        desk.key(bracket)
    desk.settle()
    assert f"of {desk.view._tool._cut.size:.0f} px" in desk.view.hint


def test_segments_are_asked_for_again_where_the_image_could_not_be_read(make_desk, monkeypatch):
    desk = make_desk()
    with monkeypatch.context() as patched:
        patched.setattr(PixelReader, "window", unreadable)
        desk.view.set_tool("superpixel")
        desk.settle()
    assert "still being read" in desk.view.hint
    desk.move(200, 150)
    desk.settle()
    desk.click(200, 150)
    desk.settle()
    assert desk.view.busy


def test_what_is_accepted_at_once_takes_nothing_of_the_next_stroke_along(desk):
    desk.click(300, 100)
    desk.key(KEY.Key_Return)
    desk.click(100, 100)
    desk.settle()
    assert not desk.covered()[100, 100]
    assert desk.covered()[100, 300]
    assert desk.view.busy


def centre(desk):
    middle = desk.view.to_image(QPointF(desk.view.viewport().rect().center()))
    return middle.x(), middle.y()
