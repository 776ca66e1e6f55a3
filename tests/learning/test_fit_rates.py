"""Which layers learn how fast."""

from __future__ import annotations

import pytest

from core.learning.optimizers import rate_factors
from core.models.registry import build


def _rates(state) -> dict[str, float]:
    """Peak rate of each parameter as a multiple of the decoder's, by name."""
    by_id = {
        id(parameter): group["peak_lr"] / state.config.lr
        for group in state.learner.optimizer.param_groups
        for parameter in group["params"]
    }
    return {name: by_id[id(parameter)] for name, parameter in state.learner.network.named_parameters()}


def test_every_parameter_learns_and_the_encoder_more_slowly(world, start) -> None:
    world.put_done(1)
    state = start(encoder_lr_factor=0.2)
    for name, rate in _rates(state).items():
        if name.startswith("encoder."):
            assert rate == pytest.approx(0.2)
        elif name.startswith("head."):
            assert rate == pytest.approx(10.0)
        else:
            assert rate == pytest.approx(1.0)


def test_scores_over_many_features_and_very_wide_layers_are_held_back() -> None:
    network = build("fcn8s", classes=3, encoder="vgg16", fc=1024)
    factors = rate_factors(network)
    assert factors[id(network.fc6.weight)] == pytest.approx(4096 / (512 * 49))
    assert factors[id(network.fc7.weight)] == 1.0
    assert factors[id(network.score.weight)] == 0.25
    assert factors[id(network.score_skips[1].weight)] == pytest.approx(160 / 256)
