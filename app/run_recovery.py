"""What to do about a run whose engine died: go on from its last checkpoint, but not for ever. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from core.learning.config import TrainConfig
from core.learning.events import Checkpointed, Event, StepDone, Train, TrainingStarted

CRASH_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Resumption:
    """How an interrupted run goes on, and a sentence that says so."""

    command: Train
    sentence: str


class RunRecovery:
    """Follows one run and knows how to continue it.

    Args:
        crash_window_s: an engine that dies twice within this time is not given the run a third time.
    """

    def __init__(self, crash_window_s: float = CRASH_WINDOW_S) -> None:
        self._crash_window_s = crash_window_s
        self._last_crash_s = float("-inf")
        self._command: Train | None = None
        self._run: str | None = None
        self._checkpoint: Checkpointed | None = None
        self._last_step: StepDone | None = None
        self._seconds_saved: float | None = None

    def requested(self, command: Train) -> None:
        """The person asked for this run: crashes of earlier ones do not count."""
        self._last_crash_s = float("-inf")
        self._follow(command)

    def on_event(self, event: Event) -> None:
        """Keep what resuming needs."""
        if isinstance(event, TrainingStarted):
            self._run = event.run
        elif isinstance(event, StepDone):
            self._last_step = event
        elif isinstance(event, Checkpointed):
            self._checkpoint = event
            self._seconds_saved = None if self._last_step is None else self._last_step.seconds

    def after_crash(self, now_s: float) -> Resumption | None:
        """The command that continues the run; None when it should stay stopped.

        Args:
            now_s: a monotonic clock, seconds.
        """
        recently = now_s - self._last_crash_s < self._crash_window_s
        self._last_crash_s = now_s
        if self._command is None or recently:
            return None
        run = self._run if self._checkpoint is not None else self._command.resume_run
        config = self._command.config
        if run is None:
            self._follow(self._command)
            return Resumption(self._command, "Training had no checkpoint yet and starts again.")
        command = Train(config=self._with_time_left(config), resume_run=run)
        step = "its last checkpoint" if self._checkpoint is None else f"step {self._checkpoint.step}"
        self._follow(command)
        return Resumption(command, f"Training goes on from {step}.")

    def _follow(self, command: Train) -> None:
        self._command = command
        self._run = None
        self._checkpoint = None
        self._last_step = None
        self._seconds_saved = None

    def _with_time_left(self, config: TrainConfig) -> TrainConfig:
        """A resumed run adds `seconds` to what it already had: ask for the rest only."""
        step = self._last_step
        if config.seconds is None or step is None or step.time_budget_s is None:
            return config
        done = step.seconds if self._seconds_saved is None else self._seconds_saved
        return replace(config, seconds=max(1.0, step.time_budget_s - done))
