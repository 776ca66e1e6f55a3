"""U-Net on any encoder: each decoder level doubles the resolution, concatenates the encoder's map, convolves.

The paper's expanding path (Ronneberger et al. 2015, arXiv:1505.04597) with same padding, so that the output
has the input's size, and nearest-neighbour upsampling before its two convolutions, which leaves no
checkerboard.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoders import Encoder, build_encoder
from core.models.layers import Norm, double_conv
from core.models.network import SegmentationNetwork


class UNet(SegmentationNetwork):
    """Encoder, five decoder levels of 16, 8, 4, 2 and 1 times `width` channels, 1x1 classifier."""

    def __init__(self, encoder: Encoder, *, classes: int, width: int, norm: Norm) -> None:
        super().__init__(encoder, classes)
        skips = encoder.channels[-2::-1]  # at strides 16, 8, 4, 2, 1
        outputs = [width * factor for factor in (16, 8, 4, 2, 1)]
        inputs = [encoder.channels[-1], *outputs[:-1]]
        self.levels = nn.ModuleList(
            double_conv(below + skip, after, norm)
            for below, skip, after in zip(inputs, skips, outputs, strict=True)
        )
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        *skips, x = self.encoder(x)  # (N, C5, H/32, W/32)
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = level(torch.cat([x, skip], dim=1))
        scores: Tensor = self.head(x)
        return scores  # (N, classes, H, W)


def unet(*, classes: int, encoder: str, width: int, norm: Norm, encoder_width: int) -> UNet:
    """Build for the registry."""
    return UNet(
        build_encoder(encoder, width=encoder_width, norm=norm), classes=classes, width=width, norm=norm
    )
