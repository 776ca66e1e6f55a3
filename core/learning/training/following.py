"""What the processes do that do not lead a run: they take over its state and do its steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from core.errors import DeviceError, MaskloopError, TrainingError, UsageError
from core.learning.config import TrainConfig
from core.learning.events import Event
from core.learning.labels.data import LabelStore
from core.learning.machine.memory import why_given_up
from core.learning.runs.run_folder import RunFolder
from core.learning.training.bundle import restore
from core.learning.training.fit import step
from core.learning.training.outfit import outfit_of
from core.learning.training.sharing import LABELS_DIFFER
from core.learning.training.state import TrainState
from core.learning.training.team import Group, Order


def follow(team: Group, store: LabelStore) -> None:
    """Do what the leader says until it says that the run is over.

    Nothing is written and nothing is said: the leader does both.

    Raises:
        TrainingError: another process was lost, or memory is short.
        UsageError: this process does not see the leader's project.
        DeviceError: it has no device of the leader's kind.
    """
    state: TrainState | None = None
    while True:
        word = team.hear(0 if state is None else state.sampler.mark)
        if word.order is Order.END:
            return
        if word.order is Order.STATE:
            assert word.message is not None
            state = _agreed(team, store, word.message, state)
            continue
        assert state is not None
        message = word.message or {}
        if "keys" in message:
            _leave_out_others(store, message["keys"])
        state.learner.plateau.cuts = message.get("cuts", state.learner.plateau.cuts)
        with state.randomness.own():
            for _event in state.keep_up(word.progress):
                pass
            step(state)
        state.tally.reset()  # nobody reads it here


def _agreed(team: Group, store: LabelStore, message: dict[str, Any], state: TrainState | None) -> TrainState:
    """The leader's state in this process, once all processes have it."""
    try:
        state = _taken_over(team, store, message, state)
    except (MaskloopError, MemoryError, RuntimeError) as error:
        why = why_given_up(error)
        team.agree(why)
        if isinstance(error, MaskloopError):
            raise
        raise TrainingError(f"process {team.place.rank} cannot take part: {why}") from error
    if team.agree(None):
        raise TrainingError("another process cannot take part; its own message says why")
    return state


def _taken_over(
    team: Group, store: LabelStore, message: dict[str, Any], state: TrainState | None
) -> TrainState:
    if message["device"] != team.device.type:
        raise DeviceError(
            f"process {team.place.rank} computes on {team.device.type}, process 0 on {message['device']};"
            " choose one for all with --device"
        )
    _leave_out_others(store, message["keys"])
    if message["labels"] != store.digest():
        raise UsageError(LABELS_DIFFER.format(rank=team.place.rank))
    checkpoint = message["checkpoint"]
    if state is None:
        config = msgspec.json.decode(message["config"], type=TrainConfig)
        run = RunFolder(Path(message["run"]))
        device = torch.device(team.device.type)
        state = TrainState(outfit_of(checkpoint, run, store, config, device), store, _unheard)
        state.team = team
        state.learner.take_place(team.place)
    restore(state, checkpoint)
    return state


def _leave_out_others(store: LabelStore, keys: Sequence[str]) -> None:
    """The leader has found that other images cannot be read."""
    for key in set(store.labelled_keys()) - set(keys):
        store.remove(key)


def _unheard(_event: Event) -> None:
    """The leader says it."""
