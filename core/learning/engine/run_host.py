"""The engine's one run: prepared, asked for its events, held, stopped, saved."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import torch

from core.learning.commands import Train
from core.learning.config import AUTO_MODEL, DEFAULT_MODEL, TrainConfig
from core.learning.events import Event, Finished, Notice, Paused, Resumed
from core.learning.labels.data import LabelStore
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import LOCK_FILE, RunLock, can_go_on, status_file
from core.learning.training.fit import TrainState, save_now
from core.learning.training.fold_plan import FoldPlan
from core.learning.training.joint import events_of
from core.learning.training.safekeeping import PATIENCE_S
from core.project.layout import ProjectLayout


class CancelledStartError(Exception):
    """Nobody wants the run any more that is being prepared."""


@dataclass(frozen=True, slots=True)
class _Folds:
    """A cross-validation under way."""

    plan: FoldPlan
    store: LabelStore
    live: bool


class RunHost:
    """Holds at most one run.

    Args:
        send: passes an event to the window.
        cancelled: asked while a run is prepared (an encoder may be downloaded); True gives it up.
    """

    def __init__(self, send: Callable[[Event], None], cancelled: Callable[[], bool]) -> None:
        self._send = send
        self._cancelled = cancelled
        self._state: TrainState | None = None
        self._events: Iterator[Event] = iter(())
        self._paused = False
        self._folds: _Folds | None = None
        self._given_up: FoldPlan | None = None
        self._lock: RunLock | None = None
        self._threads = torch.get_num_threads()

    @property
    def state(self) -> TrainState | None:
        """The run, None when there is none."""
        return self._state

    @property
    def busy(self) -> bool:
        """There is a run with something to do, and it is not held."""
        return self._state is not None and not self._paused and not self._state.resting

    @property
    def paused(self) -> bool:
        """There is a run, and it is held."""
        return self._state is not None and self._paused

    def start(
        self, command: Train, store: LabelStore, layout: ProjectLayout, *, live: bool = False
    ) -> TrainState:
        """Prepare the run a command asks for; `advance` then trains.

        `live`: an instant learner is at work beside it.

        Raises:
            CancelledStartError: `cancelled()` while it was prepared.
            MaskloopError: see `TrainState.create` and `TrainState.resume`.
        """
        self._folds = None
        plan = None if command.resume_run is None else FoldPlan.of(Path(command.resume_run), layout)
        if plan is None and command.config.folds and command.resume_run is None:
            plan = FoldPlan.begin(command.config, store, layout)
        if plan is not None:
            self._folds = _Folds(plan, store, live)
            state = self._next_fold(self._folds, device=command.config)
        else:
            try:
                state = self._prepared(command, store, layout)
            except BaseException:
                self._drop()
                raise
        follow = self._folds is None
        self._paused = False
        self._go_on_with(state, events_of(state, features=layout.features, live=live, follow=follow))
        return state

    def advance(self) -> RunFolder | None:
        """Send the run's next event; its folder when that was the last one.

        Raises:
            Exception: whatever ends a run early; there is none any more then.
        """
        state = self._state
        if state is None:
            return None
        try:
            event = next(self._events, None)
        except BaseException:
            self._drop()
            raise
        over = event is None or isinstance(event, Finished)
        if over:
            self._drop()
        if isinstance(event, Finished) and self._folds is not None:
            event = self._after_fold(self._folds, event)
            over = event is not None
        if event is not None:
            self._send(event)
        return state.run if over else None

    def request_stop(self, *, at_once: bool = False, keep_folds: bool = False) -> None:
        """The next `advance`s score, save and end the run.

        Args:
            at_once: with no wait for room on the disk.
            keep_folds: a cross-validation goes on another time; else it ends with the run.
        """
        if keep_folds:
            self._folds = self._given_up = None
        if self._state is not None:
            self._paused = False
            self._state.request_stop()
            self._state.keeping.patience_s = 0.0 if at_once else PATIENCE_S
        elif self._given_up is not None:
            self._given_up.end("stopped")
        self._given_up = None

    def pause(self) -> None:
        """Hold, with everything saved: a held run may be killed without loss. `Paused` follows."""
        if self._state is not None and not self._paused:
            self._paused = True
            try:
                self._save(self._state)
            finally:  # it is held, whether it could be saved or not
                self._send(Paused())

    def resume(self) -> None:
        """Go on, if it is held: `Resumed` follows."""
        if self.paused:
            self._paused = False
            self._send(Resumed())

    def leave(self) -> None:
        """End the run because the process ends: saved, to be resumed.

        It is scored only if it never was: without a score there would be no weights to predict with. Nobody
        has stopped it, so that it counts as cut short even then.
        """
        state = self._state
        if state is None:
            return
        if state.best.step is None:
            self.request_stop(at_once=True, keep_folds=True)
            while self._state is not None:
                self.advance()
            if not state.budget_spent:
                state.record.status("going", step=state.step, seconds=state.clock.seconds)
        else:
            self.keep()

    def keep(self) -> None:
        """Save as quickly as possible and let go of the run."""
        try:
            if self._state is not None:
                self._save(self._state)
        finally:
            self._drop()

    # --- cross-validation ---------------------------------------------------------------------------------

    def _after_fold(self, folds: _Folds, finished: Finished) -> Finished | None:
        """Go on with the next run; what the whole has come to after the last one."""
        plan = folds.plan
        if finished.reason == "stopped":
            self._folds = None
            plan.end("stopped")
            return finished
        if plan.on_all:
            self._folds = None
            report = plan.report
            report.note_in(RunFolder(Path(finished.run)), finished.steps, finished.seconds)
            plan.end("finished")
            self._send(Notice(text=report.sentence()))
            return report.of(finished)
        number = plan.number
        miou = plan.done(finished).best_miou
        scored = "no held-out image was scored" if miou is None else f"mIoU {miou:.2f}"
        self._send(Notice(text=f"Fold {number} of {plan.folds}: {scored}."))
        try:
            state = self._next_fold(folds)
        except CancelledStartError:
            self._folds = None
            self._given_up = plan  # who presses Stop is heard after this
            return replace(finished, reason="stopped")
        self._go_on_with(state, events_of(state, features=plan.layout.features, live=folds.live))
        return None

    def _next_fold(self, folds: _Folds, device: TrainConfig | None = None) -> TrainState:
        """The run under way, from its last checkpoint, else the next one.

        `device`: of a cross-validation that goes on in another process, which says where and with how many
        threads.
        """
        self._hold(folds.plan.folder)
        try:
            return next_of_folds(folds.plan, folds.store, self._tell, device)
        except BaseException:
            self._drop()
            raise

    def _prepared(self, command: Train, store: LabelStore, layout: ProjectLayout) -> TrainState:
        """One run, held: a new one, or one that goes on."""
        if command.resume_run is None:
            state = start_run(command.config, store, layout, self._tell)
            self._hold(state.run)
            return state
        run = RunFolder(Path(command.resume_run))
        self._hold(run)
        return TrainState.resume(run.path, store, command.config, self._tell, as_chosen=command.as_chosen)

    def _tell(self, event: Event) -> None:
        """Pass on what a run says while it is prepared, and later while it predicts."""
        self._send(event)
        if self._state is None and self._cancelled():
            raise CancelledStartError

    def _save(self, state: TrainState) -> None:
        for event in save_now(state):
            self._send(event)

    def _hold(self, run: RunFolder) -> None:
        """No other process trains this run meanwhile. Raises TrainingError when one does."""
        lock = RunLock(run)
        lock.acquire()
        self._lock = lock

    def _go_on_with(self, state: TrainState, events: Iterator[Event]) -> None:
        """`advance` asks this run from now on; while there is no room for its result a person decides."""
        state.keeping.patience_s = math.inf
        self._state, self._events = state, events

    def _drop(self) -> None:
        self._state, self._events, self._paused = None, iter(()), False
        torch.set_num_threads(self._threads)  # a run may have chosen others, and they are the process's
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def start_run(
    config: TrainConfig, store: LabelStore, layout: ProjectLayout, notify: Callable[[Event], None]
) -> TrainState:
    """A new run in a folder of its own, which is taken away again if the run cannot begin.

    Raises:
        MaskloopError: as `TrainState.create`, or the folder cannot be made.
    """
    if config.model == AUTO_MODEL:
        # Whoever wants no pretrained weights does not want those of the instant learner either.
        untaught = config.encoder_weights == "none" or config.encoder == "plain"
        config = replace(config, model=DEFAULT_MODEL, join_instant=not untaught)
    folder = layout.new_run(config.network, datetime.now().astimezone())
    try:
        return TrainState.create(config, store, folder, notify)
    except BaseException:
        _remove_unused(RunFolder(folder))
        raise


def next_of_folds(
    plan: FoldPlan, store: LabelStore, notify: Callable[[Event], None], asked: TrainConfig | None = None
) -> TrainState:
    """The run of a cross-validation that is under way, from its last checkpoint; else the next one.

    Args:
        plan: not all of it is done.
        store: the labels.
        notify: as for `TrainState.create`.
        asked: says on which device, and with how many threads, a run goes on.

    Raises:
        MaskloopError: as `start_run` and `TrainState.resume`.
    """
    config, present = plan.config, plan.present
    assert config is not None
    if asked is not None:
        config = replace(config, device=asked.device, threads=asked.threads)
    if present is not None and can_go_on(RunFolder(present)):
        rest = replace(config, steps=None, seconds=None)  # the checkpoint knows what is left
        return TrainState.resume(present, store, rest, notify)
    state = start_run(config, store, plan.run_layout, notify)
    plan.begun(state.run.path)
    return state


def _remove_unused(run: RunFolder) -> None:
    """Take away the folder of a run that never began: nothing but its description is in it."""
    if run.last_checkpoint.exists() or run.best_weights.exists():
        return
    with contextlib.suppress(OSError):
        run.config_file.unlink(missing_ok=True)
        run.log_file.unlink(missing_ok=True)
        status_file(run).unlink(missing_ok=True)
        (run.path / LOCK_FILE).unlink(missing_ok=True)
        run.path.rmdir()
