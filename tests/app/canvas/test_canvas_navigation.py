"""Zooming, scrolling, panning, and what the view shows of an image."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.canvas.view import CanvasView
from app.theme import apply_theme

CTRL = Qt.KeyboardModifier.ControlModifier
NO_KEY = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
MIDDLE = Qt.MouseButton.MiddleButton


def corners_in_view(view):
    """Where the image's corners stand in the viewport."""
    size = view.content_size
    return view.to_viewport(QPointF(0, 0)), view.to_viewport(QPointF(size.width(), size.height()))


@pytest.fixture
def large(make_desk):
    """A 2000 x 1000 image at 100 %, so that there is something to scroll."""
    desk = make_desk(size_wh=(2000, 1000))
    desk.view.zoom_actual()
    return desk


def test_an_image_fits_the_window_at_first_and_again_when_it_is_resized(make_desk, qtbot):
    desk = make_desk(size_wh=(2000, 1000))
    for width in (640, 900):
        desk.view.resize(width, 480)
        qtbot.waitUntil(lambda width=width: desk.view.viewport().width() == width)
        top_left, bottom_right = corners_in_view(desk.view)
        assert 8 <= top_left.x() <= 24
        assert width - 24 <= bottom_right.x() <= width - 8
        assert not desk.view.horizontalScrollBar().isVisible()


def test_zooming_ends_the_fitting(make_desk, qtbot):
    desk = make_desk(size_wh=(2000, 1000))
    desk.view.zoom_in()
    zoom = desk.view.zoom
    desk.view.resize(900, 480)
    qtbot.waitUntil(lambda: desk.view.width() == 900)
    assert desk.view.zoom == zoom
    desk.view.zoom_fit()
    assert desk.view.zoom == pytest.approx((900 - 32) / 2000)


def test_fit_width_leaves_room_for_the_scroll_bar(make_desk):
    desk = make_desk(size_wh=(500, 3000))
    desk.view.zoom_fit_width()
    top_left, bottom_right = corners_in_view(desk.view)
    assert top_left.x() >= 8
    assert bottom_right.x() <= desk.view.viewport().width() - 8
    assert bottom_right.x() - top_left.x() > 550
    assert not desk.view.horizontalScrollBar().isVisible()


def test_the_wheel_scrolls_and_with_shift_sideways(large):
    view = large.view
    across, down = view.horizontalScrollBar(), view.verticalScrollBar()
    x, y = across.value(), down.value()
    large.wheel(-2, 1000, 500)
    assert (across.value(), down.value()) == (x, y + 120)
    large.wheel(-2, 1000, 500, SHIFT)
    assert (across.value(), down.value()) == (x + 120, y + 120)


@pytest.mark.parametrize("notches", [1, 3, -1])
def test_ctrl_wheel_zooms_at_the_cursor(large, qtbot, notches):
    before = large.view.zoom
    under = large.at(900, 450)
    with qtbot.waitSignal(large.view.zoom_changed) as told:
        large.wheel(notches, 900, 450, CTRL)
    assert told.args[0] == large.view.zoom
    assert (large.view.zoom > before) == (notches > 0)
    drift = large.view.to_viewport(QPointF(900, 450)) - under
    assert abs(drift.x()) <= 1.5
    assert abs(drift.y()) <= 1.5


def test_the_zoom_stays_between_2_and_6400_percent(large):
    for _ in range(60):
        large.view.zoom_in()
    assert large.view.zoom == 64.0
    for _ in range(90):
        large.view.zoom_out()
    assert large.view.zoom == 0.02


def test_as_many_steps_out_as_in_lead_back_to_exactly_100_percent(large):
    for _ in range(7):
        large.view.zoom_in()
    for _ in range(7):
        large.view.zoom_out()
    assert large.view.zoom == 1.0


def test_a_slow_pinch_goes_through_100_percent_and_on(large):
    for _ in range(20):
        large.view.set_zoom(large.view.zoom * 1.004)
    assert large.view.zoom == pytest.approx(1.004**20)


def test_coming_near_100_percent_is_100_percent(large):
    large.view.set_zoom(0.98)
    large.view.set_zoom(0.996)
    assert large.view.zoom == 1.0


