"""What helps the eye: names on shapes, crosshair, loupe, grid, ruler, brightness and channels."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPaintEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.canvas.aids.loupe import loupe_rect
from app.canvas.aids.ruler import line_text, shapes_text
from app.canvas.display import DisplayAdjustment
from core.annotation.commands import Relabel
from core.annotation.document import AnnotationDocument
from core.annotation.model import Annotation, ShapeType

KEY = Qt.Key
LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


def shown(desk):
    """The viewport as an array (H, W, 3)."""
    image = desk.view.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).astype(int)


def changed(before, after):
    """Where two pictures differ: left, top, right, bottom; None where they do not."""
    ys, xs = np.nonzero(np.abs(before - after).max(axis=2) > 12)
    return None if len(ys) == 0 else (xs.min(), ys.min(), xs.max(), ys.max())


# --- names ------------------------------------------------------------------------------------------------


def test_names_are_written_in_the_middle_of_shapes_and_follow_a_new_label(make_desk, square):
    desk = make_desk(square)
    plain = shown(desk)
    desk.view.set_names_visible(True)
    named = shown(desk)
    left, top, right, bottom = changed(plain, named)
    middle = desk.at(150, 150)
    assert abs((left + right) / 2 - middle.x()) < 4
    assert abs((top + bottom) / 2 - middle.y()) < 4
    desk.history.push(Relabel.of(desk.document, [square.uid], "a much longer name"))
    wider = changed(plain, shown(desk))
    assert wider[2] - wider[0] > right - left
    desk.history.undo()
    assert changed(named, shown(desk)) is None
    desk.view.set_names_visible(False)
    assert changed(plain, shown(desk)) is None


def test_a_name_that_has_no_room_is_left_out_until_one_zooms_in(make_desk, make_shape):
    desk = make_desk(make_shape([(100, 100), (110, 100), (110, 110)]))
    plain = shown(desk)
    desk.view.set_names_visible(True)
    assert changed(plain, shown(desk)) is None
    desk.view.set_zoom(10)
    desk.view.centerOn(105, 105)
    near = shown(desk)
    desk.view.set_names_visible(False)
    assert changed(near, shown(desk)) is not None


def test_points_and_lines_have_their_name_beside_them(make_desk, make_shape):
    desk = make_desk(make_shape([(100, 100)], shape_type=ShapeType.POINT))
    plain = shown(desk)
    desk.view.set_names_visible(True)
    left, *_ = changed(plain, shown(desk))
    assert left > desk.at(100, 100).x()


def test_names_drawn_in_part_look_like_names_drawn_anew(make_desk, make_shape):
    shapes = [make_shape([(20 + 60 * k, 60), (70 + 60 * k, 60), (70 + 60 * k, 110)]) for k in range(6)]
    desk = make_desk(*shapes, make_shape([(200, 200)], shape_type=ShapeType.POINT))
    desk.view.set_names_visible(True)
    shown(desk)
    desk.drag((260, 70), (250, 150), (240, 200))
    desk.select(frozenset())
    desk.move(390, 290)
    in_parts = shown(desk)
    desk.view.set_classes(desk.view.classes)
    assert changed(in_parts, shown(desk)) is None


def test_a_dragged_shape_takes_its_name_off_and_puts_it_on_again(make_desk, square):
    desk = make_desk(square)
    desk.view.set_names_visible(True)
    desk.click(150, 120)
    desk.press(150, 120)
    lying = shown(desk)
    desk.move(260, 120, held=LEFT)
    middle = desk.at(150, 150)
    assert np.abs(shown(desk) - lying)[middle.y(), middle.x() - 10 : middle.x() + 10].max() > 30
    desk.release(260, 120)
    there = desk.at(260, 150)
    assert shown(desk)[there.y() - 6 : there.y() + 6, there.x() - 15 : there.x() + 15].min() < 60


# --- crosshair, loupe, grid -------------------------------------------------------------------------------


def test_a_crosshair_reaches_from_edge_to_edge_and_follows_the_mouse(make_desk):
    desk = make_desk()
    desk.view.aids.crosshair = True
    desk.move(100, 100)
    assert desk.color(300, 100).lightness() > 200
    assert desk.color(100, 250).lightness() > 200
    desk.move(200, 200)
    assert desk.color(300, 100).red() == 128
    assert desk.color(300, 200).lightness() > 200
    QApplication.sendEvent(desk.view, QEvent(QEvent.Type.Leave))
    assert desk.color(300, 200).red() == 128


def test_the_loupe_magnifies_what_is_under_the_mouse_with_its_shapes(make_desk, make_shape):
    image = QImage(400, 300, QImage.Format.Format_RGB888)
    image.fill(QColor(128, 128, 128))
    image.setPixelColor(100, 100, QColor(255, 255, 0))
    desk = make_desk(make_shape([(110, 90), (130, 90), (130, 110), (110, 110)]), image=image)
    plain = shown(desk)
    desk.view.aids.loupe = True
    desk.move(100.5, 100.5)
    magnified = shown(desk)
    left, top, right, bottom = changed(plain, magnified)
    assert right - left > 180
    assert left > desk.at(100, 100).x()
    yellow = (magnified[..., 0] > 200) & (magnified[..., 1] > 200) & (magnified[..., 2] < 90)
    assert yellow.sum() > 12  # one pixel of the image is four by four of the screen's, at least
    reddish = magnified[..., 0] - magnified[..., 1] > 60
    assert reddish[top:bottom, left:right].sum() > 100
    desk.view.aids.loupe = False
    assert changed(plain, shown(desk)) is None


def test_the_loupe_stays_in_the_view(make_desk):
    desk = make_desk()
    desk.view.aids.loupe = True
    before = shown(desk)
    desk.move(398, 298)
    left, top, right, bottom = changed(before, shown(desk))
    assert right < desk.at(398, 298).x()
    assert bottom < desk.at(398, 298).y()
    assert left >= 0
    assert top >= 0


def test_a_grid_has_a_line_every_so_many_pixels(make_desk):
    desk = make_desk()
    desk.view.aids.grid_spacing = 50
    desk.view.aids.grid = True
    picture = shown(desk)
    row = picture[desk.at(0, 25).y(), desk.at(1, 0).x() : desk.at(399, 0).x()]
    lines = np.flatnonzero(np.abs(row - 128).max(axis=1) > 20)
    assert len(np.flatnonzero(np.diff(lines) > 2)) + 1 == 7  # at 50, 100 ... 350


def test_close_up_every_pixel_is_framed_and_far_off_lines_are_thinned(make_desk):
    desk = make_desk()
    desk.view.aids.grid = True
    desk.view.set_zoom(16)
    close = shown(desk)
    assert (np.abs(close - 128).max(axis=2) > 8).mean() > 0.1
    desk.view.aids.grid_spacing = 1
    desk.view.set_zoom(0.5)
    far = shown(desk)[desk.at(0, 3).y(), desk.at(0, 0).x() : desk.at(400, 0).x()]
    assert (np.abs(far - 128).max(axis=1) > 8).mean() < 0.5


# --- ruler ------------------------------------------------------------------------------------------------


def test_the_ruler_measures_and_its_line_stays_until_escape(make_desk):
    desk = make_desk()
    desk.view.set_tool("ruler")
    plain = shown(desk)
    desk.drag((100, 200), (130, 160))
    length, _, _, dx, _, dy, angle = desk.view.hint.split(";")[0].split()
    assert float(length) == pytest.approx(50, abs=1)
    assert (float(dx), float(dy)) == (pytest.approx(30, abs=1), pytest.approx(-40, abs=1))
    assert float(angle.rstrip("°")) == pytest.approx(53.1, abs=1)
    desk.move(300, 250)
    assert changed(plain, shown(desk)) is not None
    desk.key(KEY.Key_Escape)
    assert changed(plain, shown(desk)) is None
    assert not desk.history.can_undo


def test_shift_turns_the_ruler_in_steps(make_desk):
    desk = make_desk()
    desk.view.set_tool("ruler")
    desk.drag((100, 200), (200, 205), keys=SHIFT)
    assert " 0.0°" in desk.view.hint.replace("-0.0°", "0.0°")


def test_a_line_is_measured_in_pixels_and_degrees_upwards():
    assert line_text((0, 10), (3, 6)) == "5.0 px   dx 3.0   dy -4.0   53.1°"


def test_areas_leave_out_holes_and_lines_have_lengths(make_shape, square):
    holed = make_shape(square.points, holes=[[(120, 120), (140, 120), (140, 140), (120, 140)]])
    assert shapes_text([square]) == "10,000 px²"
    assert shapes_text([holed, square]) == "19,600 px²"
    assert shapes_text([make_shape([(0, 0), (3, 4)], shape_type=ShapeType.LINE)]) == "5.0 px"
    assert shapes_text([make_shape([(0, 0)], shape_type=ShapeType.POINT)]) == ""


# --- display ----------------------------------------------------------------------------------------------


@pytest.fixture
def coloured(make_desk):
    image = QImage(400, 300, QImage.Format.Format_RGB888)
    image.fill(QColor(200, 100, 50))
    return make_desk(image=image)


def test_brightness_changes_the_picture_and_neither_the_ground_nor_shapes(coloured):
    ground = coloured.view.viewport().grab().toImage().pixelColor(2, 2)
    coloured.view.set_display(DisplayAdjustment(brightness=0.2))
    assert coloured.color(100, 100).getRgb()[:3] == (251, 151, 101)
    assert coloured.view.viewport().grab().toImage().pixelColor(2, 2) == ground
    coloured.view.set_display(DisplayAdjustment())
    assert coloured.color(100, 100).getRgb()[:3] == (200, 100, 50)


@pytest.mark.parametrize(("channel", "value"), [("red", 200), ("green", 100), ("blue", 50)])
def test_one_channel_is_shown_as_grey(coloured, channel, value):
    coloured.view.set_display(DisplayAdjustment(channel=channel))
    assert coloured.color(100, 100).getRgb()[:3] == (value, value, value)


def test_scrolling_draws_the_new_strip_adjusted_too(coloured):
    coloured.view.set_zoom(4)
    coloured.view.set_display(DisplayAdjustment(contrast=0.4))
    before = coloured.view.viewport().grab().toImage().pixelColor(300, 10).getRgb()
    coloured.view.verticalScrollBar().setValue(coloured.view.verticalScrollBar().value() + 57)
    picture = coloured.view.viewport().grab().toImage()
    assert picture.pixelColor(300, picture.height() - 30).getRgb() == before
    assert coloured.at(0, 0) != QPointF(0, 0)


def test_the_loupe_shows_a_shape_that_arrows_move_under_a_resting_mouse(make_desk, make_shape, qtbot):
    desk = make_desk(make_shape([(95, 95), (105, 95), (105, 105), (95, 105)]))
    desk.view.aids.loupe = True
    desk.select(frozenset({desk.shapes[0].uid}))
    desk.move(100, 100)
    QApplication.processEvents()
    mouse = QPointF(desk.at(100, 100))
    loupe = loupe_rect(mouse, QRectF(desk.view.viewport().rect())).toAlignedRect()
    painted = []
    desk.view.viewport().installEventFilter(watch := PaintWatch(painted))
    QTest.keyClick(desk.view, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: painted != [])
    desk.view.viewport().removeEventFilter(watch)
    assert any(rect.contains(loupe) for rect in painted)


class PaintWatch(QObject):
    def __init__(self, painted):
        super().__init__()
        self._painted = painted

    def eventFilter(self, _watched, event):
        if isinstance(event, QPaintEvent):
            self._painted.append(event.rect())
        return False


def test_names_of_other_images_are_forgotten(make_desk, square):
    desk = make_desk(square)
    desk.view.set_names_visible(True)
    for _ in range(200):
        desk.document = AnnotationDocument(Annotation("b.png", (300, 400), (square.copy(),)))
        desk.view.set_document(desk.document)
        desk.view.viewport().grab()
    assert len(desk.view._shapes._names._middles) < 100
