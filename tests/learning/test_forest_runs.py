"""Runs of a random forest, as a person meets them: trained, scored, saved, resumed, grown again."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import pytest
import torch

from core.errors import UsageError
from core.images.reader import read_image
from core.learning.config import TrainConfig
from core.learning.events import Checkpointed, Finished, Notice, StepDone, Validated
from core.learning.labels.background_lack import BackgroundLack
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.prediction.predict import open_predictor
from core.learning.runs.header import read_header
from core.learning.runs.weights import load_weights
from core.learning.training import forest_run
from core.learning.training.forest import ForestGrower
from core.learning.training.forest_run import WAITING
from core.learning.training.joint import events_of
from core.learning.training.state import TrainState
from core.models.registry import build
from tests.learning.conftest import BACKGROUND, DISC, SQUARE, tiny_config

SMALL = {
    "model": "random_forest",
    "encoder": "hand_made",
    "model_options": (("trees", 6), ("leaves", 64)),
    "image_scale": 1.0,
}


def _iou(path, picture, value: int) -> float:
    found = open_predictor(path, device="cpu").predict(read_image(picture.path)).classes == value
    true = picture.mask == value
    return (found & true).sum() / (found | true).sum()


def test_a_forest_learns_from_done_images_and_is_scored_on_those_it_never_saw(world, start) -> None:
    world.put_done(*range(1, 7))
    state = start(**SMALL, validation="auto")
    events = list(events_of(state))
    finished, score = events[-1], next(event for event in events if isinstance(event, Validated))
    assert isinstance(finished, Finished)
    assert (finished.model, finished.steps, finished.reason) == ("random_forest", 6, "budget")
    assert (score.on, score.miou) == ("validation", finished.best_miou)
    assert read_header(state.run.best_weights).architecture == "random_forest"
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert all(math.isfinite(loss) for loss in losses)
    for value in (DISC, SQUARE):
        assert _iou(state.run.best_weights, world.picture(50), value) > 0.6
    assert [row["step"] for row in state.run.read_metrics() if row.get("loss")] == [1, 2, 3, 4, 5, 6]

    again = TrainState.resume(state.run.path, world.store, TrainConfig(**SMALL), lambda event: None)
    resumed = list(events_of(again))[-1]
    assert isinstance(resumed, Finished)
    assert (resumed.steps, resumed.resumed_step) == (6, 6)
    assert resumed.best_miou == pytest.approx(finished.best_miou)


def test_one_stroke_of_a_class_is_enough_because_undrawn_pixels_stand_in_for_background(world, start):
    world.put_drawn(1, DISC, SQUARE)
    state = start(**SMALL)
    list(events_of(state))
    for value in (DISC, SQUARE):
        assert _iou(state.run.best_weights, world.picture(1), value) > 0.5


def test_steps_are_trees(world, start):
    world.put_done(1, 2)
    *_, finished = events_of(start(**SMALL, steps=3))
    assert isinstance(finished, Finished)
    assert finished.steps == 3


def test_in_the_window_a_forest_without_a_budget_waits_for_labels_and_grows_again(world, start):
    world.put_drawn(1, DISC)
    state = start(**SMALL)
    events = events_of(state, follow=True)

    def until_it_waits() -> list[object]:
        heard = []
        for event in events:
            heard.append(event)
            if isinstance(event, Notice) and event.text == WAITING:
                return heard
        raise AssertionError("it ended")

    until_it_waits()
    assert state.resting
    assert state.step == 6
    world.put_drawn(1, DISC, SQUARE)
    assert not state.resting
    until_it_waits()
    assert state.step == 12
    found = state.predictor().predict(read_image(world.picture(1).path)).classes
    assert ((found == SQUARE) & (world.picture(1).mask == SQUARE)).sum() > 100
    state.request_stop()
    assert not state.resting
    *_, finished = events
    assert isinstance(finished, Finished)
    assert finished.reason == "stopped"


@pytest.fixture
def _every_tree_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest_run, "REPORT_S", 0.0)


@pytest.mark.usefixtures("_every_tree_is_told")
def test_a_forest_that_was_cut_short_keeps_its_trees_and_comes_out_the_same(world, tmp_path, start, resume):
    world.put_done(1, 2)
    whole = TrainState.create(
        tiny_config(**SMALL, threads=1), world.store, tmp_path / "whole", lambda _: None
    )
    list(events_of(whole))
    cut = start(**SMALL, threads=1, checkpoint_every_s=0.0)
    for event in events_of(cut):
        if isinstance(event, Checkpointed) and event.step == 4:
            break
    again = resume()
    assert (again.step, again.forest.trees) == (4, 4)
    steps = [event.step for event in events_of(again) if isinstance(event, StepDone)]
    assert steps == [5, 6]
    forests = [load_weights(state.run.best_weights)[0].state_dict() for state in (whole, again)]
    assert all(torch.equal(forests[0][name], forests[1][name]) for name in forests[0])


@pytest.mark.usefixtures("_every_tree_is_told")
def test_trees_that_were_grown_on_other_labels_are_not_kept(world, start, resume):
    world.put_done(1)
    list(events_of(start(**SMALL, threads=1, steps=4)))
    world.put_done(1, 2)
    steps = [event.step for event in events_of(resume(steps=6)) if isinstance(event, StepDone)]
    assert steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("_every_tree_is_told")
def test_who_stops_a_forest_that_is_grown_again_keeps_the_one_that_stood(world, start, resume):
    world.put_done(1)
    whole = start(**SMALL, threads=1)
    list(events_of(whole))
    before = load_weights(whole.run.best_weights)[0].state_dict()
    world.put_done(1, 2)
    for stopped_at in (2, 4):  # and once more, where two trees of the new one stand
        again = resume()
        for event in events_of(again):
            if isinstance(event, StepDone) and event.step == stopped_at:
                again.request_stop()
        after = load_weights(again.run.best_weights)[0].state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)
    last = list(events_of(resume()))[-1]
    assert last.reason == "budget"
    after = load_weights(whole.run.best_weights)[0].state_dict()
    assert not all(torch.equal(after[name], before[name]) for name in before)


def test_a_held_forest_has_all_its_time_when_it_goes_on(world, start, monkeypatch):
    held, now = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + held[0])
    world.put_done(1)
    state = start(**SMALL, threads=1, seconds=600.0)
    for _ in events_of(state):
        held[0] += 1e6
    assert state.forest.trees == 6


def test_a_forest_is_grown_in_one_process(world):
    from core.cli.beginning import divided

    with pytest.raises(UsageError, match="grown in one process"):
        divided(TrainConfig(model="random_forest"), world.store, 2)


def test_whether_background_lacks_is_found_once_per_change_of_labels(world, start, monkeypatch):
    """Not for every image anew, which looks at all of them each time."""
    for number in range(12):
        world.put_drawn(number, DISC, SQUARE)
    asked: list[int] = []
    plain = LabelStore.lacks_background

    def counted(store: LabelStore, index: int, keys: Iterable[str]) -> bool:
        chosen = tuple(keys)
        asked.append(len(chosen))
        return plain(store, index, chosen)

    grower = ForestGrower(
        world.store,
        build("random_forest", classes=3, trees=2, leaves=8, depth=3),
        ChannelMap(world.store.classes),
        scale=1.0,
        weak_background=0.1,
        seed=0,
    )
    monkeypatch.setattr(LabelStore, "lacks_background", counted)
    assert len(list(grower.update())) > 12
    assert sum(asked) <= 2 * 12, asked


def test_undrawn_pixels_stand_in_where_an_image_shows_no_background_of_its_own(world):
    channels = ChannelMap(world.store.classes)
    lack = BackgroundLack(world.store, channels, world.store.labelled_keys, allowed=True)
    world.put_drawn(1, DISC)
    assert lack.of("1.png", frozenset())
    world.put_done(2)
    assert not lack.everywhere(frozenset())
    assert lack.of("1.png", frozenset()), "it shows a disc alone"
    assert not lack.of("2.png", frozenset()), "it is done"
    world.put_drawn(1, DISC, BACKGROUND)
    assert not lack.of("1.png", frozenset())
    never = BackgroundLack(world.store, channels, world.store.labelled_keys, allowed=False)
    assert not never.of("1.png", frozenset())
