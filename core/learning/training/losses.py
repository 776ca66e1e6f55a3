"""Losses over the labelled pixels of partly labelled crops.

Everything is summed first and divided last (`LossSums`): sums of several batches or devices add up to the
loss of all their pixels, and a batch without a labelled pixel gives exactly zero with its gradient graph
intact, where torch's own mean would be 0 / 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, assert_never

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from core.annotation.model import UNLABELLED
from core.learning.config import ClassWeighting
from core.learning.settings.loss_recipe import LossName, LossRecipe
from core.models.network import SegmentationNetwork
from core.models.terms import LossTerm, Truth

_TINY = 1e-6
DEFAULT = LossRecipe()


class Loss(NamedTuple):
    """Scalars: what is minimised, and the two usual terms of it for the charts."""

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
        terms: what else is a sum and its weight: focal and Lovász losses, a network's own terms.
    """

    cross_entropy: Tensor
    weight: Tensor
    intersection: Tensor
    predicted: Tensor
    truth: Tensor
    terms: Mapping[str, LossTerm] = field(default_factory=dict)

    def __add__(self, other: LossSums) -> LossSums:
        return self.with_tensors(
            [one + another for one, another in zip(self.tensors(), other.tensors(), strict=True)]
        )

    def tensors(self) -> tuple[Tensor, ...]:
        """All sums, in an order that is the same in every process of a run."""
        usual = (self.cross_entropy, self.weight, self.intersection, self.predicted, self.truth)
        return *usual, *(part for term in self.terms.values() for part in (term.total, term.weight))

    def with_tensors(self, tensors: Sequence[Tensor]) -> LossSums:
        """The same sums with other values, in the order of `tensors()`."""
        rest = iter(tensors[5:])
        terms = {
            name: replace(term, total=next(rest), weight=next(rest)) for name, term in self.terms.items()
        }
        cross_entropy, weight, intersection, predicted, truth = tensors[:5]
        return LossSums(cross_entropy, weight, intersection, predicted, truth, terms)

    def loss(self, recipe: LossRecipe = DEFAULT) -> Loss:
        """What the recipe makes of the sums, and every network's own terms."""
        cross_entropy = self.cross_entropy / self.weight.clamp_min(_TINY)
        dice = self._lack_of_overlap(0.5)
        total = torch.zeros_like(cross_entropy)
        for name, factor in recipe.terms:
            match name:
                case "ce":
                    value = cross_entropy
                case "dice":
                    value = dice
                case "tversky":
                    value = self._lack_of_overlap(recipe.tversky_beta)
                case "focal" | "lovasz":
                    value = self._mean(self.terms[name])
                case _:
                    assert_never(name)
            total = total + factor * value
        for own, term in self.terms.items():
            if own not in SCORE_TERMS:
                total = total + recipe.auxiliary * term.factor * self._mean(term)
        return Loss(total, cross_entropy, dice)

    def _mean(self, term: LossTerm) -> Tensor:
        return term.total / term.weight.clamp_min(_TINY)

    def _lack_of_overlap(self, beta: float) -> Tensor:
        """1 - Tversky's index, the mean over the classes that are present (Salehi et al. 2017).

        A class's index is hits / (hits + beta misses + (1 - beta) false pixels); with 0.5 it is Dice.
        """
        divisor = 2.0 * (1.0 - beta) * self.predicted + 2.0 * beta * self.truth
        overlap = 2.0 * self.intersection / divisor.clamp_min(_TINY)
        present = (self.truth > 0).to(overlap.dtype)
        return ((1.0 - overlap) * present).sum() / present.sum().clamp_min(1.0)


SCORE_TERMS: frozenset[LossName] = frozenset({"focal", "lovasz"})
"""Of `LossSums.terms`, those that are losses of the scores; all others are a network's own."""


def loss_sums(
    logits: Tensor, truth: Truth, recipe: LossRecipe = DEFAULT, terms: Mapping[str, LossTerm] | None = None
) -> LossSums:
    """Sum up one batch, in float32 whatever the precision of the logits.

    Args:
        logits: (N, C, H, W).
        truth: what they should say. Class weights count in cross-entropy and focal loss, not where classes
            weigh the same as it is.
        recipe: what will be made of the sums.
        terms: the network's own.
    """
    log_probabilities = F.log_softmax(logits.to(torch.float32), dim=1)  # (N, C, H, W)
    channels, entropy_weights = truth.channels, truth.entropy_weights
    negative_log = -log_probabilities.gather(1, channels.unsqueeze(1)).squeeze(1)  # (N, H, W)

    # A product with one-hot planes rather than a scatter: CUDA adds scattered values in no fixed order, and
    # a resumed run must repeat what an uninterrupted one does.
    planes = torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
    one_hot = channels.unsqueeze(1) == planes  # (N, C, H, W)
    pixel_weights = truth.pixel_weights
    own = one_hot * pixel_weights.unsqueeze(1)
    probabilities = log_probabilities.exp()
    weight = entropy_weights.sum()
    further: dict[str, LossTerm] = {}
    if recipe.wants("focal"):
        focal = focal_losses(negative_log, recipe.focal_gamma)
        further["focal"] = LossTerm((focal * entropy_weights).sum(), weight)
    if recipe.wants("lovasz"):
        further["lovasz"] = lovasz_term(probabilities, one_hot, pixel_weights)
    return LossSums(
        cross_entropy=(negative_log * entropy_weights).sum(),
        weight=weight,
        intersection=(probabilities * own).sum(dim=(0, 2, 3)),
        predicted=(probabilities * pixel_weights.unsqueeze(1)).sum(dim=(0, 2, 3)),
        truth=own.sum(dim=(0, 2, 3)),
        terms=further | dict(terms or {}),
    )


