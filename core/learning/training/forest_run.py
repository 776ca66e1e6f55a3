"""A run of a random forest: grown tree by tree, scored on held-out images, saved; each tree is a step.

A run that was cut short keeps the trees that stand, and looks at the images again to grow the others.

A run with a budget ends when the forest stands. One without, in the window, then waits for labels to change,
grows another forest on them, and so on until it is stopped: what is shown is the last one that was finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from core.errors import TrainingError
from core.learning.events import Event, Notice, StepDone
from core.learning.runs.tally import Row
from core.learning.training.fit import REPORT_S, finished, last_score, save_now
from core.learning.training.forest import ForestGrower, StandingForest, TreesGrown
from core.learning.training.state import TrainState
from core.models.random_forest import ForestNetwork

GROWING_SHARE: Final = 0.8
"""Of a time budget, in which trees are begun; the rest is for the score."""
WAITING: Final = "The forest stands; it is grown again when labels change"


def forest_run(state: TrainState, *, follow: bool) -> Iterator[Event]:
    """The events of a run; `follow`: without a budget it goes on with labels that change.

    Raises:
        TrainingError: no labelled pixel can be read.
        StorageError: the last save failed.
    """
    network = state.learner.network
    assert isinstance(network, ForestNetwork)
    grower = ForestGrower(
        state.store,
        network,
        state.channels,
        scale=state.scale,
        weak_background=state.config.weak_background,
        seed=state.config.seed,
        class_weights=state.config.class_weights,
        class_weight_cap=state.config.class_weight_cap,
        threads=state.config.threads,
        clock=lambda: state.clock.seconds,
    )
    yield state.started()
    yield from save_now(state)
    while True:
        yield from _grown(state, grower)
        yield from last_score(state)
        if not follow or not state.budget.endless or state.stop_requested:
            break
        state.rests_at = grower.revision  # nobody asks for more before labels change, or it should stop
        yield Notice(text=WAITING)
        if state.stop_requested:
            break
        yield from state.keep_up()
    yield finished(state)


def _grown(state: TrainState, grower: ForestGrower) -> Iterator[Event]:
    """Grow a forest on the labels as they are; it is shown tree by tree only if there is none yet.

    Who stops it before its last tree keeps the one that was there.
    """
    grower.held_out = frozenset(state.validator.plan.held_out)
    labels = state.store.digest(grower.keys)
    standing = state.forest.trees if state.forest.labels == labels else 0
    aside = state.forest.aside if standing else state.best.step is not None
    before = state.step - standing if standing or grower.revision >= 0 else 0
    granted_s = state.budget.granted_s
    seconds = None if granted_s is None else GROWING_SHARE * granted_s
    told_s = float("-inf")
    for piece in grower.update(trees=state.budget.steps, seconds=seconds, standing=standing):
        due = state.clock.seconds - told_s >= REPORT_S
        if isinstance(piece, TreesGrown):
            aside = aside and piece.trees < piece.of
            state.step, state.forest = before + piece.trees, StandingForest(labels, piece.trees, aside)
            if not aside:
                _show(state)
            state.record.losses([Row(state.step, state.clock.seconds, piece.loss, 0.0)])
            if due or piece.trees == piece.of:
                yield _step_done(state, piece)
                told_s = state.clock.seconds
            if state.keeping.due():
                yield from save_now(state)
        elif due or piece.done == piece.images:
            yield Notice(text="looking at the labelled images", progress=piece.done / piece.images)
            told_s = state.clock.seconds
        if state.stop_requested:
            break
    for problem in grower.problems:
        yield Notice(text=f"left out of training: {problem}", level="warning")
    grower.problems.clear()
    if not state.step and not state.stop_requested:
        raise TrainingError("no labelled pixel is left to learn from; draw some and train again")
    if not (aside and state.stop_requested):
        state.forest = replace(state.forest, aside=False)
        _show(state)


def _show(state: TrainState) -> None:
    """What is predicted with, scored and saved is the forest as it stands now."""
    state.learner.ema.network.load_state_dict(state.learner.network.state_dict())


def _step_done(state: TrainState, grown: TreesGrown) -> StepDone:
    return StepDone(
        step=state.step,
        seconds=state.clock.seconds,
        loss=grown.loss,
        lr=0.0,
        steps=state.step - grown.trees + grown.of,
        time_budget_s=state.budget.seconds,
        images_per_s=0.0,
    )
