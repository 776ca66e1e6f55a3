"""Runs whose fit of the instant learner is killed, held or stopped, and what of it is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from core.annotation.model import ClassList
from core.errors import LostProcessError
from core.images.reader import read_image
from core.learning.events import Finished, Notice, StepDone, Validated
from core.learning.instant import crossfit, head, learner, points, setup
from core.learning.instant.head import FitStep, HeadFit
from core.learning.instant.learner import InstantLearner
from core.learning.machine import clock
from core.learning.prediction.predict import open_predictor
from core.learning.runs.header import read_header
from core.learning.training import best_share, joint
from core.learning.training.fit import save_now
from core.learning.training.joint import events_of
from core.learning.training.state import TrainState
from core.learning.training.team import Order
from tests.learning.conftest import DISC, SQUARE, tiny_config

STEPS = 12
KEPT = 8
"""Steps after which a fit is kept."""
ALONE = {"model": "instant", "model_options": (("encoder_width", 8),), "checkpoint_every_s": 1e9}
BOTH = {"steps": 5, "join_instant": True, "held_out": ("1.png",), "checkpoint_every_s": 1e9}


@pytest.fixture(autouse=True)
def _short_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint, "REPORT_S", 0.0)
    monkeypatch.setattr(learner, "STEPS", STEPS)
    monkeypatch.setattr(crossfit, "STEPS", 5)
    monkeypatch.setattr(head, "BATCH", 256)
    monkeypatch.setattr(points, "POINTS_PER_IMAGE", 1024)
    monkeypatch.setattr(setup, "DEFAULT_ENCODER", "plain")


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float | None, list[int]]]:
    """Of every update of the instant learner: the seconds it is given, and the steps that it does."""
    noted: list[tuple[float | None, list[int]]] = []
    update = InstantLearner.update

    def followed(self, *, steps=None, seconds=None) -> Iterator[object]:
        noted.append((seconds, []))
        for piece in update(self, steps=steps, seconds=seconds):
            if isinstance(piece, FitStep):
                noted[-1][1].append(piece.step)
            yield piece

    monkeypatch.setattr(InstantLearner, "update", followed)
    return noted


@pytest.fixture
def _a_second_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a fit, by the run's clock; all else takes no time."""
    now = SimpleNamespace(s=0.0)
    learn = HeadFit._learn

    def slow(self) -> torch.Tensor:
        now.s += 1.0
        return learn(self)

    monkeypatch.setattr(HeadFit, "_learn", slow)
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: now.s))


def _killed(state: TrainState, fits: list, *, fit: int) -> None:
    """In its fit of this number; of every one KEPT steps are on disk."""
    kept = 0
    for _ in events_of(state):
        if len(fits) > kept and len(fits[-1][1]) == KEPT:
            kept = len(fits)
            list(save_now(state))
            if kept == fit:
                return
    raise AssertionError("it ended")


# --- the time that is kept for the last fit ---------------------------------------------------------------


@pytest.mark.usefixtures("_a_second_a_step")
def test_the_last_fit_has_the_time_of_the_first_one_with_all_its_interruptions(
    world, start, resume, fits
) -> None:
    world.put_done(*range(1, 8))
    _killed(start(**BOTH, seconds=1000.0), fits, fit=1)
    list(events_of(resume()))
    assert [seconds for seconds, _ in fits[1:]] == [500.0, pytest.approx(joint.JOIN_FITS * STEPS)]
    assert fits[1][1] == list(range(KEPT + 1, STEPS + 1))


@pytest.mark.usefixtures("_a_second_a_step")
def test_an_image_that_cannot_be_read_takes_no_time_from_the_last_fit(world, start, fits) -> None:
    world.put_done(*range(1, 8))
    state = start(**BOTH, seconds=1000.0)
    world.picture(5).path.write_bytes(b"nothing")
    told = [event.text for event in events_of(state) if isinstance(event, Notice)]
    assert any("left out of training" in text for text in told)
    assert fits[-1][0] == pytest.approx(joint.JOIN_FITS * STEPS)


# --- killed and resumed -----------------------------------------------------------------------------------


def test_classes_in_another_order_stay_what_they_are_in_a_run_that_goes_on(
    world, start, resume, monkeypatch
) -> None:
    def instant_alone(*_args):
        yield from ()
        return 100, None

    monkeypatch.setattr(joint, "best_share", instant_alone)
    monkeypatch.setattr(learner, "STEPS", 60)
    world.put_done(1, 2)
    state = start(steps=2, join_instant=True, checkpoint_every_s=1e9)
    for event in events_of(state):
        if isinstance(event, Notice) and event.text == joint.FITTING:
            break
    classes = world.store.classes
    world.store.set_classes(ClassList(tuple(classes)[::-1], classes.background))
    again = resume()
    list(events_of(again))
    picture = world.picture(1)
    found = open_predictor(again.run.best_weights, device="cpu").predict(read_image(picture.path)).classes
    for value in (DISC, SQUARE):
        overlap = ((found == value) & (picture.mask == value)).sum()
        assert overlap / ((found == value) | (picture.mask == value)).sum() > 0.3


