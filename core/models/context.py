"""Parts with which a network looks far around: atrous pyramids, pooled pyramids, what they are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers import Convolution, Norm, convolution_3x3, normalization_layer


def resized(x: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Bilinear interpolation of (N, C, h, w) to (N, C, H, W), pixel centres kept."""
    if tuple(x.shape[-2:]) == tuple(size_hw):
        return x
    return F.interpolate(x, size=tuple(size_hw), mode="bilinear", align_corners=False)


def conv_norm_relu_1x1(inputs: int, outputs: int, norm: Norm) -> nn.Sequential:
    """A 1x1 convolution with normalisation and ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel_size=1, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(layer, normalization_layer(norm, outputs), nn.ReLU(inplace=True))


def conv_norm_relu_3x3(
    inputs: int, outputs: int, norm: Norm, *, dilation: int = 1, kind: Convolution = "plain"
) -> nn.Sequential:
    """A 3x3 convolution with normalisation and ReLU, same padding."""
    layer = convolution_3x3(inputs, outputs, kind=kind, dilation=dilation)
    return nn.Sequential(layer, normalization_layer(norm, outputs), nn.ReLU(inplace=True))


class Pooled(nn.Module):
    """Averages over `bins` x `bins` parts of a map, seen by a 1x1 convolution, and put back in place.

    The average of a whole map is one number a crop: batch statistics over a handful of crops would be noise,
    so that it is not normalised.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm, *, bins: int) -> None:
        super().__init__()
        self.bins = bins
        if bins == 1:
            layer = nn.Conv2d(inputs, outputs, kernel_size=1)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
            self.seen: nn.Module = nn.Sequential(layer, nn.ReLU(inplace=True))
        else:
            self.seen = conv_norm_relu_1x1(inputs, outputs, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        height, width = x.shape[-2:]
        if self.bins == 1:
            seen: Tensor = self.seen(x.mean(dim=(2, 3), keepdim=True))
            return seen.expand(-1, -1, height, width)
        rows, columns = averaging(self.bins, height), averaging(self.bins, width)
        pooled = torch.matmul(torch.matmul(rows.to(x), x), columns.to(x).T)  # (N, inputs, bins, bins)
        return resized(self.seen(pooled), (height, width))


def averaging(bins: int, size: int) -> Tensor:
    """The matrix (bins, size) that averages `size` values in `bins` parts, as torch's adaptive pooling.

    As a product it can be exported for maps that the bins do not divide, and has a gradient that adds up in
    a fixed order on a GPU.
    """
    matrix = torch.zeros(bins, size)
    for row in range(bins):
        begin, end = row * size // bins, -(-(row + 1) * size // bins)
        matrix[row, begin:end] = 1.0 / (end - begin)
    return matrix


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling of DeepLab v3 (Chen et al. 2017, arXiv:1706.05587).

    A 1x1 convolution, 3x3 convolutions at several rates and the average of the whole map, side by side, and
    a 1x1 convolution that joins them.

    Args:
        rates: dilations of the 3x3 convolutions.
        extra: channels of what is joined in besides, by whoever calls it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        norm: Norm,
        *,
        rates: Sequence[int],
        kind: Convolution = "plain",
        extra: int = 0,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_norm_relu_1x1(inputs, outputs, norm),
                *(conv_norm_relu_3x3(inputs, outputs, norm, dilation=rate, kind=kind) for rate in rates),
                Pooled(inputs, outputs, norm, bins=1),
            ]
        )
        self.joined = conv_norm_relu_1x1(outputs * len(self.branches) + extra, outputs, norm)

    def forward(self, x: Tensor, *extra: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        joined: Tensor = self.joined(torch.cat([*(branch(x) for branch in self.branches), *extra], dim=1))
        return joined
