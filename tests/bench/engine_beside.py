"""The engine beside a scripted person: in lock-step with simulated time, or in real time.

In lock-step a simulated second is worth a fixed number of optimizer steps of the deep network and of the
instant learner's head, and nothing else takes time: the result depends on the seed alone, not on how busy the
machine is. Then a run's clock counts steps. In real time, which a GPU needs, the engine works as long as the
person does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Literal
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import AnnotationState
from core.learning.commands import LabelsChanged, LearnLive, OpenProject, Predict, Train, Watch
from core.learning.config import AUTO_MODEL, DEFAULT_MODEL, TrainConfig
from core.learning.engine.engine import Engine
from core.learning.events import Event, Failed, Finished, Notice, Prediction, Validated
from core.learning.inbox import Inbox
from core.learning.labels.packed_mask import PackedMask
from core.learning.machine.clock import Clock
from core.learning.training.fit import TrainState

Mode = Literal["instant", "deep", "both"]
MODES: Final[tuple[Mode, ...]] = ("instant", "deep", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a simulated second is worth.

    Attributes:
        steps_per_s: optimizer steps of the deep network.
        head_steps_per_s: of the instant learner's head, beside the fit that follows every change at once.
    """

    steps_per_s: float
    head_steps_per_s: float


class StepClock(Clock):
    """A run's clock that counts its steps instead of seconds."""

    def __init__(self, state: TrainState, steps_per_s: float) -> None:
        super().__init__()
        self._state = state
        self._steps_per_s = steps_per_s

    @property
    def seconds(self) -> float:
        """What the steps done so far are worth."""
        return self._state.step / self._steps_per_s


class EngineBeside:
    """Answers the person's questions and learns in the time that the person takes.

    Args:
        root: the project.
        mode: which learners take part.
        config: of the deep network's runs; `seconds` is the budget of each, and the next one begins when it
            is over, as with a person who clicks Train again.
        speed: of lock-step; None: in real time.
        go_on: the person continues the run that is over instead of starting another.

    Attributes:
        steps: of the deep network, over all runs.
        notes: what the engine said that a person should know.
        scores: of the runs, (simulated seconds, mIoU, on what).
    """

    def __init__(
        self, root: Path, mode: Mode, config: TrainConfig, speed: Speed | None, *, go_on: bool = False
    ) -> None:
        self.now_s = 0.0
        self.notes: list[str] = []
        self.scores: list[tuple[float, float | None, str]] = []
        self._mode: Mode = mode
        model = AUTO_MODEL if mode == "both" else DEFAULT_MODEL
        self._config = replace(config, model=model)
        self._speed = speed
        self._predictions: dict[str, Prediction] = {}
        self._go_on = go_on
        self._run: TrainState | None = None
        self._run_began_s = 0.0
        self._steps_at_start = 0  # that a continued run had done
        self._last_run: str | None = None
        self._steps_before = 0
        self._head_steps_due = 0.0
        self._revision = 0
        clock = time.monotonic if speed is None else lambda: self.now_s
        self._engine = Engine(self._take, Inbox(), clock=clock)
        self._engine.handle(LearnLive(on=mode != "deep"))
        self._engine.handle(OpenProject(root=str(root)))

    @property
    def steps(self) -> int:
        """Optimizer steps of the deep network so far."""
        return self._steps_before + (0 if self._run is None else self._run.step - self._steps_at_start)

    def watch(self, key: str, path: Path) -> None:
        """The person opens an image."""
        self._engine.handle(Watch(key=key, image_path=str(path), revision=self._revision))

    def labels_changed(
        self,
        key: str,
        path: Path,
        mask: NDArray[np.uint8],
        state: AnnotationState = AnnotationState.IN_PROGRESS,
    ) -> None:
        """The person has drawn something."""
        self._revision += 1
        self._engine.handle(
            LabelsChanged(
                key=key,
                image_path=str(path),
                revision=self._revision,
                state=state,
                mask=PackedMask.pack(mask),
            )
        )

    def train(self) -> None:
        """The person clicks Train."""
        if self._mode == "instant":
            return
        self._engine.handle(Train(config=self._config, resume_run=self._last_run if self._go_on else None))
        # A private name, because a run's clock is nobody else's business.
        self._run = self._engine._host.state
        assert self._run is not None, self.notes
        self._run_began_s, self._steps_at_start = self.now_s, self._run.step
        if self._speed is not None:
            self._run.clock = StepClock(self._run, self._speed.steps_per_s)

    def look(self, key: str, path: Path) -> Prediction | None:
        """The prediction of an image by what is learned until now; None where there is none yet."""
        self._predictions.pop(key, None)
        steps = self.steps
        self._engine.handle(Predict(key=key, image_path=str(path), revision=self._revision))
        while self._engine.tick():
            if key in self._predictions:
                return self._predictions.pop(key)
            if self.steps > steps:  # training goes on because nothing can be predicted
                return None
        return self._predictions.pop(key, None)

    def pass_time(self, seconds: float) -> None:
        """Let the engine work while the person does something else."""
        self.now_s += seconds
        if self._speed is None:
            end = time.monotonic() + seconds
            while (left_s := end - time.monotonic()) > 0:
                if not self._engine.tick():
                    time.sleep(min(left_s, 0.01))
        else:
            self._keep_step(self._speed, seconds)
        self._train_again()

    def _keep_step(self, speed: Speed, seconds: float) -> None:
        if self._engine.training and self._run is not None:
            due = self._steps_at_start + int((self.now_s - self._run_began_s) * speed.steps_per_s)
            while self._engine.training and self._run is not None and self._run.step < due:
                self._engine.tick()
            return
        self._head_steps_due += seconds * speed.head_steps_per_s
        while self._head_steps_due >= 1.0:
            self._head_steps_due -= 1.0
            if not self._engine.tick():
                self._head_steps_due = 0.0

    def _train_again(self) -> None:
        """As a person does who sees that the run has ended."""
        over = self._mode != "instant" and self._run is None and not self._engine.training
        budget_s = self._config.seconds
        if over and budget_s is not None and self._run_began_s + budget_s <= self.now_s and self.steps:
            self.train()

    def _take(self, event: Event) -> None:
        match event:
            case Prediction():
                self._predictions[event.key] = event
            case Validated():
                self.scores.append((self.now_s, event.miou, event.on))
            case Finished():
                self._steps_before += event.steps - self._steps_at_start
                self._run, self._last_run = None, event.run
            case Failed():
                raise SystemExit(f"{event.during}: {event.text}\n{event.detail}")
            case Notice(progress=None):
                self.notes.append(f"{self.now_s:.0f} s: {event.text}")
            case _:
                pass


@contextmanager
def lock_step(now: Callable[[], float]) -> Iterator[None]:
    """Nothing that the engine measures takes time: no share of it is kept for scores, none is left out."""
    still = SimpleNamespace(perf_counter=now, monotonic=now)
    with patch("core.learning.machine.pieces.time", still), patch("core.learning.engine.engine.time", still):
        yield
