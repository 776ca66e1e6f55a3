"""How a run starts: from the classes' shares, and without a long warm-up where nobody set an end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.commands import Train
from core.learning.events import Failed, Finished, Notice
from core.learning.labels.data import LabelStore
from core.learning.training.prior import start_from_shares
from core.learning.training.state import TrainState
from core.models.registry import build
from tests import tiny
from tests.learning.conftest import BACKGROUND, DISC, SQUARE, three_classes, tiny_config
from tests.learning.engine_bench import EngineBench, squares_bench


@pytest.mark.parametrize("model", ["unet", "fcn8s"])
def test_before_its_first_step_a_network_says_how_frequent_each_class_is(world, start, model) -> None:
    world.put_done(1, 2)
    options = {"unet": (("encoder_width", 4), ("width", 4)), "fcn8s": (("encoder_width", 4), ("fc", 16))}
    state = start(model=model, model_options=options[model], steps=1)
    counts = world.store.counts()[list(state.channels.classes.indices)]
    layer = state.network_for_prediction().score_layer
    shares = layer.bias.softmax(dim=0).detach().numpy()
    assert shares == pytest.approx(counts / counts.sum(), rel=1e-3)
    assert np.abs(layer.bias.detach().numpy().mean()) < 1e-6


def test_rare_classes_stay_within_reach(world) -> None:
    picture = world.picture(1)
    mask = np.full_like(picture.mask, BACKGROUND)
    mask[0, 0], mask[0, 1] = DISC, SQUARE
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    network = build("unet", classes=3, encoder="plain")
    start_from_shares(network, world.store, [picture.key])
    bias = network.score_layer.bias.detach()
    assert (bias.max() - bias.min()).item() == pytest.approx(np.log(100), rel=0.01)


def test_without_a_labelled_background_no_share_is_assumed(world) -> None:
    world.put_drawn(1, DISC, SQUARE)
    network = build("unet", classes=3, encoder="plain")
    start_from_shares(network, world.store, world.store.labelled_keys())
    assert torch.equal(network.score_layer.bias, torch.zeros(3))


def test_a_run_without_an_end_soon_learns_at_full_rate(world, start) -> None:
    world.put_done(1, 2)
    endless = start()
    for _ in endless.keep_up():
        pass
    first = endless.learner.lr
    endless.step = 16
    for _ in endless.keep_up():
        pass
    assert first < 0.1 * endless.config.lr
    assert endless.learner.lr == pytest.approx(endless.config.lr, rel=0.01)


@pytest.mark.parametrize("background", [True, False])
def test_border_weights_without_a_background_are_told_to_weigh_nothing(
    world, tmp_path: Path, *, background: bool
) -> None:
    store = LabelStore(three_classes(background=background))
    for number in (1, 2):
        picture = world.picture(number)
        mask = np.where(picture.mask == BACKGROUND, UNLABELLED, picture.mask).astype(np.uint8)
        store.put(picture.key, picture.path, mask, AnnotationState.IN_PROGRESS)
    told: list[Notice] = []
    TrainState.create(tiny_config(border_weight=10.0), store, tmp_path / "run", told.append)
    assert any("border_weight" in notice.text for notice in told) is not background


@pytest.fixture
def engine(tmp_path: Path) -> EngineBench:
    """Of a process with three threads for torch."""
    torch.set_num_threads(3)
    bench = squares_bench(tmp_path / "squares")
    bench.open()
    return bench


def test_threads_that_are_chosen_are_those_of_that_run_only(engine: EngineBench) -> None:
    engine.do(Train(config=replace(tiny.TINY, threads=1, steps=2)))
    assert torch.get_num_threads() == 1
    engine.run()
    assert engine.got(Finished)
    assert torch.get_num_threads() == 3
    engine.do(Train(config=replace(tiny.TINY, threads=None, steps=2)))
    assert torch.get_num_threads() == 3


def test_a_run_that_cannot_begin_leaves_the_threads_as_they_were(engine: EngineBench) -> None:
    engine.do(Train(config=replace(tiny.TINY, threads=1, encoder_weights="/no/such/file.pth")))
    assert engine.got(Failed)
    assert torch.get_num_threads() == 3
