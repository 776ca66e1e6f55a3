"""The averaged copy of a network: what is shown, scored and saved."""

from __future__ import annotations

import copy
from typing import Final

import torch
from torch import Tensor

from core.models.network import SegmentationNetwork

WARMUP: Final = 10
"""The decay starts at 1 / WARMUP and rises: an average over about a ninth of the steps so far. A fixed decay
would keep the random start in view for most of a short run."""


class Ema:
    """Exponential moving average of the weights; batch statistics are averaged with them.

    Attributes:
        network: the average, in evaluation mode.
        updates: how often it was brought up to date.
    """

    def __init__(self, network: SegmentationNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: SegmentationNetwork) -> None:
        """Move towards `network`, whose tensors have the same names."""
        decay = min(self.decay, (1 + self.updates) / (WARMUP + self.updates))
        self.updates += 1
        averages: list[Tensor] = []
        currents: list[Tensor] = []
        for average, current in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if average.is_floating_point():
                averages.append(average)
                currents.append(current)
            else:
                average.copy_(current)
        torch._foreach_lerp_(averages, currents, 1.0 - decay)

    def enter_stage(self, name: str) -> None:
        """Follow the network into a stage."""
        self.network.enter_stage(name)
