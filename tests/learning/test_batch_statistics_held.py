"""Whose batch statistics move in training."""

from __future__ import annotations

import pytest
import torch

from core.learning.training.learner import FEW_CROPS, SETTLED_STEPS, Learner
from core.models.registry import build


@pytest.mark.parametrize(
    ("batch", "steps", "pretrained", "encoder_moves", "decoder_moves"),
    [
        (FEW_CROPS, SETTLED_STEPS, True, True, True),
        # Too few crops to know better than what it was pretrained with, or what the first steps have shown.
        (FEW_CROPS - 1, SETTLED_STEPS - 1, True, False, True),
        (FEW_CROPS - 1, SETTLED_STEPS, True, False, False),
        (2, SETTLED_STEPS, False, True, True),
        (1, 0, False, False, False),
        (1, 0, True, False, False),
    ],
)
def test_statistics_follow_the_crops_only_where_there_are_enough(
    config, batch, steps, pretrained, encoder_moves, decoder_moves
) -> None:
    network = build("unet", classes=2, encoder="plain", encoder_width=4, width=4)
    learner = Learner(config(batch=batch), network, torch.device("cpu"), pretrained=pretrained)
    learner.ema.updates = steps
    learner.prepare(0.9, endless=False)  # the encoder learns by now
    before = {name: value.clone() for name, value in network.named_buffers() if name.endswith("running_mean")}
    network(torch.randn(batch, 3, 32, 32))
    moved = {
        name for name, value in network.named_buffers() if name in before and (value != before[name]).any()
    }
    encoder = {name for name in before if name.startswith("encoder.")}
    assert bool(moved & encoder) is encoder_moves
    assert bool(moved - encoder) is decoder_moves
    assert all(parameter.requires_grad for parameter in network.encoder_parameters())
