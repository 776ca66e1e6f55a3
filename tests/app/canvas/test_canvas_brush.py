"""Painting and erasing regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from app.canvas.tools import brush as brush_tools
from core.annotation.commands import Overlap
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.locking import with_lock
from core.annotation.model import BACKGROUND_LABEL, Annotation, AnnotationState, ShapeType
from core.annotation.rasterize import shape_mask
from core.geometry import encloses, polygon_area, rings_are_valid

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def area(shape):
    return polygon_area(shape.points, shape.holes)


def inside(shape, x, y):
    return encloses([shape.points, *shape.holes], (x, y))


@pytest.fixture
def brush(make_desk):
    """Make a desk with the brush in hand, 20 pixels wide."""

    def make(*shapes, tool="brush"):
        desk = make_desk(*shapes)
        desk.view.context.brush.radius = 10
        desk.view.set_tool(tool)
        return desk

    return make


@pytest.fixture
def eraser(brush):
    return lambda *shapes: brush(*shapes, tool="eraser")


@pytest.fixture
def predicted(brush):
    """Make a desk that shows a predicted vessel from (200, 100) to (300, 200)."""

    def make(*shapes, tool="brush"):
        desk = brush(*shapes, tool=tool)
        classes = np.zeros((300, 400), np.uint8)
        classes[100:200, 200:300] = 2
        desk.view.set_prediction(classes)
        return desk

    return make


# --- painting ---------------------------------------------------------------------------------------------


def test_a_stroke_becomes_a_region_of_the_active_class_in_one_step(brush):
    desk = brush()
    desk.drag((100, 100), (200, 100))
    (shape,) = desk.shapes
    assert (shape.shape_type, shape.label) == (ShapeType.POLYGON, "nerve")
    assert area(shape) == pytest.approx(100 * 20 + math.pi * 100, rel=0.02)
    assert desk.document.state is AnnotationState.IN_PROGRESS
    assert desk.history.position == 1


def test_a_click_paints_a_disc(brush):
    desk = brush()
    desk.click(100, 100)
    assert area(desk.shapes[0]) == pytest.approx(math.pi * 100, rel=0.03)


def test_a_closed_stroke_leaves_a_hole(brush):
    desk = brush()
    desk.drag((100, 100), (200, 100), (200, 200), (100, 200), (100, 100))
    (shape,) = desk.shapes
    assert len(shape.holes) == 1
    assert not inside(shape, 150, 150)
    assert rings_are_valid(shape.points, shape.holes)


def test_a_stroke_that_begins_on_a_region_of_the_class_adds_to_it(brush, square):
    desk = brush(square)
    desk.drag((190, 150), (260, 150))
    (shape,) = desk.shapes
    assert shape.uid == square.uid
    assert inside(shape, 250, 150)
    assert inside(shape, 110, 110)
    assert desk.history.undo_name == "Brush"
    desk.history.undo()
    assert desk.shapes == (square,)


def test_a_stroke_adds_to_the_selected_shape_wherever_it_begins(brush, square):
    desk = brush(square.with_(label="vessel"))
    desk.select({square.uid})
    desk.drag((260, 150), (190, 150))
    (shape,) = desk.shapes
    assert (shape.uid, shape.label) == (square.uid, "vessel")
    assert inside(shape, 260, 150)


def test_another_class_is_painted_over_and_not_extended(brush, square):
    desk = brush(square.with_(label="vessel"))
    desk.drag((150, 150), (260, 150))
    assert [shape.label for shape in desk.shapes] == ["vessel", "nerve"]
    assert desk.shapes[0] == square.with_(label="vessel")


@pytest.mark.parametrize("overlap", [Overlap.STACK, Overlap.OVER])
@pytest.mark.parametrize("ground", ["vessel", "background", "nerve"])
def test_what_is_added_below_other_classes_is_said_to_be_hidden(brush, make_shape, square, ground, overlap):
    above = make_shape([(210, 50), (390, 50), (390, 250), (210, 250)], ground)
    desk = brush(square, above)
    desk.view.context.overlap = overlap
    desk.drag((150, 150), (260, 150))
    hidden = ground == "background" or (ground == "vessel" and overlap is Overlap.STACK)
    assert inside(desk.document.get(square.uid), 240, 150)
    assert (f"Part of it lies below {ground}: Shape > Bring to front" in desk.view.hint) == hidden


def test_what_is_added_above_or_beside_other_classes_needs_no_word(brush, make_shape, square):
    desk = brush(make_shape([(210, 50), (390, 50), (390, 250), (210, 250)], "vessel"), square)
    desk.drag((150, 150), (260, 150))
    assert "lies below" not in desk.view.hint
    desk.drag((150, 120), (120, 120))
    assert "lies below" not in desk.view.hint


def test_ctrl_makes_a_region_of_its_own(brush, square):
    desk = brush(square)
    desk.drag((150, 150), (260, 150), keys=CTRL)
    assert len(desk.shapes) == 2


def test_a_rectangle_that_is_painted_on_becomes_a_polygon(brush, make_shape):
    desk = brush(make_shape([(100, 100), (200, 160)], shape_type=ShapeType.RECTANGLE))
    desk.drag((190, 130), (240, 130))
    (shape,) = desk.shapes
    assert shape.shape_type is ShapeType.POLYGON
    assert inside(shape, 105, 105)
    assert inside(shape, 245, 130)


def test_a_mask_that_is_painted_on_stays_a_mask(brush, make_shape):
    pixels = np.ones((60, 60), bool)
    pixels[10:20, 10:20] = False
    mask = make_shape([(100, 100), (159, 159)], shape_type=ShapeType.MASK).with_(mask=pixels)
    desk = brush(mask)
    desk.drag((150, 150), (200, 150))
    (shape,) = desk.shapes
    assert shape.shape_type is ShapeType.MASK
    drawn = shape_mask(shape, (300, 400))
    assert not drawn[115, 115]
    assert drawn[150, 200]
    assert drawn[105, 105]


def test_a_stroke_stays_in_the_image(brush):
    desk = brush()
    desk.drag((390, 290), (400, 300))
    assert desk.shapes[0].points.max(axis=0).tolist() == [400, 300]


def test_a_stroke_that_covers_nothing_new_changes_nothing(brush, square):
    desk = brush(square)
    desk.drag((140, 150), (160, 150))
    assert not desk.history.can_undo


def test_without_an_active_class_the_label_is_asked_for(brush):
    desk = brush()
    desk.view.set_active_class(None)
    desk.click(100, 100)
    assert desk.shapes == ()
    assert len(desk.unlabelled) == 1


def test_escape_drops_the_stroke(brush):
    desk = brush()
    desk.press(100, 100)
    desk.move(200, 100, held=LEFT)
    desk.key(KEY.Key_Escape)
    desk.release(200, 100)
    assert desk.shapes == ()


def test_shift_draws_straight_from_the_last_stroke(brush):
    desk = brush()
    desk.click(100, 100)
    desk.click(200, 100, SHIFT)
    assert any(inside(shape, 150, 100) for shape in desk.shapes)


# --- size and looks ---------------------------------------------------------------------------------------


def test_brackets_change_the_size_of_brush_and_eraser_alike(brush):
    desk = brush()
    desk.key(KEY.Key_BracketRight)
    larger = desk.view.context.brush.radius
    assert larger > 10
    desk.view.set_tool("eraser")
    desk.key(KEY.Key_BracketLeft)
    assert desk.view.context.brush.radius < larger
    for _ in range(40):
        desk.key(KEY.Key_BracketLeft)
    assert desk.view.context.brush.radius == 0.5


def test_alt_drag_and_alt_wheel_change_the_size_and_paint_nothing(brush):
    desk = brush()
    desk.drag((100, 100), (115, 100), keys=ALT)
    assert desk.view.context.brush.radius == pytest.approx(25, abs=1)
    desk.wheel(-1, 100, 100, ALT)
    assert desk.view.context.brush.radius < 24
    assert desk.shapes == ()


def test_ctrl_wheel_still_zooms(brush):
    desk = brush()
    before = desk.view.zoom
    desk.wheel(1, 100, 100, CTRL)
    assert desk.view.zoom > before
    assert desk.view.context.brush.radius == 10


def test_a_ring_shows_the_size_and_goes_with_the_mouse(brush):
    desk = brush()
    desk.move(100, 100)
    assert max(desk.color(x, 100).lightness() for x in (109, 109.5, 110, 110.5)) > 180
    assert desk.view.viewport().cursor().shape() == Qt.CursorShape.BlankCursor
    desk.move(300, 200)
    assert desk.color(110, 100).red() == 128


def test_the_stroke_is_shown_while_it_is_drawn_even_when_the_view_zooms(brush):
    desk = brush()
    desk.press(100, 100)
    desk.move(200, 100, held=LEFT)
    assert desk.color(150, 100).red() > 160
    assert desk.document.revision == 0
    desk.wheel(1, 150, 100, CTRL)
    assert desk.color(150, 100).red() > 160
    assert desk.color(150, 120).red() == 128
    desk.release(200, 100)
    assert len(desk.shapes) == 1


# --- erasing ----------------------------------------------------------------------------------------------


def test_the_eraser_takes_from_the_selected_shape_only(eraser, make_shape, square):
    other = make_shape([(150, 100), (250, 100), (250, 200), (150, 200)])
    desk = eraser(square, other)
    desk.select({square.uid})
    desk.drag((140, 150), (260, 150))
    assert desk.shapes[1] == other
    assert not inside(desk.shapes[0], 180, 150)
    assert desk.history.undo_name == "Erase"


def test_without_a_selection_it_takes_from_all_it_crosses_but_not_from_what_is_locked(
    eraser, make_shape, square
):
    other = make_shape([(220, 100), (300, 100), (300, 200), (220, 200)])
    locked = with_lock(make_shape([(310, 100), (390, 100), (390, 200), (310, 200)]), locked=True)
    desk = eraser(square, other, locked)
    desk.drag((190, 150), (230, 150), (340, 150))
    first, second = (next(s for s in desk.shapes if s.uid == uid) for uid in (square.uid, other.uid))
    assert not inside(first, 190, 150)
    assert not inside(second, 230, 150)
    assert next(s for s in desk.shapes if s.uid == locked.uid) == locked
    assert desk.history.position == 1


def test_erasing_inside_leaves_a_hole(eraser, square):
    desk = eraser(square)
    desk.click(150, 150)
    (shape,) = desk.shapes
    assert len(shape.holes) == 1
    assert area(shape) == pytest.approx(10000 - math.pi * 100, rel=0.01)


def test_erasing_through_a_shape_leaves_two_in_its_place_of_the_stack(eraser, make_shape, square):
    above = make_shape([(300, 200), (350, 200), (350, 250)])
    desk = eraser(square, above)
    desk.drag((150, 80), (150, 220))
    labels = [(shape.label, round(area(shape), -2)) for shape in desk.shapes]
    assert labels == [("nerve", 4000), ("nerve", 4000), ("nerve", 1200)]
    assert desk.shapes[2] == above
    desk.history.undo()
    assert desk.shapes == (square, above)
    desk.history.redo()
    assert len(desk.shapes) == 3


def test_what_is_erased_whole_is_gone_and_comes_back_with_undo(eraser, make_shape, square):
    small = make_shape([(250, 100), (258, 100), (258, 108)])
    desk = eraser(small, square)
    desk.drag((180, 105), (270, 105))
    assert [shape.uid for shape in desk.shapes] == [square.uid]
    desk.history.undo()
    assert desk.shapes == (small, square)


@pytest.mark.parametrize("label", [BACKGROUND_LABEL, "background"])
def test_a_finished_area_stays_under_what_is_erased_on_it(eraser, make_shape, square, label):
    ground = make_shape([(50, 50), (350, 250)], label=label, shape_type=ShapeType.RECTANGLE)
    desk = eraser(ground, square)
    desk.click(150, 150)
    assert desk.shapes[0] == ground
    assert len(desk.shapes[1].holes) == 1
    desk.click(300, 220)
    assert desk.shapes[0].shape_type is ShapeType.POLYGON


@pytest.mark.parametrize("kind", ["locked", "line"])
def test_where_the_selected_shape_cannot_be_erased_no_other_is(predicted, make_shape, kind):
    corners = [(100, 100), (350, 100), (350, 200), (100, 200)]
    chosen = make_shape(corners, shape_type=ShapeType.LINESTRIP if kind == "line" else ShapeType.POLYGON)
    chosen = with_lock(chosen, locked=kind == "locked")
    neighbour = make_shape([(120, 120), (180, 120), (180, 180), (120, 180)])
    desk = predicted(chosen, neighbour, tool="eraser")
    desk.select({chosen.uid})
    desk.drag((150, 150), (170, 150))
    assert "no selected shape that can be changed" in desk.view.hint
    desk.drag((250, 150), (270, 150))  # where a region is predicted
    assert desk.shapes == (chosen, neighbour)


def test_erasing_beside_everything_says_so(eraser, square):
    desk = eraser(square)
    desk.click(300, 250)
    assert not desk.history.can_undo
    assert "Nothing was erased" in desk.view.hint


# --- predictions ------------------------------------------------------------------------------------------


def test_a_stroke_that_begins_on_a_predicted_region_takes_it_as_its_base(predicted):
    desk = predicted()
    desk.view.set_active_class(desk.view.classes.by_name("vessel"))
    desk.drag((290, 150), (350, 150))
    (shape,) = desk.shapes
    assert shape.label == "vessel"
    assert inside(shape, 210, 110)
    assert inside(shape, 350, 150)
    assert not inside(shape, 330, 110)
    assert desk.history.position == 1


def test_painting_another_class_on_a_predicted_region_is_a_region_of_its_own(predicted):
    desk = predicted()
    desk.drag((250, 150), (260, 150))
    (shape,) = desk.shapes
    assert shape.label == "nerve"
    assert area(shape) < 1000


def test_the_base_leaves_out_what_is_labelled_already(predicted, make_shape):
    drawn = make_shape([(200, 100), (230, 100), (230, 200), (200, 200)])
    desk = predicted(drawn)
    desk.view.set_active_class(desk.view.classes.by_name("vessel"))
    desk.drag((290, 150), (310, 150))
    shape = desk.shapes[-1]
    assert not inside(shape, 210, 150)
    assert inside(shape, 240, 150)
    assert desk.shapes[0] == drawn


def test_erasing_on_a_prediction_first_accepts_it(predicted):
    desk = predicted(tool="eraser")
    desk.click(250, 150)
    (shape,) = desk.shapes
    assert shape.label == "vessel"
    assert len(shape.holes) == 1
    assert area(shape) == pytest.approx(10000 - math.pi * 100, rel=0.03)
    assert desk.history.position == 1


def test_a_label_over_a_prediction_is_what_is_erased(predicted, make_shape):
    drawn = make_shape([(200, 100), (300, 100), (300, 200), (200, 200)])
    desk = predicted(drawn, tool="eraser")
    desk.click(250, 150)
    assert [shape.label for shape in desk.shapes] == ["nerve"]


# --- what is drawn already --------------------------------------------------------------------------------


@pytest.mark.parametrize("selected", [False, True])
def test_under_a_stroke_that_adds_takes_only_free_pixels(brush, square, make_shape, selected):
    other = make_shape([(230, 100), (300, 100), (300, 200), (230, 200)], label="vessel")
    desk = brush(square, other)
    desk.select({square.uid} if selected else ())
    desk.view.context.overlap = Overlap.UNDER
    desk.drag((190, 150), (280, 150))
    grown, same = desk.shapes
    assert inside(grown, 225, 150)
    assert not inside(grown, 240, 150)
    assert same == other
    desk.history.undo()
    assert desk.shapes == (square, other)


def test_over_a_stroke_that_adds_takes_pixels_from_others_but_not_from_locked_ones(brush, square, make_shape):
    other = make_shape([(230, 100), (260, 100), (260, 200), (230, 200)], label="vessel")
    locked = with_lock(other.copy(), locked=True)
    locked = locked.with_(points=np.add(locked.points, (60, 0)))
    desk = brush(square, other, locked)
    desk.view.context.overlap = Overlap.OVER
    desk.drag((190, 150), (310, 150))
    grown = desk.shapes[0]
    assert inside(grown, 245, 150)
    assert not any(inside(s, 245, 150) for s in desk.shapes[1:])
    assert desk.document.get(locked.uid) == locked
    assert not inside(grown, 300, 150)
    assert desk.history.position == 1


def test_where_nothing_is_free_a_stroke_says_so(brush, square, make_shape):
    other = make_shape([(200, 50), (390, 50), (390, 250), (200, 250)], label="vessel")
    desk = brush(square, other)
    desk.select({square.uid})
    desk.view.context.overlap = Overlap.UNDER
    desk.drag((250, 150), (300, 150))
    assert desk.shapes == (square, other)
    assert "Nothing was added" in desk.view.hint


def test_under_a_predicted_region_is_extended_over_free_pixels_only(predicted, make_shape):
    other = make_shape([(310, 90), (360, 90), (360, 210), (310, 210)])
    desk = predicted(other)
    desk.view.set_active_class(desk.view.classes[2])
    desk.view.context.overlap = Overlap.UNDER
    desk.drag((290, 150), (340, 150))
    region = next(shape for shape in desk.shapes if shape.label == "vessel")
    assert inside(region, 305, 150)
    assert not inside(region, 330, 150)


@pytest.mark.parametrize("parts", [8, 60])
def test_a_notch_in_many_small_parts_is_one_step(brush, parts):
    desk = brush()
    turn(desk, *[120 // parts] * parts)
    assert desk.view.context.brush.radius == 12


def test_a_trackpad_that_begins_to_turn_changes_nothing(brush):
    desk = brush()
    turn(desk, 0)
    assert desk.view.context.brush.radius == 10


def turn(desk, *deltas):
    """Alt and a wheel or trackpad that reports so many 120ths of a notch each."""
    where = QPointF(desk.at(100, 100))
    for delta in deltas:
        event = QWheelEvent(
            where,
            QPointF(desk.view.viewport().mapToGlobal(where.toPoint())),
            QPoint(),
            QPoint(0, delta),
            Qt.MouseButton.NoButton,
            ALT,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(desk.view.viewport(), event)


def test_a_straight_line_does_not_begin_on_another_image(brush):
    desk = brush()
    desk.drag((50, 50), (80, 50))
    desk.document = AnnotationDocument(Annotation("b.png", (300, 400)))
    desk.history = History(desk.document)
    desk.view.set_document(desk.document)
    desk.click(300, 200, SHIFT)
    assert desk.shapes[0].points.min(axis=0) == pytest.approx([290, 190], abs=1)


def test_a_predicted_region_is_painted_once_for_a_whole_stroke(brush, monkeypatch):
    painted = []
    monkeypatch.setattr(brush_tools, "paint_region", lambda *_args, **_more: painted.append(1))
    desk = brush()
    desk.view.set_prediction(np.ones((300, 400), np.uint8))
    desk.press(100, 100)
    for x in range(110, 200, 10):
        desk.move(x, 100, held=LEFT)
        desk.view.viewport().grab()
    assert len(painted) == 1
    desk.wheel(1, 150, 100, CTRL)
    desk.view.viewport().grab()
    assert len(painted) == 2
    desk.release(200, 100)
