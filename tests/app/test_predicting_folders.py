"""Predicting a folder from the window: asked for, followed, held, given up, and gone on with after an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.dialogs.predict_folder import KEPT_WEIGHTS, PredictFolderDialog
from app.panels.run_history import RunSummary
from core.learning.commands import HoldFolder, PredictFolder
from core.learning.events import Failed, FolderEnded, FolderProblem, FolderProgress
from core.learning.prediction.folder_job import PendingJob, PredictionJob
from core.learning.runs.run_folder import BestScore
from core.project.layout import ProjectLayout

LEFT = Qt.MouseButton.LeftButton
PROGRESS = FolderProgress(
    number=1,
    done=1204,
    total=5000,
    known=4,
    failed=1,
    images_per_s=12.3,
    seconds_left=310.0,
    image="x.png",
    held=False,
)


@pytest.fixture
def dialog(shown: Callable[..., PredictFolderDialog], dressed: None, tmp_path: Path) -> PredictFolderDialog:
    made = shown(PredictFolderDialog(str(tmp_path / "predictions")))
    made.set_runs([run(tmp_path)])
    return made


def run(folder: Path) -> RunSummary:
    best = BestScore(0.7, "training", 2)
    return RunSummary(path=str(folder / "run"), model="U-Net", started=datetime(2026, 5, 4), best=best)


def test_what_is_missing_is_said_one_after_the_other(dialog: PredictFolderDialog, tmp_path: Path) -> None:
    dialog.set_runs([])
    assert "train first" in dialog.lead_text
    dialog.set_runs([run(tmp_path)])
    assert dialog.lead_text == "Choose a folder of images."
    assert dialog.run_choice.currentText().endswith("mIoU 0.700 on 2 training images")
    dialog.images.setText(str(tmp_path / "gone"))
    assert "is no folder" in dialog.lead_text
    assert not dialog.start_button.isEnabled()
    (tmp_path / "scans").mkdir()
    dialog.images.setText(str(tmp_path / "scans"))
    assert dialog.folder.text() == str(tmp_path / "predictions" / "scans")
    assert dialog.start_button.isEnabled()


def test_folders_are_meant_whole(
    dialog: PredictFolderDialog, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "scans").mkdir()
    qtbot.keyClicks(dialog.images, "~/scans")
    dialog.folder.setText("~/results")
    job = dialog.job()
    assert job is not None
    assert (job.images, job.out) == ((str(tmp_path / "scans"),), str(tmp_path / "results"))
    dialog.folder.setText("results")
    assert dialog.job() is None
    assert "could be anywhere" in dialog.lead_text


def test_the_job_is_what_was_chosen(dialog: PredictFolderDialog, qtbot: QtBot, tmp_path: Path) -> None:
    dialog.images.setText(str(tmp_path))
    dialog.folder.setText(str(tmp_path / "results"))
    dialog.format_choice.setCurrentIndex(dialog.format_choice.findData("overlay"))
    dialog.subfolders.setChecked(True)
    with qtbot.waitSignal(dialog.start_requested) as asked:
        qtbot.mouseClick(dialog.start_button, LEFT)
    assert asked.args == [
        PredictionJob(
            images=(str(tmp_path),),
            out=str(tmp_path / "results"),
            format="overlay",
            weights=str(tmp_path / "run" / "best.safetensors"),
            subfolders=True,
        )
    ]


def test_a_folder_of_a_run_may_have_a_dot_in_its_name(dialog: PredictFolderDialog, tmp_path: Path) -> None:
    dialog.set_runs([replace(run(tmp_path), path=str(tmp_path / "unet v1.5"))])
    dialog.images.setText(str(tmp_path))
    job = dialog.job()
    assert job is not None
    assert job.weights == str(tmp_path / "unet v1.5" / "best.safetensors")


def test_progress_tells_rate_and_time_left(dialog: PredictFolderDialog, qtbot: QtBot) -> None:
    dialog.begin()
    dialog.set_progress(PROGRESS)
    assert dialog.figures_text == "1,204 of 5,000  ·  12.3 images/s  ·  5:10 left  ·  4 from before"
    dialog.set_progress(replace(PROGRESS, images_per_s=0.25))
    assert "4.0 s an image" in dialog.figures_text
    with qtbot.waitSignal(dialog.hold_requested, check_params_cb=lambda held: held is True):
        qtbot.mouseClick(dialog.hold_button, LEFT)
    dialog.set_progress(replace(PROGRESS, held=True))
    assert dialog.hold_button.text() == "Go on"
    dialog.add_problem("b.png: damaged")
    dialog.end(FolderEnded(number=1, reason="done", predicted=4995, known=4, failed=1))
    assert dialog.figures_text == "Done: 4,999 images predicted, 4 of them before; 1 left out."
    assert dialog.problems.count() == 1
    dialog.end(FolderEnded(number=1, reason="failed", problem="/data: the disk is full"))
    assert dialog.figures_text == "/data: the disk is full."


@pytest.fixture
def opened(bench, image_folder, qtbot: QtBot):
    """A window on three images, with one earlier run and its dialog open."""
    folder = image_folder(3)
    weights = folder / "runs" / "2026-05-04_10-00-00-unet" / "best.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    bench.open(folder)
    return bench


def chosen(bench, tmp_path: Path) -> PredictFolderDialog:
    """The dialog, with a folder and a run."""
    bench.window.actions_["train.predict_folder"].trigger()
    dialog = bench.window.findChild(PredictFolderDialog)
    (tmp_path / "scans2").mkdir(exist_ok=True)
    dialog.images.setText(str(tmp_path / "scans2"))
    (folder,) = bench.session.project.layout.runs_by_time()
    dialog.set_runs([replace(run(tmp_path), path=str(folder))])
    return dialog


def start(bench, qtbot: QtBot, tmp_path: Path) -> PredictFolderDialog:
    """Choose a folder and press Predict."""
    dialog = chosen(bench, tmp_path)
    qtbot.mouseClick(dialog.start_button, LEFT)
    qtbot.waitUntil(lambda: bool(jobs(bench)))
    return dialog


def jobs(bench) -> list[PredictFolder]:
    return [command for command in bench.trainer.sent if isinstance(command, PredictFolder)]


def newest(bench) -> int:
    """Number of the job that the engine was given last."""
    return jobs(bench)[-1].number


def crash(bench) -> None:
    """The engine dies, and the next one is there."""
    bench.trainer.engine_state_changed.emit("crashed", "The engine crashed.")
    bench.trainer.engine_state_changed.emit("ready", "CPU")


def test_a_job_goes_to_the_engine_and_is_followed(opened, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = start(opened, qtbot, tmp_path)
    (command,) = jobs(opened)
    layout = opened.session.project.layout
    assert command.job.root == str(layout.root)
    assert Path(command.job.weights).read_bytes() == b"weights"
    say, number = opened.trainer.event_received.emit, command.number
    say(replace(PROGRESS, number=number))
    say(FolderProblem(number=number, path="b.png", text="b.png: damaged"))
    assert "1,204 of 5,000" in dialog.figures_text
    assert dialog.problems.count() == 1
    dialog.close()
    assert [button.text() for button in opened.window.status.findChildren(QPushButton)] == ["Folder: 24%"]
    qtbot.mouseClick(dialog.hold_button, LEFT)
    dialog.cancel_button.click()
    assert [c.wanted for c in opened.trainer.sent if isinstance(c, HoldFolder)] == ["hold", "cancel"]
    say(FolderEnded(number=number, reason="cancelled", predicted=1204))
    assert opened.window.status.text.startswith("Given up: 1,204 images predicted")
    assert PendingJob(layout).load() is None


def test_after_a_crash_of_the_engine_the_next_one_goes_on(opened, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = start(opened, qtbot, tmp_path)
    opened.trainer.engine_state_changed.emit("ready", "CPU")
    assert len(jobs(opened)) == 1  # it was only starting up
    opened.trainer.event_received.emit(replace(PROGRESS, number=newest(opened)))
    qtbot.mouseClick(dialog.hold_button, LEFT)
    crash(opened)
    first, second = jobs(opened)
    assert (second.job, second.held) == (first.job, True)


def test_a_failure_in_the_background_stays_until_it_is_seen_and_can_be_gone_on_from(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    start(opened, qtbot, tmp_path).close()
    say, toast, problem = opened.trainer.event_received.emit, opened.window.toast, "/data: the disk is full"
    say(FolderEnded(number=newest(opened), reason="failed", problem=problem))
    say(Failed(during="PredictFolder", text=problem))
    assert (toast.text, toast._leave.isActive()) == ("/data: the disk is full.", False)
    (go_on,) = [button for button in toast.findChildren(QPushButton) if button.text() == "Go on"]
    qtbot.mouseClick(go_on, LEFT)
    qtbot.waitUntil(lambda: len(jobs(opened)) == 2)
    assert jobs(opened)[1].job == jobs(opened)[0].job


def test_what_is_predicted_again_is_so_once_however_often_it_fails(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = chosen(opened, tmp_path)
    dialog.again.setChecked(True)
    qtbot.mouseClick(dialog.start_button, LEFT)
    qtbot.waitUntil(lambda: len(jobs(opened)) == 1)
    crash(opened)
    assert jobs(opened)[1].job.again, "the first engine may not have come to note it"
    opened.trainer.event_received.emit(replace(PROGRESS, number=newest(opened)))
    crash(opened)
    assert not jobs(opened)[2].job.again
    say = opened.trainer.event_received.emit
    say(FolderEnded(number=newest(opened), reason="failed", problem="/data: the disk is full"))
    assert not dialog.again.isChecked()
    qtbot.mouseClick(dialog.start_button, LEFT)
    qtbot.waitUntil(lambda: len(jobs(opened)) == 4)
    assert jobs(opened)[3].job == jobs(opened)[2].job


def test_after_a_failure_predict_goes_on_with_the_same_weights_and_the_same_clean_up(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    steps = opened.window.post.steps
    steps["fill_holes"].switch.click()
    dialog = start(opened, qtbot, tmp_path)
    (folder,) = opened.session.project.layout.runs_by_time()
    (folder / "best.safetensors").unlink()  # as a run does: its file is replaced as a whole
    (folder / "best.safetensors").write_bytes(b"better weights")
    steps["fill_holes"].switch.click()
    say = opened.trainer.event_received.emit
    say(FolderEnded(number=newest(opened), reason="failed", problem="/data: the disk is full"))
    assert dialog.run_choice.currentText() == KEPT_WEIGHTS
    qtbot.mouseClick(dialog.start_button, LEFT)
    qtbot.waitUntil(lambda: len(jobs(opened)) == 2)
    first, second = (command.job for command in jobs(opened))
    assert first.post.startswith("fill_holes")
    assert second == first
    assert Path(second.weights).read_bytes() == b"weights"

    say(FolderEnded(number=newest(opened), reason="failed", problem="/data: the disk is full"))
    dialog.run_choice.setCurrentIndex(1)
    qtbot.mouseClick(dialog.start_button, LEFT)
    qtbot.waitUntil(lambda: len(jobs(opened)) == 3)
    assert jobs(opened)[2].job.post == "", "another job is done in the way of today"
    assert Path(jobs(opened)[2].job.weights).read_bytes() == b"better weights"
    say(FolderEnded(number=newest(opened), reason="done"))
    assert dialog.run_choice.findText(KEPT_WEIGHTS) < 0


def test_what_is_wanted_while_the_weights_are_copied_is_done_afterwards(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog, predicting = chosen(opened, tmp_path), opened.window.parts.predicting
    dialog.start_button.click()
    dialog.cancel_button.click()
    qtbot.waitUntil(lambda: not predicting.busy)
    assert jobs(opened) == []
    assert dialog.figures_text == "Given up: 0 images predicted."
    assert PendingJob(opened.session.project.layout).load() is None
    dialog.start_button.click()
    dialog.hold_button.click()
    qtbot.waitUntil(lambda: bool(jobs(opened)))
    assert jobs(opened)[0].held


def test_a_job_given_up_as_its_engine_dies_is_not_given_to_the_next_one(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = start(opened, qtbot, tmp_path)
    dialog.cancel_button.click()
    crash(opened)
    assert len(jobs(opened)) == 1
    assert not opened.window.parts.predicting.busy
    assert PendingJob(opened.session.project.layout).load() is None


def test_an_engine_that_dies_of_the_same_image_twice_is_not_given_it_again(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    start(opened, qtbot, tmp_path).close()
    progress = replace(PROGRESS, number=newest(opened))
    for done in (7, 8):  # with an image in between it may as well be chance
        opened.trainer.event_received.emit(replace(progress, done=done))
        crash(opened)
    assert len(jobs(opened)) == 3
    opened.trainer.event_received.emit(replace(progress, done=8))  # as far as it was
    crash(opened)
    assert len(jobs(opened)) == 3
    assert not opened.window.parts.predicting.busy
    assert "the engine has died of it again and again" in opened.window.toast.text
    assert PendingJob(opened.session.project.layout).load() is not None


def test_an_engine_that_stays_stopped_leaves_the_job_to_be_gone_on_with(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    start(opened, qtbot, tmp_path).close()
    opened.trainer.engine_state_changed.emit("stopped", "It failed four times.")
    assert opened.window.toast.text == f"{tmp_path / 'scans2'}: It failed four times."


def test_what_the_engine_still_says_of_the_job_before_is_not_taken_for_the_new_one(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = start(opened, qtbot, tmp_path)
    say = opened.trainer.event_received.emit
    before = newest(opened) - 1
    say(replace(PROGRESS, number=before))
    say(FolderProblem(number=before, path="b.png", text="b.png: damaged"))
    say(FolderEnded(number=before, reason="cancelled"))
    assert opened.window.parts.predicting.busy
    assert dialog.figures_text == "Looking for images…"
    assert dialog.problems.count() == 0


def test_after_a_restart_it_is_offered_to_go_on(opened, make_window, qtbot: QtBot, tmp_path: Path) -> None:
    start(opened, qtbot, tmp_path)
    root = opened.session.project.root
    opened.window.close()
    assert PendingJob(ProjectLayout(root)).load() is not None
    again = make_window()
    again.open(root)
    toast = again.window.toast
    assert "was interrupted" in toast.text
    toast.action_clicked.emit()
    qtbot.waitUntil(lambda: bool(jobs(again)))
    assert jobs(again)[0].job == jobs(opened)[0].job
    assert Path(jobs(again)[0].job.weights).read_bytes() == b"weights"


def test_a_project_closed_and_opened_again_keeps_the_job_that_is_gone_on_with(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    start(opened, qtbot, tmp_path)
    root, before = opened.session.project.root, newest(opened)
    opened.session.close()
    opened.open(root)
    opened.window.toast.action_clicked.emit()
    qtbot.waitUntil(lambda: len(jobs(opened)) == 2)
    opened.trainer.event_received.emit(FolderEnded(number=before, reason="cancelled", predicted=7))
    assert opened.window.parts.predicting.busy
    assert PendingJob(opened.session.project.layout).load() is not None


def test_a_job_whose_project_is_closed_before_it_began_does_not_begin_by_itself(
    opened, qtbot: QtBot, tmp_path: Path
) -> None:
    root = opened.session.project.root
    chosen(opened, tmp_path).start_button.click()
    opened.session.close()
    opened.open(root)
    assert not opened.window.parts.predicting.busy
    assert jobs(opened) == []
