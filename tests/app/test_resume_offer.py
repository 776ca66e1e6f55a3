"""Training that was cut short is offered when its project is opened, and goes on with one click."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from core.learning.commands import Train
from core.learning.config import TrainConfig
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import RunLock, RunState, RunStatus, read_status, write_status
from tests.app.engine_events import started


def left_run(folder: Path, state: RunState = "going", *, name: str = "2026-01-02_06-12-00-unet") -> RunFolder:
    """A run of an earlier window, 140 steps of 500 done."""
    run = RunFolder(folder / "runs" / name)
    run.write_config(TrainConfig(model="unet", steps=500, crop=64))
    write_status(run, RunStatus(state=state, step=140, seconds=33.0))
    run.last_checkpoint.write_bytes(b"what the engine reads")
    return run


@pytest.fixture
def folder(image_folder) -> Path:
    return image_folder(2)


def test_a_run_that_was_cut_short_is_offered_and_one_click_goes_on_with_it(bench, folder, qtbot) -> None:
    run = left_run(folder)
    bench.open(folder)
    strip = bench.window.page.offer
    qtbot.waitUntil(strip.isVisible)
    assert strip.text.startswith("Training of ")
    assert "06:12" in strip.text
    assert strip.text.endswith("was cut short at step 140.")
    assert strip.button.text() == "Resume"
    assert bench.window.actions_["train.resume"].isEnabled()
    qtbot.mouseClick(strip.button, Qt.MouseButton.LeftButton)
    assert not strip.isVisible()
    assert not bench.window.actions_["train.resume"].isEnabled()
    assert bench.window.controller.training_state == "starting"
    bench.trainer.engine_state_changed.emit("ready", "CPU")
    qtbot.waitUntil(lambda: any(isinstance(command, Train) for command in bench.trainer.sent))
    (train,) = [command for command in bench.trainer.sent if isinstance(command, Train)]
    assert train.resume_run == str(run.path)
    # With what is left of its own steps, not with 500 more.
    assert (train.config.steps, train.config.seconds) == (None, None)


def test_the_curves_of_a_resumed_run_begin_where_it_began(bench, folder, qtbot) -> None:
    """Whoever goes on after a crash sees what the run had come to, not an empty chart."""
    run = left_run(folder)
    score = {"val_miou": 0.4, "val_on": "validation", "val_images": 4.0, "val_iou:background": 0.4}
    for step in (70, 140, 150):
        row = {"step": step, "seconds": step / 4, "loss": 1 / step, "val_miou": None}
        run.append_metrics({**dict.fromkeys(score), **row, **(score if step == 140 else {})})
    bench.open(folder)
    panel = bench.window.training
    bench.trainer.event_received.emit(started(str(run.path), classes=bench.session.classes, resumed_step=140))
    qtbot.waitUntil(lambda: len(panel.loss.series) == 2)
    assert panel.loss.series.steps.tolist() == [70, 140], "steps after the checkpoint are done again"
    assert panel.scores.heading_text.startswith("mIoU 0.40 on 4 held-out images")


def test_an_offer_that_is_put_away_does_not_come_back(bench, make_window, folder, qtbot) -> None:
    run = left_run(folder)
    bench.open(folder)
    strip = bench.window.page.offer
    qtbot.waitUntil(strip.isVisible)
    qtbot.mouseClick(strip.close_button, Qt.MouseButton.LeftButton)
    assert not strip.isVisible()
    qtbot.waitUntil(lambda: getattr(read_status(run), "declined", False))
    bench.session.close()
    bench.open(folder)
    offer = bench.window.parts.resume_offer
    qtbot.waitUntil(lambda: offer.looked)
    assert offer.offered is None
    assert not strip.isVisible()


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_runs_that_ended_are_not_offered(bench, folder, qtbot, state) -> None:
    left_run(folder, state)
    bench.open(folder)
    offer = bench.window.parts.resume_offer
    qtbot.waitUntil(lambda: offer.looked)
    assert offer.offered is None


def test_a_run_that_another_program_trains_or_that_is_not_the_last_is_not_offered(
    bench, folder, qtbot
) -> None:
    run = left_run(folder)
    offer = bench.window.parts.resume_offer
    with RunLock(run):
        bench.open(folder)
        qtbot.waitUntil(lambda: offer.looked)
        assert offer.offered is None
    bench.session.close()
    left_run(folder, "finished", name="2026-01-02_07-00-00-unet")
    bench.open(folder)
    qtbot.waitUntil(lambda: offer.looked)
    assert offer.offered is None


def test_a_run_that_its_engine_still_holds_is_offered_once_it_lets_go(
    bench, folder, qtbot, monkeypatch
) -> None:
    """As after a kill of the window, which the engine notices by and by."""
    monkeypatch.setattr("app.wiring.resume_offer.AGAIN_MS", 20)
    offer, lock = bench.window.parts.resume_offer, RunLock(left_run(folder))
    lock.acquire()
    try:
        bench.open(folder)
        qtbot.waitUntil(lambda: offer._looks > 2)
        assert offer.offered is None
    finally:
        lock.release()
    qtbot.waitUntil(bench.window.page.offer.isVisible)
    assert offer.offered is not None


@pytest.mark.parametrize("what", ["nobody lets go", "closed", "trains"])
def test_a_held_run_is_not_looked_at_forever(bench, folder, qtbot, monkeypatch, what) -> None:
    monkeypatch.setattr("app.wiring.resume_offer.AGAIN_MS", 20)
    monkeypatch.setattr("app.wiring.resume_offer.MOST_LOOKS", 5 if what == "nobody lets go" else 1_000_000)
    offer = bench.window.parts.resume_offer
    with RunLock(left_run(folder)):
        bench.open(folder)
        if what == "nobody lets go":
            qtbot.waitUntil(lambda: offer._looks == 5)
        else:
            qtbot.waitUntil(lambda: offer._again.isActive())
            if what == "closed":
                bench.session.close()
            else:
                bench.window.controller.train(TrainConfig())
        assert not offer._again.isActive()
        assert offer.offered is None


def test_another_project_takes_the_offer_away(bench, folder, image_folder, qtbot) -> None:
    left_run(folder)
    bench.open(folder)
    strip = bench.window.page.offer
    qtbot.waitUntil(strip.isVisible)
    bench.session.close()
    assert not strip.isVisible()
    assert bench.window.parts.resume_offer.offered is None
