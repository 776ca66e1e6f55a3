"""The prediction bar: switches, opacity, and what can be accepted."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.panels.prediction_bar import BarKeys, PredictionBar
from app.theme import apply_theme

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def bar(qtbot: QtBot, qapp: QApplication) -> PredictionBar:
    apply_theme(qapp, "dark")
    bar = PredictionBar()
    bar.set_keys(BarKeys(accept="Enter", accept_all="Ctrl+Enter"))
    qtbot.addWidget(bar)
    with qtbot.waitExposed(bar):
        bar.show()
    return bar


def test_the_bar_switches_labels_and_prediction(qtbot: QtBot, bar: PredictionBar) -> None:
    bar.set_prediction_available(True)
    with qtbot.waitSignal(bar.labels_toggled) as labels:
        qtbot.mouseClick(bar.labels, LEFT)
    with qtbot.waitSignal(bar.prediction_toggled) as shown:
        qtbot.mouseClick(bar.prediction, LEFT)
    assert labels.args == [False]
    assert shown.args == [False]
    assert not bar.opacity.isEnabled()


def test_the_slider_sets_the_opacity_and_mirroring_is_silent(qtbot: QtBot, bar: PredictionBar) -> None:
    bar.set_prediction_available(True)
    bar.opacity.setFocus()
    before = bar.opacity.value()
    with qtbot.waitSignal(bar.opacity_changed) as changed:
        qtbot.keyClick(bar.opacity, Qt.Key.Key_PageUp)
    assert changed.args == [pytest.approx((before + 10) / 100)]
    with qtbot.assertNotEmitted(bar.opacity_changed), qtbot.assertNotEmitted(bar.labels_toggled):
        bar.set_opacity(0.2)
        bar.set_labels_visible(False)
    assert bar.opacity.value() == 20


def test_of_a_huge_image_regions_are_only_shown(bar: PredictionBar) -> None:
    bar.set_prediction_available(True, acceptable=False)
    bar.set_source("U-Net, step 840")
    assert bar.opacity.isEnabled()
    assert not bar.pick.isEnabled()
    assert not bar.accept_all.isEnabled()
    assert "is only shown" in bar.accept_all.toolTip()
    assert bar.hint == "U-Net, step 840"
    bar.set_prediction_available(True)
    assert bar.accept_all.isEnabled()
    assert "Ctrl+Enter" in bar.accept_all.toolTip()


def test_the_keys_that_are_named_are_those_that_a_person_has_chosen(bench, image_folder) -> None:
    page, actions = bench.window.page, bench.window.actions_
    bar, door = page.prediction_bar, page.welcome.open_door
    assert "Ctrl+U" in door.accessibleDescription()
    assert bar.labels.toolTip() == "Show labels  (L)"
    actions.apply_shortcuts(
        {
            "file.open_folder": "F9",
            "view.labels": "Y",
            "train.accept_region": "",
            "train.accept_all": "Shift+Y",
        }
    )
    assert "(F9)" in door.accessibleDescription()
    assert bar.labels.toolTip() == "Show labels  (Y)"
    bar.set_prediction_available(True)
    assert bar.accept_all.toolTip().endswith("(Shift+Y)")
    assert "Press" not in bar.hint


def test_accepting_needs_a_prediction(qtbot: QtBot, bar: PredictionBar) -> None:
    assert not bar.accept_all.isEnabled()
    assert bar.hint == "Train to see a prediction"
    bar.set_prediction_available(True)
    bar.set_source("U-Net, step 840")
    assert bar.hint == "U-Net, step 840  ·  Press Enter over a region to accept it"
    with qtbot.waitSignal(bar.pick_requested):
        qtbot.mouseClick(bar.pick, LEFT)
    with qtbot.waitSignal(bar.accept_all_requested):
        qtbot.mouseClick(bar.accept_all, LEFT)


def test_what_limits_a_prediction_is_said_as_long_as_there_is_room_and_explained(bar: PredictionBar) -> None:
    bar.set_prediction_available(True)
    bar.set_source("Instant learner")
    bar.set_sureness("not yet tested", "Nobody has compared it.")
    bar.set_caveat("background guessed", "Too little is labelled as background yet.")
    assert "Instant learner  ·  not yet tested  ·  background guessed" in bar.hint
    assert "Nobody has compared it.\n\nToo little is labelled" in bar.detail
    bar.set_caveat("")
    assert "guessed" not in bar.hint + bar.detail


def test_what_to_do_without_a_prediction_is_never_cut_in_two(qtbot: QtBot, bar: PredictionBar) -> None:
    bar.set_prediction_available(False, "Draw something: a prediction follows within seconds")
    bar.resize(1200, bar.height())
    qtbot.waitUntil(lambda: bar.shown_text == "Draw something: a prediction follows within seconds")
    for width in range(1200, bar.minimumSizeHint().width() + 100, -20):
        bar.resize(width, bar.height())
        assert bar.shown_text in (bar.hint, "Draw something")
    assert bar.shown_text == "Draw something"
