"""What moves the weights: one optimizer for a network, each part at its own rate."""

from __future__ import annotations

from typing import Any, Final, assert_never

import torch
from torch import nn

from core.learning.config import TrainConfig
from core.learning.settings.preset import OPTIMIZER_RATES
from core.models.network import SegmentationNetwork

SCORE_INPUTS: Final = 160
SCORE_FACTORS: Final = (0.25, 10.0)
"""A score layer of n inputs learns SCORE_INPUTS / n times as fast as the decoder, within these limits."""
WIDEST: Final = 4096
"""Layers of more inputs learn that much more slowly: FCN's fc6 has 25088."""
CYCLED_MOMENTUM: Final = (0.85, 0.95)
"""At the highest and at the lowest rate of one cycle (Smith 2018, arXiv:1803.09820)."""


def new_optimizer(network: SegmentationNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    """The configuration's optimizer; each group remembers its `peak_lr`, which the schedule scales.

    A pretrained encoder learns at its lower rate, one that starts from nothing as fast as the decoder, whose
    layers learn as `rate_factors` says.
    """
    groups = _groups(network, config)
    decay = config.weight_decay
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, weight_decay=decay, fused=True)
        case "sgd":
            return _decaying(
                torch.optim.SGD(groups, momentum=config.momentum), decay / OPTIMIZER_RATES["sgd"]
            )
        case "rmsprop":
            return _decaying(torch.optim.RMSprop(groups), decay / OPTIMIZER_RATES["rmsprop"])
    assert_never(config.optimizer)


def _groups(network: SegmentationNetwork, config: TrainConfig) -> list[dict[str, Any]]:
    lr = config.lr or 0.0
    factors = {} if config.optimizer == "sgd" else rate_factors(network)
    by_rate: dict[float, list[nn.Parameter]] = {1.0: []}
    for parameter in network.decoder_parameters():
        by_rate.setdefault(factors.get(id(parameter), 1.0), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "lr": lr * factor, "peak_lr": lr * factor}
        for factor, parameters in by_rate.items()
        if parameters
    ]
    encoder_lr = lr * (config.encoder_lr_factor if network.pretrained else 1.0)
    encoder = list(network.encoder_parameters())
    groups.append({"params": encoder, "lr": encoder_lr, "peak_lr": encoder_lr})
    return groups


def rate_factors(network: SegmentationNetwork) -> dict[int, float]:
    """Learning rates of the decoder's convolutions as multiples of its rate, by the id of their parameters.

    Adam moves each weight by about the rate a step, whatever its gradient, and so a layer's output by an
    amount that grows with its number of inputs (compare Yang et al. 2022, arXiv:2203.03466). Scores over a
    few features would hardly move in some hundred steps: on ultrasound images a class that left all of 8 last
    features at zero stayed just below the background for 400 steps, seen but never shown. And a layer over
    tens of thousands of inputs would be thrown about. RMSprop is the same; SGD's steps follow the gradients.
    """
    factors: dict[int, float] = {}
    score_layers = set(network.score_layers)
    for module in network.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        inputs = module.weight[0].numel()
        if module in score_layers:
            factor = min(max(SCORE_INPUTS / inputs, SCORE_FACTORS[0]), SCORE_FACTORS[1])
        else:
            factor = min(WIDEST / inputs, 1.0)
        factors |= {id(parameter): factor for parameter in module.parameters()}
    return factors


def cycle_momentum(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The momentum that goes with a rate, 0..1 of its peak: low where the rate is high."""
    low, high = CYCLED_MOMENTUM
    momentum = high - (high - low) * min(rate, 1.0)
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group["momentum"]:
            group["momentum"] = momentum


def _decaying(optimizer: torch.optim.Optimizer, decay: float) -> torch.optim.Optimizer:
    """Let each step begin as AdamW's does: what learns shrinks by its rate times `decay`.

    As part of the gradient, which is torch's way for the others, a decay that suits AdamW would be far too
    much: there it is divided by nothing.
    """

    def shrink(stepping: torch.optim.Optimizer, *_: object) -> None:
        for group in stepping.param_groups:
            learning = [parameter.data for parameter in group["params"] if parameter.grad is not None]
            if learning and decay:
                torch._foreach_mul_(learning, 1.0 - group["lr"] * decay)

    optimizer.register_step_pre_hook(shrink)
    return optimizer
