"""Cross-entropy and Dice over the labelled pixels of partly labelled crops.

Everything is summed first and divided last (`LossSums`): sums of several batches or devices add up to the
loss of all their pixels, and a batch without a labelled pixel gives exactly zero with its gradient graph
intact, where torch's own mean would be 0 / 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from core.annotation.model import UNLABELLED
from core.learning.config import ClassWeighting

_TINY = 1e-6


class Loss(NamedTuple):
    """Scalars: what is minimised, and its two terms for the charts."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sums over pixels, which add up over batches and devices.

    Attributes:
        cross_entropy, weight: scalars: weighted cross-entropy, and the weights it is divided by.
        intersection, predicted, truth: (C,): per class the weighted probability on its own pixels, the
            probability on all labelled pixels, and its own pixels.
    """

    cross_entropy: Tensor
    weight: Tensor
    intersection: Tensor
    predicted: Tensor
    truth: Tensor

    def __add__(self, other: LossSums) -> LossSums:
        return LossSums(
            self.cross_entropy + other.cross_entropy,
            self.weight + other.weight,
            self.intersection + other.intersection,
            self.predicted + other.predicted,
            self.truth + other.truth,
        )

    def loss(self, *, dice: float = 1.0) -> Loss:
        """Mean cross-entropy plus `dice` times the mean of 1 - Dice over the classes that are present."""
        cross_entropy = self.cross_entropy / self.weight.clamp_min(_TINY)
        overlap = 2.0 * self.intersection / (self.predicted + self.truth).clamp_min(_TINY)
        present = (self.truth > 0).to(overlap.dtype)
        dice_loss = ((1.0 - overlap) * present).sum() / present.sum().clamp_min(1.0)
        return Loss(cross_entropy + dice * dice_loss, cross_entropy, dice_loss)


def loss_sums(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    class_weights: Tensor | None = None,
) -> LossSums:
    """Sum up one batch, in float32 whatever the precision of the logits.

    Args:
        logits: (N, C, H, W).
        targets: (N, H, W) int64: channel 0..C-1, or UNLABELLED.
        weights: (N, H, W) float32, how much each pixel counts; None is 1 everywhere.
        class_weights: (C,) float32, factors on the cross-entropy of each class; not on Dice, which weighs
            classes equally as it is.
    """
    labelled = targets != UNLABELLED
    pixel_weights = labelled.to(torch.float32) if weights is None else labelled * weights.to(torch.float32)
    log_probabilities = F.log_softmax(logits.to(torch.float32), dim=1)  # (N, C, H, W)
    channels = torch.where(labelled, targets, 0)
    negative_log = -log_probabilities.gather(1, channels.unsqueeze(1)).squeeze(1)  # (N, H, W)
    entropy_weights = pixel_weights if class_weights is None else pixel_weights * class_weights[channels]

    # A product with one-hot planes rather than a scatter: CUDA adds scattered values in no fixed order, and
    # a resumed run must repeat what an uninterrupted one does.
    planes = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    own = (channels.unsqueeze(1) == planes) * pixel_weights.unsqueeze(1)  # (N, C, H, W)
    probabilities = log_probabilities.exp()
    return LossSums(
        cross_entropy=(negative_log * entropy_weights).sum(),
        weight=entropy_weights.sum(),
        intersection=(probabilities * own).sum(dim=(0, 2, 3)),
        predicted=(probabilities * pixel_weights.unsqueeze(1)).sum(dim=(0, 2, 3)),
        truth=own.sum(dim=(0, 2, 3)),
    )


def segmentation_loss(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    class_weights: Tensor | None = None,
    dice: float = 1.0,
) -> Loss:
    """The loss of one batch; arguments as for `loss_sums`, `dice` is the weight of the Dice term."""
    return loss_sums(logits, targets, weights, class_weights=class_weights).loss(dice=dice)


def losses_at(logits: Tensor, targets: Tensor, points_xy: Tensor) -> Tensor:
    """Cross-entropy (N,), float32, without gradient, at one pixel of each crop; NaN where it is unlabelled.

    Args:
        logits: (N, C, H, W).
        targets: (N, H, W) int64.
        points_xy: (N, 2) int64.
    """
    rows = torch.arange(len(targets), device=targets.device)
    x, y = points_xy[:, 0], points_xy[:, 1]
    scores = logits.detach()[rows, :, y, x].to(torch.float32)  # (N, C)
    own = targets[rows, y, x]
    found = F.cross_entropy(scores, own, ignore_index=UNLABELLED, reduction="none")
    return torch.where(own == UNLABELLED, torch.nan, found)


def balanced_class_weights(
    pixels: ArrayLike, cap: float, how: ClassWeighting = "inverse_sqrt"
) -> NDArray[np.float32]:
    """Cross-entropy weights (C,) from pixel counts (C,): rare classes count more, by at most `cap`.

    "median_frequency" is median-frequency balancing (Eigen and Fergus 2015, arXiv:1411.4734), by which all
    classes count the same together; "inverse_sqrt" its square root: full balancing paints rare classes far
    beyond their borders. Within 1 / cap .. cap; absent classes get 1, and with "none" all do.
    """
    counts = np.asarray(pixels, dtype=np.float64)
    present = counts > 0
    factors = np.ones(counts.shape)
    if how != "none" and present.any():
        balanced = np.median(counts[present]) / counts[present]
        factors[present] = np.sqrt(balanced) if how == "inverse_sqrt" else balanced
    return np.clip(factors, 1.0 / cap, cap).astype(np.float32)
