"""The watched image's uncertainty: after its prediction, and refined when nothing else is to be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.learning.commands import LearnLive, Train, WantUncertainty, Watch
from core.learning.events import Failed, Prediction, StepDone, Uncertainty
from core.learning.prediction.uncertainty import entropy
from tests.learning.engine_bench import SIDE, EngineBench, live_squares_bench, shrink_instant_learner
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _small_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_instant_learner(monkeypatch, first_steps=30, more_fits=1, scored_steps=10)


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """An engine whose instant learner follows three labelled images; the fourth one is watched."""
    return live_squares_bench(tmp_path / "squares", watched=3)


def order(bench: EngineBench) -> list[str]:
    """What came, prediction by prediction and map by map."""
    kinds = {Prediction: "prediction", Uncertainty: "map"}
    return [kinds[type(event)] for event in bench.events if type(event) in kinds]


def test_nobody_asked_nothing_is_mapped(bench: EngineBench) -> None:
    assert bench.got(Prediction)
    assert not bench.got(Uncertainty)


def test_a_map_comes_at_once_and_a_better_one_in_spare_time(bench: EngineBench) -> None:
    bench.events.clear()
    bench.do(WantUncertainty(on=True))
    bench.run()
    assert order(bench) == ["prediction", "map", "map"]
    plain, refined = bench.got(Uncertainty)
    assert (plain.refined, refined.refined) == (False, True)
    assert plain.key == refined.key == bench.entries[3].key
    assert plain.weights_version == bench.got(Prediction)[0].weights_version
    assert plain.entropy.size_hw == (SIDE, SIDE)
    assert plain.disagreement is None, "there is one learner only"
    assert not np.array_equal(plain.entropy.unpack(), refined.entropy.unpack())


def test_the_map_is_the_entropy_of_what_was_predicted(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run()
    plain = bench.got(Uncertainty)[0].entropy.unpack()
    confidence = bench.got(Prediction)[-1].confidence.unpack() / 255
    expected = entropy(np.stack([confidence, 1 - confidence]))  # two classes
    assert np.abs(plain / 255 - expected).max() < 0.03


def test_it_does_not_come_when_it_is_no_longer_wanted(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run()
    bench.do(WantUncertainty(on=False))
    bench.events.clear()
    bench.do(bench.watch(2))
    bench.run()
    assert bench.got(Prediction)
    assert not bench.got(Uncertainty)


def test_another_image_is_predicted_before_the_first_ones_map_is_refined(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run(lambda: bool(bench.got(Uncertainty)))
    bench.events.clear()
    other = bench.watch(2)
    bench.do(other)
    bench.run()
    assert order(bench) == ["prediction", "map", "map"]
    assert {event.key for event in bench.got(Uncertainty)} == {other.key}


def test_a_command_that_waits_puts_the_refinement_off(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run(lambda: bool(bench.got(Uncertainty)))
    bench.inbox.put(LearnLive(on=True))
    for _ in range(5):
        bench.engine.tick()
    assert [event.refined for event in bench.got(Uncertainty)] == [False]
    command = bench.inbox.take()
    assert command is not None
    bench.do(command)
    bench.run()
    assert bench.got(Uncertainty)[-1].refined


def test_new_labels_bring_a_new_map(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run()
    before = bench.got(Uncertainty)[-1]
    bench.events.clear()
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    bench.do(*(bench.labels(number, nothing.copy(), 2) for number in range(2)))
    bench.run()
    assert bench.got(Uncertainty)[-1].weights_version > before.weights_version
    assert bench.got(Uncertainty)[-1].refined


def test_while_a_run_trains_plain_maps_follow_and_both_learners_are_compared(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True), Train(config=replace(TINY, steps=60, validate_every_s=0.01)))
    bench.run(
        until=lambda: any(event.disagreement is not None for event in bench.got(Uncertainty)), most=4000
    )
    assert bench.got(StepDone)
    both = next(event for event in bench.got(Uncertainty) if event.disagreement is not None)
    assert "and" in bench.got(Prediction)[-1].source
    assert both.disagreement is not None
    assert both.disagreement.size_hw == (SIDE, SIDE)
    assert both.disagreement.unpack().any()
    assert not both.refined
    assert not bench.got(Failed)


def test_an_image_that_vanishes_leaves_the_plain_map(bench: EngineBench) -> None:
    bench.do(WantUncertainty(on=True))
    bench.run(lambda: bool(bench.got(Uncertainty)))
    path = bench.entries[3].image_path
    path.rename(path.with_suffix(".gone"))
    bench.run()
    assert [failed.during for failed in bench.got(Failed)] == ["Uncertainty"]
    assert str(path) in bench.got(Failed)[0].text
    bench.do(Watch(key=None))
    bench.run()
