"""Encoders at smaller output strides and with frozen normalisation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.errors import UsageError
from core.models import registry
from core.models.encoders import build_encoder
from core.models.pretrained import load_encoder_weights
from core.models.registry import encoder_specs

DILATABLE = [spec.name for spec in encoder_specs() if 8 in spec.output_strides and spec.source != "smp"]


@pytest.mark.parametrize("name", DILATABLE)
@pytest.mark.parametrize("output_stride", [8, 16])
def test_maps_beyond_the_output_stride_keep_it_with_the_same_weights(name: str, output_stride: int):
    with torch.device("meta"):
        usual, dilated = build_encoder(name), build_encoder(name, output_stride=output_stride)
        maps = dilated(torch.empty(1, 3, 64, 96))
    assert dilated.strides == tuple(min(stride, output_stride) for stride in (1, 2, 4, 8, 16, 32))
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(usual.channels, dilated.strides, strict=True)
    ]
    shapes = {key: tensor.shape for key, tensor in usual.state_dict().items()}
    assert {key: tensor.shape for key, tensor in dilated.state_dict().items()} == shapes


def test_a_dilated_network_computes_what_the_usual_one_does_between_its_pixels():
    """At every fourth place the dilated map is the strided one: the weights see what they were trained on."""
    usual, dilated = (build_encoder("resnet18", output_stride=stride).eval() for stride in (32, 8))
    dilated.load_state_dict(usual.state_dict())
    x = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        coarse, fine = usual(x)[-1], dilated(x)[-1]
    inside = ..., slice(3, 6), slice(3, 6)  # away from the border, where one pads with more than the other
    torch.testing.assert_close(fine[..., ::4, ::4][inside], coarse[inside], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-b0", "timm-skresnet18", "dpn68"])
def test_what_another_library_dilates_sees_what_its_weights_were_trained_on(name: str):
    pytest.importorskip("segmentation_models_pytorch")
    usual, dilated = (build_encoder(f"smp:{name}", output_stride=stride).eval() for stride in (32, 8))
    dilated.load_state_dict(usual.state_dict())
    x = torch.rand(1, 3, 320, 320)
    with torch.inference_mode():
        coarse, fine = usual(x)[-1], dilated(x)[-1]
    inside = ..., slice(4, 6), slice(4, 6)
    # A convolution that was padded more on one side looks a little further right and down where it strides.
    off = min(
        float((fine[..., start::4, start::4][inside] - coarse[inside]).abs().mean()) for start in range(4)
    )
    # Weights that look at the whole map, as attention does, see it end elsewhere.
    assert off < (0.01 if "skresnet" in name else 1e-4) * float(coarse[inside].std())


@pytest.mark.parametrize("name", ["vgg16", "plain"])
def test_a_pool_that_is_left_out_changes_nothing_where_all_pixels_are_the_same(name: str):
    usual, dilated = (build_encoder(name, width=2, output_stride=stride).eval() for stride in (32, 8))
    dilated.load_state_dict(usual.state_dict())
    x = torch.rand(1, 3, 1, 1).expand(1, 3, 320, 320)
    with torch.inference_mode():
        coarse, fine = usual(x)[-1], dilated(x)[-1]
    torch.testing.assert_close(fine[..., 20, 20], coarse[..., 5, 5], rtol=1e-4, atol=1e-5)


def test_bundled_weights_fit_a_dilated_frozen_encoder():
    encoder = build_encoder("tf_efficientnet_lite0", output_stride=8, norm="frozen")
    load_encoder_weights(encoder, "default")
    usual = build_encoder("tf_efficientnet_lite0").eval()
    load_encoder_weights(usual, "default")
    x = torch.randn(1, 3, 64, 64)
    encoder.train()
    with torch.inference_mode():
        torch.testing.assert_close(encoder(x)[3], usual(x)[3])  # in training as in evaluation
    convolutions = {name for name, _ in encoder.named_parameters()}
    assert convolutions < {name for name, _ in usual.named_parameters()}


def test_a_frozen_encoder_is_trained_without_its_statistics_moving():
    encoder = build_encoder("plain", width=2, norm="frozen").train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items() if "running" in name}
    assert before
    encoder(torch.randn(2, 3, 32, 32))[-1].sum().backward()
    after = encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_an_encoder_that_cannot_be_dilated_names_those_that_can(monkeypatch: pytest.MonkeyPatch):
    fixed = replace(registry.encoder_spec("resnet18"), name="fixed", output_strides=(32,))
    monkeypatch.setitem(registry._encoders, "fixed", fixed)
    with pytest.raises(UsageError, match=r"'fixed' cannot have an output stride of 8; these can: .*resnet50"):
        build_encoder("fixed", output_stride=8)
    with pytest.raises(UsageError, match="cannot have an output stride of 4; it can be 8, 16 or 32"):
        build_encoder("plain", output_stride=4)
