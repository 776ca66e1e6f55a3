"""The window's side with a real engine: train, see, lose the engine, go on, leave while training."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.learning.controller import LearningController
from app.session.session import Session
from app.workers.trainer_thread import TrainerThread
from core.annotation.commands import drawing
from core.annotation.model import AnnotationState, Shape, ShapeType, frozen_points
from core.learning.events import Checkpointed, Event, Notice, Prediction, StepDone, TrainingStarted
from core.learning.process import EngineProcess
from core.project.project import Project
from tests.tiny import TINY

E = TypeVar("E")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_train_see_crash_go_on_and_leave(qtbot: QtBot, image_folder: Callable[..., Path]) -> None:
    folder = image_folder(3, size_hw=(64, 64))
    Project.create(folder, classes=("background", "disc"), image_roots=(".",)).close()
    session = Session()
    thread = TrainerThread(partial(EngineProcess, threads=1), restart_delays_s=(0.1, 0.1))
    controller = LearningController(session, thread)
    events: list[Event] = []
    states: list[str] = []
    shown: list[Prediction | None] = []
    controller.event_received.connect(events.append)
    controller.training_state_changed.connect(states.append)
    controller.prediction_changed.connect(shown.append)

    def got(kind: type[E]) -> list[E]:
        return [event for event in events if isinstance(event, kind)]

    try:
        session.open_project(folder)
        qtbot.waitUntil(lambda: session.current is not None and not session.busy)
        assert session.current is not None
        document = session.current.document
        assert document is not None
        square = Shape("disc", ShapeType.RECTANGLE, frozen_points([(20, 20), (40, 40)]))
        assert session.execute(drawing(document, [square]))
        session.set_image_state(AnnotationState.DONE)
        controller.train(TINY)  # at once: what was just drawn is learned from, saved or not
        qtbot.waitUntil(lambda: bool(got(StepDone)))
        assert got(TrainingStarted)[0].train_images == ("scan000.png",)
        qtbot.waitUntil(lambda: bool(shown) and shown[-1] is not None)

        pid = thread.engine_pid
        assert pid is not None
        seen = len(events)
        os.kill(pid, signal.SIGKILL)
        qtbot.waitUntil(lambda: any(isinstance(e, StepDone) for e in events[seen:]))
        assert thread.engine_pid != pid
        assert got(TrainingStarted)[1].run == got(TrainingStarted)[0].run
        assert got(TrainingStarted)[1].resumed_step is not None
        assert any("killed" in notice.text and "goes on" in notice.text for notice in got(Notice))
        assert states == ["starting", "training", "starting", "training"]

        # The overlay comes back, too, and a region of it can be made a shape.
        predictions = len([p for p in shown if p is not None])
        qtbot.waitUntil(lambda: len([p for p in shown if p is not None]) > predictions)
        prediction = shown[-1]
        assert prediction is not None
        assert prediction.classes.size_hw == (64, 64)
        assert np.isin(prediction.classes.unpack(), (0, 1)).all()
    finally:
        # The window closes while training: saved, as only the thread hears now, and nothing is left running.
        told: list[Event] = []
        thread.event_received.connect(told.append)
        assert session.close(discard=True)
        assert controller.shutdown(30.0)
        session.shut_down()
    assert not thread.isRunning()
    qtbot.waitUntil(lambda: any(isinstance(event, Checkpointed) for event in told))
    run = Path(got(TrainingStarted)[0].run)
    assert (run / "last.ckpt").is_file()
    assert (run / "best.safetensors").is_file()
