"""DilatedNet keeps 1/8 of the resolution, sees as far as the paper says; its context starts as nothing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.models.dilatednet import NOISE, ContextModule
from core.models.network import SegmentationNetwork
from core.models.registry import build

Narrow = Callable[..., SegmentationNetwork]


def seen_by_the_middle(layers: nn.Module, channels: int, side: int) -> tuple[int, int]:
    """Rows and columns of the input that the middle of the output depends on."""
    x = torch.randn(1, channels, side, side, requires_grad=True)
    y = layers(x)
    (gradient,) = torch.autograd.grad(y[..., y.shape[-2] // 2, y.shape[-1] // 2].sum(), x)
    rows, columns = (gradient[0].abs().sum(dim=(0, d)).nonzero().flatten() for d in (2, 1))
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1


def test_the_receptive_field_of_the_context_module_is_67():
    """Layer by layer as in the paper's table 1: 3, 5, 9, 17, 33, 65, 67, 67."""
    module = ContextModule(2, large=False)
    for parameter in module.parameters():
        nn.init.normal_(parameter)  # it starts as the identity, which sees one pixel
    linear = [*module.layers, module.last]
    for count, field in enumerate((3, 5, 9, 17, 33, 65, 67, 67), start=1):
        assert seen_by_the_middle(nn.Sequential(*linear[:count]), 2, 81) == (field, field)


def test_the_basic_context_module_starts_as_the_identity():
    """Exactly, of scores that its ReLUs let through."""
    module = ContextModule(3, large=False)
    scores = torch.rand(2, 3, 20, 20) * 5
    assert torch.equal(module(scores), scores)
    assert torch.equal(module(scores - 2.5), F.relu(scores - 2.5))


def test_the_large_context_module_starts_as_the_identity_but_for_its_noise():
    module = ContextModule(3, large=True)
    scores = torch.rand(2, 3, 20, 20) * 5
    with torch.no_grad():
        off = (module(scores) - scores).square().mean().sqrt() / scores.square().mean().sqrt()
        assert 0.002 < off < 0.05
        for layer in (*module.layers, module.last):
            weight = layer.weight  # type: ignore[union-attr]
            weight[weight.abs() < 10 * NOISE] = 0.0  # type: ignore[index, operator]
        torch.testing.assert_close(module(scores), scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("large", [False, True])
def test_the_context_module_starts_from_equations_4_and_5(large: bool):
    """Weight by weight: C / d from map a of c to map b of d where floor(a C / c) = floor(b C / d)."""
    classes = 3
    module = ContextModule(classes, large=large)
    for layer in (*module.layers, module.last):
        assert isinstance(layer, nn.Conv2d)
        (d, c), middle = layer.weight.shape[:2], layer.kernel_size[0] // 2
        noise = layer.weight.detach().clone()
        for b, a in product(range(d), range(c)):
            if a * classes // c == b * classes // d:
                assert noise[b, a, middle, middle] == pytest.approx(classes / d)
                noise[b, a, middle, middle] = 0.0
        assert noise.abs().max() < (6 * NOISE if large else 1e-30)
        assert layer.bias is not None
        assert not layer.bias.any()


def test_the_large_module_has_the_widths_of_the_paper():
    with torch.device("meta"):
        module = ContextModule(21, large=True)
    assert [layer.out_channels // 21 for layer in module.layers] == [2, 2, 4, 8, 16, 32, 32]  # type: ignore[operator]
    assert [layer.dilation[0] for layer in module.layers] == [1, 1, 2, 4, 8, 16, 1]  # type: ignore[index, union-attr]


def test_the_front_end_is_vgg16_dilated():
    with torch.device("meta"):
        network = build("dilatednet", classes=21, fc=4096)
    convolutions = [m for m in network.encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [m.dilation[0] for m in convolutions] == [1] * 10 + [2] * 3
    assert sum(isinstance(m, nn.MaxPool2d) for m in network.encoder.modules()) == 3
    fc6 = network.fc6
    assert isinstance(fc6, nn.Conv2d)
    assert (fc6.kernel_size, fc6.dilation, fc6.out_channels) == ((7, 7), (4, 4), 4096)
    maps = network.encoder(torch.empty(1, 3, 64, 96, device="meta"))
    assert maps[-1].shape == (1, 512, 8, 12)


def test_it_is_trained_front_end_first_and_weights_remember_how_far(narrow: Narrow):
    network = narrow("dilatednet")
    assert network.stages() == ("front_end", "context")
    assert network.options["stage"] == "context"
    x = torch.randn(1, 3, 32, 32)
    network.enter_stage("front_end")
    network(x).mean().backward()
    assert all(p.grad is None for p in network.context.parameters())  # type: ignore[union-attr]
    again = build("dilatednet", classes=3, encoder="plain", **network.options)
    assert again.options == network.options
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(x), network.eval()(x))


@pytest.mark.parametrize("options", [{"training": "at_once"}, {"context": "none"}])
def test_it_can_be_trained_at_once_or_without_context(options: dict[str, str], narrow: Narrow):
    network = narrow("dilatednet", **options)
    assert network.stages() == ("all",)
    assert network.eval()(torch.randn(1, 3, 40, 33)).shape == (1, 3, 40, 33)


def test_vgg16_weights_fill_its_front_end(shared_weights: Path):
    network = build("dilatednet", classes=2, fc=16)
    network.load_encoder_weights(str(shared_weights / "vgg16_features_fp16.safetensors"))
    assert network.pretrained
    assert network.normalization.order == "bgr"
