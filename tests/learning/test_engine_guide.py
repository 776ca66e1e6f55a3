"""The engine says which image to label next, without keeping anybody waiting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.learning.commands import LearnLive, RateImages, Train
from core.learning.events import (
    Failed,
    Finished,
    ImagesRated,
    Prediction,
    StepDone,
)
from core.learning.overlay import usefulness
from tests.learning.engine_bench import SIDE, EngineBench, shrink_instant_learner, squares_bench
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _small_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_instant_learner(monkeypatch, first_steps=20, more_fits=0, scored_steps=4)


def all_images(bench: EngineBench) -> RateImages:
    return RateImages(images={entry.key: str(entry.image_path) for entry in bench.entries})


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """Six images of which two are done, and an instant learner at work."""
    made = squares_bench(tmp_path / "squares", images=6, labelled=2)
    made.do(LearnLive(on=True))
    made.open()
    return made


def test_images_that_are_not_done_are_rated_once_something_is_learned(bench: EngineBench) -> None:
    bench.do(all_images(bench))
    bench.run()
    rated = bench.got(ImagesRated)[-1]
    assert set(rated.scores) == {entry.key for entry in bench.entries[2:]}
    assert max(rated.scores.values()) == 1.0
    assert rated.images == 4
    assert not bench.got(Failed)


def test_the_watched_image_is_predicted_before_any_image_is_rated(bench: EngineBench) -> None:
    bench.do(all_images(bench), bench.watch(0))
    bench.run()
    kinds = [type(event) for event in bench.events if isinstance(event, Prediction | ImagesRated)]
    assert kinds[0] is Prediction
    bench.do(bench.watch(1))
    bench.engine.tick()
    assert bench.got(Prediction)[-1].key == bench.entries[1].key, "at once, whatever is being rated"


def test_new_weights_are_asked_again_and_the_same_weights_are_not(bench: EngineBench) -> None:
    bench.do(all_images(bench))
    bench.run()
    first = bench.got(ImagesRated)[-1]
    assert not bench.engine.tick(), "nothing is left to do"
    bench.do(bench.labels(2, np.zeros((SIDE, SIDE), np.uint8), 2))
    bench.run()
    second = bench.got(ImagesRated)[-1]
    assert second.weights_version > first.weights_version
    assert set(second.scores) == {entry.key for entry in bench.entries[3:]}, "what is done needs no labels"


def test_many_images_are_rated_in_rounds(bench: EngineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usefulness, "FIRST_ROUND", 2)
    monkeypatch.setattr(usefulness, "ROUND", 2)
    bench.do(all_images(bench))
    bench.run()
    assert len(bench.got(ImagesRated)[-1].scores) == 2
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    for revision in range(2, 5):
        nothing[revision] = 1
        bench.do(bench.labels(0, nothing, revision))
        bench.run()
    assert len(bench.got(ImagesRated)[-1].scores) == 4


def test_a_deep_network_rates_where_nothing_is_learned_while_drawing(tmp_path: Path) -> None:
    bench = squares_bench(tmp_path / "squares", images=4, labelled=2)
    bench.open()
    bench.do(all_images(bench), Train(config=replace(TINY, steps=4)))
    bench.run()
    assert set(bench.got(ImagesRated)[-1].scores) == {entry.key for entry in bench.entries[2:]}


def test_an_image_that_cannot_be_read_is_passed_over(bench: EngineBench) -> None:
    bench.entries[3].image_path.write_bytes(b"not a picture")
    bench.do(all_images(bench))
    bench.run()
    assert bench.entries[3].key not in bench.got(ImagesRated)[-1].scores
    assert not bench.got(Failed)


def test_while_a_run_trains_rating_keeps_to_its_share(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usefulness, "TRAINING_SHARE", 1e-6)
    bench.do(Train(config=replace(TINY, steps=6)))
    bench.run(until=lambda: bool(bench.got(StepDone)))
    bench.do(all_images(bench))
    bench.run(until=lambda: bool(bench.got(Finished)))
    assert not bench.got(ImagesRated), "one piece of work, and the share is spent"
    bench.run()
    assert bench.got(ImagesRated)
