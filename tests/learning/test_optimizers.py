"""Optimizers and schedules that a run can be given: what they do, and that a resumed run repeats them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.learning.config import TrainConfig
from core.learning.events import Checkpointed, StepDone
from core.learning.settings.budget import rate_factor
from core.learning.settings.preset import without_images
from core.learning.training.distributed import Place
from core.learning.training.fit import fit
from core.learning.training.optimizers import new_optimizer
from core.learning.training.plateau import PATIENCE, Plateau
from core.learning.training.sharing import announce_step
from core.learning.training.team import Team
from core.models.registry import build


def test_polynomial_falls_by_a_power_of_what_is_left() -> None:
    for done in (0.1, 0.5, 0.9):
        found = rate_factor(done, warmup=0.0, schedule="poly", floor=0.0)
        assert found == pytest.approx((1 - done) ** 0.9)


def test_one_cycle_rises_for_almost_a_third_and_falls_to_the_end() -> None:
    rates = [rate_factor(n / 100, warmup=0.05, schedule="one_cycle") for n in range(101)]
    assert rates[0] == pytest.approx(0.04)
    assert rates.index(max(rates)) == 30
    assert max(rates) == pytest.approx(1.0)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


def test_a_plateau_halves_the_rate_after_scores_that_are_no_better() -> None:
    plateau = Plateau()
    for better in (True, *(False,) * (PATIENCE - 1), True, *(False,) * (PATIENCE - 1)):
        plateau.note(better=better)
        assert plateau.factor == 1.0
    plateau.note(better=False)
    assert plateau.factor == 0.5
    for _ in range(PATIENCE):
        plateau.note(better=False)
    assert plateau.factor == 0.25


def test_scores_without_progress_lower_the_rate_of_a_run(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=40, schedule="plateau", warmup=0.0)
    assert state.learner.prepare(0.5, endless=False) is None
    assert state.learner.lr == pytest.approx(state.config.lr)
    state.learner.plateau.cuts = 2
    state.learner.prepare(0.5, endless=False)
    assert state.learner.lr == pytest.approx(state.config.lr / 4)


class Listener(Team):
    """Another process, as far as what it is told."""

    def __init__(self) -> None:
        super().__init__(Place(rank=0, world=2))
        self.told: list[dict[str, Any] | None] = []

    @property
    def world(self) -> int:
        return 2

    def announce(self, order, *, progress=0.0, mark=0, message=None) -> bool:
        self.told.append(message)
        return False


def test_processes_that_take_no_scores_are_told_of_a_lower_rate_once(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=10, schedule="plateau")
    state.team = Listener()
    announce_step(state)
    for _ in range(PATIENCE):
        state.learner.plateau.note(better=False)
    announce_step(state)
    announce_step(state)
    assert state.team.told == [None, {"cuts": 1}, None]


def test_one_cycle_lowers_the_momentum_where_the_rate_is_high(world, start) -> None:
    world.put_done(1)
    learner = start(steps=10, schedule="one_cycle", optimizer="sgd").learner
    for done, momentum in ((0.3, 0.85), (1.0, 0.949)):
        learner.prepare(done, endless=False)
        found = [group["momentum"] for group in learner.optimizer.param_groups]
        assert found == pytest.approx([momentum] * len(found))


def one_step(optimizer: str, **settings: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """A decoder's weights before and after a step whose gradients are all 1, and its rate."""
    network = build("unet", classes=2, encoder="plain", width=4, encoder_width=4)
    config = TrainConfig(lr=0.01, optimizer=optimizer, **settings)
    stepping = new_optimizer(network, config)
    weight = network.levels[0][0].weight
    before = weight.detach().clone()
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    stepping.step()
    return before, weight.detach(), 0.01


def test_sgd_follows_the_gradient_and_shrinks_apart_from_it() -> None:
    before, after, lr = one_step("sgd", weight_decay=0.5)
    torch.testing.assert_close(after, before * (1 - lr * 0.05) - lr)


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_adaptive_steps_are_as_long_as_the_rate_and_shrink_apart_from_it(optimizer: str) -> None:
    before, after, lr = one_step(optimizer, weight_decay=0.5)
    step = lr if optimizer == "adamw" else 10 * lr  # RMSprop's first average is a hundredth of the square
    torch.testing.assert_close(after, before * (1 - lr * 0.5) - step)


def test_sgd_is_given_a_rate_that_suits_it() -> None:
    adamw, sgd = (without_images(TrainConfig(optimizer=name), "cpu")[0].lr for name in ("adamw", "sgd"))
    assert adamw is not None
    assert sgd == pytest.approx(10 * adamw)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "schedule": "poly", "lr": 0.05},
        {"optimizer": "rmsprop", "schedule": "one_cycle", "loss": "focal+0.5*lovasz"},
        {"schedule": "plateau", "loss": "ce+tversky", "precision": "bfloat16"},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_every_way_to_learn_learns_and_resumes_exactly(world, start, resume, run, settings) -> None:
    world.put_done(1, 2)
    whole = start(steps=28, **settings)
    events = run(whole)
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert losses[-1] < losses[0]
    cut = start(steps=28, checkpoint_every_s=0.0, **settings)
    stopped = next(e.step for e in fit(cut) if isinstance(e, Checkpointed) and e.step >= 26)
    plateau = cut.learner.plateau.state()
    resumed = resume()
    assert 26 <= stopped == resumed.step < 28
    assert resumed.learner.plateau.state() == plateau
    run(resumed)
    for one, other in zip(
        resumed.learner.network.state_dict().values(),
        whole.learner.network.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, other)
