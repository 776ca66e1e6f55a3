"""Uncertainty in the window: heat, the way from region to doubtful region, how sure and how old."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QAbstractAnimation, QPointF, Qt
from PySide6.QtGui import QColor, QImage

from app.canvas.heat import HeatLayer
from app.canvas.layer_cache import Frame
from app.learning.overlay_words import behind, sureness, sureness_detail
from app.wiring import doubt
from app.wiring.doubt import find_regions
from core.annotation.model import AnnotationState
from core.learning.commands import LabelsChanged, WantUncertainty
from core.learning.events import ImagesRated, Uncertainty
from core.learning.labels.packed_mask import PackedMask
from tests.app.engine_events import prediction, started

SIZE_HW = (240, 320)
SPOTS = {"large": (40, 40, 60), "small": (220, 150, 40)}
"""x, y, side of what is doubtful; something is predicted in the large one."""


@pytest.fixture
def bench(make_window, image_folder):
    """Three images, the first one predicted."""
    bench = make_window()
    bench.open(image_folder(3, size_hw=SIZE_HW))
    bench.add_class("disc")
    say(bench, predicted(bench))
    return bench


def say(bench, event) -> None:
    """What the engine would say."""
    bench.trainer.event_received.emit(event)


def key_of(bench) -> str:
    return bench.session.current.entry.key


def predicted(bench, key=None, *, sure=230, revision=0, source="U-Net", scored_on="validation"):
    classes = np.zeros(SIZE_HW, np.uint8)
    x, y, side = SPOTS["large"]
    classes[y : y + side // 2, x : x + side] = 1
    return prediction(
        key_of(bench) if key is None else key, classes, np.full(SIZE_HW, sure, np.uint8),
        revision=revision, source=source, scored_on=scored_on,
    )  # fmt: skip


def doubted(bench, key: str | None = None) -> Uncertainty:
    entropy = np.zeros(SIZE_HW, np.uint8)
    for x, y, side in SPOTS.values():
        entropy[y : y + side, x : x + side] = 240
    return Uncertainty(
        key=key_of(bench) if key is None else key, revision=0, weights_version=1,
        entropy=PackedMask.pack(entropy), disagreement=None, refined=False, seconds=0.1,
    )  # fmt: skip


def wants(bench) -> list[bool]:
    return [command.on for command in bench.trainer.sent if isinstance(command, WantUncertainty)]


def pixel(bench, x: int, y: int):
    return bench.canvas.viewport().grab().toImage().pixelColor(bench.at(x, y))


def seen(bench) -> str | None:
    """Which spot is pointed out, all of it in view."""
    box = bench.canvas.spotlight.box
    if box is None:
        return None
    view = bench.canvas.viewport().rect()
    corners = [bench.canvas.to_viewport(QPointF(*at)).toPoint() for at in (box[:2], box[2:])]
    if not all(view.contains(corner) for corner in corners):
        return "out of view"
    for name, (x, y, side) in SPOTS.items():
        if x <= (box[0] + box[2]) / 2 <= x + side and y <= (box[1] + box[3]) / 2 <= y + side:
            return name
    return "elsewhere"


# --- heat -------------------------------------------------------------------------------------------------


def test_u_shows_the_uncertainty_as_heat_and_takes_it_away(bench):
    bar = bench.window.page.prediction_bar
    before = pixel(bench, 240, 170), pixel(bench, 180, 20)
    bench.key(Qt.Key.Key_U)
    assert wants(bench) == [True]
    assert bar.uncertainty.isChecked()
    assert bar.heat.isVisible()
    say(bench, doubted(bench))
    assert bench.canvas.has_uncertainty
    doubtful, sure = pixel(bench, 240, 170), pixel(bench, 180, 20)
    assert doubtful.red() > before[0].red() + 60
    assert sure == before[1]
    bench.key(Qt.Key.Key_U)
    assert wants(bench) == [True, False]
    assert pixel(bench, 240, 170) == before[0]
    assert not bar.heat.isVisible()


def test_the_strongest_heat_leaves_the_image_to_be_seen():
    layer = HeatLayer()
    layer.uncertainty, layer.visible = np.full((8, 8), 255, np.uint8), True
    layer.set_opacity(1.0)
    seen = []
    for ground in ("black", "white"):
        target = QImage(8, 8, QImage.Format.Format_ARGB32_Premultiplied)
        target.fill(QColor(ground))
        layer.render(target, target.rect(), Frame(1.0, 0.0, 0.0, 8, 8, 1.0))
        seen.append(target.pixelColor(4, 4))
    dark, light = seen
    assert light.lightness() - dark.lightness() > 90, "of 255 that black and white are apart"
    assert dark.hue() == pytest.approx(342, abs=12), "and it is still red"


def test_the_legend_is_the_heats_opacity_and_is_remembered(bench, settings):
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench))
    strong = pixel(bench, 240, 170).red()
    bench.window.page.prediction_bar.heat.setValue(10)
    assert pixel(bench, 240, 170).red() < strong - 40
    assert settings.uncertainty_opacity == pytest.approx(0.1)


def test_a_map_of_another_image_is_not_shown(bench):
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench, "another.png"))
    assert not bench.canvas.has_uncertainty
    say(bench, doubted(bench))
    bench.key(Qt.Key.Key_D)
    bench.wait_for_image("scan001.png")
    assert not bench.canvas.has_uncertainty


# --- regions ----------------------------------------------------------------------------------------------


def test_i_goes_from_the_most_doubtful_region_to_the_next_and_enter_accepts(bench, qtbot):
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench))
    zoom = bench.canvas.zoom
    said = []
    bench.session.message.connect(lambda text, _level: said.append(text))
    bench.key(Qt.Key.Key_I)
    qtbot.waitUntil(lambda: seen(bench) == "large")
    assert bench.canvas.zoom > zoom
    assert said[-1].endswith("Enter accepts all of the dashed disc, 1,800 pixels.")
    bench.key(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bench.labels() == ["disc"])
    bench.key(Qt.Key.Key_I)
    qtbot.waitUntil(lambda: seen(bench) == "small")
    assert said[-1].endswith("none after it."), "nothing is predicted there that Enter could accept"


@pytest.fixture
def led(bench, qtbot):
    """The most doubtful region was gone to, and its outline has ceased to glow."""
    bench.canvas.spotlight._fading.setDuration(1)
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench))
    bench.key(Qt.Key.Key_I)
    qtbot.waitUntil(lambda: seen(bench) == "large")
    qtbot.waitUntil(lambda: bench.canvas.spotlight._fading.state() == QAbstractAnimation.State.Stopped)
    return bench


def test_the_region_stays_outlined_while_predictions_come_that_doubt_it(led, qtbot):
    for revision in (1, 2):
        say(led, predicted(led, revision=revision))
        say(led, doubted(led))
    led.draw_square(2, 2)
    assert seen(led) == "large"
    led.key(Qt.Key.Key_I)
    qtbot.waitUntil(lambda: seen(led) == "small")


def sure(bench):
    say(bench, predicted(bench, revision=1))
    say(bench, replace(doubted(bench), entropy=PackedMask.pack(np.full(SIZE_HW, 20, np.uint8))))


@pytest.mark.parametrize(
    "deal_with_it",
    [
        sure,
        lambda bench: bench.draw_square(38, 38, 64),
        lambda bench: bench.key(Qt.Key.Key_Return),
        lambda bench: bench.session.set_image_state(AnnotationState.DONE),
        lambda bench: bench.session.next_image(),
    ],
    ids=["the network is sure", "drawn", "accepted", "done", "another image"],
)
def test_the_outline_goes_when_the_region_is_dealt_with(led, qtbot, deal_with_it):
    deal_with_it(led)
    qtbot.waitUntil(lambda: led.canvas.spotlight.box is None)


def test_the_map_is_asked_for_where_nobody_looked_at_it_yet(bench, qtbot):
    bench.key(Qt.Key.Key_I)
    assert wants(bench) == [True]
    assert bench.canvas.spotlight.box is None
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: seen(bench) == "large")
    assert not bench.canvas.has_uncertainty, "the heat itself was not asked for"


def test_a_map_that_comes_when_nobody_wants_one_any_more_leads_nowhere(bench, qtbot):
    bench.key(Qt.Key.Key_U)
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench))
    bench.key(Qt.Key.Key_I)
    assert wants(bench) == [True, False, True]
    assert bench.canvas.spotlight.box is None


def test_a_map_that_does_not_follow_the_predictions_any_more_leads_nowhere(bench, qtbot):
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench))
    bench.key(Qt.Key.Key_U)
    say(bench, predicted(bench, revision=1))
    bench.key(Qt.Key.Key_I)
    assert wants(bench) == [True, False, True]
    assert bench.canvas.spotlight.box is None
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: seen(bench) == "large")


def test_what_is_looked_for_in_an_image_that_was_left_does_not_keep_the_next_one(bench, qtbot, monkeypatch):
    left, looked = threading.Event(), []

    def find(*args):
        looked.append(args)
        if len(looked) == 1:
            left.wait(10)
        return find_regions(*args)

    monkeypatch.setattr(doubt, "find_regions", find)
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: len(looked) == 1)
    bench.key(Qt.Key.Key_D)
    bench.wait_for_image("scan001.png")
    say(bench, predicted(bench))
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    left.set()
    qtbot.waitUntil(lambda: seen(bench) == "large")


def test_one_region_asked_for_does_not_have_the_maps_of_all_images_made(bench, qtbot):
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: seen(bench) == "large")
    bench.key(Qt.Key.Key_D)
    bench.wait_for_image("scan001.png")
    assert wants(bench) == [True, False]
    bench.key(Qt.Key.Key_U)
    bench.key(Qt.Key.Key_A)
    bench.wait_for_image("scan000.png")
    assert wants(bench) == [True, False, True], "heat that is on stays on"


def test_labelled_regions_are_passed_over(bench, qtbot):
    x, y, side = SPOTS["large"]
    bench.draw_square(x - 5, y - 5, side + 10)
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: seen(bench) == "small")


def test_after_the_last_region_the_most_doubtful_image_is_offered(bench, qtbot):
    say(bench, predicted(bench, "scan001.png", sure=200))
    say(bench, predicted(bench, "scan002.png", sure=90))
    bench.key(Qt.Key.Key_U)
    say(bench, doubted(bench))
    toast = bench.window.toast
    for name in ("large", "small"):
        bench.key(Qt.Key.Key_I)
        qtbot.waitUntil(lambda name=name: seen(bench) == name)
    bench.key(Qt.Key.Key_I)
    qtbot.waitUntil(lambda: "last doubtful region" in toast.text and toast.isVisible())
    assert "scan002, the least sure image" in toast.text
    bench.key(Qt.Key.Key_I)
    bench.wait_for_image("scan002.png")
    assert not toast.isVisible()
    say(bench, predicted(bench))
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: seen(bench) == "large")


def offered_next(bench, qtbot) -> None:
    """Nothing is doubtful in the first image, and the second is offered."""
    bench.session.set_image_state(AnnotationState.DONE)
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: "scan001, the next image" in bench.window.toast.text)


def test_whoever_goes_elsewhere_than_offered_is_led_nowhere(bench, qtbot):
    offered_next(bench, qtbot)
    bench.session.open_image("scan002.png")
    bench.wait_for_image("scan002.png")
    say(bench, predicted(bench))
    say(bench, doubted(bench))
    assert bench.window.parts.doubts._runner.wait(5000)
    assert bench.canvas.spotlight.box is None


def test_an_offered_image_that_is_gone_is_not_gone_to(bench, qtbot):
    offered_next(bench, qtbot)
    bench.session.entry("scan001.png").image_path.unlink()
    qtbot.waitUntil(lambda: bench.session.entry("scan001.png") is None)
    bench.key(Qt.Key.Key_I)
    qtbot.waitUntil(lambda: "scan002, the next image" in bench.window.toast.text)
    assert key_of(bench) == "scan000.png"


def test_the_engines_rating_of_the_images_goes_before_mere_confidence(bench, qtbot):
    say(bench, predicted(bench, "scan002.png", sure=90))
    say(bench, ImagesRated(scores={"scan001.png": 1.0, "scan002.png": 0.2}, weights_version=1, images=2))
    bench.session.set_image_state(AnnotationState.DONE)
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: "scan001, the most useful image" in bench.window.toast.text)


def test_a_done_image_has_nothing_doubtful_left(bench, qtbot):
    bench.session.set_image_state(AnnotationState.DONE)
    bench.key(Qt.Key.Key_I)
    say(bench, doubted(bench))
    qtbot.waitUntil(lambda: "Nothing of this image is doubtful" in bench.window.toast.text)
    assert "scan001, the next image" in bench.window.toast.text
    assert bench.window.status.text == "Nothing of this image is doubtful that is not labelled."


def test_while_the_instant_learner_is_at_work_nobody_is_sent_to_train(bench):
    """It is on from the start, and gives an overlay without a run."""
    bench.window.actions_["train.live"].setChecked(True)
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    bench.session.open_image("scan001.png")
    bench.wait_for_image("scan001.png")
    messages: list[str] = []
    bench.session.message.connect(lambda text, _level: messages.append(text))
    bench.key(Qt.Key.Key_I)
    bench.window.controller.accepting.accept_all()
    wanted = "There is no prediction for this image yet. Draw something: a prediction follows within seconds."
    assert messages == [wanted, wanted]


def test_without_a_prediction_it_says_what_to_do(make_window, image_folder, qtbot):
    bench = make_window()
    bench.open(image_folder(1))
    messages: list[str] = []
    bench.session.message.connect(lambda text, _level: messages.append(text))
    bench.key(Qt.Key.Key_I)
    bench.window.controller.accepting.accept_region(5, 5)
    assert messages == ["There is no prediction for this image yet. Train to see a prediction."] * 2


# --- how sure, how old ------------------------------------------------------------------------------------


def test_the_bar_says_how_sure_what_is_in_view_is(bench, qtbot):
    bar = bench.window.page.prediction_bar
    assert "90 % sure" in bar.hint
    confidence = np.full(SIZE_HW, 255, np.uint8)
    confidence[:, :160] = 51
    every = np.ones(SIZE_HW, np.uint8)
    say(bench, prediction(key_of(bench), every, confidence, weights_version=2, scored_on="cross-fit"))
    assert "60 % sure" in bar.hint
    assert "of this image" in bar.detail
    bench.canvas.set_zoom(16)
    bench.canvas.centerOn(50, 100)
    qtbot.waitUntil(lambda: "20 % sure" in bar.hint)
    assert "in view" in bar.detail


def test_background_that_nobody_doubts_makes_no_prediction_look_sure(bench):
    bar = bench.window.page.prediction_bar
    classes, confidence = np.zeros(SIZE_HW, np.uint8), np.full(SIZE_HW, 255, np.uint8)
    classes[:20, :20] = 1
    confidence[:20, :20] = 153
    say(bench, prediction(key_of(bench), classes, confidence, weights_version=2, scored_on="validation"))
    assert "60 % sure" in bar.hint
    assert "shows as an object" in bar.detail
    classes[:] = 0
    say(bench, prediction(key_of(bench), classes, confidence, weights_version=3, scored_on="validation"))
    assert "99 % sure" in bar.hint
    assert "shows no object" in bar.detail


@pytest.mark.parametrize("scored_on", [None, "training"])
def test_a_confidence_that_nobody_has_tested_is_not_shown(bench, qtbot, scored_on):
    say(bench, predicted(bench, sure=254, source="Instant learner", scored_on=scored_on))
    bar, status = bench.window.page.prediction_bar, bench.window.status
    assert "%" not in bar.hint
    assert "not yet tested" in bar.hint
    assert "two images are labelled" in bar.detail
    x, y, _ = SPOTS["large"]
    qtbot.mouseMove(bench.canvas.viewport(), bench.at(0, 0))
    qtbot.mouseMove(bench.canvas.viewport(), bench.at(x + 1, y + 1))
    assert status.under_cursor[3] == "disc (prediction)"
    say(bench, predicted(bench, sure=254, source="Instant learner", scored_on="cross-fit"))
    assert "99 % sure" in bar.hint
    assert "1.00" in status.under_cursor[3]


def labels_told(bench) -> list[LabelsChanged]:
    return [command for command in bench.trainer.sent if isinstance(command, LabelsChanged)]


def test_edits_that_the_prediction_does_not_know_are_counted_while_it_learns(bench, qtbot):
    bar = bench.window.page.prediction_bar
    bench.draw_square(10, 10)
    assert "behind" not in bar.hint, "a network that does not learn is not behind"
    bench.window.controller.train(bench.window.training.config())
    say(bench, started())
    qtbot.waitUntil(lambda: "1 edit behind" in bar.hint)
    told = labels_told(bench)
    say(bench, predicted(bench, revision=told[-1].revision))
    assert "behind" not in bar.hint
    bench.window.actions_["edit.select_all"].trigger()
    bench.window.actions_["shape.lock"].trigger()
    qtbot.waitUntil(lambda: len(labels_told(bench)) > len(told))
    assert bench.window.controller.edits_unknown == 0, "a lock is nothing to learn"


def test_words_for_age_and_sureness():
    of = prediction(revision=3, source="Instant learner and U-Net, step 4")
    assert behind(of, edits=1, seconds=0, training=False, live=True) == "1 edit behind"
    assert behind(of, edits=2, seconds=9, training=True, live=False) == "2 edits behind"
    assert behind(of, edits=2, seconds=9, training=False, live=False) == ""
    assert behind(of, edits=0, seconds=9, training=True, live=True) == "9 s old"
    assert behind(of, edits=0, seconds=1, training=True, live=True) == ""
    assert sureness(of, 0.876) == "not yet tested", "nobody has scored it"
    of = replace(of, scored_on="validation")
    assert sureness(of, 0.876) == "87 % sure"
    assert sureness(of, 0.9999) == "99 % sure"
    assert sureness(of, 1.0) == "100 % sure"
    said = sureness_detail(of, 0.876, whole=True)
    assert said.startswith(
        "Of 100 pixels of this image that it shows as an object it expects 87 to be right."
    )
    assert sureness_detail(of, 0.99, whole=False, objects=False).startswith("It shows no object in view")
    assert "has not been measured" in said
    assert "were off by 3 in 100" in sureness_detail(replace(of, calibration_error=0.031), 0.876, whole=False)


# --- room -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [900, 1100, 1300])
def test_the_bar_never_cuts_a_sentence_in_half(bench, qtbot, width):
    bar = bench.window.page.prediction_bar
    bench.key(Qt.Key.Key_U)
    bench.window.resize(width, 800)
    qtbot.waitUntil(lambda: bench.window.width() == width)
    assert "…" not in bar.shown_text
    assert "sure" in bar.shown_text
