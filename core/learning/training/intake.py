"""How a run that goes on takes in what changes meanwhile: labels, and the names and colours of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from core.learning.events import Event, Notice
from core.learning.training.losses import balanced_class_weights
from core.learning.training.record import Best
from core.learning.validation.hold_out import plan_on

if TYPE_CHECKING:
    from core.learning.training.state import TrainState

FINAL_BALANCE: Final = 0.5
"""Power of rooted class weights at the end of a run; 1 at its start."""


class LabelIntake:
    """Follows the labels for one run."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self._revision = -1
        self._told_classes = state.channels.classes
        self._balance = torch.ones(len(self._told_classes), device=state.device)

    def begin_anew(self) -> None:
        """Take all labels in again: the device is another one, and the class weights have to move, too."""
        self._revision = -1

    def take_in(self) -> Iterator[Event]:
        """What is new in the store, if anything is."""
        state = self._state
        if self._revision == state.store.revision:
            return
        self._revision = state.store.revision
        state.progress.labels_taken_in()
        state.keeping.watch.begin_anew()
        sampler, config = state.sampler, state.config
        yield from self._hold_out()
        weak_before = sampler.weak_background
        weights = balanced_class_weights(sampler.class_pixels, config.class_weight_cap, config.class_weights)
        self._balance = torch.from_numpy(weights).to(state.device)
        if weak_before and not sampler.weak_background:
            yield Notice(text="background is labelled now: undrawn pixels no longer stand in for it")
        yield from self.take_in_classes()

    def take_in_classes(self) -> Iterator[Event]:
        """Names and colours follow the project; channels are the run's as long as it lasts."""
        state, present = self._state, self._state.store.classes
        if present == self._told_classes:
            return
        self._told_classes = present
        state.channels = state.channels.named_as(present)
        state.validator.channels = state.channels
        state.classes_renamed()
        added = [c.name for c in present if state.channels.classes.by_index(c.index) is None]
        if added:
            names = ", ".join(added)
            yield Notice(text=f"new classes ({names}) are learned from the next run on", level="warning")

    def class_weights(self, done: float) -> Tensor:
        """By channel (C,), float32, where the share `done` of the run is over.

        Rare classes weigh most at first, so that they are found at all; later that would paint them beyond
        their borders. Median-frequency balancing stays what it is: who chooses it wants it in full.
        """
        if self._state.config.class_weights != "inverse_sqrt":
            return self._balance
        return self._balance ** (1.0 - (1.0 - FINAL_BALANCE) * min(done, 1.0))

    def _hold_out(self) -> Iterator[Event]:
        """Which images are for the score: some of those labelled meanwhile, none where they are gone."""
        state, before = self._state, self._state.validator.plan
        plan = plan_on(state.store, before, state.sampler.newcomers(), state.config)
        if plan == before:
            return
        state.validator.follow(plan)
        state.sampler.hold_out(plan.held_out)
        if plan.on == before.on:
            return
        state.best = Best(claimed=False)  # scores on other images say nothing about these, from now on
        if plan.on == "validation":
            count = len(plan.held_out)
            text = (
                f"{count} of the images labelled since the run began are held out: its score is on them now"
            )
            yield Notice(text=text)
        elif before.on == "validation":
            yield Notice(
                text="the held-out images are gone, or have too few labels left: the score is on training"
                " images now",
                level="warning",
            )
