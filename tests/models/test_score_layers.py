"""Networks say which of their layers give scores of classes: those learn at a rate of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from core.learning.config import TrainConfig
from core.learning.settings.preset import UNNORMALIZED_RATE, usual_rate
from core.learning.training.optimizers import WIDEST, rate_factors
from core.models.network import SegmentationNetwork
from core.models.registry import build, model_spec, model_specs
from core.models.specs import Option

Narrow = Callable[..., SegmentationNetwork]

UNUSUAL = 13
"""Classes, of which no network has a layer of as many outputs by chance."""
VARIANTS: tuple[tuple[str, dict[str, Option]], ...] = (
    *((spec.name, {}) for spec in model_specs()),
    ("unet", {"supervised": 2}),
    ("fcn_resnet50", {"auxiliary": "no"}),
    ("dilatednet", {"context": "large"}),
    ("dilatednet", {"context": "none"}),
)
every_network = pytest.mark.parametrize(
    ("name", "options"), VARIANTS, ids=[f"{name}{list(options.values()) or ''}" for name, options in VARIANTS]
)


def on_meta(narrow: Narrow, name: str, classes: int, options: dict[str, Option]) -> SegmentationNetwork:
    with torch.device("meta"):
        return narrow(name, classes=classes, **options)


def factors_by_name(network: SegmentationNetwork) -> dict[str, float]:
    factors = rate_factors(network)
    return {name: factors[id(p)] for name, p in network.named_parameters() if id(p) in factors}


@every_network
def test_score_layers_are_those_with_an_output_a_class(name: str, options: dict[str, Option], narrow: Narrow):
    network = on_meta(narrow, name, UNUSUAL, options)
    of_that_width = {
        layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.out_channels == UNUSUAL
    }
    if options.get("context", "basic") == "basic" and name == "dilatednet":
        of_that_width -= set(network.context.layers)  # type: ignore[union-attr, arg-type]
    assert set(network.score_layers) == of_that_width
    assert len(network.score_layers) == len(of_that_width)
    assert network.score_layer is None or network.score_layer in of_that_width


@every_network
def test_the_number_of_classes_changes_no_layers_rate(name: str, options: dict[str, Option], narrow: Narrow):
    """Nor does it where other layers happen to have as many outputs."""
    usual = on_meta(narrow, name, UNUSUAL, options)
    score_layers = {id(parameter) for layer in usual.score_layers for parameter in layer.parameters()}
    scores = {parameter for parameter, p in usual.named_parameters() if id(p) in score_layers}
    expected = {name: factor for name, factor in factors_by_name(usual).items() if name not in scores}
    for classes in (1, 4, 8):
        found = factors_by_name(on_meta(narrow, name, classes, options))
        assert {name: factor for name, factor in found.items() if name not in scores} == expected


def test_as_many_classes_as_new_maps_a_layer_change_nothing_in_a_densenet():
    with torch.device("meta"):
        eleven, twelve = (build("fcdensenet56", classes=classes) for classes in (11, 12))
    assert factors_by_name(twelve) == factors_by_name(eleven)


def test_what_refines_scores_is_no_score_layer():
    """A 3x3 layer of DilatedNet's context module has an output a class, and the rate of its fan-in."""
    with torch.device("meta"):
        network = build("dilatednet", classes=21)
        large = build("dilatednet", classes=21, context="large")
    factors = factors_by_name(network)
    assert {factors[f"context.layers.{index}.weight"] for index in range(7)} == {1.0}
    assert factors["context.last.weight"] == pytest.approx(160 / 21)
    assert factors["score.weight"] == 0.25
    assert factors_by_name(large)["context.layers.6.weight"] == pytest.approx(WIDEST / (32 * 21 * 9))


@pytest.mark.parametrize(
    "spec",
    [spec for spec in model_specs() if spec.family not in ("Instant", "Classical")],
    ids=lambda s: s.name,
)
def test_networks_that_normalise_nothing_learn_in_smaller_steps(spec, narrow: Narrow):
    norms = nn.BatchNorm2d | nn.GroupNorm
    network = on_meta(narrow, spec.name, 2, {})
    own = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, norms) and not name.startswith("encoder.")
    ]
    share = usual_rate(TrainConfig(), spec)
    if own:
        assert share == 1.0
        return
    with torch.device("meta"):  # the default encoder: a plain one always has norms
        anywhere = build(spec.name, classes=2).modules()
    assert share == (1.0 if any(isinstance(layer, norms) for layer in anywhere) else UNNORMALIZED_RATE)


def test_an_fcn_on_a_resnet_learns_at_the_presets_rate():
    rates = {name: usual_rate(TrainConfig(), model_spec(name)) for name in ("fcn8s", "fcn_resnet50")}
    assert rates == {"fcn8s": UNNORMALIZED_RATE, "fcn_resnet50": 1.0}
