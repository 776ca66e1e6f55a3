"""What a network may add to the loss of its scores: auxiliary heads, edges, whatever its paper trains with.

A term is a sum over pixels and the weight it is divided by. Neither is divided here: sums of several batches
or devices add up to the term of all their pixels, and where nothing is labelled both are zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from core.annotation.model import UNLABELLED


@dataclass(frozen=True, slots=True)
class Truth:
    """What a batch of crops should be seen as.

    Attributes:
        targets: (N, H, W) int64: channel 0..C-1, or UNLABELLED.
        pixel_weights: (N, H, W) float32: how much each pixel counts; 0 where it is unlabelled.
        class_weights: (C,) float32, factors on the cross-entropy of each class; None is 1 for all.
        border_weights: (N, H, W) float32, added to them in a cross-entropy; None is 0 everywhere.
    """

    targets: Tensor
    pixel_weights: Tensor
    class_weights: Tensor | None = None
    border_weights: Tensor | None = None

    @classmethod
    def of(
        cls,
        targets: Tensor,
        weights: Tensor | None = None,
        class_weights: Tensor | None = None,
        border_weights: Tensor | None = None,
    ) -> Self:
        """From targets and weights (N, H, W) of all pixels; None is 1 everywhere."""
        labelled = targets != UNLABELLED
        counted = labelled.to(torch.float32) if weights is None else labelled * weights.to(torch.float32)
        return cls(targets, counted, class_weights, border_weights)

    @property
    def labelled(self) -> Tensor:
        """(N, H, W), bool."""
        return self.targets != UNLABELLED

    @property
    def channels(self) -> Tensor:
        """The targets with 0 in place of UNLABELLED: safe to index with."""
        return torch.where(self.labelled, self.targets, 0)

    @property
    def entropy_weights(self) -> Tensor:
        """What each pixel counts in a cross-entropy, (N, H, W)."""
        if self.class_weights is None and self.border_weights is None:
            return self.pixel_weights
        factors = 1.0 if self.class_weights is None else self.class_weights[self.channels]
        return self.pixel_weights * (
            factors if self.border_weights is None else factors + self.border_weights
        )


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One term beside the loss of the scores.

    Attributes:
        total, weight: scalars, float32; the term is their quotient.
        factor: what the quotient counts in the loss.
    """

    total: Tensor
    weight: Tensor
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingOutput:
    """What a network says in training.

    Attributes:
        logits: (N, C, H, W), the scores it is asked for.
        extras: what else its loss terms are made from, by name.
    """

    logits: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)


def cross_entropy_term(logits: Tensor, truth: Truth, factor: float = 1.0) -> LossTerm:
    """Cross-entropy of scores (N, C, h, w), which are brought to the size of the targets first."""
    logits = logits.to(torch.float32)
    if logits.shape[-2:] != truth.targets.shape[-2:]:
        logits = F.interpolate(logits, size=truth.targets.shape[-2:], mode="bilinear", align_corners=False)
    log_probabilities = F.log_softmax(logits, dim=1)
    negative_log = -log_probabilities.gather(1, truth.channels.unsqueeze(1)).squeeze(1)  # (N, H, W)
    weights = truth.entropy_weights
    return LossTerm((negative_log * weights).sum(), weights.sum(), factor)
