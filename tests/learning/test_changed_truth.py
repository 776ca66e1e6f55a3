"""Correcting an image that scores are taken on: old and new weights are compared on the labels of now."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.events import Notice, Validated
from core.learning.prediction.predict import open_predictor
from core.learning.runs.comparison import read_compared
from core.learning.runs.header import read_header
from core.learning.scores.counted import CountedImages
from core.learning.training.fit import TrainState, fit
from core.learning.training.record import Best
from core.learning.validation.validation import Score

BACKGROUND, DISC, SQUARE = 0, 3, 7
HELD_OUT = ("1.png", "2.png")
STANDSTILL = {"lr": 1e-12, "ema": 0.99999}
"""Weights that do not move: no score is better than the first."""


@pytest.fixture(autouse=True)
def _validated_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST", "FEWEST_BETWEEN", "MOST_BETWEEN"):
        monkeypatch.setattr(f"core.learning.validation.set_steps.{name}", 1)


def _relabelled(world, number: int, value: int) -> None:
    """The whole image is this class now."""
    picture = world.picture(number)
    mask = np.full_like(picture.mask, value)
    mask[:30, :30] = BACKGROUND if value != BACKGROUND else DISC
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)


def _told(state: TrainState) -> list[str]:
    told: list[str] = []
    state.notify = lambda event: told.append(event.text) if isinstance(event, Notice) else None
    return told


def _change_after_a_score(world, state: TrainState, *numbers: int) -> list:
    events, changed = [], False
    for event in fit(state):
        events.append(event)
        if isinstance(event, Validated) and not changed:
            changed = True
            for number in numbers:
                _relabelled(world, number, SQUARE)
    return events


def test_the_best_weights_are_scored_again_when_held_out_labels_change(world, start) -> None:
    world.put_done(*range(1, 7))
    state = start(steps=4, held_out=HELD_OUT, **STANDSTILL)
    told = _told(state)
    before = next(e for e in _change_after_a_score(world, state, 1, 2) if isinstance(e, Validated)).miou
    predictor = open_predictor(state.run.best_weights, device="cpu")
    now = state.validator.score_again(predictor).miou
    assert now != pytest.approx(before, abs=1e-3), "the other labels have to matter"
    assert state.best.compared == pytest.approx(now)
    (text,) = told
    assert "held-out images or their labels have changed" in text
    assert f"mIoU {now:.2f} on them now, {before:.2f} before" in text
    assert read_header(state.run.best_weights).metrics["miou"] == pytest.approx(state.best.miou)
    assert state.run.best_miou == pytest.approx(state.best.miou), (
        "the run's list does not boast of the old one"
    )
    assert read_compared(state.run.path).score == pytest.approx(state.best.miou)


def test_who_began_with_few_images_is_scored_on_held_out_ones_once_there_are_more(
    world, start, resume, run
) -> None:
    world.put_done(1, 2, 3)
    run(start(steps=2, validation="auto", **STANDSTILL))
    world.put_done(*range(4, 14))
    state = resume(steps=4)
    assert state.best.on == "training"
    assert state.validator.plan.on == "validation"
    told = _told(state)
    run(state)
    assert any("held-out images or their labels have changed" in text for text in told)
    header = read_header(state.run.best_weights)
    assert state.best.step == header.metrics["step"] == 1, "no later weights are better"
    assert state.best.on == header.metrics["on"] == state.run.best_score().on == "validation"
    predictor = open_predictor(state.run.best_weights, device="cpu")
    found = state.validator.score_again(predictor).calibration
    assert (header.metrics["ece"], header.temperature) == pytest.approx((found.error, found.temperature))


def test_a_changed_training_image_costs_no_second_scoring(world, start, monkeypatch) -> None:
    world.put_done(*range(1, 7))
    state = start(steps=4, held_out=HELD_OUT, **STANDSTILL)
    monkeypatch.setattr(type(state.validator), "score_again", lambda *_: pytest.fail("nothing to score"))
    assert not _told(state)
    _change_after_a_score(world, state, 5)


@pytest.mark.parametrize("how", ["deleted", "cleared"])
def test_without_held_out_images_newer_weights_take_the_place_of_the_best(world, start, how) -> None:
    world.put_done(*range(1, 7))
    state = start(steps=5, validation="auto", **STANDSTILL)
    held_out = state.validator.plan.held_out
    assert held_out
    events, gone_at = [], 0
    for event in fit(state):
        events.append(event)
        if isinstance(event, Validated) and not gone_at:
            gone_at = event.step
            for key in held_out:
                if how == "deleted":
                    world.store.remove(key)
                else:
                    nothing = np.full((72, 96), UNLABELLED, np.uint8)
                    world.store.put(key, world.folder / key, nothing, AnnotationState.IN_PROGRESS)
    assert state.validator.plan.on == "training"
    assert state.best.step is not None
    assert state.best.step > gone_at
    assert state.best.miou is not None
    assert read_header(state.run.best_weights).metrics["step"] == state.best.step
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any(text.endswith("the score is on training images now") for text in told)
    score = state.run.best_score()
    assert (score.on, score.miou) == ("training", state.best.miou), "earlier ones are of other weights"
    assert read_header(state.run.best_weights).metrics["on"] == "training"


def test_of_weights_without_a_score_the_newest_are_kept(world) -> None:
    nothing = Score.of(CountedImages(3), world.store.classes.names)
    assert nothing.miou is None
    known, best = replace(nothing, miou=0.5), Best()
    assert best.note(nothing, nothing, 10)
    assert best.note(nothing, nothing, 20)
    assert best.note(known, known, 30)
    assert not best.note(nothing, nothing, 40)
    assert best.step == 30


def test_best_weights_that_cannot_be_read_lose_their_claim(world, start) -> None:
    world.put_done(*range(1, 7))
    state = start(steps=4, held_out=HELD_OUT, **STANDSTILL)
    told = _told(state)
    scored = 0
    for event in fit(state):
        if isinstance(event, Validated):
            scored += 1
            if scored == 2:  # by now the first are on disk
                state.run.best_weights.write_bytes(b"nothing")
                _relabelled(world, 1, SQUARE)
    assert any("these take their place" in text for text in told)
    assert state.best.step is not None
    assert state.best.step > 1


def test_on_images_in_progress_newer_weights_take_the_place_of_the_best(world, start) -> None:
    """What is drawn in them corrects the newest weights, and would flatter those of before."""
    world.put_done(*range(1, 7))
    state = start(steps=4, held_out=HELD_OUT, **STANDSTILL)
    told = _told(state)
    picture = world.picture(1)
    world.store.put(picture.key, picture.path, picture.mask, AnnotationState.IN_PROGRESS)
    _change_after_a_score(world, state, 2)
    assert state.best.step is not None
    assert state.best.step > 1
    assert told == []


def test_a_score_on_corrections_says_little_of_a_network_in_its_first_steps(
    world, start, monkeypatch
) -> None:
    world.put_done(*range(1, 7))
    state = start(steps=4, held_out=HELD_OUT)
    assert state.tested
    picture = world.picture(1)
    world.store.put(picture.key, picture.path, picture.mask, AnnotationState.IN_PROGRESS)
    assert not state.tested
    monkeypatch.setattr("core.learning.training.state.EARLY_STEPS", 0)
    assert state.tested


def test_where_nothing_is_held_out_newer_weights_take_the_place_of_the_best(world, start) -> None:
    """Images are drawn on all the time, and what has seen the newest of it is wanted."""
    world.put_done(1, 2)
    state = start(steps=4, **STANDSTILL)
    told = _told(state)
    _change_after_a_score(world, state, 1)
    assert state.best.step is not None
    assert state.best.step > 1
    assert told == []