def test_a_strip_that_is_very_long_fits_into_the_window(make_desk):
    desk = make_desk(size_wh=(60_000, 40))
    assert desk.view.view_box == (0, 0, 60_000, 40)
    desk.view.zoom_in()
    desk.view.zoom_out()
    assert desk.view.view_box == (0, 0, 60_000, 40)


def pan(desk, button):
    """Drag the image by (-50, -30) screen pixels; how far it went."""
    start = desk.at(1000, 500)
    desk.press(1000, 500, button=button)
    for step in (QPoint(-20, -10), QPoint(-50, -30)):
        desk.move_to(start + step, held=button)
    QTest.mouseRelease(desk.view.viewport(), button, Qt.KeyboardModifier.NoModifier, start + step)
    moved = desk.at(1000, 500) - start
    return moved.x(), moved.y()


def test_the_middle_button_drags_the_image(large):
    large.view.set_tool("polygon")
    assert pan(large, MIDDLE) == (-50, -30)
    assert not large.view.busy


def test_space_and_a_drag_pan_while_nothing_is_drawn(large):
    large.view.set_tool("polygon")
    QTest.keyPress(large.view, Qt.Key.Key_Space)
    assert large.view.viewport().cursor().shape() == Qt.CursorShape.OpenHandCursor
    assert pan(large, Qt.MouseButton.LeftButton) == (-50, -30)
    QTest.keyRelease(large.view, Qt.Key.Key_Space)
    assert large.view.viewport().cursor().shape() == Qt.CursorShape.CrossCursor
    assert not large.view.busy


def test_the_left_button_pressed_while_the_middle_one_drags_draws_nothing(large):
    large.view.set_tool("freehand")
    viewport, at = large.view.viewport(), large.at(1000, 500)
    for event, button in (
        (QTest.mousePress, MIDDLE),
        (QTest.mousePress, LEFT),
        (QTest.mouseRelease, LEFT),
        (QTest.mouseRelease, MIDDLE),
    ):
        event(viewport, button, Qt.KeyboardModifier.NoModifier, at)
    assert not large.view.busy
    assert not large.view.panning


@pytest.mark.parametrize("lost", ["with its image", "to a dialog"])
def test_an_image_does_not_stick_to_the_mouse_when_the_release_is_lost(large, lost):
    start = large.at(1000, 500)
    large.press(1000, 500, button=MIDDLE)
    if lost == "with its image":
        image = QImage(2000, 1000, QImage.Format.Format_RGB888)
        large.view.set_image(None)
        QTest.mouseRelease(large.view.viewport(), MIDDLE, Qt.KeyboardModifier.NoModifier, start)
        large.view.set_image(image)
    before = large.view.to_viewport(QPointF(0, 0))
    large.move_to(start + QPoint(40, 40))
    assert large.view.to_viewport(QPointF(0, 0)) == before
    assert not large.view.panning


def test_the_next_image_of_the_same_size_keeps_the_zoom_and_another_size_is_fitted(large):
    large.view.set_zoom(3.0)
    at = large.view.to_viewport(QPointF(1000, 500))
    image = QImage(2000, 1000, QImage.Format.Format_RGB888)
    image.fill(QColor(10, 20, 30))
    large.view.set_image(image)
    assert large.view.zoom == 3.0
    assert large.view.to_viewport(QPointF(1000, 500)) == at
    large.view.set_image(image.scaled(1000, 500))
    assert large.view.zoom < 1.0


def test_the_mouse_tells_where_it_is_in_the_image(make_desk, qtbot):
    desk = make_desk()
    with qtbot.waitSignal(desk.view.cursor_moved) as told:
        desk.move(120, 80)
    assert told.args == pytest.approx([120, 80], abs=1)


def checkerboard(cell: int, size: int = 64) -> QImage:
    rows, columns = np.mgrid[:size, :size] // cell
    grey = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    return QImage(grey.tobytes(), size, size, size, QImage.Format.Format_Grayscale8).copy()


