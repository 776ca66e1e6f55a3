"""The last layer alone, fitted to all points at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.learning.instant.last_layer import HELD, fit_last_layer
from core.learning.instant.points import Points
from core.models.encoders import build_encoder
from core.models.instant import InstantNetwork

CPU = torch.device("cpu")
INPUTS, CLASSES = 64, 3


@pytest.fixture
def network() -> InstantNetwork:
    torch.manual_seed(0)
    return InstantNetwork(build_encoder("plain", width=8), classes=CLASSES, hidden=16).eval()


def _points(
    network: InstantNetwork, counts: tuple[int, ...], *, weight: float = 1.0, seed: int = 1
) -> Points:
    """So many of each class, with features that tell them apart, nearly."""
    draw = torch.Generator().manual_seed(seed)
    inputs = network.hidden.in_features
    targets = torch.arange(CLASSES).repeat_interleave(torch.tensor(counts))
    centres = torch.randn(CLASSES, inputs, generator=torch.Generator().manual_seed(9))
    features = centres[targets] + torch.randn(len(targets), inputs, generator=draw)
    nothing = torch.zeros(len(targets), dtype=torch.bool)
    return Points(features.half(), targets, torch.ones(len(targets)), nothing, nothing)


def _bent(network: InstantNetwork, *parts: Points, shares: tuple[float, ...] = (1.0,)) -> None:
    for _ in fit_last_layer(network, parts, shares, CPU):
        pass


def test_it_learns_and_changes_nothing_but_the_last_layer(network) -> None:
    points = _points(network, (50, 50, 50))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert (network.point_logits(points.features).argmax(1) == points.targets).float().mean() < 0.7
    _bent(network, points)
    assert (network.point_logits(points.features).argmax(1) == points.targets).float().mean() > 0.95
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_it_is_where_the_cost_is_least(network) -> None:
    """Nothing pulls at the layer any more: the cost, written down here once more, is level."""
    points = _points(network, (120, 20, 60))
    before = [each.detach().clone() for each in network.head.parameters()]
    _bent(network, points)
    counts = torch.tensor([120, 20, 60.0])[points.targets].rsqrt()
    added: list[Tensor] = [
        (now - then).detach().requires_grad_()
        for now, then in zip(network.head.parameters(), before, strict=True)
    ]
    logits = F.linear(network.hidden_units(points.features), before[0] + added[0], before[1] + added[1])
    losses = F.cross_entropy(logits, points.targets, reduction="none")
    cost = (losses * counts).sum() / counts.sum() + HELD * sum(each.square().sum() for each in added)
    slopes = torch.autograd.grad(cost, added)
    assert max(float(slope.abs().max()) for slope in slopes) < 2e-3


def test_shares_are_of_the_parts_however_many_points_they_have(network) -> None:
    """Two parts contradict each other: which is believed is a matter of shares, not of numbers."""
    few, many = _points(network, (10, 10, 10)), _points(network, (200, 200, 200), seed=2)
    many = replace(many, targets=(many.targets + 1) % CLASSES)
    right = []
    for share in (0.9, 0.1):
        other = InstantNetwork.with_encoder_of(network, network.views)
        other.take_head(network)
        _bent(other, few, many, shares=(share, 1 - share))
        right.append(float((other.point_logits(few.features).argmax(1) == few.targets).float().mean()))
    assert right[0] > 0.9
    assert right[1] < 0.1


def test_an_empty_part_leaves_its_share_to_the_others(network) -> None:
    points, nothing = _points(network, (50, 50, 50)), _points(network, (0, 0, 0))
    _bent(network, nothing, points, shares=(0.9, 0.1))
    assert (network.point_logits(points.features).argmax(1) == points.targets).float().mean() > 0.95


def test_what_only_stands_in_is_doubted_where_labels_say_otherwise(network) -> None:
    """Some of what stands in for class 0 looks like class 1, of which there are labels."""
    labels, like_1 = _points(network, (100, 100, 0)), _points(network, (0, 100, 0), seed=3)
    taken_for_1 = []
    for doubtful in (False, True):
        other = InstantNetwork.with_encoder_of(network, network.views)
        other.take_head(network)
        stand_ins = replace(
            like_1,
            targets=torch.zeros_like(like_1.targets),
            doubtful=torch.full_like(like_1.doubtful, fill_value=doubtful),
        )
        _bent(other, labels, stand_ins, shares=(0.6, 0.4))
        taken_for_1.append(float((other.point_logits(like_1.features).argmax(1) == 1).float().mean()))
    assert taken_for_1[1] > taken_for_1[0] + 0.3
