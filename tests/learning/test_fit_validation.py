"""Which images a score is on, and what validation may cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.events import TrainingStarted, Validated
from core.learning.labels.data import ChannelMap
from core.learning.validation.hold_out import Plan, plan_validation
from core.learning.validation.validation import TIME_SHARE, Validator

BACKGROUND, DISC, SQUARE = 0, 3, 7


@dataclass
class _Found:
    classes: NDArray[np.uint8]
    probabilities: None = None


class _Everywhere:
    """Predicts one class everywhere, and takes its time."""

    def __init__(self, value: int, clock: list[float] | None = None, image_s: float = 0.0) -> None:
        self._value, self._clock, self._image_s = value, clock, image_s

    def predict(self, image: NDArray[np.uint8], *, probabilities: bool = False) -> _Found:
        if self._clock is not None:
            self._clock[0] += self._image_s
        return _Found(np.full(image.shape[:2], self._value, np.uint8))


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that only predictions move."""
    now = [0.0]
    monkeypatch.setattr("core.learning.machine.pieces.time.perf_counter", lambda: now[0])
    return now


def _validator(world, *, every_s: float = 15.0, budget_s: float | None = None) -> Validator:
    plan = Plan(world.store.labelled_keys(), "validation")
    return Validator(world.store, ChannelMap(world.store.classes), plan, every_s, budget_s)


# --- which images -----------------------------------------------------------------------------------------


def test_below_five_done_images_nothing_is_held_out(world, config) -> None:
    world.put_done(1, 2, 3, 4)
    world.put_drawn(5, DISC)
    plan = plan_validation(world.store, config(validation="auto"))
    assert plan.on == "training"
    assert plan.held_out == ()
    assert set(plan.keys) == {"1.png", "2.png", "3.png", "4.png", "5.png"}


def test_from_five_done_images_on_at_least_one_of_them_is_held_out(world, config) -> None:
    world.put_done(1, 2, 3, 4, 5)
    world.put_drawn(6, DISC)
    plan = plan_validation(world.store, config(validation="auto"))
    assert plan.on == "validation"
    assert 1 <= len(plan.held_out) < 5
    assert "6.png" not in plan.held_out


def test_more_images_leave_the_held_out_ones_where_they_are(world, config) -> None:
    world.put_done(*range(1, 31))
    before = plan_validation(world.store, config(validation="auto")).held_out
    world.put_done(*range(31, 61))
    after = plan_validation(world.store, config(validation="auto")).held_out
    assert set(before) <= set(after)
    assert 0.1 < len(after) / 60 < 0.35


def test_the_only_examples_of_a_class_are_never_held_out(world, config) -> None:
    world.put_done(*range(1, 31))
    held_out = plan_validation(world.store, config(validation="auto")).held_out
    for key in world.store.labelled_keys():  # only one held-out image keeps its squares
        labels = world.store.get(key)
        if key != held_out[0]:
            mask = np.where(labels.mask == SQUARE, BACKGROUND, labels.mask).astype(np.uint8)
            world.store.put(key, labels.image_path, mask, AnnotationState.DONE)
    assert plan_validation(world.store, config(validation="auto")).held_out == held_out[1:]


def test_holding_out_can_be_switched_off(world, config) -> None:
    world.put_done(*range(1, 21))
    plan = plan_validation(world.store, config(validation="none"))
    assert plan.on == "training"
    assert len(plan.keys) <= 8


def test_a_run_trains_on_the_others_and_scores_the_held_out_ones(world, start, run) -> None:
    world.put_done(*range(1, 9))
    state = start(steps=5, validation="auto")
    events = run(state)
    started = events[0]
    assert isinstance(started, TrainingStarted)
    assert set(started.train_images) | set(started.validation_images) == set(world.store.labelled_keys())
    assert not set(started.train_images) & set(started.validation_images)
    scored = [event for event in events if isinstance(event, Validated)][-1]
    assert (scored.on, scored.images) == ("validation", len(started.validation_images))


