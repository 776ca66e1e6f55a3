"""Layers that several families share."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

Norm: TypeAlias = Literal["batch", "group"]

GROUPS = 8


def normalization_layer(kind: Norm, channels: int) -> nn.Module:
    """Batch normalisation, or group normalisation (Wu and He 2018) in at most eight groups."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    groups = next(count for count in range(min(GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


def double_conv(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """U-Net's pair of 3x3 convolutions, each with normalisation and ReLU, same padding, He initialisation."""
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        convolution = nn.Conv2d(before, outputs, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, normalization_layer(norm, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def bilinear_kernel(stride: int) -> Tensor:
    """Weights (2 stride, 2 stride) with which a transposed convolution interpolates bilinearly.

    With this stride and a padding of stride // 2 the output is exactly `stride` times the input's size.
    """
    size = 2 * stride
    ramp = 1.0 - (torch.arange(size, dtype=torch.float32) - (size - 1) / 2).abs() / stride
    return torch.outer(ramp, ramp)
