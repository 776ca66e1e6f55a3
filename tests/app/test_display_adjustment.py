"""How the image is shown: the numbers behind it, and the popover with its sliders."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from app.canvas.display import DisplayAdjustment, adjusted, lookup_table
from app.panels.display_adjustment import DisplayControls, DisplayPopover

LEFT = Qt.MouseButton.LeftButton


# --- numbers --------------------------------------------------------------------------------------------


def test_the_neutral_adjustment_changes_nothing():
    assert DisplayAdjustment().is_neutral
    assert lookup_table(DisplayAdjustment()).tolist() == list(range(256))
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert adjusted(pixels, DisplayAdjustment()) is pixels


@pytest.mark.parametrize(
    ("adjustment", "shown"),
    [
        (DisplayAdjustment(brightness=0.5), {0: 128, 64: 192, 200: 255}),
        (DisplayAdjustment(brightness=-1), {0: 0, 255: 0}),
        (DisplayAdjustment(contrast=-1), {0: 128, 255: 128}),
        (DisplayAdjustment(contrast=1), {120: 0, 135: 255}),
        (DisplayAdjustment(gamma=2), {0: 0, 64: 128, 255: 255}),
        (DisplayAdjustment(gamma=0.5), {128: 64}),
    ],
)
def test_each_amount_does_what_its_name_says(adjustment, shown):
    table = lookup_table(adjustment)
    assert {value: int(table[value]) for value in shown} == shown
    assert (np.diff(table.astype(int)) >= 0).all()


def test_one_channel_is_shown_as_grey_and_grey_images_stay_grey():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[..., 1] = 200
    assert (adjusted(pixels, DisplayAdjustment(channel="green")) == 200).all()
    assert (adjusted(pixels, DisplayAdjustment(channel="red")) == 0).all()
    assert (adjusted(pixels, DisplayAdjustment(channel="luminance")) == 143).all()
    grey = np.full((2, 2), 64, np.uint8)
    assert (adjusted(grey, DisplayAdjustment(channel="blue", gamma=2)) == 128).all()


@pytest.mark.parametrize(
    ("wrong", "word"), [({"gamma": 0.0}, "gamma"), ({"contrast": 2.0}, "contrast"), ({"channel": "x"}, "'x'")]
)
def test_what_cannot_be_shown_is_refused_by_name(wrong, word):
    with pytest.raises(ValueError, match=word):
        DisplayAdjustment(**wrong)


# --- controls -------------------------------------------------------------------------------------------


@pytest.fixture
def controls(qtbot) -> Iterator[DisplayControls]:
    popover = DisplayPopover()
    qtbot.addWidget(popover)
    popover.popup_at(QPoint(600, 40))
    qtbot.waitUntil(popover.isVisible)
    yield popover.controls
    popover.close()


def test_a_moved_slider_tells_the_whole_adjustment(qtbot, controls):
    with qtbot.waitSignal(controls.adjustment_changed) as told:
        qtbot.keyClick(controls.brightness, Qt.Key.Key_PageUp)
    assert told.args == [DisplayAdjustment(brightness=0.1)]
    assert controls.value_text(controls.brightness) == "+10"
    with qtbot.waitSignal(controls.adjustment_changed) as told:
        qtbot.mouseClick(controls.channel_button("green"), LEFT)
    assert told.args == [DisplayAdjustment(brightness=0.1, channel="green")]


def test_gamma_doubles_and_halves_equally_far_from_one(controls):
    controls.gamma.setValue(50)
    doubled = controls.adjustment.gamma
    controls.gamma.setValue(-50)
    assert doubled * controls.adjustment.gamma == pytest.approx(1)
    controls.gamma.setValue(100)
    assert controls.adjustment.gamma == 5


def test_a_double_click_or_reset_brings_the_image_back(qtbot, controls):
    controls.contrast.setValue(40)
    controls.gamma.setValue(-30)
    assert controls.reset_button.isEnabled()
    qtbot.mouseDClick(controls.contrast, LEFT)
    assert controls.adjustment.contrast == 0
    with qtbot.waitSignal(controls.adjustment_changed) as told:
        qtbot.mouseClick(controls.reset_button, LEFT)
    assert told.args == [DisplayAdjustment()]
    assert not controls.reset_button.isEnabled()


def test_mirroring_the_canvas_is_silent(qtbot, controls):
    shown = DisplayAdjustment(-0.25, 0.5, 2.0, "blue")
    with qtbot.assertNotEmitted(controls.adjustment_changed):
        controls.set_adjustment(shown)
    assert controls.adjustment == shown
    assert controls.brightness.value() == -25
    assert controls.channel_button("blue").isChecked()
    assert controls.gamma.amount == pytest.approx(2, rel=0.02)


def test_a_grey_image_has_no_channels_to_choose(controls):
    controls.set_colored(False)
    assert controls.channel_button("rgb").isEnabled()
    assert not controls.channel_button("red").isEnabled()
