"""Every key and gesture that labelme's users have in their hands, one row each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from core.annotation.model import ShapeType

KEY = Qt.Key
NONE = Qt.KeyboardModifier.NoModifier
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
MIDDLE = Qt.MouseButton.MiddleButton
RIGHT = Qt.MouseButton.RightButton
SQUARE = [[100, 100], [200, 100], [200, 200], [100, 200]]

KEYS = {
    "Ctrl+O": "file.open_file",
    "Ctrl+U": "file.open_folder",
    "Ctrl+S": "file.save",
    "Ctrl+Shift+S": "file.save_as",
    "D": "window.next",
    "A": "window.previous",
    "Ctrl+Shift+D": "window.next_copy",
    "Ctrl+Shift+A": "window.previous_copy",
    "Ctrl+N": "shape.polygon",
    "Ctrl+R": "shape.rectangle",
    "Ctrl+J": "shape.select",
    "Ctrl+E": "edit.label",
    "Del": "edit.delete",
    "Ctrl+D": "edit.duplicate",
    "Ctrl+C": "edit.copy",
    "Ctrl+V": "edit.paste",
    "Ctrl+Z": "edit.undo",
    "Ctrl++": "view.zoom_in",
    "Ctrl+=": "view.zoom_in",
    "Ctrl+-": "view.zoom_out",
    "Ctrl+0": "view.zoom_actual",
    "Ctrl+F": "view.fit",
    "Ctrl+Shift+F": "view.fit_width",
    "T": "view.labels",
    "Ctrl+P": "edit.keep_previous",
    "Ctrl+W": "file.close",
    "Ctrl+Q": "file.quit",
    "Ctrl+Del": "file.delete_annotation",
    "Ctrl+A": "edit.select_all",
}
"""labelme's keys and what they do here. Backspace and Esc are gestures: they act where the mouse is."""


def test_every_key_of_labelme_runs_its_action(make_window, image_folder):
    bench = make_window()
    bench.open(image_folder(2))
    run: list[str] = []
    for name in set(KEYS.values()):
        action = bench.window.actions_[name]
        action.triggered.disconnect()  # what the actions do, their own tests say
        action.triggered.connect(lambda _checked=False, name=name: run.append(name))
        action.setEnabled(True)
    bench.canvas.setFocus()
    for keys in KEYS:
        stroke = QKeySequence(keys)[0]
        QTest.keyClick(bench.canvas, stroke.key(), stroke.keyboardModifiers())
    assert dict(zip(KEYS, run, strict=True)) == KEYS


# --- drawing ----------------------------------------------------------------------------------------------


def draw(desk, *points, tool="polygon"):
    desk.view.set_tool(tool)
    for x, y in points:
        desk.click(x, y)


TRIANGLE = ((50, 50), (150, 50), (100, 150))


def a_click_on_the_first_point_closes(desk):
    draw(desk, *TRIANGLE)
    desk.click(51, 52)
    assert len(desk.points()) == 3


def a_click_within_ten_screen_pixels_of_it_does_too(desk):
    desk.view.set_zoom(1.0)
    draw(desk, *TRIANGLE)
    desk.click(58, 54)
    assert len(desk.points()) == 3


def enter_closes(desk):
    draw(desk, *TRIANGLE)
    desk.key(KEY.Key_Return)
    assert len(desk.points()) == 3


def space_closes(desk):
    draw(desk, *TRIANGLE)
    desk.key(KEY.Key_Space)
    assert len(desk.points()) == 3


def a_double_click_closes(desk):
    draw(desk, *TRIANGLE[:2])
    desk.double_click(*TRIANGLE[2])
    assert len(desk.points()) == 3


def escape_cancels(desk):
    draw(desk, *TRIANGLE)
    desk.key(KEY.Key_Escape)
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()


def ctrl_z_takes_the_last_point_back_while_drawing(desk):
    draw(desk, *TRIANGLE, (20, 120))
    desk.key(KEY.Key_Z, CTRL)
    desk.key(KEY.Key_Return)
    assert len(desk.points()) == 3


def alt_suspends_snapping(desk):
    draw(desk, *TRIANGLE)
    desk.click(53, 53, ALT)
    assert desk.shapes == ()


def shift_makes_a_square(desk):
    desk.view.set_tool("rectangle")
    desk.click(50, 50)
    desk.click(150, 90, SHIFT)
    width, height = np.ptp(desk.shapes[0].points, axis=0)
    assert width == pytest.approx(height)


def a_line_strip_ends_with_ctrl_click(desk):
    draw(desk, (50, 50), (150, 50), tool="linestrip")
    desk.click(150, 150, CTRL)
    assert desk.shapes[0].shape_type is ShapeType.LINESTRIP
    assert len(desk.points()) == 3


def an_oriented_rectangle_is_a_side_and_a_width(desk):
    draw(desk, (50, 50), (150, 50), (100, 90), tool="oriented_rectangle")
    assert desk.shapes[0].shape_type is ShapeType.ORIENTED_RECTANGLE


@pytest.mark.parametrize(
    "gesture",
    [
        a_click_on_the_first_point_closes,
        a_click_within_ten_screen_pixels_of_it_does_too,
        enter_closes,
        space_closes,
        a_double_click_closes,
        escape_cancels,
        ctrl_z_takes_the_last_point_back_while_drawing,
        alt_suspends_snapping,
        shift_makes_a_square,
        a_line_strip_ends_with_ctrl_click,
        an_oriented_rectangle_is_a_side_and_a_width,
    ],
    ids=lambda gesture: gesture.__name__,
)
def test_drawing(make_desk, gesture: Callable[..., None]):
    gesture(make_desk())


