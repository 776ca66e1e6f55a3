"""How the image is shown: the numbers behind it, and the popover with its sliders."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage

from app.canvas.aids.adjusted_image import AdjustedImage
from app.canvas.display import DisplayAdjustment, lookup_table
from app.canvas.image_layer import ImageLayer
from app.canvas.layer_cache import Frame
from app.panels.display_adjustment import DisplayControls, DisplayPopover

LEFT = Qt.MouseButton.LeftButton


# --- numbers --------------------------------------------------------------------------------------------


def as_shown(rgb: tuple[int, int, int], adjustment: DisplayAdjustment) -> tuple[int, int, int]:
    """The colour in which the canvas draws an image of one colour."""
    layer = ImageLayer()
    image = QImage(4, 4, QImage.Format.Format_RGB888)
    image.fill(QColor(*rgb))
    layer.set_image(image)
    adjusted = AdjustedImage(layer)
    adjusted.set_adjustment(adjustment)
    target = QImage(4, 4, QImage.Format.Format_ARGB32_Premultiplied)
    adjusted.render(target, target.rect(), Frame(scale=1.0, dx=0.0, dy=0.0, width=4, height=4, ratio=1.0))
    return target.pixelColor(2, 2).getRgb()[:3]


def test_the_neutral_adjustment_changes_nothing(qapp):
    assert DisplayAdjustment().is_neutral
    assert lookup_table(DisplayAdjustment()).tolist() == list(range(256))
    assert as_shown((10, 200, 30), DisplayAdjustment()) == (10, 200, 30)


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


@pytest.mark.parametrize(
    ("rgb", "adjustment", "grey"),
    [
        ((10, 200, 30), DisplayAdjustment(channel="red"), 10),
        ((10, 200, 30), DisplayAdjustment(channel="green"), 200),
        ((10, 200, 30), DisplayAdjustment(channel="blue"), 30),
        ((255, 0, 0), DisplayAdjustment(channel="luminance"), 54),
        ((0, 255, 0), DisplayAdjustment(channel="luminance"), 182),
        ((0, 0, 255), DisplayAdjustment(channel="luminance"), 18),
        ((64, 64, 64), DisplayAdjustment(channel="luminance"), 64),
        ((0, 0, 64), DisplayAdjustment(channel="blue", gamma=2), 128),
    ],
)
def test_one_channel_or_the_luminance_is_shown_as_grey(qapp, rgb, adjustment, grey):
    assert as_shown(rgb, adjustment) == (grey, grey, grey)


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
