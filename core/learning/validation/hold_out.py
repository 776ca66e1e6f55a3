"""Which images a run is scored on, and never learns from.

Held-out images are those marked done, from five on, or, of ten and more in progress, some of these. Below
that every label is needed for training, and the score is one on training images and says so. While a run goes
on it holds out some of the images that are labelled meanwhile, too. The only example of a class is never held
out, so that every class can be learned.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.learning.config import INSTANT_MODEL, TrainConfig
from core.learning.events import ScoredOn
from core.learning.labels.data import LabelStore
from core.project.split import split

HELD_OUT_SHARE: Final = 0.2
LATE_FROM: Final = 10
"""Labelled images from which on some are held out that are in progress, at the start of a run or while it
goes on: with fewer, every label is needed, and a score on one image would decide too much."""
TRAINING_IMAGES_SCORED: Final = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """Which images are scored, and what kind of score that is.

    Attributes:
        waiting: images that training must not see either, and whose labels do not say enough for a score yet.
    """

    keys: tuple[str, ...]
    on: ScoredOn
    waiting: tuple[str, ...] = ()

    @property
    def held_out(self) -> tuple[str, ...]:
        """Images training must not see."""
        return self.keys if self.on == "validation" else self.waiting


def plan_validation(store: LabelStore, config: TrainConfig) -> Plan:
    """Hold out done images, but never the only training image of a class.

    Images that were chosen are the only ones: where none of them can be held out, the score is one on
    training images.
    """
    if config.network == INSTANT_MODEL:
        return Plan(store.labelled_keys(), "cross-fit")
    if config.held_out:
        held_out = _without_only_examples(store, _labelled(store, config.held_out))
        return Plan(held_out, "validation") if held_out else _plan_on_training_images(store)
    if config.validation == "auto":
        _, chosen = split(store.done_keys(), HELD_OUT_SHARE)
        held_out = _without_only_examples(store, chosen)
        if held_out:
            return Plan(held_out, "validation")
        labelled = store.labelled_keys()
        if len(labelled) >= LATE_FROM:
            _, chosen = split(labelled, HELD_OUT_SHARE)
            held_out = _without_only_examples(store, chosen)
            if held_out:
                return _plan_held_out(store, held_out)
    return _plan_on_training_images(store)


def _plan_on_training_images(store: LabelStore) -> Plan:
    keys = store.labelled_keys()
    # Every n-th of the sorted names, so that a sample of a long folder is not its first day.
    step = max(1, -(-len(keys) // TRAINING_IMAGES_SCORED))
    return Plan(keys[::step], "training")


def _plan_held_out(store: LabelStore, kept: Sequence[str]) -> Plan:
    """Hold these images out, and score them as soon as their labels tell two classes apart.

    Until then the score is on training images: on strokes of one class that network would be best which sees
    it everywhere.
    """
    kept = _without_only_examples(store, kept)
    if sum(store.counts(kept)[index] > 0 for index in store.classes.indices) >= 2:
        return Plan(kept, "validation")
    return replace(_plan_on_training_images(store), waiting=kept)


def plan_resumed(
    store: LabelStore, held_out: Sequence[str], learned_from: Collection[str], config: TrainConfig
) -> Plan:
    """The plan of a run that goes on from a checkpoint.

    Images that were held out stay so, and stay the only ones, so that scores can be compared. Where none of
    them is left, a share of those labelled since takes their place: none that the run has learned from.

    Args:
        store: with the labels as they are now.
        held_out: images that the run held out when it was saved.
        learned_from: images that it had learned from.
        config: the run's.
    """
    if config.network == INSTANT_MODEL:
        return plan_validation(store, config)
    if kept := _without_only_examples(store, _labelled(store, held_out)):
        return _plan_held_out(store, kept)
    known = {*held_out, *learned_from}
    newcomers = [key for key in store.labelled_keys() if key not in known]
    return plan_on(store, Plan((), "training", waiting=tuple(held_out)), newcomers, config)


def plan_on(store: LabelStore, plan: Plan, newcomers: Sequence[str], config: TrainConfig) -> Plan:
    """The plan of a run that goes on, after labels changed.

    A run that begins with the first two images has none to hold out, and many more are labelled while it
    goes on. A fifth of them it never learns from, so that there is an honest score. Where the images that it
    was scored on are gone, or have no label any more, the score is one on training images: it has learned
    from all that are left.

    Args:
        store: with the labels as they are now.
        plan: the run's until now.
        newcomers: labelled images that the run has not learned from.
        config: the run's; images that a person chose stay the only ones, and stay held out without labels.
    """
    held_out = _labelled(store, plan.held_out)
    empty = [key for key in plan.held_out if key not in held_out]
    if config.held_out or config.validation != "auto":
        if held_out and plan.on == "validation":
            return plan
    else:
        labelled = len(store.labelled_keys())
        wanted = int(HELD_OUT_SHARE * labelled) if labelled >= LATE_FROM else 0
        held_out += newcomers[: max(0, wanted - len(held_out))]
    if kept := _without_only_examples(store, sorted(held_out)):
        found = _plan_held_out(store, kept)
    else:
        found = replace(_plan_on_training_images(store), waiting=tuple(empty) if config.held_out else ())
    as_before = found.on == plan.on == "training" and found.waiting == plan.waiting
    return plan if as_before and _labelled(store, plan.keys) else found


def _labelled(store: LabelStore, keys: Sequence[str]) -> list[str]:
    """Those of them that are there and have a label."""
    return [key for key in keys if key in store and store.get(key).has_labels]


def _without_only_examples(store: LabelStore, chosen: Sequence[str]) -> tuple[str, ...]:
    held_out = dict.fromkeys(chosen)  # a set that keeps its order
    learned = store.counts([key for key in store.labelled_keys() if key not in held_out])
    for index in store.classes.indices:
        if learned[index]:
            continue
        example = next((key for key in held_out if store.get(key).counts[index]), None)
        if example is not None:
            del held_out[example]
            learned = learned + store.get(example).counts
    return tuple(held_out)
