"""The last layer of a head, fitted alone: to all of its points at once, in tenths of a second.

With the hidden units as they are, what is left is logistic regression. That is convex: L-BFGS finds its one
answer, without a rate or steps to choose, and nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.learning.instant.head import without_doubted
from core.learning.instant.points import BALANCE, Points
from core.models.instant import InstantNetwork

HELD: Final = 0.01
"""What the square of a weight's change costs, beside the mean loss of a point."""
ROUNDS: Final = 3
"""Between them it is decided anew which stand-ins are doubted (`without_doubted`)."""
ITERATIONS: Final = 12


def fit_last_layer(
    network: InstantNetwork, parts: Sequence[Points], shares: Sequence[float], device: torch.device
) -> Iterator[None]:
    """Bend the last layer to points, in as many pieces of work as there are rounds.

    Args:
        network: its head changes in place.
        parts: what it is fitted to; one at least has points.
        shares: how much each part counts; what an empty one has goes to the others.
        device: the network's.
    """
    filled = [(part, share) for part, share in zip(parts, shares, strict=True) if len(part)]
    with torch.no_grad():
        units = torch.cat([network.hidden_units(part.features.to(device)) for part, _ in filled])
    targets = torch.cat([part.targets for part, _ in filled]).to(device)
    doubtful = torch.cat([part.doubtful for part, _ in filled]).to(device)
    counts = torch.cat([share * _balanced(part) for part, share in filled]).to(device)
    change = _Change(network.head)
    for _ in range(ROUNDS):
        with torch.no_grad():
            kept = without_doubted(counts, doubtful, targets, change.logits(units))
        change.fit(units, targets, kept / kept.sum())
        change.apply(network.head)
        yield None


class _Change:
    """What is added to a layer that was there."""

    def __init__(self, layer: nn.Linear) -> None:
        self._weight, self._bias = layer.weight.detach().clone(), layer.bias.detach().clone()
        self._added = [torch.zeros_like(each).requires_grad_() for each in (self._weight, self._bias)]

    def logits(self, units: Tensor) -> Tensor:
        """Scores (P, classes) of hidden units (P, hidden)."""
        weight, bias = self._added
        return F.linear(units, self._weight + weight, self._bias + bias)

    def fit(self, units: Tensor, targets: Tensor, counts: Tensor) -> None:
        """As near to `targets` (P,) as is worth the change; `counts` (P,) are together 1."""
        optimizer = torch.optim.LBFGS(self._added, max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def cost() -> Tensor:
            optimizer.zero_grad()
            losses = F.cross_entropy(self.logits(units), targets, reduction="none")
            total = (losses * counts).sum()
            for added in self._added:
                total = total + HELD * added.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        optimizer.step(cost)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def apply(self, layer: nn.Linear) -> None:
        """Make the layer what it was, and this added to it."""
        weight, bias = self._added
        layer.weight.copy_(self._weight + weight)
        layer.bias.copy_(self._bias + bias)


def _balanced(part: Points) -> Tensor:
    """What each point counts, (P,), together 1: those of rare classes more, those that stand in less."""
    chance = torch.bincount(part.targets).clamp_min(1).float().pow(-BALANCE)[part.targets] * part.weights
    return chance / chance.sum()