def test_a_kill_in_the_last_fit_costs_neither_fit(world, start, resume, fits) -> None:
    world.put_done(*range(1, 8))
    _killed(start(**BOTH), fits, fit=2)
    again = resume()
    list(events_of(again))
    assert [steps for _, steps in fits[2:]] == [list(range(KEPT + 1, STEPS + 1))] * 2
    assert not list(again.run.path.glob("*head.ckpt"))


def test_a_process_that_is_lost_at_the_end_costs_no_fit(world, start, resume, fits, monkeypatch) -> None:
    def lost(order: Order, **_said) -> bool:
        if order is Order.END:
            raise LostProcessError("process 0 of 2 lost the others")
        return False

    world.put_done(*range(1, 8))
    state = start(**{**BOTH, "checkpoint_every_s": 0.0})
    monkeypatch.setattr(state.team, "announce", lost)
    with pytest.raises(LostProcessError):
        list(events_of(state))
    assert {file.name for file in state.run.path.glob("*head.ckpt")} == {joint.HEAD, joint.LAST_HEAD}
    done = len(fits)
    again = resume()
    list(events_of(again))
    assert {len(steps) for _, steps in fits[done:]} <= {0, 1}, "they were fitted to their end"
    assert not list(again.run.path.glob("*head.ckpt"))


def test_a_held_run_may_be_killed_in_its_fit_without_loss(world, start, resume) -> None:
    world.put_done(1, 2)
    state = start(**ALONE)
    for event in events_of(state):
        if isinstance(event, StepDone) and event.step == KEPT:
            list(save_now(state))
            break
    steps = [event.step for event in events_of(resume()) if isinstance(event, StepDone)]
    assert steps == list(range(KEPT + 1, STEPS + 1))


def test_a_held_fit_has_all_its_time_when_it_goes_on(world, start, monkeypatch) -> None:
    held, now = SimpleNamespace(s=0.0), time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + held.s)
    world.put_done(1, 2)
    steps = []
    for event in events_of(start(**ALONE, seconds=600.0)):
        held.s += 1e6
        if isinstance(event, StepDone):
            steps.append(event.step)
    assert steps == list(range(1, STEPS + 1))


# --- stopped ----------------------------------------------------------------------------------------------


def _stopped_in_its_fit(state: TrainState) -> list:
    """Its events."""
    events = []
    for event in events_of(state):
        events.append(event)
        if isinstance(event, StepDone) or (isinstance(event, Notice) and event.text == joint.FITTING):
            state.request_stop()
    assert isinstance(event, Finished)
    assert event.reason == "stopped"
    return events


def test_who_goes_on_with_a_run_and_stops_it_at_once_keeps_what_it_had(world, start, resume) -> None:
    world.put_done(1, 2, 3)
    whole = start(**ALONE)
    list(events_of(whole))
    before, best = whole.run.best_weights.read_bytes(), whole.run.best_score()
    again = resume()
    last = _stopped_in_its_fit(again)[-1]
    assert again.run.best_weights.read_bytes() == before
    assert (last.best_miou, last.steps) == (best.miou, STEPS)
    third = resume()
    assert third.step == STEPS
    assert third.run.best_score() == best


def test_weights_that_were_scored_on_images_they_learn_from_say_so(world, start, monkeypatch) -> None:
    """After a stop, for which nothing is cross-fitted; and some images are enough."""
    asked = []
    predict = InstantLearner.predict_labelled

    def noted(self, key: str):
        asked.append(key)
        return predict(self, key)

    monkeypatch.setattr(InstantLearner, "predict_labelled", noted)
    monkeypatch.setattr(joint, "TRAINING_IMAGES_SCORED", 2)
    world.put_done(1, 2, 3, 4)
    state = start(**ALONE)
    events = _stopped_in_its_fit(state)
    (score,) = [event for event in events if isinstance(event, Validated)]
    assert (score.on, score.images) == ("training", 2)
    assert asked == ["1.png", "3.png"]
    assert len([event for event in events if isinstance(event, Notice) and event.text == joint.SCORING]) == 2
    metrics = read_header(state.run.best_weights).metrics
    assert (metrics["on"], metrics["miou"]) == ("training", score.miou)


def test_an_engine_that_has_to_end_scores_nothing_first(world, start, monkeypatch) -> None:
    monkeypatch.setattr(InstantLearner, "predict_labelled", lambda *_: pytest.fail("nobody has time"))
    world.put_done(1, 2, 3)
    state = start(**ALONE)
    state.keeping.patience_s = 0.0
    last = _stopped_in_its_fit(state)[-1]
    assert last.best_miou is None
    assert read_header(state.run.best_weights).architecture == "instant"


def test_of_a_run_of_both_that_is_stopped_in_its_repeated_fit_a_whole_head_is_judged(
    world, tmp_path, start, resume, monkeypatch
) -> None:
    heads = []
    judged = best_share.best_share

    def noted(state, instant, deep):
        heads.append([parameter.detach().clone() for parameter in instant.network.head_parameters()])
        return (yield from judged(state, instant, deep))

    monkeypatch.setattr(joint, "best_share", noted)
    world.put_done(*range(1, 8))
    whole = TrainState.create(tiny_config(**BOTH), world.store, tmp_path / "whole", lambda _event: None)
    list(events_of(whole))
    cut = start(**BOTH)
    for event in events_of(cut):
        if isinstance(event, StepDone):
            list(save_now(cut))
            break
    _stopped_in_its_fit(resume())
    ours, theirs = heads
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
