"""What is on the screen of a large image is predicted first, then the rest, then the next image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import core.images.pyramid
from core.annotation.model import UNLABELLED, AnnotationState
from core.images.pyramid import PYRAMIDS, open_pyramid
from core.images.reader import read_image
from core.images.upright import Box
from core.learning.commands import Predict, Train, Watch
from core.learning.events import Failed, Prediction
from core.learning.instant import live
from core.learning.overlay import excerpts, view_parts
from core.learning.overlay.schedule import Target
from core.models.instant import InstantNetwork
from core.project.layout import ProjectLayout
from tests.learning.engine_bench import SIDE, EngineBench, live_squares_bench, shrink_instant_learner
from tests.tiny import TINY

VIEW = (5, 8, 45, 40)
MOVED = (20, 20, 64, 60)


@pytest.fixture(autouse=True)
def _small_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_instant_learner(monkeypatch, first_steps=30, more_fits=0, scored_steps=5)
    monkeypatch.setattr(view_parts, "LARGE_PIXELS", SIDE * SIDE)
    monkeypatch.setattr(live, "SCORE_EVERY_S", 1e9)  # another score is another confidence, and predicted anew


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    """The instant learner has learned; nothing is watched."""
    bench = live_squares_bench(tmp_path / "squares")
    bench.run()
    return bench


def seen(bench: EngineBench) -> list[tuple[str, Box | None]]:
    return [(prediction.key, prediction.region) for prediction in bench.got(Prediction)]


def looking(bench: EngineBench, number: int, view: Box | None) -> Watch:
    return replace(bench.watch(number), view=view)


def test_the_view_then_the_rest_then_the_next_image(bench: EngineBench) -> None:
    first, second = (entry.key for entry in bench.entries[:2])
    path = str(bench.entries[1].image_path)
    bench.do(looking(bench, 0, VIEW), Predict(key=second, image_path=path))
    bench.run()
    assert seen(bench) == [(first, VIEW), (first, None), (second, None)]
    part, whole, _ = bench.got(Prediction)
    x0, y0, x1, y1 = VIEW
    assert part.classes.size_hw == (y1 - y0, x1 - x0)
    assert (part.classes.unpack() == whole.classes.unpack()[y0:y1, x0:x1]).mean() > 0.99
    assert (part.weights_version, part.source) == (whole.weights_version, whole.source)

    target = Target(first, str(bench.entries[0].image_path))
    unparted = bench.engine._viewer.overlay.predict(target, 0, lambda: False)
    assert unparted.classes == whole.classes
    assert unparted.confidence == whole.confidence


@pytest.mark.parametrize("view", [None, (0, 0, SIDE, SIDE), (0, 0, SIDE, 40), (90, 90, 99, 99)])
def test_a_view_of_most_of_the_image_changes_nothing(bench: EngineBench, view: Box | None) -> None:
    bench.do(looking(bench, 0, view))
    bench.run()
    assert seen(bench) == [(bench.entries[0].key, None)]


def test_another_view_comes_before_the_rest(bench: EngineBench) -> None:
    bench.do(looking(bench, 0, VIEW))
    assert bench.engine.tick()
    bench.inbox.put(looking(bench, 0, MOVED))
    assert bench.engine.tick()
    assert [region for _, region in seen(bench)] == [VIEW], "the rest was broken off"
    waiting = bench.inbox.take()
    assert waiting is not None
    bench.do(waiting)
    bench.run()
    assert [region for _, region in seen(bench)] == [VIEW, MOVED, None]
    bench.do(looking(bench, 0, VIEW))
    bench.run()
    assert len(seen(bench)) == 3, "all of it is known by now"


def test_a_correction_comes_before_the_rest_and_before_the_next_image(bench: EngineBench) -> None:
    key = bench.entries[0].key
    bench.do(looking(bench, 0, VIEW))
    assert bench.engine.tick()
    path = str(bench.entries[1].image_path)
    bench.inbox.put(bench.labels(0, np.zeros((SIDE, SIDE), np.uint8), 2))
    bench.inbox.put(Predict(key=bench.entries[1].key, image_path=path))
    assert bench.engine.tick()
    assert len(seen(bench)) == 1
    while (waiting := bench.inbox.take()) is not None:
        bench.do(waiting)
    bench.run()
    assert seen(bench)[1:] == [(key, VIEW), (key, None), (bench.entries[1].key, None)]
    assert [prediction.revision for prediction in bench.got(Prediction)][1:3] == [2, 2]
    versions = [prediction.weights_version for prediction in bench.got(Prediction)]
    assert versions[0] < versions[1] == versions[2]


def test_both_learners_say_the_part_and_the_whole(bench: EngineBench) -> None:
    bench.do(Train(config=replace(TINY, steps=12)))
    bench.run(until=lambda: not bench.engine.training)
    bench.run()
    bench.events.clear()
    bench.do(looking(bench, 3, VIEW))
    bench.run()
    part, whole = bench.got(Prediction)[:2]
    assert (part.region, whole.region) == (VIEW, None)
    x0, y0, x1, y1 = VIEW
    apart = part.confidence.unpack().astype(int) - whole.confidence.unpack()[y0:y1, x0:x1]
    assert np.abs(apart).max() <= 2
    assert not bench.got(Failed)


# --- huge images ------------------------------------------------------------------------------------------


@pytest.fixture
def huge(bench: EngineBench, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A huge image, of which 40,000 pixels may be read at a time; what is bright is square."""
    features = InstantNetwork.features

    def with_brightness(self: InstantNetwork, x: Tensor) -> list[Tensor]:
        finest, *others = features(self, x)
        bright = F.avg_pool2d(x.mean(dim=1, keepdim=True), 4)
        return [torch.cat([bright, finest[:, 1:]], dim=1), *others]

    def by_brightness(_: InstantNetwork, groups: Sequence[Tensor]) -> Tensor:
        bright = groups[0][:, :1].float()
        return 10.0 * torch.cat([-bright, bright], dim=1)

    monkeypatch.setattr(InstantNetwork, "features", with_brightness)
    monkeypatch.setattr(InstantNetwork, "grid_logits", by_brightness)
    monkeypatch.setattr(core.images.pyramid, "HUGE_PIXELS", 100_000)
    monkeypatch.setattr(excerpts, "MOST_PIXELS", 40_000)
    monkeypatch.setattr("core.learning.overlay.kept.read_image", None)  # never read whole
    path = bench.root / "images" / "huge.png"
    pixels = np.random.default_rng(0).integers(0, 90, (600, 800, 3), dtype=np.uint8)
    pixels[100:130, 200:230] = 250
    Image.fromarray(pixels).save(path)
    return "images/huge.png", path


