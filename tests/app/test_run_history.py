"""Earlier runs in the training panel: the newest first, and each can go on."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.panels.run_history import RunHistory, RunSummary
from app.panels.training_panel import TrainingPanel
from app.wiring import training as learning_wiring
from app.wiring.earlier_runs import History
from core.learning.commands import Train
from core.learning.config import DEFAULT_ENCODER, TrainConfig
from core.learning.runs.run_folder import BestScore, RunFolder
from core.learning.runs.run_status import RunStatus, write_status
from core.learning.scores.gain import Gain
from tests.app.engine_events import started, step, validated
from tests.patience import PATIENCE_S

LEFT = Qt.MouseButton.LeftButton


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
    history.set_training_state("training")
    assert not history._resume.isEnabled()
    assert "Stop the present run" in history.hint
    history.set_training_state("stopping")
    assert not history._resume.isEnabled()
    assert "is ending" in history.hint, "it has been stopped"
    history.set_training_state("idle")
    assert history._resume.isEnabled()


def _row(history: RunHistory, row: int = 0) -> list[str]:
    item = history._table.topLevelItem(row)
    assert item is not None
    return [item.text(column) for column in range(5)]


def test_the_run_under_way_is_told_as_it_stands(qtbot: QtBot, panel: TrainingPanel) -> None:
    history = panel.history
    panel.set_training_state("starting")
    panel.on_event(started("/r/new"))
    panel.set_training_state("training")
    panel.on_event(step(21))
    panel.set_runs([*RUNS, replace(RUNS[1], path="/r/other", started=datetime(2025, 1, 1))])
    panel.on_event(step(37))
    panel.on_event(validated(37, 0.8))
    qtbot.mouseClick(panel.history_button, LEFT)
    qtbot.waitUntil(history.isVisible)
    assert _row(history) == ["2025-01-02 09:00, training", "U-Net", "37", "0.800 ★", "3 held-out images"]
    assert _row(history, 2)[0] == "2025-01-01 00:00"
    panel.on_event(validated(40, 0.6))
    panel.set_runs(RUNS)  # as they were read when it began
    assert _row(history) == ["2025-01-02 09:00, training", "U-Net", "40", "0.800 ★", "3 held-out images"]
    panel.on_event(validated(41, 0.5, gain=Gain(None, anew=True)))
    assert _row(history)[3] == "0.500", "what was held out is another now"
    assert _row(history, 1)[3] == "0.700 ★"
    for state in ("paused", "stopping"):
        panel.set_training_state(state)
        assert _row(history)[0] == f"2025-01-02 09:00, {state}"
    panel.set_training_state("idle")
    assert _row(history)[:3] == ["2025-01-02 09:00", "U-Net", "41"]
    panel.set_training_state("starting")
    panel.set_training_state("stopping")
    assert _row(history)[0] == "2025-01-02 09:00", "it is not this one that starts"
    history.hide()


def _trained(panel: TrainingPanel, hour: int = 12) -> RunSummary:
    """A run with the present choices, everything filled in that the preset decides."""
    config = replace(panel.config(), model="unet", join_instant=True, encoder=DEFAULT_ENCODER, crop=256)
    started = datetime(2025, 1, 3, hour)
    return RunSummary(path="/r/last", model="U-Net", started=started, steps=30, continues=config)


def test_train_goes_on_with_the_last_run_and_a_new_one_is_a_click_away(
    qtbot: QtBot, panel: TrainingPanel
) -> None:
    assert panel.train_button.text() == "Train"
    assert panel.anew_button.isHidden()
    panel.set_runs([*RUNS, _trained(panel)])
    assert panel.train_button.text() == "Continue"
    assert "run of 12:00 (U-Net)" in panel.train_button.toolTip()
    with qtbot.waitSignal(panel.run_resume_requested) as asked, qtbot.assertNotEmitted(panel.train_requested):
        qtbot.mouseClick(panel.train_button, LEFT)
    assert asked.args == ["/r/last"]
    with qtbot.waitSignal(panel.train_requested), qtbot.assertNotEmitted(panel.run_resume_requested):
        qtbot.mouseClick(panel.anew_button, LEFT)


def test_other_choices_begin_a_new_run(panel: TrainingPanel) -> None:
    panel.set_runs([_trained(panel)])
    chosen = panel.setup.preset.currentIndex()
    panel.setup.preset.setCurrentIndex(panel.setup.preset.findData("best"))
    assert panel.train_button.text() == "Train"
    assert panel.anew_button.isHidden()
    panel.setup.preset.setCurrentIndex(chosen)
    assert panel.train_button.text() == "Continue"
    panel.setup.budget.setCurrentIndex(0)  # for how long is no other choice
    assert panel.train_button.text() == "Continue"


def test_only_the_last_run_goes_on_and_only_if_it_can(panel: TrainingPanel) -> None:
    last = _trained(panel)
    panel.set_runs([replace(last, continues=None), replace(last, started=datetime(2025, 1, 2))])
    assert panel.train_button.text() == "Train"
    panel.set_runs([])
    assert panel.train_button.text() == "Train"


def test_while_a_run_goes_on_no_other_begins(panel: TrainingPanel) -> None:
    panel.set_runs([_trained(panel)])
    panel.set_training_state("paused")
    assert panel.train_button.text() == "Resume"
    assert not panel.anew_button.isEnabled()
    panel.set_training_state("idle")
    assert panel.train_button.text() == "Continue"
    assert panel.anew_button.isEnabled()


def test_the_menu_says_what_the_button_does_and_offers_a_new_run(opened, qtbot: QtBot) -> None:
    start, anew = (opened.window.actions_[name] for name in ("train.start", "train.anew"))
    panel = opened.window.findChild(TrainingPanel)
    assert (start.text(), anew.isEnabled()) == ("&Train", False)
    panel.set_runs([_trained(panel)])
    assert (start.text(), anew.isEnabled()) == ("Co&ntinue the last run", True)
    with qtbot.waitSignal(panel.train_requested), qtbot.assertNotEmitted(panel.run_resume_requested):
        anew.trigger()
    assert not anew.isEnabled()  # it has begun


def test_a_run_is_continued_as_is_chosen_in_the_panel(bench, image_folder, qtbot) -> None:
    """It was trained on a graphics card that has gone, and is to go on for 500 steps on two threads."""
    folder = image_folder(2)
    run = RunFolder(folder / "runs" / "2026-01-02_06-12-00-unet")
    run.write_config(TrainConfig(model="unet", device="cuda", seconds=60.0, crop=64))
    write_status(run, RunStatus(state="stopped", step=140, seconds=33.0))
    run.last_checkpoint.write_bytes(b"what the engine reads")
    bench.open(folder)
    panel = bench.window.training
    qtbot.waitUntil(lambda: panel.history._table.topLevelItemCount() == 1)
    advanced = panel.setup.open_advanced()
    for name, text in (("steps", "500"), ("threads", "2"), ("patience", "4")):
        qtbot.keyClicks(advanced.rows[name].editor, text)
    panel.setup.budget.setCurrentIndex(panel.setup.budget.findData(None))
    panel.setup.device.setCurrentIndex(panel.setup.device.findData("cpu"))
    qtbot.mouseClick(panel.history_button, LEFT)
    qtbot.mouseClick(panel.history._resume, LEFT)
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    qtbot.waitUntil(lambda: any(isinstance(command, Train) for command in bench.trainer.sent))
    (train,) = [command for command in bench.trainer.sent if isinstance(command, Train)]
    assert (train.resume_run, train.as_chosen) == (str(run.path), True)
    asked = train.config
    assert (asked.steps, asked.seconds) == (500, None)
    assert (asked.device, asked.threads, asked.patience) == ("cpu", 2, 4)


def test_runs_are_read_once_more_only_for_other_classes(bench, image_folder, qtbot, monkeypatch) -> None:
    reads = []

    def read(_layout, classes) -> History:
        reads.append(classes.names)
        return History([], "")

    monkeypatch.setattr(learning_wiring, "read_history", read)
    bench.open(image_folder(2))
    qtbot.waitUntil(lambda: not bench.session.busy)
    assert len(reads) == 1
    bench.add_class("nerve")
    qtbot.waitUntil(lambda: len(reads) == 2)
    nerve = bench.session.classes.by_name("nerve")
    bench.session.class_editor.recolor(nerve.index, "#123456")
    qtbot.waitUntil(lambda: bench.session.classes.by_name("nerve").color == "#123456")
    bench.session.class_editor.rename(nerve.index, "vein")
    qtbot.waitUntil(lambda: "vein" in bench.session.classes.names)
    bench.add_class("nerve")
    qtbot.waitUntil(lambda: len(reads) == 3)
    assert reads[-1] == ("background", "vein", "nerve")


def test_runs_that_are_still_being_read_are_not_shown_in_another_project(
    bench, image_folder, qtbot, monkeypatch
) -> None:
    went_on, shown = threading.Event(), []

    def read(layout, _classes) -> History:
        if layout.root.name == "old":
            went_on.wait(PATIENCE_S)
        return History(RUNS if layout.root.name == "old" else [], "")

    monkeypatch.setattr(learning_wiring, "read_history", read)
    bench.open(image_folder(1, name="old"))
    bench.session.close()
    told = bench.window.training.set_runs
    monkeypatch.setattr(bench.window.training, "set_runs", lambda runs: (shown.append(runs), told(runs)))
    went_on.set()
    bench.open(image_folder(1, name="new"))
    qtbot.waitUntil(lambda: not bench.window.parts.learning._runner.busy)
    assert shown
    assert not any(shown)
