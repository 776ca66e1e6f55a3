"""Drawing with mouse and keys, as labelme taught."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QImage, QKeySequence

from app.canvas.layer_cache import image_pixels
from app.canvas.tools import boxes
from core.annotation.commands import Overlap
from core.annotation.document import AnnotationDocument
from core.annotation.model import Annotation, AnnotationState, ShapeType

KEY = Qt.Key
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
TRIANGLE = [[50.0, 50.0], [150.0, 50.0], [100.0, 150.0]]


@pytest.fixture
def desk(make_desk):
    desk = make_desk()
    desk.view.set_tool("polygon")
    return desk


def click_triangle(desk):
    for x, y in TRIANGLE:
        desk.click(x, y)


def test_clicks_and_a_click_on_the_first_point_make_a_polygon_of_the_active_class(desk):
    click_triangle(desk)
    desk.click(52, 51)
    (shape,) = desk.shapes
    assert shape.shape_type is ShapeType.POLYGON
    assert shape.label == "nerve"
    assert desk.points() == TRIANGLE
    assert desk.document.state is AnnotationState.IN_PROGRESS
    assert not desk.view.busy


@pytest.mark.parametrize("key", [KEY.Key_Return, KEY.Key_Enter, KEY.Key_Space])
def test_enter_and_space_close_a_polygon(desk, key):
    click_triangle(desk)
    desk.key(key)
    assert desk.points() == TRIANGLE


def test_a_double_click_adds_its_point_and_closes(desk):
    desk.click(50, 50)
    desk.click(150, 50)
    desk.double_click(100, 150)
    assert desk.points() == TRIANGLE


def test_a_double_click_on_the_last_point_adds_nothing(desk):
    click_triangle(desk)
    desk.double_click(100, 150)
    assert desk.points() == TRIANGLE


def test_a_double_click_with_too_few_points_closes_nothing(desk):
    desk.double_click(50, 50)
    assert desk.shapes == ()
    assert desk.view.busy


def test_two_points_are_no_polygon(desk):
    desk.click(50, 50)
    desk.click(150, 50)
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    assert desk.points() == TRIANGLE


def test_alt_suspends_closing_at_the_first_point(desk):
    click_triangle(desk)
    desk.click(53, 53, ALT)
    assert desk.shapes == ()
    desk.key(KEY.Key_Return)
    assert len(desk.points()) == 4


def test_the_first_point_catches_clicks_within_ten_screen_pixels_only(desk):
    click_triangle(desk)
    reach = 10 / desk.view.zoom
    desk.click(50 - reach - 2, 50)
    assert desk.shapes == ()
    desk.click(50 - reach + 1, 50)
    assert len(desk.shapes) == 1


def test_escape_drops_what_is_half_drawn(desk):
    click_triangle(desk)
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()


@pytest.mark.parametrize(("key", "keys"), [(KEY.Key_Z, CTRL), (KEY.Key_Backspace, Qt.NoModifier)])
def test_ctrl_z_and_backspace_take_back_the_last_point(desk, key, keys):
    desk.click(50, 50)
    desk.click(150, 50)
    desk.click(390, 290)
    desk.key(key, keys)
    desk.click(100, 150)
    desk.key(KEY.Key_Return)
    assert desk.points() == TRIANGLE


def test_ctrl_z_while_drawing_does_not_reach_the_windows_undo(desk, qtbot):
    undo = QAction("Undo", desk.view)
    undo.setShortcut(QKeySequence("Ctrl+Z"))
    undone = []
    undo.triggered.connect(lambda: undone.append(1))
    desk.view.addAction(undo)
    desk.view.activateWindow()
    qtbot.waitUntil(desk.view.hasFocus)
    desk.click(50, 50)
    desk.key(KEY.Key_Z, CTRL)
    assert not desk.view.busy
    assert undone == []
    desk.key(KEY.Key_Z, CTRL)
    assert undone == [1]


def test_points_outside_the_image_land_on_its_border(desk):
    for x, y in ((-6, 50), (150, -6), (100, 150)):
        desk.click(x, y)
    desk.key(KEY.Key_Return)
    assert desk.points() == [[0, 50], [150, 0], [100, 150]]


def test_without_an_active_class_the_label_is_asked_for(desk):
    desk.view.set_active_class(None)
    click_triangle(desk)
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()
    (shape,) = desk.unlabelled
    assert shape.label == ""
    assert len(shape.points) == 3


def test_each_backspace_takes_a_point_back_after_the_question_for_a_label(desk):
    desk.view.set_active_class(None)
    click_triangle(desk)
    desk.click(52, 51)  # and the question is cancelled
    for left in (2, 1, 0):
        desk.key(KEY.Key_Backspace)
        assert len(desk.view._tool.points) == left
    assert not desk.view.busy


def test_a_polygon_of_which_no_corner_is_left_is_finished_when_it_has_its_label(make_desk, make_shape):
    desk = make_desk(*(make_shape([(x, 50), (x + 60, 50), (x + 60, 150), (x, 150)]) for x in (50, 150)))
    desk.view.set_tool("polygon")
    desk.view.set_active_class(None)
    desk.view.context.overlap = Overlap.UNDER
    for x, y in ((80, 80), (180, 80), (180, 120), (80, 120)):
        desk.click(x, y)
    desk.key(KEY.Key_Return)
    (asked,) = desk.unlabelled
    desk.history.push(desk.view.context.drawing([asked.with_(label="nerve")]))
    assert len(desk.shapes) == 3
    assert not desk.view.busy


def test_a_polygon_that_crosses_itself_is_mended(desk):
    for x, y in ((50, 50), (150, 150), (150, 50), (50, 150)):
        desk.click(x, y)
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2
    assert desk.history.position == 1


def test_points_in_one_line_add_nothing_and_say_so(desk):
    for x in (50, 100, 150):
        desk.click(x, 50)
    desk.key(KEY.Key_Return)
    assert desk.shapes == ()
    assert desk.view.hint.startswith("Nothing was added")


def test_changing_the_tool_or_the_image_drops_what_is_half_drawn(desk):
    click_triangle(desk)
    desk.view.set_tool("select")
    desk.view.set_tool("polygon")
    assert not desk.view.busy
    click_triangle(desk)
    desk.view.set_image(None)
    assert not desk.view.busy


def test_the_rubber_line_follows_the_mouse_and_snaps_to_the_first_point(desk):
    desk.click(50, 50)
    desk.move(150, 50)
    assert desk.color(100, 50).red() > 180
    desk.click(150, 50)
    desk.click(100, 150)
    desk.move(300, 150)
    assert desk.color(200, 150).red() > 180
    desk.move(51, 51)
    assert desk.color(200, 150).red() == 128
    assert desk.view.hint == "Click to close the polygon"


def test_a_rectangle_by_two_clicks(desk):
    desk.view.set_tool("rectangle")
    desk.click(50, 60)
    desk.move(100, 100)
    desk.click(150, 120)
    assert desk.shapes[0].shape_type is ShapeType.RECTANGLE
    assert desk.points() == [[50, 60], [150, 120]]


def test_a_rectangle_by_a_drag(desk):
    desk.view.set_tool("rectangle")
    desk.drag((150, 120), (50, 60))
    assert desk.points() == [[150, 120], [50, 60]]


def test_shift_makes_a_square_inside_the_image(desk):
    desk.view.set_tool("rectangle")
    desk.drag((50, 60), (150, 120), keys=SHIFT)
    assert desk.points() == [[50, 60], [150, 160]]
    desk.drag((200, 200), (380, 220), keys=SHIFT)
    assert desk.points() == [[200, 200], [300, 300]]


def test_a_rectangle_without_height_is_not_made(desk):
    desk.view.set_tool("rectangle")
    desk.click(50, 60)
    desk.click(150, 60)
    assert desk.shapes == ()
    desk.click(150, 90)
    assert desk.points() == [[50, 60], [150, 90]]


def test_escape_takes_back_the_first_corner(desk):
    desk.view.set_tool("rectangle")
    desk.click(50, 60)
    desk.key(KEY.Key_Escape)
    assert not desk.view.busy
    desk.click(100, 100)
    desk.click(150, 150)
    assert desk.points() == [[100, 100], [150, 150]]


@pytest.mark.parametrize(("tool", "kind"), [("circle", ShapeType.CIRCLE), ("line", ShapeType.LINE)])
def test_circle_and_line_by_two_clicks(desk, tool, kind):
    desk.view.set_tool(tool)
    desk.click(150, 150)
    desk.click(200, 150)
    assert desk.shapes[0].shape_type is kind
    assert desk.points() == [[150, 150], [200, 150]]


def test_a_line_strip_ends_with_ctrl_click(desk):
    desk.view.set_tool("linestrip")
    desk.click(50, 50)
    desk.click(100, 100)
    desk.click(150, 50, CTRL)
    assert desk.shapes[0].shape_type is ShapeType.LINESTRIP
    assert desk.points() == [[50, 50], [100, 100], [150, 50]]


def test_a_line_strip_ends_with_a_double_click(desk):
    desk.view.set_tool("linestrip")
    desk.click(50, 50)
    desk.double_click(150, 50)
    assert desk.points() == [[50, 50], [150, 50]]


def test_a_click_makes_a_point(desk):
    desk.view.set_tool("point")
    desk.click(70, 80)
    assert desk.shapes[0].shape_type is ShapeType.POINT
    assert desk.points() == [[70, 80]]


def test_each_shape_is_one_step_to_undo(desk):
    desk.view.set_tool("rectangle")
    desk.drag((50, 60), (150, 120))
    desk.drag((200, 60), (250, 120))
    desk.history.undo()
    assert len(desk.shapes) == 1
    desk.history.undo()
    assert desk.shapes == ()


def test_hints_say_what_to_do_next(desk, qtbot):
    with qtbot.waitSignal(desk.view.hint_changed) as told:
        desk.click(50, 50)
    assert "Click to add points" in told.args[0]
    click_triangle(desk)
    desk.move(300, 200)
    assert "Enter" in desk.view.hint


def test_an_unknown_tool_is_refused_by_name(desk):
    with pytest.raises(ValueError, match="no tool 'lasso'; there are select, polygon"):
        desk.view.set_tool("lasso")
    assert desk.view.tool == "polygon"


@pytest.mark.parametrize("end", ["Esc", "another tool", "another image"])
def test_backspace_brings_a_dropped_outline_back(desk, end):
    for x, y in ((50, 50), (150, 50), (150, 150)):
        desk.click(x, y)
    if end == "Esc":
        desk.key(KEY.Key_Escape)
    elif end == "another tool":
        desk.view.set_tool("rectangle")
        desk.view.set_tool("polygon")
    else:
        elsewhere = AnnotationDocument(Annotation("b.png", (300, 400)))
        desk.view.set_document(elsewhere)
        desk.key(KEY.Key_Backspace)
        assert not desk.view.busy  # it belongs to the other image
        desk.view.set_document(desk.document)
    assert not desk.view.busy
    assert "Backspace" in desk.view.hint
    desk.key(KEY.Key_Backspace)
    assert desk.view.busy
    desk.click(50, 150)
    desk.key(KEY.Key_Return)
    assert desk.points() == [[50, 50], [150, 50], [150, 150], [50, 150]]


def test_a_finished_or_a_new_outline_leaves_nothing_to_bring_back(desk):
    for x, y in ((50, 50), (150, 50), (150, 150)):
        desk.click(x, y)
    desk.key(KEY.Key_Return)
    desk.key(KEY.Key_Backspace)
    assert not desk.view.busy
    for x, y in ((200, 200), (250, 200)):
        desk.click(x, y)
    desk.key(KEY.Key_Escape)
    desk.click(300, 200)
    desk.key(KEY.Key_Backspace)
    desk.key(KEY.Key_Backspace)
    assert not desk.view.busy
    assert len(desk.shapes) == 1


@pytest.mark.parametrize("dragged", [True, False])
def test_a_line_across_a_shape_splits_it(make_desk, square, dragged):
    desk = make_desk(square)
    desk.view.set_tool("split")
    if dragged:
        desk.drag((150, 80), (150, 220))
    else:
        desk.click(150, 80)
        desk.click(150, 220)
        assert len(desk.shapes) == 1
        desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2
    assert not desk.view.busy
    assert "Backspace" not in desk.view.hint
    desk.history.undo()
    assert desk.points() == [[100, 100], [200, 100], [200, 200], [100, 200]]


def test_a_line_that_divides_nothing_can_be_brought_back_and_bent(make_desk, square):
    desk = make_desk(square)
    desk.view.set_tool("split")
    desk.drag((20, 20), (150, 150))
    assert len(desk.shapes) == 1
    desk.key(KEY.Key_Backspace)
    desk.click(150, 230)
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2


def test_hiding_all_shapes_leaves_what_is_half_drawn(make_desk, square):
    desk = make_desk(square)
    desk.view.set_tool("polygon")
    for point in ((250, 50), (350, 50), (350, 150)):
        desk.click(*point)
    desk.view.set_labels_visible(False)
    desk.view.set_labels_visible(True)
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 2


def test_an_outline_that_is_refused_is_brought_back_by_backspace(make_desk, square):
    desk = make_desk(square)
    desk.view.context.overlap = Overlap.UNDER
    desk.view.context.snapper.enabled = False
    desk.view.set_tool("polygon")
    for point in ((120, 120), (180, 120), (180, 180)):
        desk.click(*point)
    desk.key(KEY.Key_Return)
    assert len(desk.shapes) == 1
    assert "belongs to other shapes" in desk.view.hint
    desk.key(KEY.Key_Backspace)
    desk.view.context.overlap = Overlap.STACK
    desk.key(KEY.Key_Return)
    assert desk.points() == [[120, 120], [180, 120], [180, 180]]


def test_splitting_passes_over_what_is_hidden(make_desk, make_shape):
    corners = [(50, 50), (250, 50), (250, 250), (50, 250)]
    desk = make_desk(make_shape(corners), make_shape(corners, label="vessel"))
    desk.view.set_hidden({desk.shapes[1].uid})
    desk.view.set_tool("split")
    desk.drag((20, 150), (280, 150))
    assert [shape.label for shape in desk.shapes] == ["nerve", "nerve", "vessel"]


@pytest.mark.parametrize("end", [(398, 298), (398, 20), (20, 298), (200, 150)])
def test_the_size_of_a_rectangle_can_be_read_wherever_it_ends(make_desk, end, monkeypatch):
    desk = make_desk()
    desk.view.set_tool("rectangle")
    desk.click(120, 90)
    desk.move(*end)
    noted = picture(desk)
    monkeypatch.setattr(boxes, "draw_tag", lambda *_note: None)
    rows, columns = np.nonzero((noted != picture(desk)).any(axis=2))
    assert np.ptp(columns) > 40
    assert columns.max() < noted.shape[1] - 1
    assert rows.max() < noted.shape[0] - 1


def picture(desk):
    """The viewport, (H, W, 4) uint8."""
    image = desk.view.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return image_pixels(image).copy()