MOVES = {
    "the wheel": lambda desk: desk.wheel(-2, 300, 200),
    "a zoom by key": lambda desk: desk.view.zoom_in(),
    "a jump": lambda desk: desk.view.reveal((900, 600, 1100, 800)),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_the_tool_stays_under_the_resting_mouse_when_the_image_moves(large, move):
    large.view.set_tool("brush")
    large.move(300, 200)
    move(large)
    at = large.view.under_mouse()
    x0, y0, x1, y1 = large.view._tool.overlay_box()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((at.x(), at.y()))
    assert (at.x(), at.y()) != pytest.approx((300, 200), abs=1)


@pytest.mark.parametrize("button", [MIDDLE, LEFT])
def test_the_tool_is_under_the_mouse_that_has_dragged_the_image_to_its_end(large, button):
    large.view.set_tool("brush")
    if button == LEFT:
        QTest.keyPress(large.view, Qt.Key.Key_Space)
    start, end = QPoint(100, 240), QPoint(600, 240)
    large.move_to(start)
    for _ in range(3):
        QTest.mousePress(large.view.viewport(), button, pos=start)
        large.move_to(end, held=button)
        QTest.mouseRelease(large.view.viewport(), button, pos=end)
    QTest.keyRelease(large.view, Qt.Key.Key_Space)
    at = large.view.under_mouse()
    x0, y0, x1, y1 = large.view._tool.overlay_box()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((at.x(), at.y()))


def test_enter_after_scrolling_ends_a_rectangle_where_the_mouse_is(large):
    large.view.set_tool("rectangle")
    large.click(100, 100)
    large.move(300, 200)
    large.wheel(-2, 300, 200)
    large.key(Qt.Key.Key_Return)
    at = large.view.under_mouse()
    assert large.points() == [[100, 100], [round(at.x()), round(at.y())]]


def test_backspace_after_scrolling_removes_no_vertex_that_the_mouse_has_left(make_desk, square):
    desk = make_desk(square, size_wh=(2000, 1000))
    desk.view.zoom_actual()
    desk.move(200, 200)
    desk.wheel(-2, 200, 200)
    desk.key(Qt.Key.Key_Backspace)
    assert len(desk.points()) == 4


@pytest.mark.parametrize("held_first", [True, False])
def test_the_tool_over_a_moved_image_goes_by_the_keys_held_now(large, held_first):
    large.view.set_tool("rectangle")
    large.click(300, 100)
    large.move(500, 200, SHIFT if held_first else NO_KEY)
    if held_first:
        QTest.keyRelease(large.view, Qt.Key.Key_Shift)
    else:
        QTest.keyPress(large.view, Qt.Key.Key_Shift, SHIFT)  # Qt's state is the modifiers of the event
    large.view.zoom_in()
    QTest.keyRelease(large.view, Qt.Key.Key_Shift)
    large.key(Qt.Key.Key_Return)
    (x0, y0), (x1, y1) = large.points()
    assert (abs(x1 - x0) == abs(y1 - y0)) is not held_first


def test_the_tool_is_where_the_mouse_went_while_there_was_no_image(large):
    large.view.set_tool("brush")
    large.move(300, 200)
    image = QImage(2000, 1000, QImage.Format.Format_RGB888)
    large.view.set_document(None)
    large.view.set_image(None)
    there = QPoint(120, 90)
    large.move_to(there)
    large.view.set_image(image)
    large.view.set_document(large.document)
    at = large.view.to_image(QPointF(there))
    x0, y0, x1, y1 = large.view._tool.overlay_box()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((at.x(), at.y()))


def test_a_tool_chosen_by_key_is_where_the_mouse_is(large):
    large.view.set_tool("brush")
    large.move(300, 200)
    large.view.set_tool("select")
    large.move(400, 250)
    large.view.set_tool("brush")
    x0, y0, x1, y1 = large.view._tool.overlay_box()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((400, 250), abs=1)


@pytest.mark.parametrize("notches", [3, -2])
def test_zooming_at_the_mouse_adds_nothing_to_a_stroke(large, notches):
    large.view.set_tool("brush")
    large.press(990, 500)
    large.move(1010, 500, held=LEFT)
    large.wheel(notches, 1010, 500, CTRL)
    large.release(1010, 500)
    points = large.shapes[0].points
    assert points.min(axis=0) == pytest.approx((980, 490), abs=2)
    assert points.max(axis=0) == pytest.approx((1020, 510), abs=2)


def test_pixels_are_crisp_when_magnified(make_desk):
    desk = make_desk(size_wh=(64, 64), image=checkerboard(1))
    desk.view.set_zoom(8.0)
    shown = desk.view.viewport().grab().toImage()
    x, y = desk.at(30, 30).x(), desk.at(30, 30).y()
    seen = {shown.pixelColor(x + dx, y + dy).red() for dx in range(16) for dy in range(16)}
    assert seen == {0, 255}


def test_fine_texture_becomes_grey_when_reduced_and_does_not_flicker(make_desk):
    desk = make_desk(size_wh=(1024, 1024), image=checkerboard(1, 1024))
    desk.view.set_zoom(0.2)
    for x in range(200, 400, 13):
        assert abs(desk.color(x, 500).red() - 128) < 40


def test_an_image_stays_in_its_place_from_level_to_level(make_desk):
    """A bright square is drawn where it is whatever halved copy it is drawn from."""
    grey = np.zeros((600, 600), np.uint8)
    grey[200:400, 200:400] = 255
    image = QImage(grey.tobytes(), 600, 600, 600, QImage.Format.Format_Grayscale8).copy()
    desk = make_desk(size_wh=(600, 600), image=image)
    for zoom in (0.1, 0.24, 0.5, 1.0, 2.0, 5.0):
        desk.view.set_zoom(zoom)
        desk.view.centerOn(300, 300)
        away = 6 / zoom
        for x, y in ((200, 300), (300, 200)):
            horizontal = x == 200
            outside = (x - away, y) if horizontal else (x, y - away)
            inside = (x + away, y) if horizontal else (x, y + away)
            if desk.view.viewport().rect().contains(desk.at(*outside)):
                assert desk.color(*outside).red() < 60, zoom
                assert desk.color(*inside).red() > 195, zoom


def test_scrolling_shows_the_same_as_drawing_anew(make_desk, square, make_shape):
    desk = make_desk(
        square,
        make_shape([(30, 30), (390, 60), (200, 280)], "vessel"),
        make_shape([(10, 200), (60, 200), (60, 290), (10, 290)]),
    )
    desk.view.set_prediction(np.tile(np.repeat([0, 1, 2, 0], 100).astype(np.uint8), (300, 1)))
    desk.view.set_zoom(4.0)
    for step in (5, -37, 211, 64):
        desk.view.horizontalScrollBar().setValue(desk.view.horizontalScrollBar().value() + step)
        desk.view.verticalScrollBar().setValue(desk.view.verticalScrollBar().value() - step // 2)
        desk.view.viewport().grab()
    scrolled = desk.view.viewport().grab().toImage()
    desk.view.set_classes(desk.view.classes)  # draws labels and prediction anew
    anew = desk.view.viewport().grab().toImage()
    assert difference(scrolled, anew) <= 0.001


def difference(a: QImage, b: QImage) -> float:
    """Share of pixels that differ plainly: lines are smoothed a little differently at a strip's end."""

    def pixels(image: QImage) -> np.ndarray:
        image = image.convertToFormat(QImage.Format.Format_RGB32)
        return np.frombuffer(image.bits(), np.uint8).reshape(image.height(), image.width(), 4).astype(int)

    return float((np.abs(pixels(a) - pixels(b)).max(axis=2) > 48).mean())


def test_without_an_image_there_is_a_friendly_word_and_nothing_breaks(qtbot):
    view = CanvasView()
    qtbot.addWidget(view)
    view.resize(400, 300)
    view.show()
    qtbot.waitExposed(view)
    empty = view.grab().toImage()
    assert len({empty.pixelColor(x, y).rgb() for x in range(400) for y in range(100, 200)}) > 10
    view.set_placeholder("")
    assert view.grab().toImage() != empty
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton)
    QTest.keyClick(view, Qt.Key.Key_Space)
    view.zoom_fit()
    view.zoom_in()
    assert view.hint == ""


def test_the_ground_follows_the_theme(make_desk, qtbot):
    app = QApplication.instance()
    try:
        apply_theme(app, "dark")
        desk = make_desk()
        dark = desk.color(-5, -5).lightness()
        apply_theme(app, "light")
        qtbot.waitUntil(lambda: desk.color(-5, -5).lightness() > 150)
        assert dark < 60
    finally:
        apply_theme(app, "dark")


def test_a_transparent_image_shows_a_checkerboard(make_desk):
    image = QImage(100, 100, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    desk = make_desk(size_wh=(100, 100), image=image)
    shown = {desk.color(x, 50).red() for x in range(20, 80, 2)}
    assert {160, 200} <= shown
