"""Fitting the head: AdamW with one cycle of the rate on points drawn with balanced classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from core.learning.instant.points import BALANCE, Points
from core.models.instant import InstantNetwork

BATCH: Final = 2048
STEPS: Final = 400
"""Of a fit from nothing."""
REFIT_STEPS: Final = 40
"""Of a fit that goes on from an earlier one after labels changed."""
RATE: Final = 5e-3
REFIT_RATE: Final = 1e-3
WEIGHT_DECAY: Final = 0.02
FRESH_SHARE: Final = 0.25
"""Of a refit's points, those of the image whose labels changed."""


@dataclass(frozen=True, slots=True)
class FitStep:
    """One optimizer step of a head. `loss` stays a tensor until somebody reads it."""

    step: int
    steps: int
    loss: Tensor
    rate: float


class PointSet:
    """The points of all images, ready to be drawn from.

    Args:
        parts: by image. fresh: of which of them a share is drawn in any case; None: no one is special.
        device: where the head is fitted.
    """

    def __init__(
        self, parts: Sequence[Points], *, device: torch.device, fresh: int | None = None, seed: int = 0
    ) -> None:
        self.features = torch.cat([part.features for part in parts]).to(device)
        self.targets = torch.cat([part.targets for part in parts]).to(device)
        self.weights = torch.cat([part.weights for part in parts]).to(device)
        counts = torch.bincount(self.targets).double()
        chance = torch.where(counts > 0, counts, 1.0).pow(-BALANCE)[self.targets]
        self._all = _ladder(chance)
        self._fresh: tuple[int, Tensor] | None = None
        if fresh is not None:
            start = sum(len(part) for part in parts[:fresh])
            self._fresh = start, _ladder(chance[start : start + len(parts[fresh])])
        self._random = torch.Generator(device).manual_seed(seed)

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features (count, inputs), targets and weights (count,) of points drawn with repetition."""
        fresh = 0 if self._fresh is None else round(count * FRESH_SHARE)
        chosen = self._pick(self._all, count - fresh)
        if self._fresh is not None:
            start, ladder = self._fresh
            chosen = torch.cat([chosen, start + self._pick(ladder, fresh)])
        return self.features[chosen], self.targets[chosen], self.weights[chosen]

    def _pick(self, ladder: Tensor, count: int) -> Tensor:
        at = torch.rand(count, dtype=torch.double, device=ladder.device, generator=self._random)
        return torch.searchsorted(ladder, at).clamp_max(len(ladder) - 1)

    def standardization(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every feature, (inputs,) each, float32."""
        some = self.features[:: max(1, len(self) // 16384)].float()
        return some.mean(dim=0), some.std(dim=0) if len(some) > 1 else torch.ones_like(some[0])


def _ladder(chances: Tensor) -> Tensor:
    return chances.cumsum(0) / chances.sum()


def fit_head(network: InstantNetwork, points: PointSet, *, steps: int, rate: float) -> Iterator[FitStep]:
    """Fit the head of `network` in place; between two steps whoever iterates may do something else.

    The rate rises over the first three tenths and falls to nothing over the rest.
    """
    parameters = list(network.head_parameters())
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(steps, 2))
    for step in range(1, steps + 1):
        network.train()
        features, targets, weights = points.draw(BATCH)
        losses = F.cross_entropy(network.point_logits(features), targets, reduction="none")
        loss = (losses * weights).sum() / weights.sum().clamp_min(1e-6)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        now = optimizer.param_groups[0]["lr"]
        schedule.step()
        network.eval()
        yield FitStep(step, steps, loss.detach(), now)
