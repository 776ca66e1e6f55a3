"""How closely images are looked at follows those that are looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.annotation.model import AnnotationState
from core.learning.instant import pace
from core.learning.instant.pace import FEATURES_SHARE, paced, pixels_to_see, work
from core.models.instant import VIEWS

CPU = torch.device("cpu")


@pytest.fixture
def _with_a_huge_image(world) -> None:
    """Beside a usual one, one that the instant learner leaves to deep networks."""
    world.put_done(1)
    mask = np.zeros((6000, 6000), np.uint8)
    world.store.put("huge.png", world.folder / "huge.png", mask, AnnotationState.DONE)


@pytest.mark.usefixtures("_with_a_huge_image")
def test_images_that_are_never_looked_at_cost_no_detail_beside_a_person(
    world, learner, feature_cache
) -> None:
    assert learner.keys == ("1.png",)
    assert pixels_to_see(world.store, feature_cache) == 72 * 96
    world.put_done(2)
    assert pixels_to_see(world.store, feature_cache) == 2 * 72 * 96


@pytest.mark.usefixtures("_with_a_huge_image")
def test_images_that_are_never_looked_at_cost_no_detail_in_a_run(
    world, config, network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "seconds_per_pixel", lambda _network, _device: 1e-6)
    needed_s = 1e-6 * 72 * 96 * work(VIEWS) / FEATURES_SHARE
    given = replace(config(model="instant", image_scale=1.0), seconds=1.1 * needed_s, model_options=())
    assert paced(network, given, world.store, CPU)[0].views == VIEWS
    short = replace(given, seconds=0.9 * needed_s)
    assert paced(network, short, world.store, CPU)[0].views != VIEWS
