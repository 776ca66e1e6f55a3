"""Several vertices at once: selected by a rubber band, moved and removed together."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from core.annotation.commands import CutHole
from core.annotation.locking import with_lock
from core.annotation.model import ShapeType

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
SQUARE = [[100, 100], [200, 100], [200, 200], [100, 200]]


@pytest.fixture
def desk(make_desk, square):
    """The square is selected."""
    desk = make_desk(square)
    desk.click(150, 150)
    return desk


@pytest.fixture
def top(desk):
    """The two upper vertices of the square are selected."""
    desk.drag((80, 80), (220, 120))
    return desk


def marked(desk):
    return sorted(hit.index for hit in desk.view.context.selected_vertices)


def test_with_a_selection_a_rubber_band_selects_vertices(top, square):
    assert marked(top) == [0, 1]
    assert top.selection == {square.uid}
    top.move(350, 250)
    assert top.color(100, 100).red() > 230  # they stand out in yellow
    assert top.color(100, 100).blue() < 60
    assert top.color(100, 200).blue() > 200


def test_a_band_without_vertices_selects_shapes_again(make_desk, make_shape, square):
    other = make_shape([(260, 220), (300, 220), (300, 260)])
    desk = make_desk(square, other)
    desk.click(150, 150)
    desk.drag((250, 210), (320, 280))
    assert desk.selection == {other.uid}


def test_selected_vertices_move_together_in_one_step(top):
    top.drag((100, 100), (90, 60), (110, 80))
    assert top.points() == [[110, 80], [210, 80], [200, 200], [100, 200]]
    assert top.history.undo_name == "Move 2 vertices"
    assert marked(top) == [0, 1]
    top.history.undo()
    assert top.points() == SQUARE


def test_they_stop_at_the_edge_of_the_image_together(top):
    top.drag((100, 100), (100, 20), (100, -50))
    assert top.points()[:2] == [[100, 0], [200, 0]]


def test_vertices_of_several_shapes_move_together(make_desk, make_shape, square):
    other = make_shape([(210, 100), (300, 100), (300, 200), (210, 200)])
    desk = make_desk(square, other)
    desk.select({square.uid, other.uid})
    desk.drag((190, 80), (220, 120))
    desk.drag((200, 100), (200, 80))
    assert desk.points(0)[1] == [200, 80]
    assert desk.points(1)[0] == [210, 80]
    assert desk.history.position == 1


@pytest.mark.parametrize("key", [KEY.Key_Backspace, KEY.Key_Delete])
def test_backspace_and_delete_remove_them_together(desk, make_shape, key):
    desk.drag((180, 80), (220, 120))
    assert marked(desk) == [1]
    desk.click(200, 200, SHIFT)
    desk.document.replace(
        desk.shapes[0].with_(
            points=np.array([(100, 100), (200, 100), (200, 200), (150, 220), (100, 200)], float)
        )
    )
    assert marked(desk) == [1, 2]
    desk.key(key)
    assert desk.points() == [[100, 100], [150, 220], [100, 200]]
    assert desk.history.undo_name == "Remove 2 vertices"


def test_what_a_polygon_needs_at_least_stays(top):
    top.key(KEY.Key_Backspace)
    assert top.points() == SQUARE
    assert "at least 3 points" in top.view.hint


def test_removing_a_holes_vertices_fills_it(make_desk, make_shape):
    desk = make_desk(make_shape(SQUARE, holes=[[(130, 130), (170, 130), (150, 170)]]))
    desk.click(115, 180)
    desk.press(250, 250)
    desk.release(250, 250)
    desk.click(115, 180)
    desk.drag((20, 20), (380, 280))
    assert len(desk.view.context.selected_vertices) == 7
    desk.select(frozenset())
    desk.click(115, 180)
    for x, y in ((130, 130), (170, 130), (150, 170)):
        desk.click(x, y, SHIFT)
    assert len(desk.view.context.selected_vertices) == 3
    desk.key(KEY.Key_Backspace)
    assert desk.shapes[0].holes == ()


def test_shift_click_adds_a_vertex_and_takes_it_away(top):
    top.click(200, 200, SHIFT)
    assert marked(top) == [0, 1, 2]
    top.click(100, 100, SHIFT)
    assert marked(top) == [1, 2]


def test_ctrl_with_a_band_adds_vertices(top):
    top.drag((220, 220), (180, 180), keys=CTRL)
    assert marked(top) == [0, 1, 2]


def test_arrows_nudge_them_and_a_held_arrow_is_one_step(top):
    top.key(KEY.Key_Up)
    top.key(KEY.Key_Up, SHIFT)
    assert top.points()[:2] == [[100, 89], [200, 89]]
    assert top.history.position == 2


def test_a_click_on_another_vertex_selects_that_one_and_escape_none(top, square):
    top.click(200, 200)
    assert marked(top) == [2]
    top.key(KEY.Key_Escape)
    assert marked(top) == []
    assert top.selection == {square.uid}


def test_an_impossible_move_stops_at_the_last_good_place(top):
    top.drag((100, 100), (150, 150), (150, 280))
    assert top.refused == []
    assert top.points()[2:] == SQUARE[2:]


def test_shift_still_makes_a_square_of_a_rectangle(make_desk, make_shape):
    desk = make_desk(make_shape([(100, 100), (200, 160)], shape_type=ShapeType.RECTANGLE))
    desk.click(150, 130)
    desk.click(200, 160)
    desk.drag((200, 160), (240, 170), keys=SHIFT)
    assert desk.points() == [[100, 100], [240, 240]]


def test_locked_shapes_let_the_mouse_pass(desk, square):
    desk.select(frozenset())
    desk.document.replace(with_lock(square, locked=True))
    desk.click(150, 150)
    desk.drag((200, 200), (250, 250))
    desk.drag((50, 50), (250, 250))
    assert desk.selection == frozenset()
    assert desk.points() == SQUARE


def test_delete_with_every_vertex_selected_deletes_the_shape(top, square):
    top.drag((90, 90), (210, 210))
    assert len(top.view.context.selected_vertices) == len(square.points)
    top.key(KEY.Key_Delete)
    assert top.refused == []
    assert square.uid not in {shape.uid for shape in top.shapes}
    top.history.undo()
    assert square.uid in {shape.uid for shape in top.shapes}


@pytest.mark.parametrize("how", ["shift-click", "band"])
@pytest.mark.parametrize("key", [KEY.Key_Right, KEY.Key_Backspace])
def test_a_corner_of_a_box_is_not_marked_together_with_vertices(make_desk, make_shape, how, key):
    box = make_shape([(100, 100), (200, 200)], shape_type=ShapeType.RECTANGLE)
    desk = make_desk(box, make_shape([(250, 100), (350, 100), (350, 200), (300, 250)]))
    desk.select(frozenset(shape.uid for shape in desk.shapes))
    desk.click(100, 200)
    if how == "shift-click":
        desk.click(250, 100, SHIFT)
    else:
        desk.drag((240, 80), (260, 120), keys=CTRL)
    desk.move(20, 280)
    desk.key(key)
    assert desk.points(0) == [[100, 100], [200, 200]]
    assert desk.points(1)[0] == ([251, 100] if key == KEY.Key_Right else [350, 100])


def test_marks_of_a_shape_that_becomes_a_box_again_go(make_desk, make_shape):
    box = make_shape([(100, 100), (200, 200)], shape_type=ShapeType.RECTANGLE)
    desk = make_desk(box)
    desk.history.push(CutHole.of(desk.document, box.uid, [(140, 140), (160, 140), (150, 160)]))
    desk.click(110, 190)
    desk.drag((80, 180), (220, 220))
    assert marked(desk) == [2, 3]
    desk.history.undo()
    desk.key(KEY.Key_Right)
    assert desk.points(0)[0][0] in (100, 101)
    assert len(marked(desk)) < 2
