"""What the leader of several processes tells the others; nothing where a process is alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from core.errors import TrainingError, UsageError
from core.learning.training.bundle import bundle
from core.learning.training.team import Order

if TYPE_CHECKING:
    from core.learning.training.state import TrainState

LABELS_DIFFER: Final = (
    "process {rank} does not see the labels that process 0 sees; the project must be the same on every"
    " machine, in a shared folder or as a copy"
)


def share_state(state: TrainState) -> None:
    """Bring all processes to where this run is now.

    Raises:
        UsageError: one of them cannot take part.
        TrainingError: one of them was lost.
    """
    if state.team.world == 1:
        return
    state.learner.take_place(state.team.place)
    state.team.announce(
        Order.STATE,
        message={
            "config": msgspec.json.encode(state.config).decode(),
            "run": str(state.run.path),
            "keys": list(state.store.labelled_keys()),
            "labels": state.store.digest(),
            "device": state.device.type,
            "checkpoint": bundle(state),
        },
    )
    state.labels_told, state.cuts_told = state.store.revision, state.learner.plateau.cuts
    in_trouble = state.team.agree(None)
    if in_trouble:
        ranks = ", ".join(map(str, in_trouble))
        raise UsageError(f"process {ranks} of {state.team.world} cannot take part; its own message says why")


def announce_step(state: TrainState) -> None:
    """Have all processes do the step that this one is about to do."""
    if not state.team.place.leads or state.team.world == 1:
        return
    message: dict[str, Any] = {}
    if state.store.revision != state.labels_told:  # an image could not be read and was left out
        state.labels_told = state.store.revision
        message["keys"] = list(state.store.labelled_keys())
    if state.learner.plateau.cuts != state.cuts_told:  # only this process scores
        message["cuts"] = state.cuts_told = state.learner.plateau.cuts
    if state.team.announce(
        Order.STEP, progress=state.share_done, mark=state.sampler.mark, message=message or None
    ):
        state.request_stop()


def refuse_to_shrink(state: TrainState, reason: str) -> None:
    """Several processes cannot take smaller pieces each as it needs: say what to do instead."""
    team, load = state.team, state.learner.load
    if team.world > 1:
        raise TrainingError(
            f"process {team.place.rank} of {team.world} has not enough memory for {load.piece} crops of"
            f" {load.crop} pixels ({reason}); start again with a smaller --batch or --crop, or more processes"
        )
