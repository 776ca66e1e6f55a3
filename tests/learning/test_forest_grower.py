"""The same labels give the same forest, in whatever order they came and whatever was labelled before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from core.annotation.model import UNLABELLED
from core.images.reader import read_image
from core.learning.instant import points
from core.learning.instant.learner import FeaturesDone
from core.learning.labels.data import ChannelMap
from core.learning.training.forest import ForestGrower, _ranked
from core.models.random_forest import ForestNetwork
from tests.learning.conftest import DISC, World


class Grower:
    """A grower of four small trees, and what they say of a picture."""

    def __init__(self, world: World) -> None:
        pixels = read_image(world.picture(50).path)
        self._picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(torch.float32)
        self._network = ForestNetwork(classes=3, trees=4, leaves=16, depth=6)
        channels = ChannelMap(world.store.classes)
        self.grower = ForestGrower(
            world.store, self._network, channels, scale=1.0, weak_background=0.1, seed=0, threads=1
        )

    def grown(self) -> Tensor:
        """Scores (1, 3, H, W) of a forest on the labels of now."""
        list(self.grower.update())
        with torch.inference_mode():
            return self._network.logits(self._picture)


@pytest.fixture
def new(world: World) -> Callable[[], Grower]:
    return lambda: Grower(world)


@pytest.fixture
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight images give half as many pixels each as four."""
    monkeypatch.setattr(points, "POINTS_IN_ALL", 4 * points.POINTS_PER_IMAGE)


@pytest.mark.usefixtures("_little_room")
@pytest.mark.parametrize("steps", [[(5,), (1,)], [(1, 2), range(3, 9)], [(9, 8), (7,), range(1, 7)]])
def test_a_forest_does_not_depend_on_the_order_of_its_labels(
    world: World, new: Callable[[], Grower], steps: Sequence[Sequence[int]]
) -> None:
    grower = new()
    for numbers in steps:
        world.put_done(*numbers)
        world.put_drawn(10, DISC)
        found = grower.grown()
    assert torch.equal(found, new().grown())


@pytest.mark.usefixtures("_little_room")
def test_a_forest_does_not_depend_on_images_that_are_gone(world: World, new: Callable[[], Grower]) -> None:
    grower = new()
    world.put_done(*range(1, 17))
    grower.grown()
    for number in range(3, 17):
        world.store.remove(f"{number}.png")
    assert torch.equal(grower.grown(), new().grown())


@pytest.mark.usefixtures("_little_room")
def test_few_images_more_or_less_are_no_reason_to_look_at_all_of_them_again(
    world: World, new: Callable[[], Grower]
) -> None:
    grower = new()
    world.put_done(*range(1, 10))
    grower.grown()
    world.put_done(10)
    looked = [piece for piece in grower.grower.update() if isinstance(piece, FeaturesDone)]
    assert [piece.done for piece in looked] == [2], "10.png is the second by name"
    world.store.remove("10.png")
    world.store.remove("9.png")
    assert not [piece for piece in grower.grower.update() if isinstance(piece, FeaturesDone)]


def test_an_image_that_was_replaced_is_looked_at_again(world: World, new: Callable[[], Grower]) -> None:
    grower = new()
    world.put_done(1, 2)
    before = grower.grown()
    path = world.folder / "1.png"
    Image.fromarray(255 - read_image(path)).save(path)
    os.utime(path, ns=(0, 10**18))
    found = grower.grown()
    assert not torch.equal(found, before)
    assert torch.equal(found, new().grown())


def test_while_an_image_is_being_written_its_older_pixels_are_learned_from(
    world: World, new: Callable[[], Grower]
) -> None:
    grower = new()
    world.put_done(1, 2)
    before = grower.grown()
    path = world.folder / "1.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert torch.equal(grower.grown(), before)
    assert "1.png" in world.store
    path.write_bytes(whole)
    assert torch.equal(grower.grown(), before)
    assert not grower.grower.problems


def test_an_image_that_goes_while_others_are_looked_at_is_not_learned_from(
    world: World, new: Callable[[], Grower]
) -> None:
    grower = new()
    world.put_done(1, 2, 3)
    for piece in grower.grower.update():
        if isinstance(piece, FeaturesDone) and piece.done == 2:
            world.store.remove("1.png")
            world.store.remove("3.png")
    assert torch.equal(grower.grown(), new().grown())


def test_the_first_pixels_show_rare_classes_and_all_there_is_of_little() -> None:
    flat = np.zeros(100_000, np.uint8)
    flat[:500], flat[500:600], flat[600:] = 1, UNLABELLED, 0
    places, needs = _ranked(flat, np.random.default_rng(0))
    for count in (256, 1000, points.POINTS_PER_IMAGE):
        found = flat[places[needs < count]]
        assert abs(len(found) - count) <= 2
        assert (found == 1).mean() == pytest.approx(0.066, abs=0.01)
    places, needs = _ranked(flat[:1000], np.random.default_rng(0))
    assert sorted(places[needs < 900]) == [*range(500), *range(600, 1000)]
    assert len(places[needs < 256]) <= 258
    assert not len(_ranked(flat[500:600], np.random.default_rng(0))[0])
