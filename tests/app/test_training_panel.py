"""The training panel: what it asks for, and what it shows of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from app.panels.parts import format_age, format_bytes, format_duration, format_share
from app.panels.prediction_bar import PredictionBar
from app.panels.run_history import RunHistory, RunSummary
from app.panels.series import CAPACITY, Series
from app.panels.training_panel import TrainingPanel
from app.theme import apply_theme
from core.annotation.model import ClassList, LabelClass
from core.learning.bootstrap import Interval
from core.learning.comparison import Curve
from core.learning.config import TrainConfig
from core.learning.events import (
    EndReason,
    EngineReady,
    Failed,
    Finished,
    Notice,
    Prediction,
    StepDone,
    TrainingStarted,
    Validated,
)
from core.learning.gain import Gain
from core.learning.packed_mask import PackedMask
from core.learning.past import Past
from core.learning.runs import BestScore

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "nerve", "#ffcc00")), 0)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(qtbot: QtBot, qapp: QApplication) -> Iterator[TrainingPanel]:
    apply_theme(qapp, "dark")
    panel = TrainingPanel()
    qtbot.addWidget(panel)
    panel.resize(1200, 210)
    with qtbot.waitExposed(panel):
        panel.show()
    yield panel
    panel.close()


def started(**changes: object) -> TrainingStarted:
    values: dict[str, object] = {
        "run": "/runs/a", "model": "unet", "encoder": None, "device": "CPU, 2 threads", "classes": CLASSES,
        "train_images": ("a",), "validation_images": (), "weak_background": False,
    }  # fmt: skip
    return TrainingStarted(**(values | changes))  # type: ignore[arg-type]


def step(number: int, loss: float = 1.0, **changes: object) -> StepDone:
    values: dict[str, object] = {
        "step": number, "seconds": number / 4, "loss": loss, "lr": 1e-3, "steps": None,
        "time_budget_s": 300.0, "images_per_s": 12.34, "memory_bytes": None,
    }  # fmt: skip
    return StepDone(**(values | changes))  # type: ignore[arg-type]


def finished(*, best_miou: float, seconds: float = 192.0, reason: EndReason = "stopped") -> Finished:
    return Finished(
        run="/runs/a",
        model="unet",
        steps=840,
        seconds=seconds,
        best_miou=best_miou,
        per_class_iou={},
        resumed_step=None,
        reason=reason,
    )


def validated(number: int, miou: float | None, **changes: object) -> Validated:
    values: dict[str, object] = {
        "step": number, "seconds": number / 4, "miou": miou,
        "per_class_iou": {"background": 0.9, "nerve": None}, "pixel_accuracy": 0.9, "on": "validation",
        "images": 3, "best": True,
    }  # fmt: skip
    return Validated(**(values | changes))  # type: ignore[arg-type]


def prediction() -> Prediction:
    pixel = PackedMask.pack(np.zeros((1, 1), np.uint8))
    return Prediction(
        key="a",
        revision=1,
        weights_version=2,
        classes=pixel,
        confidence=pixel,
        source="U-Net, step 840",
        seconds=0.1,
    )


# --- asking ---------------------------------------------------------------------------------------------


def test_train_asks_for_what_is_chosen(qtbot: QtBot, panel: TrainingPanel) -> None:
    setup = panel.setup
    setup.model.setCurrentIndex(setup.model.findData("fcn8s"))
    setup.preset.setCurrentIndex(setup.preset.findData("fast"))
    setup.budget.setCurrentIndex(setup.budget.findData(900.0))
    setup.device.setCurrentIndex(setup.device.findData("cpu"))
    with qtbot.waitSignal(panel.train_requested) as asked:
        qtbot.mouseClick(panel.train_button, LEFT)
    config = asked.args[0]
    assert isinstance(config, TrainConfig)
    assert (config.model, config.encoder, config.preset) == ("fcn8s", "vgg16", "fast")
    assert (config.seconds, config.steps, config.device) == (900.0, None, "cpu")


def test_until_stopped_means_no_budget(panel: TrainingPanel) -> None:
    panel.setup.budget.setCurrentIndex(0)
    assert panel.config().seconds is None
    assert panel.config().steps is None


def test_an_earlier_choice_comes_back_with_what_cannot_be_chosen_here(panel: TrainingPanel) -> None:
    config = TrainConfig(
        model="unet", encoder="resnet18", preset="best", seconds=60.0, device="cuda", seed=7, turns=True
    )
    panel.set_config(config)
    assert panel.config() == config


def test_each_network_offers_its_encoders(panel: TrainingPanel) -> None:
    setup = panel.setup
    setup.model.setCurrentIndex(setup.model.findData("unet"))
    assert setup.encoder.currentData() == "tf_efficientnet_lite0"
    assert setup.encoder.findData("vgg16") == -1
    setup.model.setCurrentIndex(setup.model.findData("fcn8s"))
    assert setup.encoder.currentData() == "vgg16"
    assert "downloaded" in setup.explanation
    assert setup.title_of("unet", None) == "U-Net / EfficientNet-Lite0"


def test_each_preset_says_what_it_means(panel: TrainingPanel) -> None:
    setup = panel.setup
    lines = set()
    for position in range(setup.preset.count()):
        setup.preset.setCurrentIndex(position)
        lines.add(setup.explanation)
    assert len(lines) == 3
    assert all(line.partition(":")[2].strip() for line in lines)


def test_a_weights_file_is_taken_for_its_encoder_only(
    panel: TrainingPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "vgg16.safetensors")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    setup = panel.setup
    setup.model.setCurrentIndex(setup.model.findData("fcn8s"))
    file_action = setup.weights.menu().actions()[-1]
    file_action.trigger()
    assert panel.config().encoder_weights == path
    assert "vgg16.safetensors" in setup.explanation
    assert file_action.isChecked()
    setup.encoder.setCurrentIndex(setup.encoder.findData("vgg19"))
    assert panel.config().encoder_weights == "default"


def test_weights_can_be_random(panel: TrainingPanel) -> None:
    panel.setup.weights.menu().actions()[1].trigger()
    assert panel.config().encoder_weights == "none"
    assert "No pretraining" in panel.setup.explanation


@pytest.mark.parametrize(
    ("state", "train", "pause", "stop", "choices"),
    [
        ("idle", True, False, False, True),
        ("starting", False, False, True, False),
        ("training", False, True, True, False),
        ("paused", True, False, True, False),
        ("stopping", False, False, False, False),
    ],
)
def test_buttons_follow_the_state(
    panel: TrainingPanel, state: str, train: bool, pause: bool, stop: bool, choices: bool
) -> None:
    panel.set_training_state(state)  # type: ignore[arg-type]
    found = [
        panel.train_button.isEnabled(),
        panel.pause_button.isEnabled(),
        panel.stop_button.isEnabled(),
        panel.setup.isEnabled(),
    ]
    assert found == [train, pause, stop, choices]


def test_an_unknown_state_is_refused(panel: TrainingPanel) -> None:
    with pytest.raises(ValueError, match="resting"):
        panel.set_training_state("resting")  # type: ignore[arg-type]


def test_pause_resume_and_stop_are_asked_for(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.set_training_state("training")
    with qtbot.waitSignal(panel.pause_requested):
        qtbot.mouseClick(panel.pause_button, LEFT)
    panel.set_training_state("paused")
    assert panel.train_button.text() == "Resume"
    with qtbot.waitSignal(panel.resume_requested), qtbot.assertNotEmitted(panel.train_requested):
        qtbot.mouseClick(panel.train_button, LEFT)
    with qtbot.waitSignal(panel.stop_requested):
        qtbot.mouseClick(panel.stop_button, LEFT)


# --- showing --------------------------------------------------------------------------------------------


def test_loss_and_score_are_drawn_as_they_come(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.on_event(started())
    for number in range(1, 6):
        panel.on_event(step(number, loss=2.0 / number))
    panel.on_event(validated(5, 0.7123))
    qtbot.waitUntil(lambda: panel.loss.value_text != "")
    assert panel.miou.value_text == "0.712"
    assert list(panel.loss.series.steps) == [1, 2, 3, 4, 5]
    image = panel.miou.grab().toImage()
    green = [
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if (c := image.pixelColor(x, y)).green() > 150 and c.red() < 140
    ]
    assert green, "the point of the score is painted"


def test_charts_and_disabled_buttons_follow_the_theme(
    qtbot: QtBot, qapp: QApplication, panel: TrainingPanel
) -> None:
    for number in range(1, 9):
        panel.on_event(step(number, loss=1.0))
    qtbot.waitUntil(lambda: panel.loss.value_text != "")
    panel.set_training_state("training")
    apply_theme(qapp, "light")
    plot = panel.loss._plot
    assert plot is not None
    qtbot.waitUntil(lambda: plot.grab().toImage().pixelColor(2, 2).lightness() > 200)
    play = panel.train_button.icon().pixmap(16, 16, QIcon.Mode.Disabled).toImage()
    drawn = [play.pixelColor(x, y) for x in range(16) for y in range(16)]
    assert any(color.alpha() > 200 and color.lightness() < 200 for color in drawn), "seen on a pale ground"


def test_charts_can_run_over_time(qtbot: QtBot, panel: TrainingPanel) -> None:
    for number in range(1, 9):
        panel.on_event(step(number * 100, loss=1.0))
    clock = panel._axis_buttons.button(1)
    qtbot.mouseClick(clock, LEFT)
    qtbot.waitUntil(lambda: panel.loss.value_text != "")
    plot = panel.loss._plot
    assert plot is not None
    low, high = plot.viewRange()[0]
    assert low < 25 < 200 < high < 250
    assert plot.getAxis("bottom").tickStrings([90.0], 1.0, 30.0) == ["1:30"]


def test_hovering_a_chart_tells_the_point(qtbot: QtBot, panel: TrainingPanel) -> None:
    for number in range(1, 101):
        panel.on_event(step(number, loss=1.0))
    qtbot.waitUntil(lambda: panel.loss.value_text != "")
    plot = panel.loss._plot
    assert plot is not None
    qtbot.mouseMove(plot.viewport(), QPoint(plot.width() // 2, plot.height() // 2))
    qtbot.waitUntil(lambda: panel.loss._where.whole_text.startswith("step "))


def test_a_second_run_starts_clean_and_a_continued_one_goes_on(panel: TrainingPanel) -> None:
    panel.on_event(started())
    panel.on_event(step(1))
    panel.on_event(started(resumed_step=1))
    panel.on_event(step(2))
    assert len(panel.loss.series) == 2
    panel.on_event(started(run="/runs/b"))
    assert len(panel.loss.series) == 0


def test_what_a_resumed_run_had_come_to_before_is_drawn_in_front(qtbot: QtBot, panel: TrainingPanel) -> None:
    with qtbot.waitSignal(panel.past_needed) as asked:
        panel.on_event(started(resumed_step=3))
    assert asked.args == ["/runs/a", 3]
    panel.on_event(step(4, loss=0.4))
    steps = np.array([1.0, 2.0, 3.0, 4.0])
    last = validated(3, 0.6)
    past = Past(Curve(steps, steps / 4, 1 / steps), Curve(steps[2:3], steps[2:3] / 4, steps[2:3] / 5), last)
    panel.set_past("/runs/another", past)
    assert len(panel.loss.series) == 1
    panel.set_past("/runs/a", past)
    assert panel.loss.series.steps.tolist() == [1, 2, 3, 4], "a step that was done again is drawn once"
    assert panel.loss.series.values.tolist() == [1.0, 0.5, pytest.approx(1 / 3), 0.4]
    assert panel.miou.series.values.tolist() == [pytest.approx(0.6)]
    assert panel.scores.heading_text.startswith("mIoU 0.60 on 3 held-out images")
    qtbot.waitUntil(lambda: panel.miou.where_text.startswith("on 3 held-out images"))
    panel.on_event(validated(8, 0.7))
    panel.set_past("/runs/a", past)
    assert panel.scores.heading_text.startswith("mIoU 0.70"), "the newest score stays"


def test_a_class_that_is_renamed_keeps_its_score_under_the_new_name(panel: TrainingPanel) -> None:
    panel.on_event(started())
    panel.on_event(validated(10, 0.71))
    panel.set_classes(ClassList((CLASSES.classes[0], LabelClass(1, "ulnar nerve", "#112233")), 0))
    model = panel.scores.view.model()
    assert [model.index(row, 0, QModelIndex()).data() for row in range(2)] == ["background", "ulnar nerve"]


def test_scores_say_what_they_are_measured_on(panel: TrainingPanel) -> None:
    panel.on_event(started())
    panel.on_event(validated(10, 0.71))
    assert panel.scores.heading_text == "mIoU 0.71 on 3 held-out images, which are few"
    model = panel.scores.view.model()
    rows = [model.index(row, 0, QModelIndex()) for row in range(model.rowCount())]
    assert [row.data() for row in rows] == ["background", "nerve"]
    assert "no true pixel" in rows[1].data(Qt.ItemDataRole.ToolTipRole)
    panel.on_event(validated(20, None, on="training", images=2))
    assert panel.scores.heading_text == "mIoU — on 2 training images: none is held out"


def test_what_was_gained_is_told_whole_and_a_class_that_rests_on_little_is_not_alarming(
    qtbot: QtBot, panel: TrainingPanel
) -> None:
    gain = Gain(0.004, Interval(-0.02, 0.03), seconds=70.0, since_first=True, images=12)
    event = replace(validated(10, 0.71), gain=gain, class_notes={"background": "rests on one image"})
    panel.resize(1200, 220)
    panel.on_event(event)
    said = panel.scores._gain
    qtbot.waitUntil(said.isVisible)
    assert panel.scores.gain_text.endswith("can be told from chance (-0.02 to +0.03)")
    qtbot.waitUntil(lambda: said.height() >= said.heightForWidth(said.width()))
    row = panel.scores.view.model().index(0, 0, QModelIndex())
    assert row.data(Qt.ItemDataRole.AccessibleTextRole).endswith("rests on one image")
    assert row.data(Qt.ItemDataRole.UserRole).value == "~0.90"


def test_a_score_on_training_images_says_so_wherever_it_is_shown(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.on_event(started())
    panel.on_event(validated(10, 0.91, on="training", images=2))
    qtbot.waitUntil(lambda: panel.miou.value_text == "0.910")
    assert panel.miou.where_text.startswith("on 2 training images")
    panel.on_event(finished(best_miou=0.91))
    assert panel.footer.notice_text.endswith("best mIoU 0.91 on training images: saved")


def test_the_footer_tells_progress_device_and_speed(panel: TrainingPanel) -> None:
    panel.on_event(EngineReady(pid=1, device="NVIDIA RTX 4090", torch="2.11"))
    panel.on_event(step(1240, memory_bytes=5_583_457_484))
    parts = panel.footer.stats_text.split("  ·  ")
    assert parts == ["NVIDIA RTX 4090", "5.2 GB", "step 1,240", "5:10 / 5:00", "12.3 images/s"]


def test_the_time_of_the_last_score_counts_and_the_end_agrees_with_what_is_told(panel: TrainingPanel) -> None:
    panel.on_event(started())
    panel.on_event(step(100))
    assert "/ 5:00" in panel.footer.stats_text
    panel.on_event(finished(best_miou=0.7, seconds=318.0, reason="budget"))
    assert "in 5:18" in panel.footer.notice_text
    assert "5:18  ·  " in panel.footer.stats_text
    assert "are not counted" in panel.footer._stats.toolTip()
    assert "are not counted" in panel.setup.budget.toolTip()
    assert panel.footer._budget.value() == panel.footer._budget.maximum()


def test_the_overlay_gets_older_while_a_run_makes_newer_ones(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.on_event(prediction())
    assert panel.footer.overlay_text == "overlay: U-Net, step 840"
    panel.set_training_state("training")
    assert panel.footer.overlay_text == "overlay: U-Net, step 840, now"
    panel.footer._overlay_at -= 12
    qtbot.waitUntil(lambda: panel.footer.overlay_text.endswith(" s old"), timeout=3000)
    panel.set_training_state("idle")
    assert panel.footer.overlay_text == "overlay: U-Net, step 840"
    panel.clear_overlay()
    assert panel.footer.overlay_text == ""


def test_notices_failures_and_the_end_are_told(panel: TrainingPanel) -> None:
    footer = panel.footer
    panel.on_event(Notice(text="Downloading VGG16", progress=0.4))
    assert footer.notice_text == "Downloading VGG16"
    assert footer._progress.isVisible()
    panel.on_event(Notice(text="Batch is 2 now", level="warning"))
    assert not footer._progress.isVisible()
    assert footer._notice.property("role") == "warning"
    panel.on_event(Failed(during="train", text="No labelled pixel: draw something.", detail="Traceback"))
    assert footer.notice_text == "No labelled pixel: draw something."
    assert footer._notice.property("role") == "error"
    panel.on_event(validated(840, 0.712))
    panel.on_event(finished(best_miou=0.712))
    said = "Stopped after 840 steps in 3:12, best mIoU 0.71 on held-out images: saved"
    assert footer.notice_text == said


def test_weak_background_is_said(panel: TrainingPanel) -> None:
    panel.on_event(started(weak_background=True))
    assert "background" in panel.footer.notice_text


def test_cuda_cannot_be_chosen_on_a_machine_without_it(panel: TrainingPanel) -> None:
    panel.setup.device.setCurrentIndex(panel.setup.device.findData("cuda"))
    panel.on_event(EngineReady(pid=1, device="CPU, 2 threads", torch="2.11"))
    assert panel.config().device == "auto"


def test_another_project_starts_empty(panel: TrainingPanel) -> None:
    panel.on_event(started())
    panel.on_event(step(1))
    panel.on_event(validated(1, 0.5))
    panel.clear()
    assert len(panel.loss.series) == len(panel.miou.series) == 0
    assert panel.scores.heading_text.startswith("Scores")


def test_events_while_hidden_are_drawn_when_shown(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.hide()
    panel.on_event(step(1, loss=0.5))
    panel.show()
    qtbot.waitUntil(lambda: panel.loss.value_text == "0.500")


def test_many_reports_are_few_repaints(
    qtbot: QtBot, panel: TrainingPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.on_event(step(1))
    qtbot.waitUntil(lambda: panel.loss.value_text != "")
    plot = panel.loss._plot
    assert plot is not None
    drawn: list[int] = []
    original = plot.draw
    monkeypatch.setattr(plot, "draw", lambda *a, **k: (drawn.append(1), original(*a, **k)))
    for number in range(2, 502):
        panel.on_event(step(number))
    qtbot.waitUntil(lambda: bool(drawn))
    assert len(drawn) <= 2


# --- parts ----------------------------------------------------------------------------------------------


def test_a_series_stays_bounded_and_keeps_its_shape() -> None:
    series = Series()
    for number in range(100_000):
        series.append(number, number / 10, math.exp(-number / 20_000))
    assert len(series) <= CAPACITY
    assert series.steps[-1] == 99_999
    assert (np.diff(series.steps) > 0).all()
    expected = np.exp(-series.steps / 20_000)
    assert np.abs(series.values - expected).max() < 0.01


def test_smoothing_follows_a_running_mean_from_the_first_value() -> None:
    series = Series(smoothing=0.5)
    for number, value in enumerate([4.0, 0.0, 0.0]):
        series.append(number, number, value)
    assert series.smooth == pytest.approx([4.0, 4.0 / 3, 4.0 / 7])
    assert list(series.values) == [4.0, 0.0, 0.0]


def test_steps_done_again_after_a_crash_replace_those_that_were_lost() -> None:
    series = Series(smoothing=0.5)
    for step, value in [(1, 4.0), (2, 4.0), (3, 9.0), (4, 9.0), (3, 4.0), (4, 4.0)]:
        series.append(step, step, value)
    assert list(series.steps) == [1, 2, 3, 4]
    assert list(series.values) == [4.0] * 4
    assert series.smooth == pytest.approx([4.0] * 4)

    series.append(0, 0, 7.0)
    assert list(series.smooth) == [7.0]


def test_a_loss_that_is_not_a_number_is_left_out() -> None:
    series = Series()
    series.append(1, 1, math.nan)
    series.append(2, 2, math.inf)
    assert len(series) == 0


def test_figures_are_written_as_people_read_them() -> None:
    assert [format_duration(s) for s in (0, 67, 3723)] == ["0:00", "1:07", "1:02:03"]
    assert [format_age(s) for s in (0.3, 12, 200, 9000)] == ["now", "12 s", "3 min", "2 h"]
    assert [format_bytes(b) for b in (870_318_080, 5_583_457_484)] == ["830 MB", "5.2 GB"]
    assert [format_share(s) for s in (0, 0.0004, 0.052, 0.91)] == ["0 %", "<0.1 %", "5.2 %", "91 %"]


# --- history --------------------------------------------------------------------------------------------

RUNS = [
    RunSummary(
        path="/r/old",
        model="FCN-8s / VGG16",
        started=datetime(2025, 1, 1, 9),
        steps=10,
        best=BestScore(0.7, "validation", 4),
    ),
    RunSummary(path="/r/new", model="U-Net", started=datetime(2025, 1, 2, 9), steps=20),
]


def test_history_lists_runs_newest_first_and_continues_one(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.set_runs(RUNS)
    qtbot.mouseClick(panel.history_button, LEFT)
    history = panel.history
    qtbot.waitUntil(history.isVisible)
    shown = [
        [history._table.topLevelItem(row).text(column) for column in (3, 4)]  # type: ignore[union-attr]
        for row in range(2)
    ]
    assert shown == [["—", ""], ["0.700 ★", "4 held-out images"]]
    with qtbot.waitSignal(panel.run_resume_requested) as asked:
        qtbot.mouseClick(history._resume, LEFT)
    assert asked.args == ["/r/new"]
    assert not history.isVisible()


def test_no_run_is_continued_while_one_trains(qtbot: QtBot) -> None:
    history = RunHistory()
    qtbot.addWidget(history)
    history.set_runs(RUNS)
    history.set_can_resume(False)
    assert not history._resume.isEnabled()
    assert "Stop the present run" in history._hint.text()


# --- prediction bar -------------------------------------------------------------------------------------


@pytest.fixture
def bar(qtbot: QtBot, qapp: QApplication) -> PredictionBar:
    apply_theme(qapp, "dark")
    bar = PredictionBar()
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
