"""Huge images are learned from and scored by pieces that are read from disk; what is too large is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.model import AnnotationState
from core.images import pyramid
from core.learning.commands import LearnLive
from core.learning.events import Failed, Finished, Notice, Prediction
from core.learning.instant import learner
from core.learning.labels import data
from core.learning.labels.data import LabelStore
from core.learning.prediction import predict
from core.learning.prediction.predict import Predictor
from tests.learning.conftest import three_classes
from tests.learning.engine_bench import SIDE, shrink_instant_learner, squares_bench


@pytest.fixture
def all_are_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of some thousand pixels are treated as those of hundreds of millions."""
    monkeypatch.setattr(pyramid, "HUGE_PIXELS", 1000)
    monkeypatch.setattr(data, "IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(predict, "IN_MEMORY_BYTES", 1000)


def _speckled(folder: Path) -> LabelStore:
    pixels = np.random.default_rng(0).integers(0, 256, (150, 90, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    store = LabelStore(three_classes(), folder=folder / "cache")
    store.put("a.png", folder / "a.png", np.zeros((150, 90), np.uint8), AnnotationState.DONE)
    return store


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.usefixtures("all_are_huge")
def test_pixels_lie_on_disk_and_leave_nothing_there(tmp_path: Path, scale: float) -> None:
    store = _speckled(tmp_path)
    pixels = store.pixels("a.png", scale)
    assert isinstance(pixels.base, np.memmap)
    assert not pixels.flags.writeable
    np.testing.assert_array_equal(pixels, data.read_resized(tmp_path / "a.png", scale))
    assert store.pixels("a.png", scale) is pixels
    assert list((tmp_path / "cache").iterdir()) == []  # no name: a killed process leaves no gigabytes


@pytest.mark.usefixtures("all_are_huge")
def test_without_room_on_disk_they_are_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(data, "laid_out", full)
    pixels = _speckled(tmp_path).pixels("a.png")
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(tmp_path / "a.png")))


def test_a_run_sees_the_same_windows_and_ends_with_the_same_weights(
    world, start, run, request: pytest.FixtureRequest
) -> None:
    world.put_done(*range(1, 7))
    usual = start(steps=3, validation="auto")
    run(usual)
    request.getfixturevalue("all_are_huge")
    world.store = LabelStore(three_classes())
    world.put_done(*range(1, 7))
    huge = type(usual).create(
        usual.config, world.store, usual.run.path.with_name("huge"), lambda _event: None
    )
    done = run(huge)[-1]
    assert isinstance(done, Finished)
    assert isinstance(world.store.pixels("1.png").base, np.memmap)
    assert done.best_miou == usual.best.miou
    expected = usual.learner.network.state_dict()
    for name, value in huge.learner.network.state_dict().items():
        assert value.equal(expected[name]), name


@pytest.mark.usefixtures("all_are_huge")
def test_a_large_picture_is_reduced_row_by_row_for_the_network(world, start) -> None:
    world.put_done(1)
    state = start(steps=1, image_scale=0.5)
    image = world.store.pixels("1.png")
    predictor = Predictor(state.network_for_prediction(), state.header())
    by_rows = predictor.predict(image, probabilities=True).probabilities
    predict.IN_MEMORY_BYTES = image.nbytes
    whole = predictor.predict(image, probabilities=True).probabilities
    assert by_rows is not None
    assert whole is not None
    assert np.abs(by_rows.astype(float) - whole.astype(float)).max() < 0.02


def test_what_the_instant_learner_cannot_hold_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=5, more_fits=0, scored_steps=2)
    monkeypatch.setattr(learner, "MOST_PIXELS", SIDE * SIDE - 1)
    bench = squares_bench(tmp_path / "squares", images=3, labelled=2)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.run()
    bench.do(bench.labels(0, np.zeros((SIDE, SIDE), np.uint8), 2))
    bench.run()
    told = [event.text for event in bench.got(Notice)]
    assert len(told) == 2
    assert all("is too large for the instant learner" in text and "a deep network" in text for text in told)


@pytest.mark.usefixtures("all_are_huge")
def test_of_a_huge_image_nothing_is_predicted_before_it_is_known_what_is_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=5, more_fits=0, scored_steps=2)
    bench = squares_bench(tmp_path / "squares", images=3)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.do(bench.watch(2))
    bench.run()
    assert bench.got(Failed) == []
    assert bench.got(Prediction) == []
    monkeypatch.setattr(pyramid, "HUGE_PIXELS", SIDE * SIDE)
    bench.do(bench.watch(0))
    bench.run()
    assert bench.got(Prediction)[-1].key == bench.entries[0].key
