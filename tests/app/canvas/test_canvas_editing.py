"""Selecting and editing with mouse and keys, as labelme taught."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

from core.annotation.commands import drawing, uniting
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import Annotation, ShapeType

KEY = Qt.Key
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
RIGHT = Qt.MouseButton.RightButton
SQUARE = [[100, 100], [200, 100], [200, 200], [100, 200]]


@pytest.fixture
def desk(make_desk, square):
    return make_desk(square)


def test_a_click_selects_and_a_click_beside_it_deselects(desk):
    desk.click(150, 150)
    assert desk.selection == {desk.shapes[0].uid}
    desk.click(350, 250)
    assert desk.selection == frozenset()


def test_a_click_in_a_hole_does_not_select(make_desk, make_shape):
    shape = make_shape(SQUARE, holes=[[(130, 130), (170, 130), (150, 170)]])
    desk = make_desk(shape)
    desk.click(150, 142)
    assert desk.selection == frozenset()
    desk.click(115, 180)
    assert desk.selection == {shape.uid}


def test_ctrl_click_adds_to_the_selection_and_takes_away(make_desk, make_shape, square):
    other = make_shape([(250, 100), (350, 100), (350, 200)])
    desk = make_desk(square, other)
    desk.click(150, 150)
    desk.click(320, 130, CTRL)
    assert desk.selection == {square.uid, other.uid}
    desk.click(150, 150, CTRL)
    assert desk.selection == {other.uid}


def test_a_repeated_click_picks_the_next_below(make_desk, make_shape):
    stack = [make_shape([(40 + d, 40 + d), (300, 60), (300 - d, 260 - d)]) for d in (0, 5, 10)]
    desk = make_desk(*stack)
    picked = []
    for _ in range(4):
        desk.click(220, 120)
        picked.append(next(iter(desk.selection)))
    assert picked == [stack[2].uid, stack[1].uid, stack[0].uid, stack[2].uid]


def test_dragging_a_vertex_moves_it_in_one_step(desk):
    desk.click(150, 150)
    desk.drag((200, 200), (230, 220), (250, 260))
    assert desk.points() == [[100, 100], [200, 100], [250, 260], [100, 200]]
    assert desk.history.undo_name == "Move vertex"
    desk.history.undo()
    assert desk.points() == SQUARE


def test_a_vertex_of_an_unselected_shape_can_be_dragged_at_once(desk):
    desk.drag((100, 100), (80, 90))
    assert desk.points()[0] == [80, 90]
    assert desk.selection == {desk.shapes[0].uid}


def test_a_vertex_of_a_hole_moves_its_ring(make_desk, make_shape):
    desk = make_desk(make_shape(SQUARE, holes=[[(130, 130), (170, 130), (150, 170)]]))
    desk.click(115, 180)
    desk.drag((150, 170), (150, 190))
    assert np.round(desk.shapes[0].holes[0]).tolist() == [[130, 130], [170, 130], [150, 190]]
    assert desk.points() == SQUARE


def test_a_drag_that_would_cross_the_outline_stops_at_the_last_good_place(desk):
    desk.drag((200, 200), (60, 60), (20, 150))
    x, y = desk.points()[2]
    assert (x, y) != (20, 150)
    assert desk.refused == []
    assert desk.history.position <= 1


def test_escape_during_a_drag_changes_nothing(desk):
    desk.press(200, 200)
    desk.move(250, 250, held=Qt.MouseButton.LeftButton)
    desk.key(KEY.Key_Escape)
    desk.move(260, 260, held=Qt.MouseButton.LeftButton)
    desk.release(260, 260)
    assert desk.points() == SQUARE
    assert not desk.history.can_undo


def test_nothing_is_written_before_the_button_is_released(desk):
    desk.press(200, 200)
    desk.move(250, 250, held=Qt.MouseButton.LeftButton)
    assert desk.document.revision == 0
    assert desk.color(230, 230).red() > 150  # but it is shown
    desk.release(250, 250)
    assert desk.document.revision == 1


def test_dragging_a_shape_moves_all_that_is_selected(make_desk, make_shape, square):
    other = make_shape([(250, 100), (350, 100), (350, 200)])
    desk = make_desk(square, other)
    desk.click(150, 150)
    desk.click(320, 130, CTRL)
    desk.drag((150, 150), (170, 180))
    assert desk.points(0)[0] == [120, 130]
    assert desk.points(1)[0] == [270, 130]
    assert desk.history.position == 1


def test_a_drag_selects_and_moves_in_one_go(desk):
    desk.drag((150, 150), (170, 180))
    assert desk.points()[0] == [120, 130]
    assert desk.selection == {desk.shapes[0].uid}


def test_a_shape_of_a_few_screen_pixels_can_still_be_moved(make_desk, make_shape):
    desk = make_desk(make_shape([(100, 100), (105, 100), (105, 105), (100, 105)]))
    desk.drag((102.5, 102.5), (122.5, 112.5))
    np.testing.assert_allclose(desk.shapes[0].points.mean(axis=0), (122.5, 112.5), atol=1)
    assert np.ptp(desk.shapes[0].points, axis=0).tolist() == [5, 5]


def test_a_moved_shape_stays_in_the_image(desk):
    desk.drag((150, 150), (10, 10))
    assert desk.points() == [[0, 0], [100, 0], [100, 100], [0, 100]]


def test_a_mask_moves_by_whole_pixels(make_desk, make_shape):
    mask = make_shape([(100, 100), (119, 119)], shape_type=ShapeType.MASK).with_(mask=np.ones((20, 20), bool))
    desk = make_desk(mask)
    desk.drag((110, 110), (131, 122))
    points = desk.shapes[0].points
    assert (points == np.round(points)).all()
    assert (points != mask.points).all()


def test_alt_click_on_an_edge_adds_a_vertex(desk):
    desk.click(150, 100, ALT)
    assert desk.points() == [[100, 100], [150, 100], [200, 100], [200, 200], [100, 200]]
    assert desk.history.undo_name == "Add vertex"


def test_alt_press_on_an_edge_adds_a_vertex_and_drags_it_in_one_step(desk):
    desk.drag((150, 100), (150, 60), keys=ALT)
    assert desk.points()[1] == [150, 60]
    assert desk.history.position == 1
    desk.history.undo()
    assert desk.points() == SQUARE


def test_alt_shift_click_removes_a_vertex(desk):
    desk.click(200, 200, ALT | SHIFT)
    assert desk.points() == [[100, 100], [200, 100], [100, 200]]


def test_a_triangle_keeps_its_vertices_and_says_why(make_desk, make_shape):
    desk = make_desk(make_shape([(100, 100), (200, 100), (200, 200)]))
    desk.click(200, 200, ALT | SHIFT)
    assert len(desk.points()) == 3
    assert "at least 3 points" in desk.view.hint


def test_backspace_removes_the_vertex_under_the_mouse(desk):
    desk.move(200, 200)
    desk.key(KEY.Key_Backspace)
    assert desk.points() == [[100, 100], [200, 100], [100, 200]]


def test_backspace_removes_the_vertex_clicked_last(desk):
    desk.click(200, 200)
    desk.move(350, 50)
    desk.key(KEY.Key_Backspace)
    assert desk.points() == [[100, 100], [200, 100], [100, 200]]


def test_arrows_nudge_the_selection_by_a_pixel_and_shift_by_ten(desk):
    desk.click(150, 150)
    desk.key(KEY.Key_Right)
    desk.key(KEY.Key_Down, SHIFT)
    assert desk.points()[0] == [101, 110]


def test_arrows_nudge_the_selected_vertex(desk):
    desk.click(200, 200)
    desk.key(KEY.Key_Left)
    assert desk.points() == [[100, 100], [200, 100], [199, 200], [100, 200]]


def test_a_held_arrow_is_one_step_to_undo(desk):
    desk.click(150, 150)
    for _ in range(3):
        QTest.keyPress(desk.view, KEY.Key_Right)
    QTest.keyRelease(desk.view, KEY.Key_Right)
    desk.key(KEY.Key_Right)
    assert desk.points()[0] == [104, 100]
    assert desk.history.position == 2
    desk.history.undo()
    assert desk.points()[0] == [103, 100]


def test_a_held_arrow_on_a_rectangles_corner_is_one_step_to_undo(make_desk, make_shape):
    desk = make_desk(make_shape([(100, 100), (200, 160)], shape_type=ShapeType.RECTANGLE))
    desk.click(200, 160)
    for _ in range(3):
        QTest.keyPress(desk.view, KEY.Key_Right)
    QTest.keyRelease(desk.view, KEY.Key_Right)
    assert desk.points() == [[100, 100], [203, 160]]
    desk.history.undo()
    assert desk.points() == [[100, 100], [200, 160]]


def test_arrows_move_a_mask_and_what_is_selected_with_it_by_whole_pixels(make_desk, make_shape):
    outline = make_shape([(1.5, 100), (50, 100), (50, 150)])
    mask = make_shape([(100, 100), (119, 119)], shape_type=ShapeType.MASK).with_(mask=np.ones((20, 20), bool))
    desk = make_desk(outline, mask)
    desk.select({outline.uid, mask.uid})
    for _ in range(2):
        desk.key(KEY.Key_Left)
    assert [shape.points[0].tolist() for shape in desk.shapes] == [[0.5, 100], [99, 100]]


def test_ctrl_a_selects_all_that_is_shown(make_desk, make_shape, square):
    hidden = make_shape([(250, 100), (350, 100), (350, 200)])
    desk = make_desk(square, hidden)
    desk.view.set_hidden({hidden.uid})
    desk.key(KEY.Key_A, CTRL)
    assert desk.selection == {square.uid}


def test_delete_removes_the_selection(desk):
    desk.click(150, 150)
    desk.key(KEY.Key_Delete)
    assert desk.shapes == ()
    assert desk.selection == frozenset()
    desk.history.undo()
    assert desk.points() == SQUARE


@pytest.mark.parametrize(("choice", "expected"), [("Copy here", 2), ("Move here", 1)])
def test_a_right_drag_offers_to_copy_or_to_move(desk, choice, expected):
    desk.click(150, 150)
    desk.drag((150, 150), (200, 170), button=RIGHT)
    menu = desk.view.findChild(QMenu, "copy_or_move_menu")
    assert desk.points() == SQUARE  # until the answer
    next(action for action in menu.actions() if action.text() == choice).trigger()
    menu.close()
    assert len(desk.shapes) == expected
    assert desk.points()[0] == [150, 120]
    assert desk.history.position == 1
    assert desk.selection == {desk.shapes[-1].uid}


def test_a_right_drag_back_to_where_it_began_moves_nothing(desk):
    desk.click(150, 150)
    desk.key(KEY.Key_Right)
    desk.history.undo()
    desk.drag((150, 150), (200, 170), (150, 150), button=RIGHT)
    menu = desk.view.findChild(QMenu, "copy_or_move_menu")
    next(action for action in menu.actions() if action.text() == "Move here").trigger()
    menu.close()
    assert desk.history.can_redo


@pytest.mark.parametrize("vertices", [1, 2])
def test_vertices_dragged_back_to_where_they_were_leave_the_history_as_it_is(desk, vertices):
    desk.click(150, 150)
    desk.key(KEY.Key_Right)
    desk.history.undo()
    desk.click(200, 200)
    if vertices == 2:
        desk.click(200, 100, SHIFT)
    desk.drag((200, 200), (230, 220), (200, 200))
    assert desk.points() == SQUARE
    assert desk.history.can_redo


def test_a_right_click_selects_and_asks_for_the_context_menu(desk, qtbot):
    with qtbot.waitSignal(desk.view.context_menu_requested):
        desk.click(150, 150, button=RIGHT)
    assert desk.selection == {desk.shapes[0].uid}


def test_a_drag_from_empty_ground_selects_what_it_encloses(make_desk, make_shape, square):
    half_in = make_shape([(180, 210), (390, 210), (390, 290)])
    desk = make_desk(square, half_in)
    desk.drag((80, 80), (300, 260))
    assert desk.selection == {square.uid}


def test_hidden_shapes_and_hidden_labels_let_the_mouse_pass(desk):
    uid = desk.shapes[0].uid
    desk.view.set_hidden({uid})
    desk.click(150, 150)
    assert desk.selection == frozenset()
    desk.view.set_hidden(frozenset())
    desk.view.set_labels_visible(False)
    desk.click(150, 150)
    assert desk.selection == frozenset()
    desk.view.set_labels_visible(True)
    desk.click(150, 150)
    assert desk.selection == {uid}


@pytest.mark.parametrize(
    ("corner", "to", "expected"),
    [
        ((100, 100), (90, 80), [[90, 80], [200, 160]]),
        ((200, 100), (220, 80), [[100, 80], [220, 160]]),
        ((200, 160), (220, 180), [[100, 100], [220, 180]]),
        ((100, 160), (90, 180), [[90, 100], [200, 180]]),
    ],
)
def test_every_corner_of_a_rectangle_resizes_it(make_desk, make_shape, corner, to, expected):
    desk = make_desk(make_shape([(100, 100), (200, 160)], shape_type=ShapeType.RECTANGLE))
    desk.click(150, 130)
    desk.drag(corner, to)
    assert desk.points() == expected


def test_shift_resizes_a_rectangle_to_a_square_inside_the_image(make_desk, make_shape):
    desk = make_desk(make_shape([(350, 100), (390, 140)], shape_type=ShapeType.RECTANGLE))
    desk.click(370, 120)
    desk.drag((390, 140), (395, 250), keys=SHIFT)
    assert desk.points() == [[350, 100], [400, 150]]


def test_a_circle_is_resized_at_its_rim_and_moved_at_its_centre(make_desk, make_shape):
    desk = make_desk(make_shape([(150, 150), (200, 150)], shape_type=ShapeType.CIRCLE))
    desk.click(150, 130)
    desk.drag((200, 150), (230, 150))
    np.testing.assert_allclose(desk.shapes[0].points, [[150, 150], [230, 150]], atol=1)
    desk.drag((150, 150), (160, 160))
    np.testing.assert_allclose(desk.shapes[0].points, [[160, 160], [240, 160]], atol=1)


def test_lines_and_points_are_picked_near_their_ink(make_desk, make_shape):
    line = make_shape([(50, 50), (150, 60)], shape_type=ShapeType.LINE)
    point = make_shape([(300, 200)], shape_type=ShapeType.POINT)
    desk = make_desk(line, point)
    desk.click(100, 56)
    assert desk.selection == {line.uid}
    desk.click(302, 201)
    assert desk.selection == {point.uid}
    desk.click(100, 75)
    assert desk.selection == frozenset()


def test_an_undo_during_a_drag_ends_the_drag(desk):
    desk.click(150, 150)
    desk.key(KEY.Key_Right)
    desk.press(150, 150)
    desk.move(180, 180, held=Qt.MouseButton.LeftButton)
    desk.history.undo()
    assert not desk.view.busy
    desk.release(180, 180)
    assert desk.points() == SQUARE


@pytest.mark.parametrize("edit", ["delete", "unite", "undo"])
def test_several_shapes_go_at_once_while_the_mouse_rests_on_a_vertex(make_desk, make_shape, caplog, edit):
    row = [make_shape([(x, 100), (x + 60, 100), (x + 60, 160), (x, 160)]) for x in (60, 110, 160)]
    desk = make_desk()
    desk.history.push(drawing(desk.document, row))
    desk.select(shape.uid for shape in row)
    desk.move(110, 160)
    assert desk.view.context.hovered.uid == row[1].uid
    match edit:
        case "delete":
            desk.key(KEY.Key_Delete)
        case "unite":
            desk.history.push(uniting(desk.document, [shape.uid for shape in row]))
        case "undo":
            desk.history.undo()
    assert not caplog.records
    assert desk.view.context.index.shown() == [shape.uid for shape in desk.shapes]
    assert desk.view.context.hovered is None


def test_a_document_reloaded_from_disk_leaves_nothing_behind(desk):
    desk.click(150, 150)
    desk.click(200, 200)
    desk.document.reset(Annotation("a.png", (300, 400)))
    desk.move(200, 200)
    desk.key(KEY.Key_Backspace)
    assert desk.shapes == ()
    assert desk.color(150, 150).red() == 128


def test_the_cursor_and_the_hint_follow_what_is_under_the_mouse(desk):
    shape = desk.view.viewport().cursor
    desk.move(350, 250)
    assert shape().shape() == Qt.CursorShape.ArrowCursor
    desk.move(200, 200)
    assert shape().shape() == Qt.CursorShape.PointingHandCursor
    assert "vertex" in desk.view.hint
    desk.move(150, 100, ALT)
    assert shape().shape() == Qt.CursorShape.CrossCursor


def test_a_click_that_ends_beside_where_it_began_selects_nothing_new(make_desk, make_shape):
    line = make_shape([(100, 100), (200, 100)], shape_type=ShapeType.LINE)
    desk = make_desk(line)
    desk.click(150, 100)
    desk.press(150, 100)
    desk.release(150, 105)
    assert desk.selection == {line.uid}


# --- hands that are interrupted ---------------------------------------------------------------------------


def test_a_drag_whose_release_a_dialog_has_got_ends_where_the_mouse_was_seen_last(desk):
    desk.press(150, 150)
    desk.move(170, 160, held=LEFT)
    desk.move(300, 250)
    assert not desk.view.busy
    assert desk.points()[0] == [120, 110]


@pytest.mark.parametrize("tool", ["brush", "freehand"])
def test_a_stroke_whose_release_is_lost_is_kept(make_desk, tool):
    desk = make_desk()
    desk.view.set_tool(tool)
    desk.press(100, 100)
    for stop in ((150, 100), (150, 150), (100, 150)):
        desk.move(*stop, held=LEFT)
    desk.press(300, 200)
    assert len(desk.shapes) == 1
    assert desk.shapes[0].points.max() < 170
    desk.release(300, 200)


@pytest.mark.parametrize(
    ("mistake", "error"), [(lambda _: np.zeros(2)[3], IndexError), (lambda _: 1 / 0, ZeroDivisionError)]
)
def test_an_error_in_a_handler_can_be_told_because_the_program_lives(desk, mistake, error):
    desk.view._tool.move = mistake
    with pytest.raises(error):
        desk.move(150, 150)


# --- where the image ends ---------------------------------------------------------------------------------


def test_arrows_move_a_shape_as_far_as_the_image_reaches(desk):
    desk.click(150, 150)
    for _ in range(25):
        desk.key(KEY.Key_Right, SHIFT)
    assert desk.points()[1] == [400, 100]
    done = desk.history.position
    desk.key(KEY.Key_Right)
    assert desk.history.position == done


def test_arrows_move_a_vertex_as_far_as_the_image_reaches(desk):
    desk.click(150, 150)
    desk.click(200, 200)
    for _ in range(25):
        desk.key(KEY.Key_Down, SHIFT)
    assert desk.points()[2] == [200, 300]


def test_a_shape_outside_of_the_image_can_be_brought_back_by_arrows(make_desk, make_shape):
    desk = make_desk(make_shape([(380, 100), (440, 100), (440, 200)]))
    desk.click(395, 102)
    desk.key(KEY.Key_Right)
    assert desk.points()[1] == [440, 100]
    desk.key(KEY.Key_Left)
    assert desk.points()[1] == [439, 100]


@pytest.mark.parametrize(
    ("shape_type", "points", "grip", "to"),
    [
        (ShapeType.RECTANGLE, [(300, 100), (400, 200)], (300, 100), (420, 100)),
        (ShapeType.CIRCLE, [(200, 150), (250, 150)], (250, 150), (200, 150)),
    ],
)
def test_a_box_or_circle_cannot_be_dragged_together_to_nothing(
    make_desk, make_shape, shape_type, points, grip, to
):
    desk = make_desk(make_shape(points, shape_type=shape_type))
    desk.view.set_zoom(1.0)
    desk.select(frozenset({desk.shapes[0].uid}))
    desk.drag(grip, to)
    assert desk.covered().sum() > 500


# --- what cannot be seen ----------------------------------------------------------------------------------


def test_with_all_shapes_hidden_keys_and_tools_leave_the_selected_one_alone(desk):
    desk.click(150, 150)
    desk.view.set_labels_visible(False)
    desk.key(KEY.Key_Right)
    desk.view.set_tool("eraser")
    desk.drag((150, 90), (150, 210))
    assert desk.points() == SQUARE
    desk.view.set_labels_visible(True)
    desk.view.set_tool("select")
    desk.key(KEY.Key_Right)
    assert desk.points()[0] == [101, 100]


def test_ctrl_a_selects_nothing_while_all_shapes_are_hidden(desk):
    desk.view.set_labels_visible(False)
    desk.key(KEY.Key_A, CTRL)
    assert desk.selection == frozenset()


def test_marked_vertices_of_a_shape_that_is_hidden_stay(make_desk, make_shape, square):
    other = make_shape([(250, 100), (300, 90), (350, 100), (350, 200), (300, 220)])
    desk = make_desk(square, other)
    desk.select(frozenset({square.uid, other.uid}))
    desk.drag((240, 80), (310, 120))
    desk.view.set_hidden({other.uid})
    desk.move(20, 280)
    desk.key(KEY.Key_Backspace)
    assert len(desk.points(1)) == 5


def test_shapes_of_another_image_leave_the_memory_with_it(make_desk, make_shape):
    desk = make_desk(make_shape(SQUARE))
    desk.click(150, 150)
    desk.view.viewport().grab()
    points = weakref.ref(desk.shapes[0].points)
    desk.history.close()
    desk.document = AnnotationDocument(Annotation("b.png", (300, 400)))
    desk.history = History(desk.document)
    desk.view.set_document(desk.document)
    desk.view.viewport().grab()
    gc.collect()
    assert points() is None
