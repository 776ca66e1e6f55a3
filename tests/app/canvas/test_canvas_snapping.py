"""Snapping to neighbours, sharing their borders, moving what is shared: with mouse and keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from app.canvas.style import HANDLE_HOT, SNAP_RADIUS
from core.annotation.model import ShapeType
from core.geometry import polygon_area

ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def desk(make_desk, square):
    """A square from (100, 100) to (200, 200), and the polygon tool."""
    desk = make_desk(square)
    desk.view.set_tool("polygon")
    return desk


def near(desk, screen_pixels: float) -> float:
    return screen_pixels / desk.view.zoom


# --- drawing ----------------------------------------------------------------------------------------------


def test_a_point_near_a_neighbours_vertex_is_put_exactly_on_it(desk) -> None:
    off = near(desk, 4)
    desk.click(200 + off, 100 - off)
    desk.click(260, 60)
    desk.click(270, 160)
    desk.key(Qt.Key.Key_Return)
    assert desk.shapes[-1].points[0].tolist() == [200, 100]


def test_a_point_near_an_edge_is_put_on_the_edge(desk) -> None:
    for x, y in ((200 + near(desk, 5), 150), (260, 60), (270, 160)):
        desk.click(x, y)
    desk.key(Qt.Key.Key_Return)
    x, y = desk.shapes[-1].points[0].tolist()
    assert x == 200
    assert y == pytest.approx(150, abs=1)


@pytest.mark.parametrize("how", ["alt", "far", "off", "hidden", "invisible"])
def test_what_does_not_snap_stays_where_it_was_clicked(desk, how) -> None:
    off, keys = near(desk, 4), Qt.KeyboardModifier.NoModifier
    match how:
        case "alt":
            keys = ALT
        case "far":
            off = near(desk, SNAP_RADIUS + 3)
        case "off":
            desk.view.context.snapper.enabled = False
        case "hidden":
            desk.view.set_hidden({desk.shapes[0].uid})
        case "invisible":
            desk.view.set_labels_visible(False)
    for x, y in ((200 + off, 100 - off), (260, 60), (270, 160)):
        desk.click(x, y, keys)
    desk.key(Qt.Key.Key_Return)
    x, y = desk.shapes[-1].points[0].tolist()
    assert (x, y) != (200, 100)
    assert x == pytest.approx(200 + off, abs=1)


def test_the_place_a_press_would_snap_to_is_marked(desk) -> None:
    def marked() -> bool:
        image, at = desk.view.viewport().grab().toImage(), desk.at(200, 100)
        around = (QColor(image.pixel(at.x() + dx, at.y() - 6)) for dx in range(-6, 7))
        return any(abs(c.red() - HANDLE_HOT.red()) + abs(c.green() - HANDLE_HOT.green()) < 60 for c in around)

    assert not marked()
    desk.move(200 + near(desk, 4), 100)
    assert marked()
    desk.move(280, 40)
    assert not marked()


def test_new_shapes_attract_as_soon_as_they_are_drawn_and_no_longer_when_they_are_gone(desk) -> None:
    for x, y in ((250, 50), (300, 50), (300, 80)):
        desk.click(x, y)
    desk.key(Qt.Key.Key_Return)
    corner = desk.shapes[-1].points[1].tolist()
    off = near(desk, 4)
    for x, y in ((corner[0] + off, corner[1] - off), (340, 30), (350, 90)):
        desk.click(x, y)
    desk.key(Qt.Key.Key_Return)
    assert desk.shapes[-1].points[0].tolist() == corner
    desk.history.undo()
    desk.history.undo()
    for x, y in ((corner[0] + off, corner[1] - off), (340, 30), (350, 90)):
        desk.click(x, y)
    desk.key(Qt.Key.Key_Return)
    assert desk.shapes[-1].points[0].tolist() != corner


# --- tracing a border -------------------------------------------------------------------------------------


def test_shift_takes_the_neighbours_border_along(desk) -> None:
    desk.click(150, 100)
    desk.click(200, 150, SHIFT)
    desk.click(260, 60)
    desk.key(Qt.Key.Key_Return)
    drawn = desk.shapes[-1]
    assert drawn.points[1].tolist() == [200, 100]
    assert len(drawn.points) == 4
    first, square = drawn, desk.shapes[0]
    assert polygon_area(first.points) > 0
    assert set(map(tuple, first.points.tolist())) & set(map(tuple, square.points.tolist())) == {(200, 100)}


def test_with_ctrl_it_goes_the_other_way_round(desk) -> None:
    desk.click(150, 100)
    desk.click(200, 150, SHIFT | CTRL)
    desk.click(300, 150)
    desk.click(300, 20)
    desk.key(Qt.Key.Key_Return)
    assert desk.points()[1:4] == [[100, 100], [100, 200], [200, 200]]


def test_pressing_shift_shows_the_border_before_the_click(desk, qtbot) -> None:
    desk.click(150, 100)
    desk.move(200, 150)
    assert "Shift+click" in desk.view.hint
    qtbot.keyPress(desk.view, Qt.Key.Key_Shift)
    assert "take this border along" in desk.view.hint
    corner = desk.color(200 + near(desk, 2), 100 - near(desk, 2))
    assert corner.lightness() > 200  # the handle of the vertex that would come along
    qtbot.keyRelease(desk.view, Qt.Key.Key_Shift)
    assert "Shift+click" in desk.view.hint


def test_backspace_takes_a_whole_border_back(desk) -> None:
    desk.click(150, 100)
    desk.click(200, 150, SHIFT)
    desk.key(Qt.Key.Key_Backspace)
    desk.click(260, 60)
    desk.click(300, 90)
    desk.key(Qt.Key.Key_Return)
    assert len(desk.shapes[-1].points) == 3


def test_closing_with_shift_follows_the_border_home(desk) -> None:
    desk.click(150, 100)
    desk.click(150, 40)
    desk.click(260, 40)
    desk.click(200, 150)
    desk.click(150, 100, SHIFT)
    assert len(desk.shapes) == 2
    assert [200, 100] in desk.points()
    assert len(desk.points()) == 5


def test_points_on_different_shapes_have_no_common_border(make_desk, make_shape, square) -> None:
    other = make_shape([(250, 100), (300, 100), (300, 200), (250, 200)])
    desk = make_desk(square, other)
    desk.view.set_tool("linestrip")
    desk.click(200, 150)
    desk.click(250, 150, SHIFT)
    desk.key(Qt.Key.Key_Return)
    assert desk.shapes[-1].shape_type is ShapeType.LINESTRIP
    assert len(desk.points()) == 2


@pytest.mark.parametrize("kind", [ShapeType.POINT, ShapeType.POINTS])
@pytest.mark.parametrize("tool", ["polygon", "linestrip", "split"])
@pytest.mark.parametrize("keys", [Qt.KeyboardModifier.NoModifier, SHIFT])
def test_a_point_has_no_border_to_take_along(make_desk, make_shape, tool, kind, keys) -> None:
    desk = make_desk(make_shape([(100, 100)], shape_type=kind))
    desk.view.set_tool(tool)
    desk.click(100, 100)
    desk.move(101, 101, keys)
    assert not desk.view.context.snapper.border((100, 100), (100, 100), across=True)
    for x, y in ((160, 100), (160, 160)):
        desk.click(x, y, keys)
    assert desk.view.busy


def test_a_border_goes_on_across_neighbours_that_touch(neighbours, make_shape) -> None:
    neighbours.view.set_tool("polygon")
    neighbours.click(100, 130)  # on the left side of the square
    neighbours.click(300, 130, SHIFT)  # on the right side of its neighbour
    neighbours.click(320, 20)
    neighbours.click(80, 20)
    neighbours.key(Qt.Key.Key_Return)
    way = [[100, 130], [100, 100], [200, 100], [300, 100], [300, 130]]
    assert neighbours.points() == [*way, [320, 20], [80, 20]]


def test_with_ctrl_it_goes_the_other_way_round_all_of_them(neighbours) -> None:
    neighbours.view.set_tool("linestrip")
    neighbours.click(120, 100)  # nearer to the upper side
    neighbours.click(280, 100, SHIFT | CTRL)
    neighbours.key(Qt.Key.Key_Return)
    assert neighbours.points()[1:-1] == [[100, 100], [100, 200], [200, 200], [300, 200], [300, 100]]


# --- editing ----------------------------------------------------------------------------------------------


@pytest.fixture
def neighbours(make_desk, make_shape, square):
    """The square and another to its right that shares a border with it; a third one apart."""
    right = make_shape([(200, 100), (300, 100), (300, 200), (200, 200)], label="vessel")
    apart = make_shape([(330, 100), (380, 100), (380, 150)])
    return make_desk(square, right, apart)


def place(desk, shape: int, vertex: int) -> list[float]:
    return desk.shapes[shape].points[vertex].tolist()


def test_a_shared_vertex_moves_in_all_shapes_that_have_it(neighbours) -> None:
    neighbours.drag((200, 100), (210, 80), (220, 60))
    assert place(neighbours, 0, 1) == place(neighbours, 1, 0)
    assert place(neighbours, 0, 1) == pytest.approx([220, 60], abs=1)
    assert neighbours.history.undo_name == "Move shared vertex"
    neighbours.history.undo()
    assert place(neighbours, 0, 1) == place(neighbours, 1, 0) == [200, 100]


def test_with_ctrl_during_the_drag_it_moves_alone(neighbours) -> None:
    neighbours.press(200, 100)
    neighbours.move(210, 80, CTRL, held=Qt.MouseButton.LeftButton)
    neighbours.move(220, 60, CTRL, held=Qt.MouseButton.LeftButton)
    neighbours.release(220, 60, CTRL)
    moved = [place(neighbours, 0, 1), place(neighbours, 1, 0)]
    assert sorted(moved)[0] == [200, 100]
    assert sorted(moved)[1] == pytest.approx([220, 60], abs=1)


def test_arrows_move_a_shared_vertex_in_all_shapes(neighbours) -> None:
    neighbours.click(200, 100)
    neighbours.key(Qt.Key.Key_Up)
    assert place(neighbours, 0, 1) == place(neighbours, 1, 0) == [200, 99]


def test_a_dragged_vertex_snaps_to_a_neighbour(neighbours) -> None:
    off = near(neighbours, 4)
    neighbours.drag((300, 100), (320, 105), (330 - off, 100 + off))
    assert place(neighbours, 1, 1) == [330, 100]
    neighbours.drag((330, 100), (332, 60), (340, 40))  # shared now: both move
    assert place(neighbours, 1, 1) == place(neighbours, 2, 0)


def test_alt_during_a_drag_suspends_snapping(neighbours) -> None:
    neighbours.press(300, 100)
    target = (330 - near(neighbours, 4), 100.0)
    neighbours.move(315, 100, held=Qt.MouseButton.LeftButton)
    neighbours.move(*target, ALT, held=Qt.MouseButton.LeftButton)
    neighbours.release(*target, ALT)
    assert place(neighbours, 1, 1) != [330, 100]
    assert place(neighbours, 1, 1) == pytest.approx(target, abs=1)


def test_a_vertex_put_on_a_shared_edge_is_put_into_both_shapes(neighbours) -> None:
    neighbours.drag((200, 150), (210, 155), (220, 160), keys=ALT)
    assert [len(shape.points) for shape in neighbours.shapes] == [5, 5, 3]
    left, right = ({tuple(p) for p in shape.points.tolist()} for shape in neighbours.shapes[:2])
    assert len(left & right) == 3
    assert neighbours.history.undo_name == "Add shared vertex"
    neighbours.history.undo()
    assert [len(shape.points) for shape in neighbours.shapes] == [4, 4, 3]


def test_escape_leaves_shared_vertices_where_they_were(neighbours) -> None:
    neighbours.press(200, 100)
    neighbours.move(220, 60, held=Qt.MouseButton.LeftButton)
    neighbours.key(Qt.Key.Key_Escape)
    neighbours.release(220, 60)
    assert place(neighbours, 0, 1) == place(neighbours, 1, 0) == [200, 100]
    assert neighbours.history.entries == ()


@pytest.mark.parametrize("how", ["Backspace", "Alt+Shift+click"])
def test_removing_a_shared_vertex_removes_it_in_all_shapes_and_with_ctrl_in_one(
    make_desk, make_shape, how
) -> None:
    left = make_shape([(100, 100), (200, 100), (220, 150), (200, 200), (100, 200)])
    right = make_shape([(300, 100), (300, 200), (200, 200), (220, 150), (200, 100)])
    desk = make_desk(left, right)
    desk.select({left.uid})

    def remove(keys=Qt.KeyboardModifier.NoModifier) -> list[int]:
        desk.move(220, 150)
        assert "Shared vertex" in desk.view.hint
        if how == "Backspace":
            desk.key(Qt.Key.Key_Backspace, keys)
        else:
            desk.click(220, 150, ALT | SHIFT | keys)
        return [len(shape.points) for shape in desk.shapes]

    assert remove() == [4, 4]
    assert desk.history.undo_name == "Remove shared vertex"
    desk.history.undo()
    assert remove(CTRL) == [4, 5]


def test_a_shared_vertex_that_one_shape_needs_stays_in_all(make_desk, make_shape, square) -> None:
    triangle = make_shape([(200, 100), (300, 100), (300, 200)])
    desk = make_desk(square, triangle)
    desk.select({square.uid})
    desk.move(200, 100)
    desk.key(Qt.Key.Key_Backspace)
    assert [len(shape.points) for shape in desk.shapes] == [4, 3]
    assert "Ctrl removes it here alone" in desk.view.hint
    desk.key(Qt.Key.Key_Backspace, CTRL)
    assert [len(shape.points) for shape in desk.shapes] == [3, 3]


def test_several_selected_vertices_take_those_of_neighbours_along(neighbours) -> None:
    neighbours.select(frozenset([neighbours.shapes[0].uid]))
    neighbours.drag((190, 90), (210, 210))  # a band around the two vertices of the common border
    neighbours.drag((200, 100), (205, 100), (215, 100))
    for left, right in ((1, 0), (2, 3)):
        assert place(neighbours, 0, left) == place(neighbours, 1, right)
    assert place(neighbours, 0, 1) == pytest.approx([215, 100], abs=1)


# --- groups -----------------------------------------------------------------------------------------------


def test_a_click_selects_a_whole_group_and_another_click_one_shape_of_it(
    make_desk, square, make_shape
) -> None:
    parts = [square.with_(group_id=7), make_shape([(250, 100), (300, 100), (300, 200)]).with_(group_id=7)]
    desk = make_desk(*parts, make_shape([(20, 20), (60, 20), (60, 60)]))
    desk.click(150, 150)
    assert desk.selection == {shape.uid for shape in parts}
    desk.click(150, 150)
    assert desk.selection == {parts[0].uid}
    desk.click(10, 250)
    desk.drag((150, 150), (155, 150), (160, 150))  # both move
    assert [shape.points[0].tolist() for shape in desk.shapes[:2]] == [
        pytest.approx([110, 100], abs=1),
        pytest.approx([260, 100], abs=1),
    ]
