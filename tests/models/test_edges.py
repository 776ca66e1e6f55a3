"""Edges of labels and scores, and the losses of Gated-SCNN between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.models.edges import (
    edge_term,
    image_gradients,
    slope_term,
    slopes,
    sure_edge_term,
    true_edges,
)
from core.models.terms import LossTerm, Truth


def truth_of(rows: list[str]) -> Truth:
    """One crop: digits are classes, a dot is unlabelled."""
    return Truth.of(torch.tensor([[[255 if c == "." else int(c) for c in row] for row in rows]]))


def value(term: LossTerm) -> float:
    return (term.total / term.weight.clamp_min(1e-6)).item()


def test_edges_are_where_another_class_is_near():
    edges, known = true_edges(truth_of(["000111", "000111", "000111"]), radius=1)
    assert edges[0, 0].int().tolist() == [[0, 0, 1, 1, 0, 0]] * 3
    assert bool(known.all())


def test_nobody_knows_of_edges_beside_what_is_unlabelled():
    edges, known = true_edges(truth_of(["00..11", "00..11", "00..11"]), radius=1)
    assert not bool(edges.any())
    assert known[0, 0].int().tolist() == [[1, 0, 0, 0, 0, 1]] * 3


def test_an_edge_beside_something_unlabelled_is_one_all_the_same():
    edges, known = true_edges(truth_of(["001.", "001.", "001."]), radius=1)
    assert edges[0, 0, 1].tolist() == [False, True, True, False]
    assert known[0, 0, 1].tolist() == [True, True, True, False]


@pytest.mark.parametrize("radius", [1, 2])
def test_edges_are_what_a_loop_over_pixels_finds(radius: int):
    targets = torch.randint(0, 3, (2, 12, 14), generator=torch.Generator().manual_seed(0)).repeat_interleave(
        2, dim=1
    )
    targets[:, 5:8, 3:9] = 255
    edges, known = true_edges(Truth.of(targets), radius=radius)
    for n, y, x in np.ndindex(*targets.shape):
        near = targets[n, max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]
        found = set(near.unique().tolist())
        assert edges[n, 0, y, x].item() == (len(found - {255}) > 1)
        assert known[n, 0, y, x].item() == (len(found - {255}) > 1 or 255 not in found)


def test_edges_and_their_absence_weigh_the_same():
    truth = truth_of(["0000000011"] * 6)
    edges = true_edges(truth)[0]
    logits = torch.randn(1, 1, 6, 10, generator=torch.Generator().manual_seed(0))
    losses = F.binary_cross_entropy_with_logits(logits, edges.float(), reduction="none")
    share = edges.float().mean()
    expected = ((1 - share) * losses[edges].sum() + share * losses[~edges].sum()) / edges.numel()
    assert value(edge_term(logits, truth, 20.0)) == pytest.approx(expected.item(), rel=1e-5)
    assert edge_term(logits, truth, 20.0).factor == 20.0


def test_slopes_are_zero_inside_a_class_and_highest_at_its_border():
    targets = truth_of(["0000001111111"] * 9).targets
    planes = F.one_hot(targets, 3).permute(0, 3, 1, 2).float()
    found = slopes(planes)[0, 0]
    smooth = np.convolve([0.0] * 6 + [1.0] * 7, np.array([1, 4, 6, 4, 1]) / 16, mode="valid")
    expected = np.abs(smooth[2:] - smooth[:-2]) / 2  # both classes, each squared, over two
    np.testing.assert_allclose(found[4, 3:-3], expected, atol=2e-3)
    assert found[:, :3].max() == 0


def test_a_prediction_with_the_edges_of_the_labels_costs_nothing():
    truth = truth_of(["0000001111111"] * 9)
    right = 50.0 * F.one_hot(truth.targets, 2).permute(0, 3, 1, 2).float()
    assert value(slope_term(right, truth, 1.0)) == pytest.approx(0.0, abs=1e-3)
    assert value(slope_term(right.roll(3, dims=3), truth, 1.0)) > 0.1


def test_an_edge_in_the_wrong_place_has_a_gradient():
    truth = truth_of(["0000001111111"] * 9)
    wrong = F.one_hot(truth.targets, 2).permute(0, 3, 1, 2).float().roll(2, dims=3).requires_grad_()
    term = slope_term(wrong, truth, 1.0)
    (term.total / term.weight).backward()
    assert wrong.grad is not None
    assert wrong.grad.isfinite().all()
    assert wrong.grad.abs().sum() > 0


def test_scores_count_once_more_where_edges_are_sure():
    truth = truth_of(["0011", "0011"])
    logits = torch.randn(1, 2, 2, 4, generator=torch.Generator().manual_seed(1))
    edges = torch.tensor([[-5.0, 5.0, 5.0, -5.0], [-5.0, 1.0, 5.0, -5.0]]).view(1, 1, 2, 4)
    losses = F.cross_entropy(logits, truth.targets, reduction="none")[0]
    expected = (losses[0, 1] + losses[0, 2] + losses[1, 2]) / 3  # sigmoid(1) is below 0.8
    assert value(sure_edge_term(logits, edges, truth, 1.0)) == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("labelled", [False, True])
def test_terms_are_nothing_where_nothing_is_known(labelled: bool):
    """An unlabelled crop; and one whose only labels have nothing but doubt around them."""
    targets = torch.full((1, 12, 12), 255)
    if labelled:
        targets[:, 6, 6] = 1
    truth = Truth.of(targets)
    logits = torch.randn(1, 3, 12, 12, requires_grad=True)
    edges = torch.full((1, 1, 12, 12), -5.0, requires_grad=True)
    terms = (
        edge_term(edges, truth, 20.0),
        slope_term(logits, truth, 1.0),
        sure_edge_term(logits, edges, truth, 1.0),
    )
    total = sum(term.total / term.weight.clamp_min(1e-6) for term in terms)
    total.backward()
    assert total.item() == 0.0
    assert logits.grad is not None
    assert edges.grad is not None
    assert logits.grad.abs().max() == edges.grad.abs().max() == 0


def test_image_gradients_are_sobels():
    x = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 2, 5, 6) * 3
    found = image_gradients(x)
    assert found.shape == (1, 1, 5, 6)
    torch.testing.assert_close(found[..., 1:-1], torch.full((1, 1, 5, 4), 3.0))
