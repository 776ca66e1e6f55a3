"""The training panel: what it shows of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.panels.training_panel import TrainingPanel
from app.theme import apply_theme
from core.annotation.model import ClassList, LabelClass
from core.learning.events import (
    EngineReady,
    Failed,
    Notice,
)
from core.learning.runs.comparison import Curve
from core.learning.runs.past import Past
from core.learning.scores.bootstrap import Interval
from core.learning.scores.gain import Gain
from tests.app.engine_events import CLASSES, finished, started, step, validated

LEFT = Qt.MouseButton.LeftButton


def test_loss_and_score_are_drawn_as_they_come(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.on_event(started())
    for number in range(1, 6):
        panel.on_event(step(number, loss=2.0 / number))
    panel.on_event(validated(5, 0.7123))
    qtbot.waitUntil(lambda: panel.loss.value_text != "")
    qtbot.waitUntil(lambda: panel.miou.value_text == "0.712")  # each chart has a timer of its own
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


def test_the_best_score_of_a_resumed_run_is_one_on_the_labels_of_now(
    qtbot: QtBot, panel: TrainingPanel
) -> None:
    panel.on_event(started(resumed_step=300))
    steps = np.array([100.0, 200.0, 300.0])
    miou = Curve(steps, steps / 4, np.array([0.9, 0.7, 0.6]))
    panel.set_past("/runs/a", Past(miou=miou, last=validated(300, 0.6), anew_at=200))
    qtbot.waitUntil(lambda: "best 0.700" in panel.miou.where_text)
    panel.on_event(validated(400, 0.75, gain=Gain(0.15)))
    qtbot.waitUntil(lambda: "best 0.750" in panel.miou.where_text)
    panel.on_event(validated(500, 0.5, gain=Gain(None, anew=True)))
    panel.set_past("/runs/a", Past(miou=miou, last=validated(300, 0.6), anew_at=200))
    qtbot.waitUntil(lambda: "best 0.500" in panel.miou.where_text)


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


def test_the_best_score_is_one_of_those_that_can_be_compared_with_the_last(
    qtbot: QtBot, panel: TrainingPanel
) -> None:
    for number, (miou, gain) in enumerate(
        ((0.9, None), (0.4, Gain(None, anew=True)), (0.6, Gain(0.2)), (0.5, Gain(0.1))), start=1
    ):
        panel.on_event(validated(number, miou, gain=gain))
    qtbot.waitUntil(lambda: "best 0.600" in panel.miou.where_text)
    panel.miou.clear()
    panel.on_event(validated(1, 0.3))
    qtbot.waitUntil(lambda: "best 0.300" in panel.miou.where_text)


def test_the_overlay_gets_older_while_a_run_makes_newer_ones(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.set_overlay("U-Net, step 840", age_s=0.0)
    assert panel.footer.overlay_text == "overlay: U-Net, step 840"
    panel.set_training_state("training")
    assert panel.footer.overlay_text == "overlay: U-Net, step 840, now"
    panel.footer._overlay_at -= 12
    qtbot.waitUntil(lambda: panel.footer.overlay_text.endswith(" s old"))
    panel.set_overlay("U-Net, step 700", age_s=65.0)
    assert panel.footer.overlay_text == "overlay: U-Net, step 700, 65 s old", "shown again"
    panel.set_training_state("idle")
    assert panel.footer.overlay_text == "overlay: U-Net, step 700"
    panel.clear_overlay()
    assert panel.footer.overlay_text == ""


def test_notices_failures_and_the_end_are_told(panel: TrainingPanel) -> None:
    footer = panel.footer
    panel.on_event(Notice(text="Downloading VGG16", progress=0.4))
    assert footer.notice_text == "Downloading VGG16"
    assert footer._progress.isVisible()
    panel.on_event(Notice(text="Downloading VGG16", progress=1.0))
    assert footer.notice_text == "", "it is not downloading any more"
    assert not footer._progress.isVisible()
    panel.on_event(Notice(text="Batch is 2 now", level="warning"))
    assert not footer._progress.isVisible()
    assert footer._notice.property("role") == "warning"
    panel.on_event(Failed(during="AuditLabels", text="Label at least 2 images first."))
    assert footer.notice_text == "Batch is 2 now", "that is no failure of the run"
    panel.on_event(Failed(during="Train", text="No labelled pixel: draw something.", detail="Traceback"))
    assert footer.notice_text == "No labelled pixel: draw something."
    assert footer._notice.property("role") == "error"
    panel.on_event(validated(840, 0.712))
    panel.on_event(finished(best_miou=0.712))
    said = "Stopped after 840 steps in 3:12, best mIoU 0.71 on held-out images: saved"
    assert footer.notice_text == said


def test_weak_background_is_said(panel: TrainingPanel) -> None:
    panel.on_event(started(weak_background=True))
    assert "too little is labelled" in panel.footer.notice_text, "some may be"


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
