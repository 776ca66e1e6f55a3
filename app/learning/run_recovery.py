"""What to do about a run whose engine died: go on from its last checkpoint, but not for ever. No Qt.

A graphics card that was lost gets a second chance, since a new process often finds it well; after that the
run goes on on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from core.learning.commands import Train
from core.learning.engine.exit import EXIT_DEVICE_LOST, sentence_for_exit
from core.learning.events import Checkpointed, Event, TrainingStarted

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
        self._next_fold = False
        self._on_cpu = False

    def requested(self, command: Train) -> None:
        """The person asked for this run: crashes of earlier ones do not count."""
        self._last_crash_s = float("-inf")
        self._on_cpu = False
        self._follow(command)

    def on_event(self, event: Event) -> None:
        """Keep what resuming needs."""
        if isinstance(event, TrainingStarted):
            if self._run not in (None, event.run):
                self._next_fold, self._checkpoint = True, None  # that was of the fold before
            self._run = event.run
        elif isinstance(event, Checkpointed):
            self._checkpoint = event

    def after_crash(self, now_s: float, how: str = "") -> Resumption | None:
        """The command that continues the run; None when it should stay stopped.

        Args:
            now_s: a monotonic clock, seconds.
            how: the engine's exit sentence.
        """
        recently = now_s - self._last_crash_s < self._crash_window_s
        self._last_crash_s = now_s
        to_cpu = recently and not self._on_cpu and how == sentence_for_exit(EXIT_DEVICE_LOST)
        if self._command is None or (recently and not to_cpu):
            return None
        command = self._continued(self._command)
        where = ""
        if to_cpu:
            self._on_cpu = True
            command, where = replace(command, config=replace(command.config, device="cpu")), " on the CPU"
        if command.resume_run is None:
            sentence = f"Training had no checkpoint yet and starts again{where}."
        elif self._next_fold and self._checkpoint is None:
            sentence = f"The fold begins again{where}."
        else:
            step = "its last checkpoint" if self._checkpoint is None else f"step {self._checkpoint.step}"
            sentence = f"Training goes on{where} from {step}."
        self._follow(command)
        return Resumption(command, sentence)

    def _continued(self, command: Train) -> Train:
        """What was asked, from where it has come to."""
        if self._run is None or not (self._checkpoint or self._next_fold):
            return command
        # The checkpoint knows what is left of steps and time: a resumed run would add what is given here.
        rest = replace(command.config, steps=None, seconds=None)
        return replace(command, config=rest, resume_run=self._run)

    def _follow(self, command: Train) -> None:
        self._command = command
        self._run = None
        self._checkpoint = None
        self._next_fold = False
