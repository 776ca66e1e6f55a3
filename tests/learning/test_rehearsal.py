"""What the first labels need is loaded and tried while nothing is labelled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.learning.commands import LearnLive, Train
from core.learning.events import Failed, Prediction, ProjectOpened
from core.learning.instant import pace, setup
from core.models.instant import CHEAPER_VIEWS, VIEWS, InstantNetwork
from tests.learning.engine_bench import (
    SIDE,
    EngineBench,
    live_squares_bench,
    shrink_instant_learner,
    squares_bench,
)
from tests.tiny import TINY

Made = list[InstantNetwork]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """The instant learner's networks, in the order in which they were built."""
    shrink_instant_learner(monkeypatch, first_steps=10, more_fits=0, scored_steps=4)
    build: Callable[..., InstantNetwork] = setup.instant_network
    networks: Made = []

    def kept(*arguments: object, **options: object) -> InstantNetwork:
        networks.append(build(*arguments, **options))
        return networks[-1]

    monkeypatch.setattr(setup, "instant_network", kept)
    return networks


@pytest.fixture
def bench(made: Made, tmp_path: Path) -> EngineBench:
    """An engine with nothing to learn."""
    return squares_bench(tmp_path / "squares", labelled=0)


def _square() -> np.ndarray:
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    drawn[10:40, 10:40] = 1
    return drawn


def test_a_network_is_built_looks_at_a_picture_and_is_fitted_before_anything_is_labelled(
    bench: EngineBench, made: Made
) -> None:
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    (network,) = made
    assert network.mean.any(), "it has looked"
    assert all(parameter.grad is not None for parameter in network.head_parameters()), "it was fitted"
    assert bench.events == [ProjectOpened(root=str(bench.root))], "and nobody hears of it"

    bench.do(bench.watch(0), bench.labels(0, _square(), 1))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    assert not bench.got(Failed)


def test_how_fast_it_looks_is_known_when_the_labels_come(
    bench: EngineBench, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()

    def measured_again(*_arguments: object) -> float:
        raise AssertionError("it is known")

    monkeypatch.setattr(pace, "seconds_per_pixel", measured_again)
    bench.do(bench.watch(0), bench.labels(0, _square(), 1))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    assert made[-1].views == VIEWS, "a small picture is looked at closely"


def test_a_machine_found_slow_looks_less_closely_at_first(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "seconds_per_pixel", lambda *_: 1.0)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(bench.watch(0), bench.labels(0, _square(), 1))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    learner = bench.engine._instant.learner
    assert learner is not None
    assert learner.network.views == CHEAPER_VIEWS[-1]


def test_it_is_done_once(bench: EngineBench, made: Made) -> None:
    bench.do(LearnLive(on=True))
    for _ in range(2):
        bench.open()
        bench.run()
    assert len(made) == 1


def test_who_has_labels_needs_none(made: Made, tmp_path: Path) -> None:
    bench = live_squares_bench(tmp_path / "squares")
    bench.run(until=lambda: bench.engine._instant.version > 0)
    learners = len(made)
    bench.do(*(bench.labels(number, np.full((SIDE, SIDE), 255, np.uint8), 2) for number in range(4)))
    bench.run()
    assert len(made) == learners
    assert not bench.got(Failed)


def test_who_does_not_want_to_learn_pays_nothing(bench: EngineBench, made: Made) -> None:
    bench.open()
    bench.run()
    assert not made


def test_labels_do_not_wait_for_its_end(bench: EngineBench, made: Made) -> None:
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run(until=lambda: len(made) == 1)
    bench.do(bench.watch(0), bench.labels(0, _square(), 1))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    assert not made[0].mean.any(), "it was left where it was"


def test_a_run_gets_the_same_numbers_with_and_without_it(bench: EngineBench, made: Made) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    assert made
    assert torch.equal(torch.rand(4), expected)


def test_weights_that_are_not_to_be_had_are_told_once_and_training_goes_on(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: object, **_options: object) -> InstantNetwork:
        raise FileNotFoundError("no weights")

    monkeypatch.setattr(setup, "instant_network", gone)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    assert len(bench.got(Failed)) == 1
    bench.do(bench.labels(0, _square(), 1), Train(config=TINY))
    bench.run(until=lambda: bench.engine.training)
    assert len(bench.got(Failed)) == 1
