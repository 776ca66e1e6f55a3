"""What the engine is told when a person works, and what the person is told when the engine works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from app.learning_controller import LearningController
from app.session import Session
from core.annotation.commands import RemoveShapes, drawing
from core.annotation.model import UNLABELLED, AnnotationState, ClassList, Shape, ShapeType, frozen_points
from core.learning.commands import (
    ClassesChanged,
    Command,
    Export,
    ImageRemoved,
    LabelsChanged,
    OpenProject,
    Pause,
    Predict,
    Resume,
    Stop,
    Train,
    UseWeights,
    Watch,
)
from core.learning.config import TrainConfig
from core.learning.events import (
    Checkpointed,
    EngineReady,
    Event,
    Exported,
    Failed,
    Finished,
    Notice,
    Paused,
    Prediction,
    Resumed,
    StepDone,
    TrainingStarted,
)
from core.learning.packed_mask import PackedMask
from core.project.project import Project

C = TypeVar("C")

CONFIG = TrainConfig(seconds=100.0)
SIZE = (48, 64)


class FakeThread(QObject):
    """Stands for `TrainerThread`: keeps what was sent; the test speaks for the engine."""

    event_received = Signal(object)
    engine_state_changed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Command] = []
        self.started = 0
        self.shut_down_after: float | None = None

    def send(self, command: Command) -> None:
        self.sent.append(command)

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
        self.thread.say(started())
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


def started(run: str = "/runs/1") -> TrainingStarted:
    return TrainingStarted(
        run=run,
        model="unet",
        encoder="plain",
        device="CPU",
        classes=ClassList(),
        train_images=(),
        validation_images=(),
        weak_background=False,
    )


def step(number: int, seconds: float, budget_s: float | None = 100.0) -> StepDone:
    return StepDone(
        step=number, seconds=seconds, loss=1.0, lr=1e-3, steps=None, time_budget_s=budget_s, images_per_s=4.0
    )


def finished() -> Finished:
    return Finished(
        run="/runs/1",
        model="unet",
        steps=5,
        seconds=3.0,
        best_miou=0.5,
        per_class_iou={},
        resumed_step=None,
        reason="stopped",
    )


def prediction(key: str, version: int = 1, revision: int = 0, value: int = 1) -> Prediction:
    classes = np.zeros(SIZE, np.uint8)
    classes[10:30, 10:30] = value
    classes[35:45, 40:60] = value
    return Prediction(
        key=key,
        revision=revision,
        weights_version=version,
        classes=PackedMask.pack(classes),
        confidence=PackedMask.pack(np.full(SIZE, 200, np.uint8)),
        source="U-Net, step 1",
        seconds=0.1,
    )


# --- what the engine is told ------------------------------------------------------------------------------


def test_opening_a_project_tells_the_engine_what_to_read_and_what_is_looked_at(opened: Bench) -> None:
    assert opened.session.project is not None
    kinds = [type(command) for command in opened.thread.sent]
    assert kinds.index(OpenProject) < kinds.index(Watch)
    assert opened.thread.of(OpenProject) == [OpenProject(root=str(opened.session.project.root))]
    watched = opened.thread.of(Watch)[-1]
    assert (watched.key, Path(watched.image_path or "").name) == ("scan000.png", "scan000.png")
    assert [ahead.key for ahead in opened.thread.of(Predict)] == ["scan001.png"]
    opened.qtbot.waitUntil(lambda: opened.thread.started > 0)  # soon, by itself


def test_a_stroke_reaches_the_engine_as_a_mask_without_waiting_for_the_disk(opened: Bench) -> None:
    opened.draw()
    labels = opened.wait_for(LabelsChanged)
    assert labels.key == "scan000.png"
    assert labels.state is AnnotationState.IN_PROGRESS
    mask = labels.mask.unpack()
    assert mask.shape == SIZE
    assert (mask[5:21, 5:21] == 1).all()
    assert (mask == UNLABELLED).sum() == mask.size - 16 * 16
    assert opened.session.flush()
    opened.qtbot.waitUntil(lambda: not opened.session._opened.worker.busy)  # type: ignore[union-attr]
    assert len(opened.thread.of(LabelsChanged)) == 1  # what was written is what was sent


def test_many_edits_in_a_row_are_told_together_and_the_last_one_wins(opened: Bench) -> None:
    for number in range(6):
        opened.draw(x0=5 + number, x1=20 + number)
    opened.qtbot.waitUntil(
        lambda: any((c.mask.unpack()[5:21, 5:26] == 1).all() for c in opened.thread.of(LabelsChanged))
    )
    sent = opened.thread.of(LabelsChanged)
    assert len(sent) < 6
    assert [c.revision for c in sent] == sorted({c.revision for c in sent})


def test_an_edit_made_just_before_leaving_the_image_is_not_lost(opened: Bench) -> None:
    opened.draw()
    opened.show("scan001.png")
    assert opened.wait_for(LabelsChanged).key == "scan000.png"
    assert opened.thread.of(Watch)[-1].key == "scan001.png"
    opened.show("scan000.png")
    assert opened.thread.of(Watch)[-1].revision == opened.thread.of(LabelsChanged)[-1].revision


def test_labels_another_program_has_drawn_meanwhile_are_told_when_they_are_seen(opened: Bench) -> None:
    opened.draw()
    opened.wait_for(LabelsChanged)
    assert opened.session.flush()
    assert opened.session.project is not None
    root = opened.session.project.root
    foreign = (root / "scan000.json").read_text().replace("scan000", "scan002")
    (root / "scan002.json").write_text(foreign)
    opened.show("scan002.png")
    labels = opened.wait_for(LabelsChanged, 2)
    assert labels.key == "scan002.png"
    assert (labels.mask.unpack()[5:21, 5:21] == 1).all()


def test_train_waits_until_everything_drawn_was_told(opened: Bench) -> None:
    opened.thread.ready()
    opened.draw()
    opened.controller.train(CONFIG)
    assert opened.states == ["starting"]
    assert opened.thread.of(Train) == []
    assert opened.wait_for(Train).config == CONFIG
    kinds = [type(command) for command in opened.thread.sent]
    assert kinds.index(LabelsChanged) < kinds.index(Train)


def test_class_changes_and_image_changes_are_told(opened: Bench) -> None:
    assert opened.session.project is not None
    opened.thread.say(prediction("scan000.png"))
    assert opened.controller.prediction is not None
    with opened.qtbot.waitSignal(opened.session.classes_changed):
        opened.session.add_class("ring")
    assert opened.wait_for(ClassesChanged).classes.names == ("background", "square", "ring")
    assert opened.controller.prediction is not None  # an added class takes nothing away
    with opened.qtbot.waitSignal(opened.session.classes_changed):
        opened.session.class_editor.delete(1)
    assert opened.wait_for(ClassesChanged, 2).classes.names == ("background", "ring")
    assert opened.controller.prediction is None
    root = opened.session.project.root
    (root / "scan002.png").unlink()
    assert opened.wait_for(ImageRemoved).key == "scan002.png"


def test_closing_the_project_ends_what_was_going_on(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(prediction("scan000.png"))
    assert opened.session.close()
    assert isinstance(opened.thread.of(Stop)[-1], Stop)
    assert opened.thread.of(Watch)[-1].key is None
    assert opened.shown[-1] is None
    assert opened.states[-1] == "stopping"


def test_without_a_project_there_is_a_sentence_instead_of_a_run(bench: Bench) -> None:
    bench.controller.train(CONFIG)
    assert "Open a folder" in bench.messages[-1][0]
    assert bench.states == []
    bench.controller.accept_all()
    assert bench.thread.of(Train) == []


# --- training ---------------------------------------------------------------------------------------------


def test_a_run_goes_through_its_states(opened: Bench) -> None:
    controller, thread = opened.controller, opened.thread
    opened.start_training()
    assert opened.states == ["starting", "training"]
    controller.train(CONFIG)
    assert "stop it before" in opened.messages[-1][0]
    controller.resume()
    controller.pause()
    thread.say(Paused())
    controller.pause()
    controller.resume()
    thread.say(Resumed())
    controller.stop()
    controller.stop()
    thread.say(finished())
    assert opened.states == ["starting", "training", "paused", "training", "stopping", "idle"]
    orders = [type(c) for c in thread.sent if isinstance(c, Train | Pause | Resume | Stop)]
    assert orders == [Train, Pause, Resume, Stop]
    assert [type(e) for e in opened.events[1:]] == [TrainingStarted, Paused, Resumed, Finished]


def test_a_run_that_cannot_start_says_why(opened: Bench) -> None:
    opened.controller.train(CONFIG)
    opened.thread.ready()
    opened.thread.say(Failed(during="Train", text="nothing is labelled yet"))
    assert opened.states == ["starting", "idle"]
    assert opened.messages[-1] == ("nothing is labelled yet", "warning")


def test_a_run_that_was_stopped_before_it_began_is_no_error(opened: Bench) -> None:
    opened.controller.train(CONFIG)
    opened.controller.stop()  # the engine is not up yet: it never hears of the run
    assert opened.states == ["starting", "idle"]
    opened.thread.ready()
    opened.controller.train(CONFIG)
    opened.controller.stop()
    opened.thread.say(Failed(during="Train", text="Training was stopped before it began."))
    assert opened.states[2:] == ["starting", "stopping", "idle"]
    assert ("Training was stopped before it began.", "error") not in opened.messages
    assert len(opened.thread.of(Train)) == 1


def test_a_run_interrupted_by_a_crash_goes_on_by_itself_for_the_time_that_is_left(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(step(40, 30.0))
    opened.thread.say(Checkpointed(run="/runs/1", step=40, best=False))
    opened.thread.say(step(50, 37.0))
    opened.thread.crash()
    assert opened.states[-1] == "starting"
    notice = opened.events[-1]
    assert isinstance(notice, Notice)
    assert "goes on from step 40" in notice.text
    assert len(opened.thread.of(Train)) == 1  # not before the engine is up again
    opened.thread.ready()
    again = opened.wait_for(Train, 2)
    assert again.resume_run == "/runs/1"
    assert again.config.seconds is None  # the checkpoint knows what is left of the run's own
    opened.thread.say(started())
    assert opened.states[-1] == "training"


def test_a_run_that_was_paused_is_paused_again_after_a_crash(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(Checkpointed(run="/runs/1", step=0, best=False))
    opened.controller.pause()
    opened.thread.say(Paused())
    opened.thread.crash()
    opened.thread.ready()
    opened.wait_for(Train, 2)
    opened.thread.say(started())
    assert len(opened.thread.of(Pause)) == 2


def test_two_crashes_within_a_minute_leave_the_run_stopped(opened: Bench) -> None:
    opened.start_training()
    opened.thread.say(Checkpointed(run="/runs/1", step=0, best=False))
    opened.thread.crash()
    opened.thread.ready()
    opened.thread.say(started())
    opened.thread.crash("The engine crashed (SIGSEGV) inside a library.")
    assert opened.states[-1] == "idle"
    last = opened.events[-1]
    assert isinstance(last, Failed)
    assert "SIGSEGV" in last.text
    assert "resumed" in last.text
    opened.thread.ready()
    assert len(opened.thread.of(Train)) == 2
    opened.controller.train(CONFIG)  # but the person may try again
    assert opened.wait_for(Train, 3).resume_run is None


def test_an_engine_that_stays_stopped_ends_the_run(opened: Bench) -> None:
    opened.start_training()
    opened.thread.engine_state_changed.emit("stopped", "The engine stays stopped.")
    assert opened.states[-1] == "idle"
    assert "stays stopped" in opened.messages[-1][0]


def test_a_crash_without_a_run_is_only_mentioned(opened: Bench) -> None:
    opened.thread.crash()
    assert opened.messages[-1] == ("The engine was killed.", "warning")
    assert opened.states == []


def test_exports_are_asked_for_and_one_lost_in_a_crash_is_said(opened: Bench, tmp_path: Path) -> None:
    opened.controller.export("onnx", tmp_path)
    opened.controller.export("weights", tmp_path, run="/runs/1")
    opened.controller.use_weights(tmp_path / "w.safetensors")
    assert opened.thread.of(Export) == [
        Export(format="onnx", out=str(tmp_path)),
        Export(format="weights", out=str(tmp_path), run="/runs/1"),
    ]
    assert opened.thread.of(UseWeights) == [UseWeights(path=str(tmp_path / "w.safetensors"))]
    opened.thread.say(Exported(format="onnx", path="x.onnx"))
    opened.thread.crash()
    lost = [e for e in opened.events if isinstance(e, Failed)]
    assert [failed.during for failed in lost] == ["Export"]


# --- predictions ------------------------------------------------------------------------------------------


def test_predictions_of_the_current_image_are_shown_and_others_kept_for_later(opened: Bench) -> None:
    first, ahead = prediction("scan000.png"), prediction("scan001.png")
    opened.thread.say(first)
    opened.thread.say(ahead)
    assert opened.shown == [first]
    opened.show("scan001.png")
    assert opened.shown == [first, ahead]  # at once, without the engine
    opened.show("scan002.png")
    assert opened.shown[-1] is None


def test_stale_predictions_are_dropped(opened: Bench) -> None:
    fresh = prediction("scan000.png", version=5, revision=3)
    opened.thread.say(fresh)
    opened.thread.say(prediction("scan000.png", version=4, revision=3))
    opened.thread.say(prediction("scan000.png", version=5, revision=2))
    assert opened.shown == [fresh]
    newer = prediction("scan000.png", version=6, revision=3)
    opened.thread.say(newer)
    assert opened.shown == [fresh, newer]
    opened.thread.ready()  # another engine counts from the beginning
    recounted = prediction("scan000.png", version=1, revision=0)
    opened.thread.say(recounted)
    assert opened.shown[-1] is recounted


def test_a_clicked_region_becomes_a_shape_and_can_be_undone(opened: Bench) -> None:
    opened.controller.accept_region(12, 12)
    assert "no prediction" in opened.messages[-1][0]
    opened.thread.say(prediction("scan000.png"))
    opened.controller.accept_region(12, 12)
    opened.qtbot.waitUntil(lambda: len(opened.document) == 1)
    assert opened.document.shapes[0].label == "square"
    mask = opened.wait_for(LabelsChanged).mask.unpack()
    assert (mask[10:30, 10:30] == 1).all()
    opened.session.undo()
    assert len(opened.document) == 0
    assert opened.document.state is AnnotationState.UNLABELLED


def test_accept_all_is_one_step_and_leaves_the_person_s_shapes_on_top(opened: Bench) -> None:
    mine = opened.draw("_background_", 10, 10, 14, 29)
    opened.thread.say(prediction("scan000.png"))
    opened.controller.accept_all()
    opened.qtbot.waitUntil(lambda: len(opened.document) == 3)
    assert opened.document.shapes[-1].uid == mine.uid
    opened.session.undo()
    assert [shape.uid for shape in opened.document.shapes] == [mine.uid]


def test_nothing_is_accepted_when_the_labels_or_the_image_changed_meanwhile(opened: Bench) -> None:
    opened.thread.say(prediction("scan000.png"))
    slow = threading.Event()
    opened.controller._worker.run(slow.wait, 10, priority=2)
    opened.controller.accept_all()
    mine = opened.draw(x0=40, x1=50)
    slow.set()
    opened.qtbot.waitUntil(lambda: any("drawn meanwhile" in text for text, _ in opened.messages))
    assert [shape.uid for shape in opened.document.shapes] == [mine.uid]
    slow.clear()
    opened.controller._worker.run(slow.wait, 10, priority=2)
    opened.controller.accept_all()
    opened.show("scan001.png")
    slow.set()
    opened.qtbot.waitUntil(lambda: any("another image" in text for text, _ in opened.messages))
    assert len(opened.document) == 0


def test_a_prediction_of_another_size_cannot_be_accepted(opened: Bench) -> None:
    wrong = PackedMask.pack(np.ones((10, 10), np.uint8))
    opened.thread.say(
        Prediction(
            key="scan000.png",
            revision=0,
            weights_version=1,
            classes=wrong,
            confidence=wrong,
            source="",
            seconds=0.0,
        )
    )
    opened.controller.accept_all()
    assert "another size" in opened.messages[-1][0]


def test_what_cannot_be_accepted_is_said(opened: Bench) -> None:
    opened.thread.say(prediction("scan000.png"))
    opened.controller.accept_region(0, 0)
    opened.qtbot.waitUntil(lambda: bool(opened.messages))
    assert opened.messages[-1] == ("Only background is predicted here; click a predicted region.", "info")
    shape = opened.draw(x0=0, y0=0, x1=63, y1=47)
    opened.controller.accept_all()
    opened.qtbot.waitUntil(lambda: "labelled already" in opened.messages[-1][0])
    assert opened.session.execute(RemoveShapes.of(opened.document, [shape.uid]))
