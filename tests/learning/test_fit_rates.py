"""Which layers learn how fast."""

from __future__ import annotations

import pytest

from core.learning.training.optimizers import new_optimizer, rate_factors
from core.models.registry import build


@pytest.mark.parametrize("pretrained", [True, False])
def test_every_parameter_learns_and_a_pretrained_encoder_more_slowly(world, start, pretrained: bool) -> None:
    world.put_done(1)
    state = start(encoder_lr_factor=0.2)
    network = state.learner.network
    assert not network.pretrained
    network.encoder.pretrained = pretrained
    by_id = {
        id(parameter): group["peak_lr"] / state.config.lr
        for group in new_optimizer(network, state.config).param_groups
        for parameter in group["params"]
    }
    for name, parameter in network.named_parameters():
        rate = by_id[id(parameter)]
        if name.startswith("encoder."):
            assert rate == pytest.approx(0.2 if pretrained else 1.0)
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
