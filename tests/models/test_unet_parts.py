"""The parts of a U-Net that can be varied: what each does exactly, and that networks of them learn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.annotation.model import ClassList
from core.errors import UsageError
from core.learning.export import export_onnx
from core.learning.runs.weights import header_for
from core.learning.training.losses import segmentation_loss
from core.models.catalog.common import UPSAMPLING
from core.models.layers import convolution_3x3
from core.models.network import SegmentationNetwork
from core.models.registry import build
from core.models.specs import Option
from core.models.upsampling import Upsampling, init_bilinear, max_pool, max_unpool, upsampling

Narrow = Callable[..., SegmentationNetwork]

PARTS: dict[str, dict[str, Option]] = {
    "bilinear": {"upsampling": "bilinear", "depth": 2},
    "bicubic": {"upsampling": "bicubic", "depth": 2},
    "transposed": {"upsampling": "transposed", "depth": 2},
    "unpooling": {"upsampling": "unpooling", "depth": 2},
    "resize_convolution": {"upsampling": "resize_convolution", "depth": 2},
    "added skips": {"skips": "add", "depth": 2},
    "no skips": {"skips": "none", "depth": 2},
    "separable, dilated, dropout": {"convolution": "separable", "dilation": 2, "dropout": 20, "depth": 2},
    "frozen norm": {"norm": "frozen", "depth": 1},
}


def pooled_twice_the_same() -> Tensor:
    """Maps (2, 3, 8, 12) with many equal values, as after a ReLU."""
    return torch.randn(2, 3, 8, 12).relu().mul(2).round()


def test_pooling_keeps_the_places_that_torch_keeps():
    x = pooled_twice_the_same()
    expected, indices = F.max_pool2d(x, 2, return_indices=True)
    pooled, corners = max_pool(x)
    assert torch.equal(pooled, expected)
    y = torch.randn_like(pooled)
    assert torch.equal(max_unpool(y, corners), F.max_unpool2d(y, indices, 2))


def test_the_gradient_of_pooling_and_unpooling_goes_through_the_same_corner():
    x = torch.rand(1, 2, 6, 4, requires_grad=True)
    pooled, corners = max_pool(x)
    max_unpool(pooled, corners).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, (max_unpool(torch.ones_like(pooled), corners)))


def test_the_transposed_convolution_starts_as_bilinear_interpolation_up_to_the_border():
    x = torch.randn(2, 5, 7, 9)
    up = upsampling("transposed", 5, finer=3, norm="batch")
    bilinear = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up(x, None), bilinear)
    assert any(parameter.requires_grad for parameter in up.parameters())


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_bilinear_initialisation_is_exact_at_every_stride(stride: int):
    layer = nn.ConvTranspose2d(2, 2, 2 * stride, stride=stride, padding=stride // 2, bias=False)
    init_bilinear(layer)
    x = torch.randn(1, 2, 4, 5)
    bilinear = F.interpolate(x, scale_factor=float(stride), mode="bilinear", align_corners=False)
    inner = slice(stride, -stride)  # beyond it a transposed convolution sees zeros, not the edge again
    torch.testing.assert_close(layer(x)[..., inner, inner], bilinear[..., inner, inner])


@pytest.mark.parametrize("kind", UPSAMPLING.choices)
def test_every_kind_doubles_the_resolution(kind: str):
    up = upsampling(kind, 6, finer=4, norm="batch")  # type: ignore[arg-type]
    raised = up(torch.randn(2, 6, 5, 7), torch.randn(2, 4, 10, 14))
    assert raised.shape == (2, up.channels, 10, 14)


def test_a_separable_convolution_sees_the_same_pixels_with_a_fraction_of_the_weights():
    plain = convolution_3x3(64, 64, dilation=2)
    separable = convolution_3x3(64, 64, kind="separable", dilation=2)
    weights = [sum(p.numel() for p in layer.parameters()) for layer in (plain, separable)]
    assert weights == [64 * 64 * 9, 64 * 9 + 64 * 64]
    x = torch.zeros(1, 64, 9, 9)
    x[..., 4, 4] = 1.0
    reached = [layer(x).abs().sum(dim=1)[0] > 0 for layer in (plain, separable)]
    assert torch.equal(reached[0], reached[1])
    assert reached[0].nonzero().tolist() == [[y, x] for y in (2, 4, 6) for x in (2, 4, 6)]


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_a_network_of_other_parts_learns(parts: dict[str, Option], narrow: Narrow):
    network = narrow("unet", **parts)
    targets = (torch.arange(48) // 16).expand(2, 32, 48)  # three stripes, each of its own colour
    pixels = F.one_hot(targets, 3).permute(0, 3, 1, 2) + 0.2 * torch.randn(2, 3, 32, 48)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = segmentation_loss(network(pixels), targets).total
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    silent = [
        name
        for name, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert silent == []


@pytest.mark.parametrize(
    "kinds", [("unpooling",), ("transposed", "bilinear", "bicubic", "resize_convolution")], ids=len
)
def test_every_kind_is_exported_to_what_torch_computes(
    kinds: tuple[Upsampling, ...], narrow: Narrow, classes: ClassList, tmp_path: Path
):
    network = narrow("unet", upsampling=kinds[0], depth=len(kinds))
    for level, kind in enumerate(kinds):  # one network for all, as exporting takes seconds
        up = network.ups[level]  # type: ignore[index]
        if kind != "unpooling":
            network.ups[level] = upsampling(kind, up.channels, finer=0, norm="batch")  # type: ignore[operator]
    path = export_onnx(network, header_for(network, classes=classes, tile=32), tmp_path / "network.onnx")
    assert path.is_file()  # which is only written where onnxruntime computes the same


def test_frozen_batch_norms_stay_as_they_were_pretrained():
    network = build("unet", classes=2, norm="frozen", width=2)
    norms = [m for m in network.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [{k: v.clone() for k, v in norm.state_dict().items()} for norm in norms]
    network.train()
    network.freeze_encoder(False)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
    network(torch.randn(1, 3, 32, 32)).mean().backward()
    optimizer.step()
    assert len(norms) > 20
    for norm, kept in zip(norms, before, strict=True):
        assert all(torch.equal(kept[name], value) for name, value in norm.state_dict().items())
    assert all(isinstance(level[1], nn.GroupNorm) for level in network.levels)  # type: ignore[attr-defined]


def test_a_network_has_the_halvings_that_were_asked_for(narrow: Narrow):
    network = narrow("unet", depth=2)
    assert len(network.encoder(torch.zeros(1, 3, 32, 32))) == 3
    assert len(network.levels) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsampling": "unpooling"}, "needs an encoder with max pools to undo: choose the encoder plain"),
        ({"depth": 3}, "option depth is 3, which an encoder that comes as a whole cannot take"),
        ({"upsampling": "cubic"}, "option upsampling is 'cubic'; it can be nearest, bilinear, bicubic"),
        ({"skips": "sum"}, "option skips is 'sum'; it can be concatenate, add, none"),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_sentence(options: dict[str, Option], message: str):
    with pytest.raises(UsageError, match=message):
        build("unet", classes=2, **options)


def test_weights_saved_before_parts_could_be_chosen_still_fit():
    network = build("unet", classes=2, width=16, norm="batch")  # all the options there were
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {"encoder", "levels", "head"}
