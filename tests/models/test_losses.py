"""The loss counts labelled pixels only, and never becomes NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.errors import UsageError
from core.learning.config import TrainConfig
from core.learning.settings.loss_recipe import LOSS_NAMES, LossRecipe
from core.learning.settings.sensible import check_sensible
from core.learning.training.losses import LossSums, balanced_class_weights, loss_sums, segmentation_loss
from core.models.terms import Truth, cross_entropy_term


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
    weights = balanced_class_weights([[1_000_000, 10_000, 10_000, 1, 0]], cap=5.0)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [0.2, 1.0, 1.0, 5.0, 1.0])
    np.testing.assert_allclose(
        balanced_class_weights([[100, 0], [300, 100]], cap=5.0), [np.sqrt(250 / 400), np.sqrt(2.5)], rtol=1e-6
    )
    for nothing in ([[0, 0]], np.zeros((0, 2))):
        for how in ("inverse_sqrt", "median_frequency"):
            np.testing.assert_allclose(balanced_class_weights(nothing, 5.0, how), [1.0, 1.0])


# --- recipes ----------------------------------------------------------------------------------------------


def only(name: str, **settings: float) -> LossRecipe:
    return LossRecipe(terms=((name, 1.0),), **settings)


def test_focal_loss_is_its_formula():
    logits, targets = batch()
    class_weights = torch.tensor([0.5, 1.0, 3.0, 1.0])
    labelled = targets != 255
    p = logits.softmax(dim=1).permute(0, 2, 3, 1)[labelled].double()
    p = p[torch.arange(len(p)), targets[labelled]]
    weights = class_weights[targets[labelled]].double()
    expected = (weights * -((1 - p) ** 1.5) * p.log()).sum() / weights.sum()
    found = segmentation_loss(
        logits, targets, class_weights=class_weights, recipe=only("focal", focal_gamma=1.5)
    ).total
    torch.testing.assert_close(found.double(), expected)


def test_focal_loss_without_focus_is_cross_entropy():
    logits, targets = batch()
    loss = segmentation_loss(logits, targets, recipe=only("focal", focal_gamma=0.0))
    torch.testing.assert_close(loss.total, loss.cross_entropy)


def test_tversky_counts_misses_and_false_pixels_apart():
    logits, targets = batch()
    labelled = targets != 255
    p = logits.softmax(dim=1).permute(0, 2, 3, 1)[labelled]
    truth = F.one_hot(targets[labelled], 4).float()
    hits, false, missed = (p * truth).sum(0), (p * (1 - truth)).sum(0), ((1 - p) * truth).sum(0)
    expected = 1 - (hits / (hits + 0.2 * false + 0.8 * missed))[:3].mean()
    found = segmentation_loss(logits, targets, recipe=only("tversky", tversky_beta=0.8)).total
    torch.testing.assert_close(found, expected)


def jaccard_loss(wrong: set[int], truth: set[int]) -> float:
    """Of a prediction that is wrong at these pixels."""
    return len(wrong) / len(truth | wrong)


def test_lovasz_is_the_jaccard_loss_weighed_by_sorted_errors():
    """The definition: errors in falling order, each times what its pixel adds to the loss of the set."""
    logits, targets = batch()
    of_crops = []
    for scores, truth in zip(logits.softmax(dim=1), targets, strict=True):
        known = (truth != 255).flatten().nonzero().flatten().tolist()
        of_classes = []
        for channel in range(3):
            own = {i for i in known if truth.flatten()[i] == channel}
            p = scores[channel].flatten().tolist()
            errors = {i: 1 - p[i] if i in own else p[i] for i in known}
            wrong: set[int] = set()
            loss, before = 0.0, 0.0
            for i in sorted(errors, key=lambda i: -errors[i]):
                wrong.add(i)
                now = jaccard_loss(wrong, own)
                loss, before = loss + errors[i] * (now - before), now
            of_classes.append(loss)
        of_crops.append(sum(of_classes) / 3)
    found = segmentation_loss(logits, targets, recipe=only("lovasz")).total.item()
    assert found == pytest.approx(sum(of_crops) / 2, rel=1e-4)


def test_lovasz_of_hard_decisions_is_one_minus_iou():
    truth = torch.tensor([[0, 0, 0, 1, 1, 1, 255, 255]]).view(1, 2, 4)
    said = torch.tensor([[0, 0, 1, 1, 1, 0, 1, 0]]).view(1, 2, 4)
    logits = 100.0 * F.one_hot(said, 2).permute(0, 3, 1, 2).float()
    found = segmentation_loss(logits, truth, recipe=only("lovasz")).total.item()
    assert found == pytest.approx(1 - 2 / 4)  # two hits, one missed, one false, for both classes


def test_a_combination_adds_up():
    logits, targets = batch()
    recipe = LossRecipe.of(TrainConfig(loss="ce + 0.5*dice + 2*lovasz", dice=0.4))
    loss = segmentation_loss(logits, targets, recipe=recipe)
    lovasz = segmentation_loss(logits, targets, recipe=only("lovasz")).total
    torch.testing.assert_close(loss.total, loss.cross_entropy + 0.2 * loss.dice + 2 * lovasz)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_every_loss_is_exactly_nothing_without_a_label(name: str):
    logits = torch.randn(2, 4, 9, 11, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((2, 9, 11), 255), recipe=only(name)).total
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_every_loss_falls_to_nothing_and_never_breaks(name: str):
    """From scores that are as wrong as can be, also where a crop has no label, to a perfect prediction."""
    _, targets = batch()
    right = F.one_hot(targets.clamp_max(3), 4).permute(0, 3, 1, 2).float()
    targets[1] = 255
    wrong = (-60.0 * right).requires_grad_()
    loss = segmentation_loss(wrong, targets, recipe=only(name)).total
    loss.backward()
    assert wrong.grad is not None
    assert wrong.grad.isfinite().all()
    perfect = segmentation_loss(60.0 * right, targets, recipe=only(name)).total.item()
    assert perfect == pytest.approx(0.0, abs=1e-4)
    assert loss.item() > 0.5


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_pixels_that_count_nothing_are_as_good_as_unlabelled(name: str):
    logits, targets = batch()
    hidden = targets.clone()
    hidden[:, :, :4] = 255
    weights = torch.ones(targets.shape)
    weights[:, :, :4] = 0.0
    one = segmentation_loss(logits, hidden, recipe=only(name)).total
    other = segmentation_loss(logits, targets, weights, recipe=only(name)).total
    torch.testing.assert_close(one, other)


def test_sums_of_all_losses_add_up():
    logits, targets = batch()
    recipe = LossRecipe(terms=tuple((name, 0.5) for name in LOSS_NAMES), auxiliary=0.25)

    def sums(part: slice) -> LossSums:
        truth = Truth.of(targets[part])
        own = {"head": cross_entropy_term(logits[part, :, ::2, ::2], truth, 0.4)}
        return loss_sums(logits[part], truth, recipe, own)

    whole = sums(slice(0, 2)).loss(recipe).total
    torch.testing.assert_close((sums(slice(0, 1)) + sums(slice(1, 2))).loss(recipe).total, whole)
    without = loss_sums(logits, Truth.of(targets), recipe).loss(recipe).total
    coarse = F.interpolate(logits[:, :, ::2, ::2], (9, 11), mode="bilinear", align_corners=False)
    head = F.cross_entropy(coarse, targets, ignore_index=255)
    torch.testing.assert_close(whole, without + 0.25 * 0.4 * head)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ce+dyce", "loss is ce+dyce; it must be made of ce, dice, focal, lovasz, tversky"),
        ("", "such as ce+0.5*dice"),
        ("ce+ce", "ce must be in it once"),
        ("much*ce", "much before * must be a number above 0"),
        ("-1*ce", "-1 before * must be a number above 0"),
    ],
)
def test_a_loss_that_makes_no_sense_is_refused(text: str, message: str):
    with pytest.raises(UsageError) as error:
        check_sensible(TrainConfig(loss=text))
    assert message in str(error.value)


def test_a_run_needs_something_to_minimise():
    with pytest.raises(UsageError, match="nothing is left to learn from: add ce"):
        check_sensible(TrainConfig(loss="dice", dice=0.0))
