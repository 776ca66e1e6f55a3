"""The magic wand, by mouse and keys."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from app.canvas.pixels import PixelReader
from app.qt_pixels import paintable
from core.annotation.commands import AddShapes, Overlap
from core.annotation.document import AnnotationDocument
from core.annotation.model import Annotation
from core.errors import ImageFileError
from tests.patience import PATIENCE_S

KEY = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
SIZE_HW = (300, 400)


def scene() -> tuple[QImage, dict[str, np.ndarray]]:
    """Two discs, 40 grey levels apart, on a dark ground; the second has a rim 12 levels darker."""
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    away = {
        name: np.hypot(columns + 0.5 - x, rows + 0.5 - y) for name, x, y in (("a", 100, 150), ("b", 280, 150))
    }
    grey = np.full(SIZE_HW, 40)
    grey[away["a"] <= 40] = 200
    grey[away["b"] <= 40] = 138
    grey[away["b"] <= 25] = 160
    image = paintable(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))
    return image, {"a": away["a"] <= 40, "b": away["b"] <= 40, "core": away["b"] <= 25}


@pytest.fixture
def regions() -> dict[str, np.ndarray]:
    return scene()[1]


@pytest.fixture
def desk(make_desk):
    desk = make_desk(image=scene()[0])
    desk.view.set_tool("wand")
    return desk


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_click_and_enter_make_a_polygon_of_the_active_class(desk, regions):
    desk.click(100, 150)
    desk.settle()
    assert desk.shapes == ()  # a preview
    assert desk.view.busy
    desk.key(KEY.Key_Return)
    (shape,) = desk.shapes
    assert shape.label == "nerve"
    assert iou(desk.covered(), regions["a"]) > 0.95
    assert not desk.view.busy


def test_the_preview_is_painted_before_it_is_accepted(desk):
    before = desk.color(100, 150)
    desk.click(100, 150)
    desk.settle()
    desk.move(10, 10)
    assert desk.color(100, 150) != before
    assert desk.color(20, 280) == desk.color(380, 20)


def test_dragging_right_widens_the_tolerance(desk, regions):
    desk.press(280, 150)
    desk.settle()
    desk.move(330, 150, held=Qt.MouseButton.LeftButton)
    desk.settle()
    assert "tolerance" in desk.view.hint
    desk.release(330, 150)
    desk.key(KEY.Key_Return)
    assert iou(desk.covered(), regions["b"]) > 0.95


def test_dragging_left_narrows_it_and_it_stays_for_the_next_object(desk, regions):
    desk.drag((280, 150), (340, 150))
    desk.settle()
    desk.key(KEY.Key_Escape)
    desk.drag((280, 150), (210, 150))
    desk.settle()
    desk.key(KEY.Key_Return)
    assert iou(desk.covered(), regions["core"]) > 0.9


def test_brackets_change_the_tolerance(desk, regions):
    desk.click(280, 150)
    for _ in range(10):
        desk.key(KEY.Key_BracketRight)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert iou(desk.covered(), regions["b"]) > 0.95


def test_shift_adds_and_alt_takes_away_in_one_step_of_the_history(desk, regions):
    desk.click(100, 150)
    desk.settle()
    desk.click(280, 150, SHIFT)
    desk.settle()
    desk.click(280, 150, ALT)
    desk.settle()
    desk.click(280, 150, SHIFT)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2
    assert iou(desk.covered(), regions["a"] | regions["core"]) > 0.9
    desk.history.undo()
    assert desk.shapes == ()


def test_a_second_click_takes_the_place_of_the_first(desk, regions):
    desk.click(100, 150)
    desk.settle()
    desk.click(280, 150)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 1
    assert not desk.covered()[150, 100]


def test_a_double_click_finds_and_accepts(desk, regions):
    desk.double_click(100, 150)
    desk.settle()
    assert iou(desk.covered(), regions["a"]) > 0.95


def test_enter_before_the_worker_is_ready_accepts_when_it_is(desk, regions):
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    desk.settle()
    assert len(desk.shapes) == 1


def unreadable(*_args):
    raise ImageFileError(Path("a.tif"), "is still being read; try again in a moment")


@pytest.fixture
def slow_desk(desk):
    """Nothing is found before `settle`: the worker has something else to do."""
    gate = threading.Event()
    desk.view.context.runner.run(gate.wait, PATIENCE_S)
    settle = desk.settle
    desk.settle = lambda: (gate.set(), settle())
    yield desk
    gate.set()


@pytest.mark.parametrize("with_class", [True, False])
def test_a_region_accepted_while_it_grows_is_added_though_another_is_pressed_meanwhile(
    slow_desk, regions, with_class
):
    desk = slow_desk
    nerve = desk.view.classes[1]
    desk.view.set_active_class(nerve if with_class else None)
    desk.click(100, 150)
    desk.key(KEY.Key_BracketLeft)  # the newest request waits for the first one
    desk.key(KEY.Key_Return)
    desk.click(280, 150)
    desk.settle()
    assert desk.view.busy  # what was pressed last is a preview
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.view.context.waiting.take(nerve)
    assert iou(desk.covered(), regions["a"]) > 0.95


@pytest.mark.parametrize("another", [True, False])
def test_a_region_gets_the_class_that_was_active_when_it_was_accepted(slow_desk, another):
    desk = slow_desk
    nerve, vessel = desk.view.classes[1], desk.view.classes[2]
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    desk.view.set_active_class(vessel)
    if another:
        desk.click(280, 150)
    desk.settle()
    assert [shape.label for shape in desk.shapes] == [nerve.name]
    assert desk.view.busy == another
    desk.key(KEY.Key_Return)
    assert [shape.label for shape in desk.shapes] == [nerve.name, vessel.name][: 1 + another]


def test_a_region_accepted_while_it_grows_is_added_though_another_tool_is_chosen(slow_desk, regions):
    desk = slow_desk
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    desk.view.set_tool("select")
    desk.settle()
    assert iou(desk.covered(), regions["a"]) > 0.95
    desk.view.set_tool("wand")
    assert not desk.view.busy


def test_a_region_accepted_while_it_grows_is_dropped_by_esc(slow_desk):
    desk = slow_desk
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    desk.key(KEY.Key_Escape)
    desk.view.set_tool("select")
    desk.settle()
    assert desk.shapes == ()


@pytest.mark.parametrize("readable", [True, False])
def test_a_region_accepted_while_it_grows_is_said_to_be_missing_when_its_image_is_left(
    slow_desk, readable, monkeypatch
):
    desk = slow_desk
    if not readable:
        monkeypatch.setattr(PixelReader, "window", unreadable)
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    other = AnnotationDocument(Annotation("b.png", SIZE_HW, ()))
    desk.view.set_document(None)
    desk.view.set_image(scene()[0])
    desk.view.set_document(other)
    desk.settle()
    assert "was not added" in desk.view.hint
    assert desk.shapes == other.shapes == ()


def test_an_accepted_region_that_could_not_be_found_leaves_the_next_one_accepted(
    slow_desk, regions, monkeypatch
):
    desk, window, calls = slow_desk, PixelReader.window, itertools.count()
    monkeypatch.setattr(PixelReader, "window", lambda *args: window(*args) if next(calls) else unreadable())
    for x in (100, 280):
        desk.click(x, 150)
        desk.key(KEY.Key_Return)
    desk.settle()
    assert iou(desk.covered(), regions["core"]) > 0.9


def test_a_region_that_could_not_be_found_accepts_no_other(desk, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(PixelReader, "window", unreadable)
        desk.double_click(100, 150)
        desk.settle()
    assert "still being read" in desk.view.hint
    desk.click(280, 150)
    desk.settle()
    assert desk.shapes == ()
    assert desk.view.busy


def test_shift_adds_to_what_is_there_after_a_click_that_found_nothing(desk, regions, monkeypatch):
    desk.click(100, 150)
    desk.settle()
    with monkeypatch.context() as patched:
        patched.setattr(PixelReader, "window", unreadable)
        desk.click(20, 20, SHIFT)
        desk.settle()
    desk.click(280, 150, SHIFT)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert iou(desk.covered(), regions["a"] | regions["core"]) > 0.9


def test_shift_adds_to_what_is_not_found_yet(slow_desk, regions):
    desk = slow_desk
    desk.click(100, 150)
    desk.click(280, 150, SHIFT)
    desk.click(280, 150, ALT)
    desk.click(280, 150, SHIFT)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert iou(desk.covered(), regions["a"] | regions["core"]) > 0.9


def test_shift_adds_to_the_region_of_the_last_tolerance(slow_desk, regions):
    desk = slow_desk
    desk.drag((280, 150), (330, 150))
    desk.click(100, 150, SHIFT)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert iou(desk.covered(), regions["a"] | regions["b"]) > 0.95


def test_esc_and_another_tool_drop_the_preview(desk):
    desk.click(100, 150)
    desk.settle()
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.click(100, 150)
    desk.view.set_tool("select")
    desk.settle()
    desk.view.set_tool("wand")
    assert not desk.view.busy
    assert desk.shapes == ()


def test_another_image_drops_what_an_older_press_finds(desk):
    desk.click(100, 150)
    desk.view.set_image(scene()[0])
    desk.settle()
    assert not desk.view.busy


def test_a_click_outside_and_alt_without_a_region_do_nothing(desk):
    desk.click(-6, 150)
    assert not desk.view.busy
    desk.click(100, 150, ALT)
    assert not desk.view.busy
    assert "nothing to take from" in desk.view.hint


def test_without_a_class_the_label_is_asked_for_and_the_region_stays_in_sight(desk):
    desk.view.set_active_class(None)
    desk.click(100, 150)
    desk.settle()
    desk.key(KEY.Key_Return)
    (shape,) = desk.unlabelled
    assert shape.label == ""
    assert desk.view.busy
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy


def test_only_its_own_shape_in_the_document_ends_a_region_that_waits_for_its_label(desk, square):
    desk.view.set_active_class(None)
    desk.click(280, 150)
    desk.settle()
    desk.key(KEY.Key_Return)
    (asked,) = desk.unlabelled  # and the question is cancelled
    desk.history.push(AddShapes((square,)))
    assert desk.view.busy
    desk.history.push(AddShapes((asked.with_(label="nerve"),)))
    assert not desk.view.busy


def test_holes_of_the_region_are_holes_of_the_polygon(desk):
    desk.click(20, 20)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert [len(shape.holes) for shape in desk.shapes] == [2]


def test_a_region_that_is_refused_stays_in_sight(desk, make_shape):
    whole = make_shape([(0, 0), (400, 0), (400, 300), (0, 300)], label="vessel")
    desk.history.push(AddShapes((whole,)))
    desk.view.context.overlap = Overlap.UNDER
    desk.click(200, 150)
    desk.settle()
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 1
    assert desk.view.busy
    desk.view.context.overlap = Overlap.STACK
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2
    assert not desk.view.busy
