"""Ways to double the resolution of a feature map, to vary and compare; and max pools that can be undone.

All of them are called as `up(x, finer)` with x (N, C, h, w) and the encoder's map `finer` (N, C', 2h, 2w),
which only max-unpooling looks at, and give (N, `channels`, 2h, 2w).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers import Norm, bilinear_kernel, normalization_layer

Upsampling: TypeAlias = Literal[
    "nearest", "bilinear", "bicubic", "transposed", "unpooling", "resize_convolution"
]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic"]


class Interpolated(nn.Module):
    """Nearest, bilinear or bicubic interpolation: nothing to learn, pixel centres kept, edges repeated."""

    def __init__(self, channels: int, mode: Interpolation) -> None:
        super().__init__()
        self.channels = channels
        self.mode = mode

    def forward(self, x: Tensor, finer: Tensor | None = None) -> Tensor:
        """(N, C, h, w) -> (N, C, 2h, 2w)."""
        del finer
        if self.mode == "nearest":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.interpolate(x, scale_factor=2.0, mode=self.mode, align_corners=False)


class Transposed(nn.Module):
    """A transposed 4x4 convolution of stride 2 that starts as bilinear interpolation, and learns.

    The edge is repeated once first, so that what it starts as is bilinear interpolation up to the border.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        # Padding 1 is the kernel's own, 2 more take away what the repeated edge became.
        self.convolution = nn.ConvTranspose2d(
            channels, channels, kernel_size=4, stride=2, padding=3, bias=False
        )
        init_bilinear(self.convolution)

    def forward(self, x: Tensor, finer: Tensor | None = None) -> Tensor:
        """(N, C, h, w) -> (N, C, 2h, 2w)."""
        del finer
        up: Tensor = self.convolution(F.pad(x, (1, 1, 1, 1), mode="replicate"))
        return up


class ResizeConvolution(nn.Module):
    """Nearest-neighbour, then a 3x3 convolution: learned, and free of checkerboards (Odena et al. 2016)."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.channels = channels
        self.convolution = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")
        self.norm = normalization_layer(norm, channels)

    def forward(self, x: Tensor, finer: Tensor | None = None) -> Tensor:
        """(N, C, h, w) -> (N, C, 2h, 2w)."""
        del finer
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.relu(self.norm(self.convolution(x)))


class Unpooled(nn.Module):
    """Every value goes back to where the encoder's 2x2 max pool took its own from, zeros around it.

    A 1x1 convolution first gives x the channels of the map that was pooled, as places are kept per channel.
    """

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.channels = pooled
        self.match = nn.Conv2d(inputs, pooled, kernel_size=1)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """From x (N, C, h, w) and the map that was pooled (N, C', 2h, 2w) to (N, C', 2h, 2w)."""
        _, corners = max_pool(finer)
        return max_unpool(self.match(x), corners)


def upsampling(kind: Upsampling, channels: int, *, finer: int, norm: Norm) -> nn.Module:
    """Doubles the resolution of `channels` channels beside an encoder's map of `finer` channels.

    `channels` of what is returned says how many come out.
    """
    match kind:
        case "nearest" | "bilinear" | "bicubic":
            return Interpolated(channels, kind)
        case "transposed":
            return Transposed(channels)
        case "resize_convolution":
            return ResizeConvolution(channels, norm)
        case "unpooling":
            return Unpooled(channels, finer)
        case _:
            assert_never(kind)


def init_bilinear(layer: nn.ConvTranspose2d) -> None:
    """Make a transposed convolution interpolate bilinearly, each channel by itself.

    Its kernel must be twice its stride, and it must have as many outputs as inputs.
    """
    stride = layer.stride[0]
    kernel = bilinear_kernel(stride)
    channels = range(layer.in_channels)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[channels, channels] = kernel.to(layer.weight)


def max_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """2x2 max pooling that tells where each maximum was.

    The same as torch's `max_pool2d` with indices, which are places in the whole map there and have no form
    in ONNX that `max_unpool2d` could use. Of equal values the first counts.

    Args:
        x: (N, C, 2h, 2w).

    Returns:
        The maxima (N, C, h, w), and their corners in the 2x2 windows, (N, C, h, w) int64: 0 and 1 above,
        2 and 3 below.
    """
    n, channels, height, width = x.shape
    windows = F.pixel_unshuffle(x, 2).reshape(n, channels, 4, height // 2, width // 2)
    pooled, corners = windows.max(dim=2)
    return pooled, corners


def max_unpool(x: Tensor, corners: Tensor) -> Tensor:
    """Undo `max_pool`: x (N, C, h, w) at the corners (N, C, h, w) of 2x2 windows, zeros elsewhere."""
    corner = torch.arange(4, device=x.device).view(1, 1, 4, 1, 1)
    windows = torch.where(corners.unsqueeze(2) == corner, x.unsqueeze(2), 0.0)  # (N, C, 4, h, w)
    return F.pixel_shuffle(windows.flatten(1, 2), 2)  # (N, C, 2h, 2w)
