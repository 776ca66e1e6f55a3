"""The loss counts labelled pixels only, and never becomes NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.learning.loss_recipe import LossRecipe
from core.learning.losses import balanced_class_weights, loss_sums, segmentation_loss
from core.models.terms import Truth


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 4, 9, 11, generator=random)
    targets = torch.randint(0, 3, (2, 9, 11), generator=random)  # class 3 is absent
    targets[:, :3] = 255
    return logits, targets


def test_cross_entropy_is_torchs_over_labelled_pixels():
    logits, targets = batch()
    expected = F.cross_entropy(logits, targets, ignore_index=255)
    torch.testing.assert_close(
        segmentation_loss(logits, targets, recipe=LossRecipe(terms=(("ce", 1.0),))).total, expected
    )


def test_class_weights_work_as_torchs():
    logits, targets = batch()
    weights = torch.tensor([0.5, 1.0, 3.0, 1.0])
    expected = F.cross_entropy(logits, targets, weight=weights, ignore_index=255)
    torch.testing.assert_close(
        segmentation_loss(logits, targets, class_weights=weights).cross_entropy, expected
    )


def test_pixel_weights_work_as_repetition():
    logits, targets = batch()
    weights = torch.ones(2, 9, 11)
    weights[1] = 3.0
    repeated = segmentation_loss(logits[[0, 1, 1, 1]], targets[[0, 1, 1, 1]])
    weighted = segmentation_loss(logits, targets, weights)
    for one, other in zip(weighted, repeated, strict=True):
        torch.testing.assert_close(one, other)


def test_dice_is_the_mean_over_present_classes():
    logits, targets = batch()
    labelled = targets != 255
    probabilities = logits.softmax(dim=1).permute(0, 2, 3, 1)[labelled]
    truth = F.one_hot(targets[labelled], 4).float()
    dice = 2 * (probabilities * truth).sum(0) / (probabilities.sum(0) + truth.sum(0))
    torch.testing.assert_close(segmentation_loss(logits, targets).dice, 1 - dice[:3].mean())


def test_a_perfect_prediction_costs_nothing():
    _, targets = batch()
    logits = 100.0 * F.one_hot(targets.clamp_max(3), 4).permute(0, 3, 1, 2).float()
    assert segmentation_loss(logits, targets).total.item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_batch_without_a_label_costs_exactly_nothing_and_teaches_nothing(dtype: torch.dtype):
    logits = torch.randn(2, 4, 9, 11, dtype=dtype, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((2, 9, 11), 255), class_weights=torch.ones(4))
    loss.total.backward()
    assert loss.total.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_weights_of_zero_are_as_good_as_no_label():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.zeros(1, 4, 4, dtype=torch.int64), torch.zeros(1, 4, 4))
    loss.total.backward()
    assert loss.total.item() == 0.0


def test_extreme_logits_stay_finite():
    logits = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4).clone().requires_grad_()
    loss = segmentation_loss(logits, torch.ones(1, 4, 4, dtype=torch.int64)).total
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_half_precision_is_summed_in_full():
    logits, targets = batch()
    coarse = logits.to(torch.bfloat16)
    assert segmentation_loss(coarse, targets).total.dtype == torch.float32
    torch.testing.assert_close(
        segmentation_loss(coarse, targets).total, segmentation_loss(coarse.float(), targets).total
    )


def test_sums_of_parts_are_the_sums_of_the_whole():
    """Two devices, each with half a batch, add up to one with all of it."""
    logits, targets = batch()
    class_weights = torch.tensor([0.2, 1.0, 2.0, 1.0])
    parts = [loss_sums(logits[i : i + 1], Truth.of(targets[i : i + 1], None, class_weights)) for i in (0, 1)]
    whole = loss_sums(logits, Truth.of(targets, None, class_weights))
    for one, other in zip((parts[0] + parts[1]).loss(), whole.loss(), strict=True):
        torch.testing.assert_close(one, other)


def test_rare_classes_weigh_more_but_not_without_limit():
    weights = balanced_class_weights([1_000_000, 10_000, 10_000, 1, 0], cap=5.0)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [0.2, 1.0, 1.0, 5.0, 1.0])
    np.testing.assert_allclose(
        balanced_class_weights([400, 100], cap=5.0), [np.sqrt(250 / 400), np.sqrt(2.5)], rtol=1e-6
    )
    np.testing.assert_allclose(balanced_class_weights([0, 0], cap=5.0), [1.0, 1.0])
