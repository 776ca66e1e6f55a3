"""What undrawn pixels may be while nothing says what background is: more of what is drawn, or the rest.

Three of forty nuclei are drawn, and nothing else yet. Whatever is undrawn stands in for background, the other
nuclei among it: a head of many inputs learns to tell the three from all others by where they lie, and finds
none of them. A classifier that is too poor to do that says better what looks alike. It sees the principal
components of the finest features only, and is fitted to tell what is drawn from what is not; the undrawn that
score as the drawn do are taken for more of the same, the rest for background (learning from positive and
unlabelled examples: Elkan and Noto, 2008; reliable negatives).

Where a class cannot be told that way (a nerve among tissue of the same texture), its scores run into those of
the undrawn without a gap. Then nothing is said about them.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

COMPONENTS: Final = 4
"""More of them remember objects instead of describing them: 8 find less of the rest, 24 nearly nothing."""
NOTHING_SAID: Final = -1
LIKE_NONE: Final = -2
FEWEST: Final = 16
"""Drawn points of a class, or undrawn ones, with fewer of which nothing is said."""
LOWEST: Final = 0.05
"""This share of the drawn score less than what is taken for more of them."""
TAIL: Final = (0.01, 0.1)
"""Quantiles of the drawn between which the undrawn are counted ..."""
MOST_IN_TAIL: Final = 0.75
"""... and how many there may be: their share of the undrawn by that of the drawn. Nuclei have 0.03 to 0.8
there, a nerve or a car in a street 0.7 to 8."""
FLATTENING: Final = 0.01
"""Weight of the squared coefficients of the classifier."""


@torch.enable_grad()
def alike(drawn: Tensor, targets: Tensor, undrawn: Tensor) -> Tensor:
    """Which class undrawn pixels look like.

    Args:
        drawn: fine features of drawn pixels, (P, inputs), float32.
        targets: their channels, (P,).
        undrawn: the same features of undrawn pixels, (U, inputs).

    Returns:
        (U,), int64: a channel; LIKE_NONE where every drawn class stands out and it looks like none of them,
        else NOTHING_SAID.
    """
    found = torch.full((len(undrawn),), NOTHING_SAID)
    if len(undrawn) < FEWEST or not len(drawn):
        return found
    centre, basis = _components(undrawn)
    known, unknown = (drawn - centre) @ basis, (undrawn - centre) @ basis
    best = torch.zeros(len(undrawn))
    all_stand_out = True
    for channel in sorted(set(targets.tolist())):
        members = known[targets == channel]
        if len(members) < FEWEST:
            all_stand_out = False
            continue
        score = _classifier(members, unknown)
        of_drawn, of_undrawn = members @ score, unknown @ score
        low, high = of_drawn.quantile(torch.tensor(TAIL))
        in_tail = ((of_undrawn > low) & (of_undrawn < high)).float().mean() / (TAIL[1] - TAIL[0])
        if in_tail > MOST_IN_TAIL:
            all_stand_out = False
            continue
        margin = (of_undrawn - of_drawn.quantile(LOWEST)) / of_drawn.std().clamp_min(1e-3)
        found[margin > best] = channel
        best = torch.maximum(best, margin)
    if all_stand_out:
        found[found == NOTHING_SAID] = LIKE_NONE
    return found


def unlike(drawn: Tensor, targets: Tensor, undrawn: Tensor, others: Tensor) -> Tensor:
    """Which pixels look like no class that is drawn: what can stand in for background.

    It needs no gap between the classes and the rest: where a class cannot be told apart, much is kept out.

    Args:
        drawn: features of drawn pixels, (P, inputs), float32.
        targets: their channels, (P,).
        undrawn: features of some undrawn pixels, (U, inputs).
        others: of the pixels that are asked about, (Q, inputs).

    Returns:
        (Q,), bool.
    """
    found = torch.ones(len(others), dtype=torch.bool)
    if len(undrawn) < FEWEST:
        return found
    centre, basis = _components(undrawn)
    known, unknown, asked = ((features - centre) @ basis for features in (drawn, undrawn, others))
    for channel in sorted(set(targets.tolist())):
        members = known[targets == channel]
        if len(members) >= FEWEST:
            score = _classifier(members, unknown)
            found &= asked @ score < (members @ score).quantile(LOWEST)
    return found


def _components(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (inputs,), and a basis (inputs, COMPONENTS) of the standardised features' principal components."""
    centre, spread = features.mean(dim=0), features.std(dim=0).clamp_min(1e-3)
    standard = (features - centre) / spread
    _, vectors = torch.linalg.eigh(standard.T @ standard / len(standard))
    return centre, vectors[:, -COMPONENTS:] / spread[:, None]


def _classifier(members: Tensor, others: Tensor) -> Tensor:
    """Coefficients (COMPONENTS,) of a logistic regression in which both sides weigh the same."""
    spread = torch.cat([members, others]).std(dim=0).clamp_min(1e-6)
    inputs = torch.cat([members, others]) / spread
    truth = torch.cat([torch.ones(len(members)), torch.zeros(len(others))])
    weights = torch.cat(
        [torch.full((len(members),), 0.5 / len(members)), torch.full((len(others),), 0.5 / len(others))]
    )
    coefficients = torch.zeros(inputs.shape[1] + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([coefficients], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = inputs @ coefficients[:-1] + coefficients[-1]
        errors = F.binary_cross_entropy_with_logits(scores, truth, reduction="none")
        value = (errors * weights).sum() + FLATTENING * coefficients[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return coefficients.detach()[:-1] / spread
