"""What a checkpoint holds: a whole run, as tensors, numbers and texts.

Written and read by `checkpoint.py`, to disk by `safekeeping.py`, to other processes by `sharing.py`. A run
that goes on from it does what it would have done without the interruption: weights and their average,
optimizer and rate, the random states of network, augmentation and sampler, corrections that are not learned
yet, the best score and what later scores are compared with. (bfloat16 needs no loss scaler.) What a run was
asked to do is in its config.json.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from core.learning.events import Notice
from core.learning.machine.clock import Clock
from core.learning.runs.checkpoint import Checkpoint
from core.learning.scores.calibration import Calibration
from core.learning.training.forest import StandingForest
from core.learning.training.record import Best

if TYPE_CHECKING:
    from core.learning.training.state import TrainState


def bundle(state: TrainState) -> Checkpoint:
    """Everything `restore` needs beside config.json."""
    with state.randomness.own():
        learner = state.learner.state()
    return {
        "step": state.step,
        "seconds": state.clock.seconds,
        "budget": [state.whole_budget.steps, state.whole_budget.seconds, state.whole_budget.since_s],
        "learner": learner,
        "sampler": state.sampler.state(),
        "classes": [c.index for c in state.channels.classes],
        "held_out": list(state.validator.plan.held_out),
        "validation_few": state.validator.few,
        "scored_step": state.validator.scored_step,
        "best": state.best.state(),
        "calibration": None if state.calibration is None else list(astuple(state.calibration)),
        "progress": state.progress.state(),
        "forest": list(astuple(state.forest)),
    }


def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Go on from what `bundle` gave. Raises WeightsFileError where it does not fit."""
    state.step = state.resumed_step = checkpoint["step"]
    state.clock = Clock(checkpoint["seconds"])
    with state.randomness.own():
        state.learner.restore(checkpoint["learner"], state.run.last_checkpoint)
    state.sampler.restore(checkpoint["sampler"])
    state.sampler.crop = state.learner.load.crop
    best = Best(**checkpoint["best"])
    state.best = best if best.saved else Best()  # the weights of that score never got to disk
    state.classes_renamed()
    calibration = checkpoint.get("calibration")  # older runs have none
    state.calibration = None if calibration is None else Calibration(*calibration)
    if "progress" in checkpoint and (text := state.progress.restore(checkpoint["progress"])):
        state.notify(Notice(text=text))
    state.validator.few = checkpoint["validation_few"]
    state.validator.scored_step = checkpoint.get("scored_step", 0)  # older runs have none
    state.validator.start_at(state.clock.seconds)
    state.forest = StandingForest(*checkpoint.get("forest", ()))  # older runs have none
    state.keeping.restored()
    state.reported()