def lay_out(bench: EngineBench, path: Path) -> None:
    """As the window does."""
    pyramid = open_pyramid(path, ProjectLayout(bench.root).cache / PYRAMIDS)
    pyramid.prepare(lambda _share: None)
    pyramid.close()


def test_of_a_huge_image_what_is_on_the_screen_is_predicted(
    bench: EngineBench, huge: tuple[str, Path]
) -> None:
    key, path = huge
    watch = Watch(key=key, image_path=str(path), view=(150, 60, 300, 180))
    bench.do(watch)
    bench.run()
    assert not bench.got(Prediction), "its tiles are not there yet"
    lay_out(bench, path)
    bench.do(watch)
    bench.run()
    [near] = bench.got(Prediction)
    assert near.region is not None
    x0, y0, x1, y1 = near.region
    assert x0 <= 150
    assert y0 <= 60
    assert x1 >= 300
    assert y1 >= 180
    classes = near.classes.unpack()
    assert classes.shape == (y1 - y0, x1 - x0), "near, pixel by pixel"
    assert (classes[100 - y0 : 130 - y0, 200 - x0 : 230 - x0] == 1).mean() > 0.9

    bench.do(replace(watch, view=(152, 60, 302, 181)))
    bench.run()
    assert len(bench.got(Prediction)) == 1, "that was predicted with it"
    bench.do(replace(watch, view=(0, 0, 800, 600)))
    bench.run()
    far = bench.got(Prediction)[-1]
    assert far.region == (0, 0, 800, 600)
    height, width = far.classes.size_hw
    assert height * width <= 40_000
    assert abs(width / height - 800 / 600) < 0.02
    assert not bench.got(Failed)


def test_a_correction_is_shown_in_the_view_of_a_huge_image(
    bench: EngineBench, huge: tuple[str, Path]
) -> None:
    key, path = huge
    lay_out(bench, path)
    bench.do(Watch(key=key, image_path=str(path), view=(150, 60, 300, 180)))
    bench.run()
    before = bench.got(Prediction)[-1]
    bench.do(bench.labels(0, np.zeros((SIDE, SIDE), np.uint8), 2))
    bench.run()
    after = bench.got(Prediction)[-1]
    assert after.region == before.region
    assert after.weights_version > before.weights_version


def test_what_is_drawn_in_a_huge_image_shows_before_the_learner_is_fitted_to_it(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.images.pyramid, "HUGE_PIXELS", SIDE * SIDE - 1)
    key, path = bench.entries[3].key, bench.entries[3].image_path
    lay_out(bench, path)
    bench.do(bench.watch(3))
    bench.run()
    square = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    square[10:26, 10:40] = 0
    bench.do(replace(bench.labels(3, square, 2), state=AnnotationState.IN_PROGRESS))
    bench.run(until=lambda: bench.got(Prediction)[-1].revision == 2)
    shown, instant = bench.got(Prediction)[-1], bench.engine._instant
    assert shown.bent
    assert instant.learner is not None
    pixels = instant.look(read_image(path))
    bent, general = instant.said_of(pixels, key).classes, instant.learner.predict(pixels).classes
    assert (bent != general).any()
    np.testing.assert_array_equal(shown.classes.unpack(), bent)
