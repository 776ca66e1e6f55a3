"""How long a run lasts, and its learning rate."""

from __future__ import annotations

import itertools

import pytest

from core.learning.settings.budget import (
    ENDLESS_FLOOR,
    ENDLESS_STEPS,
    Budget,
    frozen_at,
    rate_factor,
    stage_at,
    stage_shares,
)


def test_steps_and_seconds_end_a_run_whichever_comes_first() -> None:
    budget = Budget(steps=10, seconds=60.0)
    assert not budget.spent(9, 59.0)
    assert budget.spent(10, 1.0)
    assert budget.spent(1, 60.0)
    assert budget.progress(5, 45.0) == pytest.approx(0.75)


def test_time_for_the_last_validation_is_kept_from_the_budget() -> None:
    budget = Budget(seconds=60.0)
    assert budget.spent(1, 55.0, reserve_s=5.0)
    assert budget.progress(1, 55.0, reserve_s=5.0) == 1.0


def test_without_a_budget_only_a_person_ends_it() -> None:
    budget = Budget()
    assert budget.endless
    assert not budget.spent(10**6, 1e9)
    assert budget.progress(2 * ENDLESS_STEPS, 1e9) == 2.0


def test_the_rate_rises_then_falls_to_nearly_nothing() -> None:
    factors = [rate_factor(step / 100, warmup=0.05) for step in range(101)]
    assert factors[0] == pytest.approx(0.02)
    assert factors[5] == pytest.approx(1.0)
    assert all(a >= b for a, b in itertools.pairwise(factors[5:]))
    assert factors[100] == pytest.approx(0.01)


def test_an_endless_run_keeps_learning() -> None:
    assert rate_factor(7.0, warmup=0.05, floor=ENDLESS_FLOOR) == pytest.approx(ENDLESS_FLOOR)


def test_stages_share_the_run_and_each_has_its_own_rise_and_fall() -> None:
    assert [stage_at(progress, 3)[0] for progress in (0.0, 0.49, 0.51, 0.74, 0.76, 1.0)] == [0, 0, 1, 1, 2, 2]
    assert rate_factor(0.499, warmup=0.05, stages=3) < 0.02
    assert rate_factor(0.52, warmup=0.05, stages=3) > 0.4
    assert rate_factor(1.0, warmup=0.05, stages=3) < 0.02


def test_a_stage_that_came_before_its_time_rises_and_falls_once_over_what_is_left() -> None:
    factors = [rate_factor(0.5 + step / 200, warmup=0.05, stages=3, ahead=(2, 0.5)) for step in range(101)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[5] == pytest.approx(0.5)
    assert all(a >= b for a, b in itertools.pairwise(factors[5:]))
    assert factors[100] == pytest.approx(0.005)
    # One in the middle ends when it would have.
    assert rate_factor(0.7499, warmup=0.05, stages=3, ahead=(1, 0.3)) < 0.01


def test_the_finest_stage_can_get_more_of_a_run() -> None:
    assert stage_shares(3) == pytest.approx((0.5, 0.25, 0.25))
    assert stage_shares(3, coarse=0.5) == pytest.approx((1 / 3, 1 / 6, 1 / 2))
    assert stage_shares(2, coarse=0.5) == pytest.approx((1 / 3, 2 / 3))
    assert stage_shares(1, coarse=0.5) == (1.0,)
    assert [stage_at(p, 3, 0.5) for p in (0.0, 0.25, 0.75)] == [
        (0, 0.0),
        (0, pytest.approx(0.75)),
        (2, pytest.approx(0.5)),
    ]


def test_a_pretrained_encoder_waits_at_the_start_of_the_first_stage_only() -> None:
    assert frozen_at(0.1, freeze=0.12)
    assert not frozen_at(0.13, freeze=0.12)
    assert not frozen_at(0.6, freeze=0.12, stages=3)