# --- scores -----------------------------------------------------------------------------------------------


def test_unlabelled_pixels_do_not_count_and_absent_classes_have_no_score(world, clock) -> None:
    picture = world.picture(1)
    mask = np.full_like(picture.mask, UNLABELLED)
    mask[:10] = DISC
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    score = _validator(world).score(_Everywhere(DISC), 0.0)
    assert score.miou == 1.0
    assert score.per_class_iou == {"disc": 1.0, "background": None, "square": None}
    assert score.pixel_accuracy == 1.0


def test_one_matrix_is_pooled_over_all_images(world, clock) -> None:
    world.put_done(1, 2)
    truth = np.concatenate([world.picture(number).mask.ravel() for number in (1, 2)])
    score = _validator(world).score(_Everywhere(BACKGROUND), 0.0)
    assert score.per_class_iou["background"] == pytest.approx((truth == BACKGROUND).mean())
    assert score.miou == pytest.approx((truth == BACKGROUND).mean() / 3)


def test_an_image_that_cannot_be_read_is_passed_over_and_told(world, clock) -> None:
    world.put_done(1, 2)
    (world.folder / "1.png").unlink()
    validator = _validator(world)
    assert validator.score(_Everywhere(DISC), 0.0).images == 1
    assert [problem.path.name for problem in validator.problems] == ["1.png"]


# --- time -------------------------------------------------------------------------------------------------


def test_slow_validation_is_held_less_often(world, clock) -> None:
    world.put_done(1)
    validator = _validator(world, every_s=15.0)
    assert validator.due(10.0)
    validator.score(_Everywhere(DISC, clock, image_s=6.0), 10.0)
    assert not validator.due(16.0 + 6.0 / TIME_SHARE - 0.1)
    assert validator.due(16.0 + 6.0 / TIME_SHARE)


def test_quick_validation_keeps_its_interval(world, clock) -> None:
    world.put_done(1)
    validator = _validator(world, every_s=15.0)
    validator.score(_Everywhere(DISC, clock, image_s=0.1), 10.0)
    assert not validator.due(25.0)
    assert validator.due(25.2)


def test_many_images_are_scored_in_part_in_between_and_all_at_the_end(world, clock) -> None:
    world.put_done(*range(1, 13))
    validator = _validator(world, budget_s=100.0)
    predictor = _Everywhere(DISC, clock, image_s=1.0)
    assert validator.score(predictor, 0.0).images == 4
    assert validator.score(predictor, 50.0).images == 4  # the same ones: scores stay comparable
    comparable, everything = validator.final_score(predictor)
    assert (comparable.images, everything.images) == (4, 12)


def test_a_slow_first_image_that_is_lost_leaves_others_to_be_scored(world, clock) -> None:
    world.put_done(1, 2, 3)
    validator = _validator(world)
    slow = _Everywhere(DISC, clock, image_s=10.0)

    class Deleting:
        def predict(self, image: NDArray[np.uint8], *, probabilities: bool = False) -> _Found:
            world.store.remove(validator.plan.keys[0])
            return slow.predict(image)

    assert validator.score(Deleting(), 0.0).images == 1
    assert validator.score(_Everywhere(DISC), 50.0).images == 1


def test_the_budget_leaves_time_for_the_last_score(world, clock) -> None:
    world.put_done(*range(1, 7))
    validator = _validator(world, budget_s=100.0)
    assert validator.reserve_s == 0.0
    validator.score(_Everywhere(DISC, clock, image_s=0.5), 0.0)
    assert validator.reserve_s == pytest.approx(3.0)


def test_the_first_score_comes_early_in_a_short_run(world) -> None:
    world.put_done(1)
    assert _validator(world, every_s=15.0, budget_s=20.0).due(5.0)
    assert not _validator(world, every_s=15.0).due(7.0)
    assert _validator(world, every_s=15.0).due(7.5)
