"""Fits of a head: what it learns from pixels that only stand in for background; fits that are interrupted."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.learning.instant import head as head_module
from core.learning.instant.head import RATE, REFIT_RATE, HeadFit, PointSet, without_doubted
from core.learning.instant.kept_fit import KeptFit
from core.learning.instant.points import Points
from core.learning.runs.checkpoint import save_checkpoint
from core.models.encoders import build_encoder
from core.models.instant import InstantNetwork

WEAK = 0.1
BACKGROUND, NUCLEUS = 0, 1


def test_only_doubtful_pixels_are_doubted() -> None:
    weights = torch.tensor([1.0, 1.0, WEAK, WEAK, WEAK])
    doubtful = torch.tensor([False, False, True, True, False])
    targets = torch.tensor([BACKGROUND, NUCLEUS, BACKGROUND, BACKGROUND, BACKGROUND])
    says_nucleus, says_background = [-1.0, 1.0], [1.0, -1.0]
    logits = torch.tensor([says_nucleus, says_nucleus, says_nucleus, says_background, says_nucleus])
    left = without_doubted(weights, doubtful, targets, logits)
    torch.testing.assert_close(left, torch.tensor([1.0, 1.0, 0.0, WEAK, WEAK]))


@pytest.fixture
def network() -> InstantNetwork:
    torch.manual_seed(0)
    return InstantNetwork(build_encoder("plain", width=8), classes=2, hidden=32).eval()


class _Slide:
    """Few nuclei are drawn; the others are undrawn, and so taken for background, as tissue is.

    Every nucleus says what it is in a fifth of its features; the others say which nucleus it is.
    """

    def __init__(self, inputs: int) -> None:
        self._random = torch.Generator().manual_seed(0)
        self._inputs = inputs
        self._telling = inputs // 5
        drawn = self._pixels(3, 80, nucleus=True)
        undrawn, tissue = self._pixels(20, 20, nucleus=True), self._pixels(40, 20, nucleus=False)
        targets = [NUCLEUS] * len(drawn) + [BACKGROUND] * (len(undrawn) + len(tissue))
        weights = [1.0] * len(drawn) + [WEAK] * (len(undrawn) + len(tissue))
        self.points = Points(
            torch.cat([drawn, undrawn, tissue]).half(),
            torch.tensor(targets),
            torch.tensor(weights),
            torch.zeros(len(targets), dtype=torch.bool),
            torch.arange(len(targets)) >= len(drawn),
        )
        self.unseen = self._pixels(20, 20, nucleus=True)
        self.unseen_tissue = self._pixels(20, 20, nucleus=False)

    def _pixels(self, objects: int, pixels: int, *, nucleus: bool) -> Tensor:
        """(objects * pixels, inputs)."""
        own = 0.3 * torch.randn(objects, 1, self._inputs, generator=self._random)
        own[..., : self._telling] = 0.6 if nucleus else -0.6
        each = torch.randn(objects, pixels, self._inputs, generator=self._random)
        return (own + 0.5 * each).flatten(0, 1)


def _found(network: InstantNetwork, features: Tensor) -> float:
    with torch.inference_mode():
        return float((network.point_logits(features).argmax(dim=1) == NUCLEUS).float().mean())


def _fitted(network: InstantNetwork, slide: _Slide) -> tuple[float, float]:
    """Shares of unseen nuclei and of unseen tissue that it takes for nuclei, after a long fit."""
    points = PointSet([slide.points], device=torch.device("cpu"))
    network.standardize(*points.standardization())
    for rate in (RATE, REFIT_RATE):
        for _ in HeadFit(network, points, steps=60, rate=rate):
            pass
    return _found(network, slide.unseen), _found(network, slide.unseen_tissue)


def test_a_long_fit_still_finds_nuclei_that_nobody_drew(network, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = _Slide(len(network.mean))
    start = {name: value.clone() for name, value in network.state_dict().items()}
    found, wrong = _fitted(network, slide)
    monkeypatch.setattr(head_module, "without_doubted", lambda weights, *_: weights)
    network.load_state_dict(start)
    believing, _ = _fitted(network, slide)
    assert found > 0.8
    assert wrong < 0.1
    assert believing < found - 0.2, "taking every undrawn nucleus for background costs nothing here"


def test_a_part_that_sees_some_inputs_scores_as_if_the_others_were_average(network) -> None:
    inputs = len(network.mean)
    whole = torch.randn(4, 8, inputs)
    kept = torch.rand(4, inputs).argsort(dim=1)[:, : inputs // 2]
    parts = whole.gather(2, kept.unsqueeze(1).expand(-1, 8, -1))
    scored = network.logits_of_some(parts, kept)
    factors = torch.zeros(4, inputs).scatter_(1, kept, inputs / kept.shape[1])
    expected = network.point_logits((whole * factors.unsqueeze(1)).flatten(0, 1) * network.std + network.mean)
    assert torch.allclose(scored, expected, atol=1e-4)
    assert scored.dtype == torch.float32
    rounded = network.logits_of_some(parts.bfloat16(), kept)
    assert rounded.dtype == torch.float32
    assert (rounded - scored).abs().max() < 0.05 * scored.abs().max()


def test_hidden_units_are_dropped_as_often_as_they_should(network) -> None:
    network.dropout.train()
    network.head.weight.data.fill_(1.0)
    network.hidden.weight.data.zero_()
    network.hidden.bias.data.fill_(1.0)
    seen = len(network.mean) // 2
    scores = network.logits_of_some(torch.zeros(1, 500, seen), torch.arange(seen).unsqueeze(0))
    network.dropout.eval()
    units = network.hidden.out_features
    alive = ((scores.detach() - network.head.bias.detach())[:, 0] * (1 - network.dropout.p)).round() / units
    assert alive.mean() == pytest.approx(1 - network.dropout.p, abs=0.02)
    assert alive.std() == pytest.approx(
        (network.dropout.p * (1 - network.dropout.p) / units) ** 0.5, rel=0.15
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_of_either_type_learn_the_same(network, monkeypatch: pytest.MonkeyPatch, dtype) -> None:
    monkeypatch.setattr(head_module, "product_dtype", lambda _device: dtype)
    found, wrong = _fitted(network, _Slide(len(network.mean)))
    assert found > 0.8
    assert wrong < 0.1


def test_a_step_drops_hidden_units_and_leaves_the_encoder_alone(
    network, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping: list[bool] = []
    scored = InstantNetwork.logits_of_some

    def noted(self: InstantNetwork, *given: Tensor) -> Tensor:
        dropping.append(self.dropout.training)
        return scored(self, *given)

    monkeypatch.setattr(InstantNetwork, "logits_of_some", noted)
    monkeypatch.setattr(type(network.encoder), "train", lambda *_: pytest.fail("a walk through the encoder"))
    points = PointSet([_Slide(len(network.mean)).points], device=torch.device("cpu"))
    for _ in HeadFit(network, points, steps=2, rate=RATE):
        assert not network.dropout.training
    assert dropping == [True, True]


class _Watch:
    """A clock that goes on by `step_s` in every step of a fit, and else where it is told to."""

    def __init__(self, step_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        learn = HeadFit._learn

        def slow(fit: HeadFit) -> Tensor:
            self.now_s += step_s
            return learn(fit)

        monkeypatch.setattr(HeadFit, "_learn", slow)

    def fit(self, network: InstantNetwork) -> HeadFit:
        """Of a second, on few points."""
        points = PointSet([_Slide(len(network.mean)).points], device=torch.device("cpu"))
        return HeadFit(network, points, steps=60, rate=RATE, seconds=1.0, clock=lambda: self.now_s)


@pytest.mark.parametrize("pause_s", [0.0, 0.25, 4.0])
def test_what_is_done_between_two_steps_takes_no_time_from_a_fit(
    network, monkeypatch: pytest.MonkeyPatch, pause_s: float
) -> None:
    watch = _Watch(1 / 16, monkeypatch)
    fit = watch.fit(network)
    rates = []
    for step in fit:
        rates.append(step.rate)
        watch.now_s += pause_s
    assert len(rates) == 16
    assert rates[-1] < 0.02 * RATE < 7 * RATE < sum(rates)
    assert fit.elapsed_s == pytest.approx(1.0)


@pytest.mark.parametrize("step_s", [0.4, 0.51, 0.9, 1.2, 30.0])
def test_a_fit_of_very_slow_steps_learns_something(
    network, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    rates = [step.rate for step in _Watch(step_s, monkeypatch).fit(network)]
    assert len(rates) == (3 if step_s < 0.5 else 2)
    assert max(rates) > 0.7 * RATE


def _learned(network: InstantNetwork, slide: _Slide, *, halts_after: int | None = None) -> list[torch.Tensor]:
    """The head after ten steps; a fit that halts is taken up by another one, from what it has kept."""
    torch.manual_seed(1)
    points = PointSet([slide.points], device=torch.device("cpu"), seed=5)
    network.standardize(*points.standardization())
    fit = HeadFit(network, points, steps=10, rate=RATE)
    if halts_after is not None:
        for _ in range(halts_after):
            next(fit)
        name, kept = fit.name(), copy.deepcopy(fit.state())
        next(fit)  # it is not kept, and lost
        torch.manual_seed(2)
        fit = HeadFit(
            network, PointSet([slide.points], device=torch.device("cpu"), seed=5), steps=10, rate=RATE
        )
        assert fit.name() == name
        fit.restore(kept)
    assert [step.step for step in fit] == list(range(1 + (halts_after or 0), 11))
    assert fit.over
    return [parameter.detach().clone() for parameter in network.head_parameters()]


def test_a_fit_that_was_interrupted_comes_out_the_same(network) -> None:
    slide = _Slide(len(network.mean))
    start = copy.deepcopy(network.state_dict())
    whole = _learned(network, slide)
    network.load_state_dict(start)
    for ours, theirs in zip(_learned(network, slide, halts_after=4), whole, strict=True):
        assert torch.equal(ours, theirs)


def test_a_fit_of_other_points_or_of_another_length_has_another_name(network) -> None:
    points = _Slide(len(network.mean)).points
    fewer = points.where(torch.arange(len(points)) > 0)

    def name(points: Points, steps: int = 10) -> str:
        return HeadFit(network, PointSet([points], device=torch.device("cpu")), steps=steps, rate=RATE).name()

    assert name(points) == name(points)
    assert len({name(points), name(fewer), name(points, 11)}) == 3


def test_a_fit_on_another_kind_of_device_has_another_name(network) -> None:
    """Its random numbers would mean nothing there."""
    points = PointSet([_Slide(len(network.mean)).points], device=torch.device("cpu"))
    fit = HeadFit(network, points, steps=10, rate=RATE)
    here = fit.name()
    fit._device = torch.device("cuda")
    assert fit.name() != here


@pytest.mark.parametrize("spoiled", ["head", "optimizer", "drawn", "random", "step"])
def test_a_kept_fit_that_does_not_fit_changes_nothing(network, tmp_path: Path, spoiled: str) -> None:
    slide = _Slide(len(network.mean))
    start = copy.deepcopy(network.state_dict())
    whole = _learned(network, slide)
    network.load_state_dict(start)
    torch.manual_seed(1)
    points = PointSet([slide.points], device=torch.device("cpu"), seed=5)
    network.standardize(*points.standardization())
    fit = HeadFit(network, points, steps=10, rate=RATE)
    other = HeadFit(
        copy.deepcopy(network), PointSet([slide.points], device=torch.device("cpu")), steps=10, rate=RATE
    )
    with torch.random.fork_rng():
        next(other)
        kept = {"name": fit.name(), **copy.deepcopy(other.state())}
    if spoiled == "head":
        kept["head"][-1] = torch.zeros(77)
    elif spoiled == "step":
        del kept["step"]
    else:
        kept[spoiled] = {"optimizer": {}, "drawn": torch.zeros(3), "random": [torch.zeros(3), None]}[spoiled]
    save_checkpoint(tmp_path / "head.ckpt", kept)
    KeptFit(tmp_path / "head.ckpt", every_s=60.0).go_on(fit)
    assert [step.step for step in fit] == list(range(1, 11))
    for ours, theirs in zip(network.head_parameters(), whole, strict=True):
        assert torch.equal(ours, theirs)
