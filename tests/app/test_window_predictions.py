"""Predictions in the window: shown, accepted by key and mouse, told under the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt

from app.dialogs.amount import AmountPopover
from app.dialogs.label import LabelDialog
from core.learning.events import ImagesRated, Prediction
from tests.app.engine_events import prediction, started, step, validated

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def predicted(opened):
    """A prediction with one nerve region over the current image."""
    opened.window.controller.shown.take(nerve_prediction(opened))
    return opened


def nerve_prediction(bench) -> Prediction:
    classes = np.zeros((48, 64), np.uint8)
    classes[10:30, 20:40] = bench.session.classes.by_name("nerve").index
    confidence = np.full((48, 64), 204, np.uint8)
    return prediction("scan000.png", classes, confidence, scored_on="validation")


def test_enter_accepts_the_predicted_region_under_the_mouse(predicted, qtbot):
    assert predicted.canvas.has_prediction
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(2, 2))
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(30, 20))
    predicted.key(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])
    predicted.key(Qt.Key.Key_Z, CTRL)
    assert predicted.labels() == []


@pytest.mark.parametrize(("key", "said"), [("F9", "and press F9."), ("", "first.")])
def test_where_no_region_is_under_the_mouse_the_chosen_key_is_named(predicted, qtbot, key, said):
    action = predicted.window.actions_["train.accept_region"]
    predicted.window.actions_.apply_shortcuts({"train.accept_region": key})
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(2, 2))
    with qtbot.waitSignal(predicted.session.message) as told:
        action.trigger()
    assert told.args[0] == f"Move the mouse over a predicted region {said}"


def test_a_click_with_the_region_tool_and_accept_all_make_polygons(predicted, qtbot):
    predicted.key(Qt.Key.Key_R)
    predicted.click(30, 20)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])
    predicted.key(Qt.Key.Key_Z, CTRL)
    predicted.key(Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])


def test_the_status_bar_says_what_is_drawn_and_predicted_under_the_mouse(predicted, qtbot):
    predicted.key(Qt.Key.Key_2)
    predicted.draw_square(22, 12)
    predicted.wait_saved()
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(2.5, 2.5))
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(25.5, 15.5))
    position, value, drawn, seen = predicted.window.status.under_cursor
    assert position == "25, 15"
    assert value.startswith("value ")
    assert drawn == "vessel"
    assert seen == "nerve 0.80 (prediction)"


def test_enter_in_the_question_for_a_label_answers_it_and_accepts_nothing(predicted, qtbot):
    predicted.draw_square(44, 20, side=6)
    predicted.key(Qt.Key.Key_J, CTRL)
    predicted.click(47, 23)
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(30, 20))
    predicted.key(Qt.Key.Key_E, CTRL)
    question = predicted.window.findChild(LabelDialog)
    qtbot.keyClicks(question.field, "vessel")
    qtbot.keyClick(question.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: predicted.labels() == ["vessel"])
    assert not question.isVisible()


def test_enter_where_an_amount_is_asked_for_takes_the_amount(predicted, qtbot):
    predicted.draw_square(44, 20, side=6)
    predicted.key(Qt.Key.Key_J, CTRL)
    predicted.click(47, 23)
    predicted.key(Qt.Key.Key_S)
    popover = predicted.window.findChild(AmountPopover)
    qtbot.keyClick(popover.slider, Qt.Key.Key_Return)
    assert not popover.isVisible()
    assert predicted.labels() == ["nerve"]


def test_when_the_image_moves_under_a_resting_mouse_the_status_bar_and_enter_follow(predicted, qtbot):
    canvas, mouse = predicted.canvas, predicted.at(2, 2)
    qtbot.mouseMove(canvas.viewport(), predicted.at(5, 5))
    qtbot.mouseMove(canvas.viewport(), mouse)
    canvas.set_zoom(20.0, predicted.at(30, 20))
    canvas.centerOn(30, 20)
    shift = canvas.to_viewport(QPointF(30.5, 20.5)).toPoint() - mouse
    canvas.horizontalScrollBar().setValue(canvas.horizontalScrollBar().value() + shift.x())
    canvas.verticalScrollBar().setValue(canvas.verticalScrollBar().value() + shift.y())
    here = canvas.to_image(QPointF(mouse))
    assert predicted.window.status.under_cursor[0] == f"{int(here.x())}, {int(here.y())}"
    assert canvas.region_at(int(here.x()), int(here.y())) is not None
    predicted.key(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])


def test_what_was_predicted_of_an_image_is_there_when_one_goes_back_to_it(predicted, qtbot):
    predicted.key(Qt.Key.Key_D)
    predicted.wait_for_image("scan001.png")
    assert not predicted.canvas.has_prediction
    predicted.key(Qt.Key.Key_A)
    predicted.wait_for_image("scan000.png")
    qtbot.waitUntil(lambda: predicted.canvas.has_prediction)
    assert predicted.canvas.region_at(30, 20) is not None
    predicted.session.open_image("scan000.png")  # once more
    qtbot.waitUntil(lambda: not predicted.session.busy)
    assert predicted.canvas.has_prediction
    assert predicted.window.actions_["train.accept_all"].isEnabled()


def test_after_going_back_a_part_that_is_new_is_painted_over_the_rest(predicted, qtbot):
    predicted.key(Qt.Key.Key_D)
    predicted.wait_for_image("scan001.png")
    predicted.key(Qt.Key.Key_A)
    predicted.wait_for_image("scan000.png")
    vessel = predicted.session.classes.by_name("vessel").index
    part = prediction(
        "scan000.png", np.full((8, 8), vessel, np.uint8), region=(24, 12, 32, 20), weights_version=2
    )
    predicted.window.controller.shown.take(part)
    assert predicted.canvas.region_at(28, 16).label_index == vessel
    assert predicted.canvas.region_at(38, 28).label_index != vessel


def test_keys_show_and_hide_labels_and_prediction(predicted, qtbot):
    bar = predicted.window.page.prediction_bar
    predicted.key(Qt.Key.Key_P)
    assert not predicted.canvas.has_prediction
    assert not bar.prediction.isChecked()
    predicted.key(Qt.Key.Key_P)
    assert predicted.canvas.has_prediction
    predicted.key(Qt.Key.Key_L)
    assert not bar.labels.isChecked()
    predicted.key(Qt.Key.Key_T)
    assert bar.labels.isChecked()


def test_a_prediction_of_another_size_is_not_shown(predicted, qtbot):
    wrong = prediction("scan000.png", np.zeros((8, 8), np.uint8))
    predicted.window.controller.shown.take(wrong)
    assert not predicted.canvas.has_prediction


def test_that_undrawn_pixels_stand_in_for_background_is_said_over_the_image(opened):
    bar = opened.window.page.prediction_bar
    seen = np.zeros((48, 64), np.uint8)
    for weak in (True, False):
        opened.window.controller.shown.take(prediction("scan000.png", seen, weak_background=weak))
        assert ("background guessed" in bar.hint) == weak


def test_that_an_image_counts_for_more_in_itself_is_said_in_the_tooltip(opened):
    bar = opened.window.page.prediction_bar
    seen = np.zeros((48, 64), np.uint8)
    for bent in (True, False):
        opened.window.controller.shown.take(
            prediction("scan000.png", seen, bent=bent, source="Instant learner")
        )
        assert bar.hint.startswith("Instant learner")
        assert ("counts for more here" in bar.detail) == bent


def test_all_that_is_live_follows_while_a_run_trains(opened, qtbot):
    window, say = opened.window, opened.trainer.event_received.emit
    say(started())
    assert window.controller.training_state == "training"
    usual = {"scan000.png": 0.2, "scan001.png": 0.1, "scan002.png": 0.9}
    for round_, name in enumerate(("nerve", "vessel"), start=1):
        seen = np.full((48, 64), opened.session.classes.by_name(name).index, np.uint8)
        say(step(10 * round_))
        say(validated(10 * round_, 0.3 * round_))
        say(prediction("scan000.png", seen, weights_version=round_, source=f"U-Net, step {10 * round_}"))
        say(ImagesRated(scores=usual | {"scan001.png": 0.5 * round_}, weights_version=round_, images=3))
        assert f"step {10 * round_}" in window.training.footer.stats_text
        assert window.training.scores.heading_text.startswith(f"mIoU {0.3 * round_:.2f}")
        assert opened.canvas.region_at(20, 20).label_index == seen[0, 0]
        assert f"U-Net, step {10 * round_}" in window.page.prediction_bar.hint
        useful = window.images.model.most_useful({"scan000.png"})
        assert useful == ("scan002.png" if round_ == 1 else "scan001.png")