def focal_losses(negative_log: Tensor, gamma: float) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002) of pixels with these negative log probabilities."""
    missing = -torch.expm1(-negative_log)  # 1 - p, exact where p is near 1
    return missing.clamp_min(_TINY).pow(gamma) * negative_log


def lovasz_term(probabilities: Tensor, one_hot: Tensor, pixel_weights: Tensor) -> LossTerm:
    """Lovász-Softmax (Berman et al. 2018, arXiv:1705.08790): the Jaccard loss, made continuous.

    Of each crop by itself, as the paper's image-wise variant, and the mean over the classes it shows: sorted
    errors of several devices could not be added up. A pixel that counts half is half a pixel of the sets.

    Args:
        probabilities: (N, C, H, W) float32.
        one_hot: (N, C, H, W) bool, of the true classes.
        pixel_weights: (N, H, W) float32, 0 where nothing is known.
    """
    weights = pixel_weights.unsqueeze(1).expand_as(probabilities).flatten(2)  # (N, C, HW)
    truth = one_hot.flatten(2)
    errors = (truth.to(torch.float32) - probabilities.flatten(2)).abs()
    errors, order = torch.where(weights > 0, errors, 0.0).sort(dim=2, descending=True, stable=True)
    weights = weights.gather(2, order)
    own = truth.gather(2, order) * weights
    size = own.sum(dim=2, keepdim=True)  # (N, C, 1)
    # The Jaccard loss when the pixels so far are the ones that are wrong, and what each adds to it.
    intersection = size - own.cumsum(dim=2)
    union = size + (weights - own).cumsum(dim=2)
    jaccard = 1.0 - intersection / union.clamp_min(_TINY)
    steps = jaccard.diff(dim=2, prepend=torch.zeros_like(size))
    shown = (size.squeeze(2) > 0).to(errors.dtype)  # (N, C)
    of_classes = (errors * steps).sum(dim=2) * shown
    of_crops = of_classes.sum(dim=1) / shown.sum(dim=1).clamp_min(1.0)
    return LossTerm(of_crops.sum(), (shown.sum(dim=1) > 0).to(errors.dtype).sum())


def segmentation_loss(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    *,
    class_weights: Tensor | None = None,
    recipe: LossRecipe = DEFAULT,
) -> Loss:
    """The loss of one batch of scores (N, C, H, W); targets and weights as in `Truth`."""
    return loss_sums(logits, Truth.of(targets, weights, class_weights), recipe).loss(recipe)


def training_loss(
    network: SegmentationNetwork, x: Tensor, truth: Truth, recipe: LossRecipe = DEFAULT
) -> Loss:
    """The loss of one batch of normalised images x (N, 3, H, W), with the network's own terms."""
    output = network.training_output(x)
    terms = network.loss_terms(output, truth) if recipe.auxiliary else {}
    return loss_sums(output.logits, truth, recipe, terms).loss(recipe)


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
    """Cross-entropy weights (C,), float32: rare classes count more, by at most `cap`.

    "median_frequency" is median-frequency balancing (Eigen and Fergus 2015, arXiv:1411.4734): the median of
    all frequencies / that of the class, where its frequency is its pixels / all labelled pixels of the images
    that show it. "inverse_sqrt" is sqrt(the median of all counts / that of the class), wherever its pixels
    are: full balancing paints rare classes far beyond their borders.

    Args:
        pixels: labelled pixels of each image and class (N, C).
        cap: weights are within 1 / cap .. cap.
        how: with "none" all weights are 1, as that of an absent class always is.
    """
    counts = np.asarray(pixels, dtype=np.float64)
    totals = counts.sum(axis=0)
    present = totals > 0
    factors = np.ones(totals.shape)
    if how == "inverse_sqrt" and present.any():
        factors[present] = np.sqrt(np.median(totals[present]) / totals[present])
    elif how == "median_frequency" and present.any():
        around = (counts.sum(axis=1, keepdims=True) * (counts > 0)).sum(axis=0)
        frequencies = totals[present] / around[present]
        factors[present] = np.median(frequencies) / frequencies
    return np.clip(factors, 1.0 / cap, cap).astype(np.float32)
