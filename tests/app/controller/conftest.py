"""The learning controller with a real session, and an engine that says what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from app.learning.controller import LearningController
from app.session.session import Session
from core.annotation.commands import drawing
from core.annotation.model import Shape, ShapeType, frozen_points
from core.learning.commands import (
    Command,
    OpenProject,
    Train,
)
from core.learning.config import TrainConfig
from core.learning.events import (
    EngineReady,
    Event,
    Prediction,
    ProjectOpened,
)
from core.project.project import Project
from tests.app.engine_events import prediction, started

C = TypeVar("C")

CONFIG = TrainConfig(seconds=100.0)
SIZE = (48, 64)


class FakeThread(QObject):
    """Stands for `TrainerThread`: keeps what was sent; the test speaks for the engine."""

    event_received = Signal(object)
    engine_state_changed = Signal(str, str)
    watch_ended = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []
        self.started = 0
        self.shut_down_after: float | None = None
        self.answers = True  # that it has opened a project

    def send(self, command: Command) -> None:
        self.sent.append(command)
        if isinstance(command, OpenProject) and self.answers:
            self.say(ProjectOpened(root=command.root))

    def start_engine(self) -> None:
        self.started += 1

    def begin_shutdown(self, timeout_s: float) -> None:
        self.shut_down_after = timeout_s

    def shutdown(self, timeout_s: float) -> bool:
        self.shut_down_after = timeout_s
        return True

    def of(self, kind: type[C]) -> list[C]:
        return [command for command in self.sent if isinstance(command, kind)]

    def ready(self) -> None:
        self.event_received.emit(EngineReady(pid=1, device="CPU, 2 threads", torch="2"))
        self.engine_state_changed.emit("ready", "CPU, 2 threads")

    def say(self, event: Event) -> None:
        self.event_received.emit(event)

    def crash(self, sentence: str = "The engine was killed.") -> None:
        self.engine_state_changed.emit("crashed", sentence)


@dataclass
class Bench:
    """A session, the controller, and everything that was said."""

    qtbot: QtBot
    session: Session
    thread: FakeThread
    controller: LearningController
    states: list[str] = field(default_factory=list)
    shown: list[Prediction | None] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)

    def open(self, path: Path) -> None:
        self.session.open_project(path)
        self.qtbot.waitUntil(lambda: self.session.current is not None and not self.session.busy)

    def show(self, key: str) -> None:
        self.session.open_image(key)
        self.qtbot.waitUntil(
            lambda: self.session.current is not None and self.session.current.entry.key == key
        )

    def draw(self, label: str = "square", x0: int = 5, y0: int = 5, x1: int = 20, y1: int = 20) -> Shape:
        shape = Shape(label, ShapeType.RECTANGLE, frozen_points([(x0, y0), (x1, y1)]))
        assert self.session.execute(drawing(self.document, [shape]))
        return shape

    @property
    def document(self):  # type: ignore[no-untyped-def]
        assert self.session.current is not None
        assert self.session.current.document is not None
        return self.session.current.document

    def wait_for(self, kind: type[C], count: int = 1) -> C:
        """The newest command of a kind, when so many were sent."""
        self.qtbot.waitUntil(lambda: len(self.thread.of(kind)) >= count)
        return self.thread.of(kind)[-1]

    def start_training(self, config: TrainConfig = CONFIG) -> Train:
        self.controller.train(config)
        self.thread.ready()
        command = self.wait_for(Train)
        self.thread.say(started("/runs/1"))
        return command


@pytest.fixture
def bench(qtbot: QtBot) -> Iterator[Bench]:
    session, thread = Session(), FakeThread()
    controller = LearningController(session, thread, engine_start_delay_ms=0)  # type: ignore[arg-type]
    bench = Bench(qtbot, session, thread, controller)
    controller.training_state_changed.connect(bench.states.append)
    controller.prediction_changed.connect(bench.shown.append)
    controller.event_received.connect(bench.events.append)
    session.message.connect(lambda text, level: bench.messages.append((text, level)))
    yield bench
    session.close(discard=True)
    assert controller.shutdown(1.0)
    assert thread.shut_down_after == 1.0
    session.shut_down()


@pytest.fixture
def opened(bench: Bench, image_folder: Callable[..., Path]) -> Bench:
    """Three images; classes background 0 and square 1."""
    folder = image_folder(3)
    Project.create(folder, classes=("background", "square"), image_roots=(".",)).close()
    bench.open(folder)
    return bench


def predicted(key: str, version: int = 1, revision: int = 0, value: int = 1) -> Prediction:
    """Two regions of one class."""
    classes = np.zeros(SIZE, np.uint8)
    classes[10:30, 10:30] = value
    classes[35:45, 40:60] = value
    return prediction(key, classes, weights_version=version, revision=revision)
