"""The engine as a process of its own: it works, it dies in every way, and nothing of it stays behind."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.errors import EngineError
from core.learning.commands import Export, LabelsChanged, OpenProject, Stop, Train, Watch
from core.learning.engine.exit import EXIT_DEVICE_LOST, EXIT_TERMINATED, sentence_for_exit
from core.learning.events import (
    Checkpointed,
    EngineReady,
    Event,
    Failed,
    Prediction,
    StepDone,
    TrainingStarted,
)
from core.learning.labels.packed_mask import PackedMask
from core.learning.process import EngineProcess
from tests.patience import PATIENCE_S
from tests.tiny import TINY, squares_project

E = TypeVar("E")

SIDE = 600  # a mask and a prediction are each larger than a pipe's buffer

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture(scope="module")
def project_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled images of a square."""
    root = tmp_path_factory.mktemp("spawned") / "squares"
    squares_project(root, [(100, 100, 399, 399)] * 2, side=SIDE, labelled=2)
    return root


@pytest.fixture
def start() -> Iterator[Callable[..., EngineProcess]]:
    engines: list[EngineProcess] = []

    def make(**options: int) -> EngineProcess:
        engine = EngineProcess(**{"threads": 1, **options})
        engines.append(engine)
        engine.start()
        return engine

    yield make
    for engine in engines:
        engine.close()
        assert not engine.alive


def receive(engine: EngineProcess, kind: type[E], until: Callable[[E], bool] = lambda _: True) -> E:
    """The next event of a kind that fits; the others are passed over."""
    deadline = time.monotonic() + PATIENCE_S
    seen: list[Event] = []
    while time.monotonic() < deadline:
        event = engine.receive(1.0)
        if event is None:
            continue
        if isinstance(event, kind) and until(event):
            return event
        seen.append(event)
    raise AssertionError(f"no {kind.__name__} came, but {seen[-5:]}")


def end_of(engine: EngineProcess) -> str:
    """What `receive` says once the engine has died."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            engine.receive(1.0)
        except EngineError as error:
            return str(error)
    raise AssertionError("the engine did not end")


def running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@posix_only
def test_an_engine_works_is_killed_and_its_run_goes_on_in_another(
    start: Callable[..., EngineProcess], project_root: Path, tmp_path: Path
) -> None:
    engine = start()
    assert engine.alive
    ready = receive(engine, EngineReady)
    assert ready.pid == engine.pid
    assert ready.device
    assert os.getpriority(os.PRIO_PROCESS, ready.pid) >= 10
    # A command that fails is answered, and the engine lives on.
    engine.send(Export(format="weights", out=str(tmp_path)))
    assert receive(engine, Failed).during == "Export"
    os.kill(ready.pid, signal.SIGINT)  # Ctrl+C in the terminal is the window's affair
    engine.send(OpenProject(root=str(project_root)))
    engine.send(Train(config=TINY))
    run = receive(engine, TrainingStarted).run
    receive(engine, StepDone)
    image = project_root / "images" / "0.png"
    engine.send(Watch(key="images/0.png", image_path=str(image)))
    # Both directions full at once: neither side may wait for the other for ever.
    mask = PackedMask.pack(np.ones((SIDE, SIDE), np.uint8))
    for revision in range(1, 13):
        engine.send(
            LabelsChanged(
                key="images/0.png",
                image_path=str(image),
                revision=revision,
                state=AnnotationState.DONE,
                mask=mask,
            )
        )
    shown = receive(engine, Prediction, lambda prediction: prediction.revision == 12)
    assert shown.classes.size_hw == (SIDE, SIDE)

    os.kill(ready.pid, signal.SIGKILL)
    assert end_of(engine) == "The engine was killed by the system, most likely for want of memory."
    assert not engine.alive
    with pytest.raises(EngineError):
        engine.send(Stop())

    again = start()
    again.send(OpenProject(root=str(project_root)))
    again.send(Train(config=TINY, resume_run=run))
    assert receive(again, TrainingStarted).run == run
    # SIGTERM, as when the session ends: saved within a moment, then gone.
    step = receive(again, StepDone).step
    assert again.pid is not None
    os.kill(again.pid, signal.SIGTERM)
    assert receive(again, Checkpointed, lambda saved: saved.step >= step).run == run
    assert end_of(again) == "The engine was ended from outside (SIGTERM)."
    assert again.exit_code == EXIT_TERMINATED


@posix_only
def test_an_engine_that_hangs_is_killed_within_the_limits(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    started = time.monotonic()
    engine.stop(0.2)
    assert not engine.alive
    assert time.monotonic() - started < 10
    assert engine.exit_code == -signal.SIGKILL


PARENT = """
import sys, time
from core.learning.commands import OpenProject, Train
from core.learning.config import TrainConfig
from core.learning.events import StepDone
from core.learning.process import EngineProcess

def main():
    engine = EngineProcess(threads=1)
    engine.start()
    engine.send(OpenProject(root=sys.argv[1]))
    config = TrainConfig(model="unet", encoder="plain", encoder_weights="none", device="cpu", threads=1,
        model_options=(("encoder_width", 4), ("width", 4)), crop=64, batch=2, image_scale=1.0)
    engine.send(Train(config=config))
    while not isinstance(engine.receive(60), StepDone):
        pass
    assert not {"torch", "torchvision", "timm", "safetensors"} & set(sys.modules), "torch in the parent"
    print(engine.pid, flush=True)
    time.sleep(60)

if __name__ == "__main__":
    main()
"""


@posix_only
def test_no_orphan_stays_when_the_window_dies_while_training(project_root: Path, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(project_root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert running(child)
        parent.kill()
        parent.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while running(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not running(child)
    finally:
        parent.kill()
        parent.wait(PATIENCE_S)
        parent.stdout.close()
    checkpoints = sorted((project_root / "runs").glob("*/last.ckpt"), key=lambda path: path.stat().st_mtime)
    assert checkpoints  # and what it had learned is there


def test_an_engine_that_was_not_started_is_an_error_not_a_crash() -> None:
    engine = EngineProcess()
    assert not engine.alive
    assert engine.pid is None
    engine.stop()
    engine.kill()
    engine.close()
    with pytest.raises(EngineError, match="not started"):
        engine.receive()


@pytest.mark.parametrize(
    "code, words",
    [
        (0, "has ended"),
        (1, "unexpected error"),
        (EXIT_DEVICE_LOST, "graphics card"),
        (3, "exit code 3"),
        (-9, "want of memory"),
        (-11, r"crashed \(SIGSEGV\)"),
        (-15, "SIGTERM"),
        (-250, "signal 250"),
    ],
)
def test_every_exit_is_a_sentence(code: int, words: str) -> None:

    assert re.search(words, sentence_for_exit(code))
    assert sentence_for_exit(code).endswith(".")


def test_configurations_travel_unchanged() -> None:

    command = Train(config=replace(TINY, seconds=3.5), resume_run="runs/x")
    assert pickle.loads(pickle.dumps(command)) == command
