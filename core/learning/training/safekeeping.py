"""What of a run is safe on disk, when that has to be renewed, and the way back to it.

A checkpoint and the best weights are written at least every `checkpoint_every_s`, by training time or by the
clock on the wall, whichever runs faster; before a validation that would take longer than what is left of
that; and before the last score. What bounds the loss of a kill is therefore this time, or a single step where
that takes longer. While the loss is far off its course nothing is written: the last good state stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from core.errors import StorageError, TrainingError
from core.learning.events import Notice
from core.learning.runs.checkpoint import load_checkpoint, save_checkpoint
from core.learning.runs.deep_part import save_deep_part
from core.learning.runs.header import WeightsHeader
from core.learning.training.bundle import bundle
from core.learning.training.loss_watch import LossWatch
from core.models.copies import copy_on_cpu
from core.models.network import SegmentationNetwork

if TYPE_CHECKING:
    from core.learning.training.state import TrainState

MOST_RETURNS: Final = 5
"""How often a run goes back to its last good state before it gives up."""
PATIENCE_S: Final = 300.0
"""How long a result that cannot be saved is held in memory at the end of a run."""


class Safekeeping:
    """Saves one run.

    Attributes:
        watch: on the losses that are reported.
        trouble_told: the person knows that the disk is full.
        patience_s: how long the end of the run waits for room on the disk; infinite in the window, where the
            person ends it.
        also: called with every save; it writes what else a kill should not cost.
        closed: what the run leaves behind is on disk, and the checkpoint it can go on from: nothing is
            written over them.
    """

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self.watch = LossWatch()
        self.trouble_told = False
        self.patience_s = PATIENCE_S
        self.also: Callable[[], None] = lambda: None
        self.closed = False
        self._returns = 0
        self._saved_s = state.clock.seconds
        self._saved_at = time.monotonic()
        self._saved_step = -1
        self._unwritten: tuple[int, SegmentationNetwork, WeightsHeader] | None = None

    @property
    def ends_at_once(self) -> bool:
        """Whether the run has to end with what its network has learned: that is saved, and no more."""
        return self._state.step > 0 and not self.patience_s

    def restored(self) -> None:
        """The state is that of the checkpoint on disk."""
        self._saved_s, self._saved_at = self._state.clock.seconds, time.monotonic()
        self._saved_step = self._state.step

    # --- when ----------------------------------------------------------------------------------------------

    def due(self, ahead_s: float | None = None) -> bool:
        """Whether going on without saving would put more than the allowed time at risk.

        Args:
            ahead_s: what comes next takes so long; None: a step.
        """
        since_s = max(self._state.clock.seconds - self._saved_s, time.monotonic() - self._saved_at)
        ahead_s = self._state.step_s if ahead_s is None else ahead_s
        return since_s + ahead_s >= self._state.config.checkpoint_every_s and not self.watch.doubtful

    @property
    def unsaved_steps(self) -> int:
        """How many steps a kill would cost now."""
        return self._state.step - self._saved_step

    # --- there ---------------------------------------------------------------------------------------------

    def save(self) -> bool:
        """Write the best weights if they are new, the checkpoint, and what the record could not write before.

        Each is tried, whatever becomes of the others. Returns whether the run has new best weights.

        Raises:
            StorageError: of the first that could not be written; what was on disk before is untouched.
        """
        state = self._state
        self._saved_s, self._saved_at = state.clock.seconds, time.monotonic()
        errors: list[StorageError] = []
        best = False
        if not state.best.saved:
            try:
                best = self._save_best()
            except StorageError as error:
                errors.append(error)
        try:
            save_checkpoint(state.run.last_checkpoint, bundle(state))
            state.progress.saved(step=state.step, best=best, held_out=state.validator.plan.held_out)
        except StorageError as error:
            errors.append(error)
        else:
            self._saved_step = state.step
            state.record.status("going", step=state.step, seconds=state.clock.seconds)
        self.also()
        state.record.write()
        if state.record.trouble is not None:
            errors.append(state.record.trouble)
        self._saved_s, self._saved_at = state.clock.seconds, time.monotonic()
        if errors:
            raise errors[0]
        return best

    def _save_best(self) -> bool:
        """The averaged weights that scored best: those of now, or those that did not get to disk then.

        Returns as `save_deep_part`.
        """
        state = self._state
        step = state.best.step or 0
        network, header = state.learner.ema.network, state.header()
        if self._unwritten is not None and self._unwritten[0] == step:
            _, network, header = self._unwritten
        try:
            best = save_deep_part(state.run, network, header)
        except StorageError:
            self.hold_best()
            raise
        self._unwritten = None
        state.best.saved = True
        return best

    def hold_best(self) -> None:
        """Weights that scored best just now are kept in memory, where they are not written yet."""
        step = self._state.best.step or 0
        if not self._state.best.saved and (self._unwritten is None or self._unwritten[0] != step):
            self._unwritten = step, copy_on_cpu(self._state.learner.ema.network), self._state.header()

    def given_up(self, error: StorageError) -> StorageError:
        """The error of a run that ends unsaved, because of `error`: it says from where the run can go on."""
        left = f"the run can be resumed from step {self._saved_step}"
        if self._saved_step < 0:
            left = "nothing of the run was saved"
        return StorageError(error.path, f"{error.problem}; {left}")

    # --- and back ------------------------------------------------------------------------------------------

    def go_back(self, what: str) -> Notice:
        """The weights saved last, at half the rate, because of `what` ("the loss was not a number").

        Raises:
            TrainingError: it has been done too often, or nothing was saved.
        """
        state = self._state
        self._returns += 1
        state.tally.reset()
        state.reported()
        self.watch.begin_anew()
        if self._returns > MOST_RETURNS or not state.run.last_checkpoint.is_file():
            raise TrainingError(
                f"{what}, even at a lower rate; what was learned before is saved: start a new run with a"
                " lower rate"
            )
        checkpoint = load_checkpoint(state.run.last_checkpoint)
        state.learner.go_back(checkpoint["learner"], state.run.last_checkpoint)
        return Notice(
            text=f"{what}: back to the weights of step {checkpoint['step']}, at half the learning rate",
            level="warning",
        )
