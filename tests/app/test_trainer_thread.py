"""The supervising thread, with an engine that lives in the test: orders, crashes, restarts, shutdown."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.workers.trainer_thread import LABELS_KEPT, EngineMemory, TrainerThread
from core.annotation.model import AnnotationState, ClassList
from core.errors import EngineError
from core.learning.commands import (
    ClassesChanged,
    CloseProject,
    Command,
    Export,
    ImageRemoved,
    LabelsChanged,
    OpenProject,
    Predict,
    Shutdown,
    Stop,
    Train,
    UseWeights,
    Watch,
)
from core.learning.config import TrainConfig
from core.learning.events import EngineReady, Event, Notice
from core.learning.labels.packed_mask import PackedMask
from tests.patience import PATIENCE_S

PIDS = itertools.count(1000)
OPEN = OpenProject(root="/p")
TRAIN = Train(config=TrainConfig())
WATCH = Watch(key="a", image_path="a.png")


class FakeEngine:
    """Stands for `EngineProcess`: keeps what the thread sent; `say` and `die` are its other end."""

    def __init__(self, *, deaf: bool = False, dies_at_start: bool = False) -> None:
        self.received: list[Command] = []
        self.pid = next(PIDS)
        self.stopped_with: float | None = None
        self.closed = False
        self.killed = threading.Event()
        self._deaf = deaf
        self._dies_at_start = dies_at_start
        self._dead = threading.Event()
        self.waitable, self._other = multiprocessing.Pipe()

    def start(self) -> None:
        if self._dies_at_start:
            raise EngineError("No more processes.")
        self.say(EngineReady(pid=self.pid, device="CPU, 2 threads", torch="2"))

    def send(self, command: Command) -> None:
        if self._dead.is_set():
            raise EngineError("The engine was killed.")
        self.received.append(command)

    def receive(self, timeout_s: float = 0.0) -> Event | None:
        if not self.waitable.poll(timeout_s):
            return None
        event: Event | None = self.waitable.recv()
        if event is None:
            raise EngineError("The engine was killed.")
        return event

    def stop(self, timeout_s: float, on_event: Callable[[Event], None]) -> None:
        self.stopped_with = timeout_s
        if self._deaf:
            self.killed.wait(PATIENCE_S)
        else:
            on_event(Notice(text="last words"))

    def kill(self) -> None:
        self.killed.set()

    def close(self) -> None:
        self.closed = True
        self._other.close()
        self.waitable.close()

    def say(self, event: Event) -> None:
        self._other.send(event)

    def die(self) -> None:
        self._dead.set()
        self._other.send(None)


@dataclass
class Bench:
    """A thread, the engines it made, and what it told the window."""

    thread: TrainerThread
    engines: list[FakeEngine]
    events: list[Event] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    threads_seen: list[int] = field(default_factory=list)

    @property
    def engine(self) -> FakeEngine:
        return self.engines[-1]

    def state_names(self) -> list[str]:
        return [name for name, _ in self.states]


@pytest.fixture
def make_bench(qtbot: QtBot) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(
        make_engine: Callable[[], FakeEngine] = FakeEngine, delays: tuple[float, ...] = (0.01, 0.01)
    ) -> Bench:
        engines: list[FakeEngine] = []

        def factory() -> Any:
            engines.append(make_engine())
            return engines[-1]

        bench = Bench(TrainerThread(factory, restart_delays_s=delays), engines)
        bench.thread.event_received.connect(bench.events.append)
        bench.thread.engine_state_changed.connect(lambda *state: bench.states.append(state))
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        assert bench.thread.shutdown(5)
        assert not bench.thread.isRunning()
        assert all(engine.closed for engine in bench.engines)


def labels(key: str, revision: int = 1) -> LabelsChanged:
    mask = PackedMask.pack(np.zeros((2, 2), np.uint8))
    return LabelsChanged(key=key, image_path=key, revision=revision, state=AnnotationState.DONE, mask=mask)


def test_the_engine_starts_when_asked_and_is_told_what_was_sent_before(
    qtbot: QtBot, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench()
    bench.thread.send(OPEN)
    bench.thread.send(WATCH)
    assert not bench.thread.isRunning()  # state alone needs no engine yet
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: bench.state_names() == ["starting", "ready"])
    assert bench.states[-1][1] == "CPU, 2 threads"
    qtbot.waitUntil(lambda: bench.engine.received == [OPEN, WATCH])
    assert bench.thread.engine_pid == bench.engine.pid


def test_train_starts_the_engine_by_itself_and_comes_after_the_project(
    qtbot: QtBot, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench()
    bench.thread.send(OPEN)
    bench.thread.send(TRAIN)
    qtbot.waitUntil(lambda: len(bench.engines) == 1 and bench.engine.received == [OPEN, TRAIN])
    bench.thread.send(labels("a"))
    bench.thread.send(Stop())
    qtbot.waitUntil(lambda: bench.engine.received == [OPEN, TRAIN, labels("a"), Stop()])


def test_events_arrive_in_order(qtbot: QtBot, make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: len(bench.events) == 1)
    for number in range(50):
        bench.engine.say(Notice(text=str(number)))
    qtbot.waitUntil(lambda: len(bench.events) == 51)
    assert [event.text for event in bench.events[1:] if isinstance(event, Notice)] == [
        str(number) for number in range(50)
    ]


def test_a_dead_engine_is_replaced_and_told_everything_again(
    qtbot: QtBot, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench()
    for command in (OPEN, labels("a", 1), WATCH, TRAIN, labels("a", 2), labels("b")):
        bench.thread.send(command)
    qtbot.waitUntil(lambda: len(bench.engines) == 1 and TRAIN in bench.engine.received)
    bench.engine.die()
    qtbot.waitUntil(lambda: bench.state_names() == ["starting", "ready", "crashed", "starting", "ready"])
    assert bench.states[2][1] == "The engine was killed."
    # The run itself is not repeated: whether it goes on is the controller's decision.
    expected = [OPEN, labels("a", 2), labels("b"), WATCH]
    qtbot.waitUntil(lambda: bench.engine.received == expected)
    assert bench.engines[0].closed


def test_what_a_dying_engine_did_not_take_is_for_the_next_one(
    qtbot: QtBot, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench(delays=(0.2,))
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: "ready" in bench.state_names())
    bench.engine.die()
    qtbot.waitUntil(lambda: "crashed" in bench.state_names())
    bench.thread.send(OPEN)
    bench.thread.send(TRAIN)
    qtbot.waitUntil(lambda: len(bench.engines) == 2 and bench.engine.received == [OPEN, TRAIN])


def test_an_image_that_may_kill_the_engine_is_not_watched_a_third_time(
    qtbot: QtBot, make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench()
    bench.thread.send(OPEN)
    bench.thread.send(WATCH)
    bench.thread.start_engine()
    with qtbot.waitSignal(bench.thread.watch_ended):
        for number in (1, 2):
            qtbot.waitUntil(lambda n=number: len(bench.engines) == n and WATCH in bench.engine.received)
            bench.engine.die()
        qtbot.waitUntil(lambda: len(bench.engines) == 3 and bench.engine.received == [OPEN])


@pytest.mark.parametrize("lost", [TRAIN, Export(format="onnx", out="out")])
def test_what_the_window_calls_lost_with_an_engine_is_not_done_by_the_next_one(
    qtbot: QtBot, make_bench: Callable[..., Bench], lost: Command
) -> None:
    broken = iter((True, False))
    bench = make_bench(lambda: FakeEngine(dies_at_start=next(broken)))
    bench.thread.send(lost)  # which starts the engine
    qtbot.waitUntil(lambda: bench.state_names() == ["starting", "crashed", "starting", "ready"])
    bench.thread.send(Stop())
    qtbot.waitUntil(lambda: bench.engine.received == [Stop()])


def test_an_engine_that_keeps_dying_stays_stopped_until_somebody_trains(
    qtbot: QtBot, make_bench: Callable[..., Bench]
) -> None:
    broken = [True]
    bench = make_bench(lambda: FakeEngine(dies_at_start=broken[0]))
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: bool(bench.states) and bench.states[-1][0] == "stopped")
    assert "No more processes." in bench.states[-1][1]
    assert len(bench.engines) == 3  # the first and two restarts
    broken[0] = False
    bench.thread.send(TRAIN)
    qtbot.waitUntil(lambda: bench.states[-1][0] == "ready" and bench.engine.received == [TRAIN])


def test_shutdown_lets_the_engine_say_its_last_words(qtbot: QtBot, make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: "ready" in bench.state_names())
    assert bench.thread.shutdown(5)
    assert bench.engine.stopped_with == 5
    qtbot.waitUntil(lambda: bench.state_names()[-1] == "stopped")
    assert bench.events[-1] == Notice(text="last words")
    bench.thread.send(TRAIN)
    bench.thread.start_engine()
    assert not bench.thread.isRunning()


@pytest.mark.expects_errors
@pytest.mark.expects_errors
def test_an_engine_that_does_not_leave_is_killed(
    qtbot: QtBot, make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.workers.trainer_thread.TERMINATE_LIMIT_S", 0.05)
    monkeypatch.setattr("app.workers.trainer_thread.KILL_LIMIT_S", 0.05)
    bench = make_bench(lambda: FakeEngine(deaf=True))
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: "ready" in bench.state_names())
    assert bench.thread.shutdown(0.1)
    assert bench.engine.killed.is_set()


def test_a_thread_that_was_never_needed_shuts_down_at_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.thread.send(OPEN)
    assert bench.thread.shutdown()
    assert bench.engines == []


def test_shutdown_is_quick_while_a_restart_is_awaited(qtbot: QtBot, make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(delays=(600.0,))
    bench.thread.start_engine()
    qtbot.waitUntil(lambda: "ready" in bench.state_names())
    bench.engine.die()
    qtbot.waitUntil(lambda: "crashed" in bench.state_names())
    assert bench.thread.shutdown(5)


def test_memory_keeps_what_matters_in_an_order_that_makes_sense() -> None:
    memory = EngineMemory()
    classes = ClassesChanged(classes=ClassList())
    weights = UseWeights(path="w.safetensors")
    for command in (WATCH, weights, labels("a"), labels("b"), classes, OPEN):
        memory.note(command)
    assert memory.commands() == [OPEN]  # another project: nothing of the last one matters
    for command in (WATCH, weights, labels("a"), labels("b"), classes, ImageRemoved(key="a")):
        memory.note(command)
    assert memory.commands() == [OPEN, classes, labels("b"), weights, WATCH]
    memory.note(UseWeights(path=None))
    assert memory.commands() == [OPEN, classes, labels("b"), WATCH]
    memory.note(weights)
    for command in (TRAIN, Watch(key=None), Predict(key="a", image_path="a"), Shutdown()):
        memory.note(command)
    assert memory.commands() == [OPEN, classes, labels("b")]
    for number in range(LABELS_KEPT + 3):
        memory.note(labels(f"image {number}"))
    assert len(memory.commands()) == 2 + LABELS_KEPT
    memory.note(CloseProject())
    assert memory.commands() == []
