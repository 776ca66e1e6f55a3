"""The view's aids in the window: keys, menus, what is remembered, and what the selection measures."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QInputDialog

from app.panels.display_adjustment import DisplayPopover
from app.wiring.view_aids import HELD_MS

SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def bench(make_window, image_folder):
    bench = make_window()
    bench.open(image_folder(1))
    bench.add_class("disc")
    return bench


def test_keys_switch_crosshair_grid_and_names(bench):
    bench.key(Qt.Key.Key_X)
    bench.key(Qt.Key.Key_G)
    assert bench.canvas.aids.crosshair
    assert bench.canvas.aids.grid
    bench.key(Qt.Key.Key_L, SHIFT)
    assert bench.window.actions_["view.names"].isChecked()
    bench.key(Qt.Key.Key_X)
    assert not bench.canvas.aids.crosshair


def test_a_tap_leaves_the_loupe_and_a_held_key_takes_it_away_again(bench, qtbot):
    bench.key(Qt.Key.Key_Z)
    assert bench.canvas.aids.loupe
    bench.key(Qt.Key.Key_Z)
    assert not bench.canvas.aids.loupe
    QTest.keyPress(bench.canvas, Qt.Key.Key_Z)
    qtbot.waitUntil(lambda: bench.window.parts.aids._loupe_key.elapsed() > HELD_MS + 20)
    QTest.keyRelease(bench.canvas, Qt.Key.Key_Z)
    assert not bench.canvas.aids.loupe


def test_the_grids_spacing_is_asked_for_and_remembered(bench, settings):
    bench.window.actions_["view.grid_spacing"].trigger()
    dialog = bench.canvas.findChild(QInputDialog, "grid_spacing")
    dialog.setIntValue(25)
    dialog.accept()
    assert bench.canvas.aids.grid_spacing == 25
    assert bench.canvas.aids.grid
    assert settings.view_aids == {"spacing": "25", "grid": "on"}


def test_the_next_window_has_the_same_aids(make_window, settings):
    settings.view_aids = {"names": "on", "spacing": "32", "crosshair": "nonsense"}
    bench = make_window()
    assert bench.window.actions_["view.names"].isChecked()
    assert bench.canvas.aids.grid_spacing == 32
    assert not bench.canvas.aids.crosshair


def test_brightness_is_set_in_a_popover(bench):
    before = bench.canvas.viewport().grab().toImage().pixelColor(bench.at(5, 5))
    bench.window.actions_["view.display"].trigger()
    popover = bench.canvas.findChild(DisplayPopover)
    assert popover.isVisible()
    popover.controls.brightness.setValue(40)
    popover.close()
    after = bench.canvas.viewport().grab().toImage().pixelColor(bench.at(5, 5))
    assert after.red() == pytest.approx(before.red() + 102, abs=3)


def test_the_status_bar_tells_the_area_of_the_selection(bench, qtbot):
    bench.draw_square(10, 10, 20)
    bench.window.actions_["shape.select"].trigger()
    bench.click(20, 20)
    qtbot.waitUntil(lambda: bench.window.status.measure.endswith(" px²"))
    area = float(bench.window.status.measure.removesuffix(" px²"))
    assert area == pytest.approx(400, abs=8)  # corners are clicked on whole screen pixels
    bench.click(50, 40)
    qtbot.waitUntil(lambda: bench.window.status.measure == "")


def test_brush_keys_work_in_the_window(bench):
    bench.key(Qt.Key.Key_B)
    assert bench.canvas.tool == "brush"
    before = bench.canvas.context.brush.radius
    bench.key(Qt.Key.Key_BracketRight)
    assert bench.canvas.context.brush.radius > before
    bench.key(Qt.Key.Key_E)
    assert bench.canvas.tool == "eraser"
    bench.key(Qt.Key.Key_M)
    assert bench.canvas.tool == "ruler"
