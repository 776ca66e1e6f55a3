"""Layers that several families share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

Norm: TypeAlias = Literal["batch", "group", "frozen"]
"""Frozen: batch normalisation on which `freeze_batch_norms` is called once the whole is built."""
Convolution: TypeAlias = Literal["plain", "separable"]

GROUPS = 8


def normalization_layer(kind: Norm, channels: int) -> nn.Module:
    """Batch normalisation, or group normalisation (Wu and He 2018) in at most eight groups."""
    if kind != "group":
        return nn.BatchNorm2d(channels)
    groups = next(count for count in range(min(GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


def decoder_norm(encoder_norm: Norm) -> Norm:
    """What suits a decoder on an encoder of this kind: it has no pretrained statistics to keep."""
    return "group" if encoder_norm == "frozen" else encoder_norm


def freeze_batch_norms(module: nn.Module) -> None:
    """Keep batch normalisation as weights files have it: nothing of it learns, in training mode neither."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            # As buffers they are in files as before, and in the same order, but are nobody's parameters.
            for name, value in layer.state_dict().items():
                delattr(layer, name)
                layer.register_buffer(name, value)
            layer.register_forward_pre_hook(_evaluate)


def convolution_3x3(
    inputs: int, outputs: int, *, kind: Convolution = "plain", dilation: int = 1, bias: bool = False
) -> nn.Module:
    """A 3x3 convolution with same padding and He initialisation, its nine points `dilation` pixels apart.

    "separable" is each channel by itself, then a 1x1 convolution that mixes them (Chollet 2017,
    arXiv:1610.02357): about a ninth of the weights.
    """
    if kind == "plain":
        layer = nn.Conv2d(inputs, outputs, kernel_size=3, padding=dilation, dilation=dilation, bias=bias)
        return _he_initialised(layer)
    depthwise = nn.Conv2d(
        inputs, inputs, kernel_size=3, padding=dilation, dilation=dilation, groups=inputs, bias=False
    )
    # No rectifier follows the depthwise part, so it gets no factor for one.
    nn.init.kaiming_normal_(depthwise.weight, nonlinearity="linear")
    pointwise = nn.Conv2d(inputs, outputs, kernel_size=1, bias=bias)
    return nn.Sequential(depthwise, _he_initialised(pointwise))


def double_conv(
    inputs: int, outputs: int, norm: Norm, *, kind: Convolution = "plain", dilation: int = 1
) -> nn.Sequential:
    """U-Net's pair of 3x3 convolutions, each with normalisation and ReLU, same padding, He initialisation."""
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        convolution = convolution_3x3(before, outputs, kind=kind, dilation=dilation)
        layers += [convolution, normalization_layer(norm, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def bilinear_kernel(stride: int) -> Tensor:
    """Weights (2 stride, 2 stride) with which a transposed convolution interpolates bilinearly.

    With this stride and a padding of stride // 2 the output is exactly `stride` times the input's size.
    """
    size = 2 * stride
    ramp = 1.0 - (torch.arange(size, dtype=torch.float32) - (size - 1) / 2).abs() / stride
    return torch.outer(ramp, ramp)


def _he_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _evaluate(layer: nn.Module, _inputs: object) -> None:
    if layer.training:
        layer.eval()