# --- editing ----------------------------------------------------------------------------------------------


def a_click_selects(desk):
    desk.click(150, 150)
    assert desk.selection == {desk.shapes[0].uid}


def ctrl_click_adds_to_the_selection(desk):
    desk.click(150, 150)
    desk.click(320, 130, CTRL)
    assert len(desk.selection) == 2


def a_drag_moves_a_vertex(desk):
    desk.drag((200, 200), (215, 230))
    moved = np.abs(desk.shapes[0].points - SQUARE).max(axis=1)
    assert moved[[0, 1, 3]].max() == 0
    assert desk.points(0)[2] == [pytest.approx(215, abs=1), pytest.approx(230, abs=1)]


def a_drag_moves_the_shape(desk):
    desk.drag((150, 150), (160, 170))
    assert desk.points(0)[0] == [110, 120]


def alt_click_on_an_edge_adds_a_vertex_and_drags_it(desk):
    desk.drag((150, 100), (150, 60), keys=ALT)
    assert desk.points(0)[1] == [150, 60]


def alt_shift_click_on_a_vertex_removes_it(desk):
    desk.click(200, 200, ALT | SHIFT)
    assert len(desk.points(0)) == 3


def backspace_removes_the_selected_point(desk):
    desk.click(200, 200)
    desk.move(30, 250)
    desk.key(KEY.Key_Backspace)
    assert len(desk.points(0)) == 3


def arrow_keys_nudge(desk):
    desk.click(150, 150)
    desk.key(KEY.Key_Right)
    desk.key(KEY.Key_Down, SHIFT)
    assert desk.points(0)[0] == [101, 110]


def ctrl_a_selects_all(desk):
    desk.key(KEY.Key_A, CTRL)
    assert len(desk.selection) == 2


def delete_removes_the_selection(desk):
    desk.click(150, 150)
    desk.key(KEY.Key_Delete)
    assert len(desk.shapes) == 1


def a_right_drag_offers_copy_here_or_move_here(desk):
    desk.click(150, 150)
    desk.drag((150, 150), (160, 170), button=RIGHT)
    menu = desk.view.findChild(QMenu, "copy_or_move_menu")
    assert [action.text() for action in menu.actions() if action.text()][:2] == ["Copy here", "Move here"]
    menu.close()


@pytest.mark.parametrize(
    "gesture",
    [
        a_click_selects,
        ctrl_click_adds_to_the_selection,
        a_drag_moves_a_vertex,
        a_drag_moves_the_shape,
        alt_click_on_an_edge_adds_a_vertex_and_drags_it,
        alt_shift_click_on_a_vertex_removes_it,
        backspace_removes_the_selected_point,
        arrow_keys_nudge,
        ctrl_a_selects_all,
        delete_removes_the_selection,
        a_right_drag_offers_copy_here_or_move_here,
    ],
    ids=lambda gesture: gesture.__name__,
)
def test_editing(make_desk, make_shape, square, gesture: Callable[..., None]):
    gesture(make_desk(square, make_shape([(260, 100), (350, 100), (350, 200)])))


# --- viewing ----------------------------------------------------------------------------------------------


def scrolled(desk):
    return desk.view.horizontalScrollBar().value(), desk.view.verticalScrollBar().value()


def the_wheel_scrolls(desk):
    x, y = scrolled(desk)
    desk.wheel(-1, 200, 150)
    assert scrolled(desk)[0] == x
    assert scrolled(desk)[1] > y


def shift_and_wheel_scroll_sideways(desk):
    x, y = scrolled(desk)
    desk.wheel(-1, 200, 150, SHIFT)
    assert scrolled(desk)[0] > x
    assert scrolled(desk)[1] == y


def ctrl_and_wheel_zoom_at_the_cursor(desk):
    before, where = desk.view.zoom, desk.at(210, 140)
    desk.wheel(1, 210, 140, CTRL)
    assert desk.view.zoom > before
    assert (desk.at(210, 140) - where).manhattanLength() <= 2


def the_middle_button_pans(desk):
    x, y = scrolled(desk)
    start = desk.at(200, 150)
    QTest.mousePress(desk.view.viewport(), MIDDLE, NONE, start)
    start.setX(start.x() - 40)
    desk.move_to(start, held=MIDDLE)
    QTest.mouseRelease(desk.view.viewport(), MIDDLE, NONE, start)
    assert scrolled(desk) == (x + 40, y)


@pytest.mark.parametrize(
    "gesture",
    [
        the_wheel_scrolls,
        shift_and_wheel_scroll_sideways,
        ctrl_and_wheel_zoom_at_the_cursor,
        the_middle_button_pans,
    ],
    ids=lambda gesture: gesture.__name__,
)
@pytest.mark.parametrize("tool", ["select", "polygon", "brush", "ruler"])
def test_viewing(make_desk, tool: str, gesture: Callable[..., None]):
    desk = make_desk()
    desk.view.set_tool(tool)
    desk.view.set_zoom(5.0)
    desk.view.centerOn(200, 150)
    gesture(desk)
    assert desk.shapes == ()
