"""DeepLab v2, v3 and v3+: dilated encoders, and pyramids of dilated convolutions that look around at once.

- v2 (Chen et al. 2016, arXiv:1606.00915): output stride 8; four 3x3 score layers at rates 6, 12, 18 and 24,
  whose scores are added, as on the authors' ResNet-101. Its dense CRF is a step after prediction, and not in
  here. Left out: the image at three scales, whose scores the authors fuse by their maximum.
- v3 (Chen et al. 2017, arXiv:1706.05587): rates 6, 12, 18 at output stride 16 (doubled at 8), beside a 1x1
  convolution and the average of the whole map, joined by a 1x1 convolution. Left out: the multi-grid, by
  which the convolutions of the encoder's last stage have rates of their own, here one for all; and the norm
  behind the average (see `context.Pooled`).
- v3+ (Chen et al. 2018, arXiv:1802.02611): v3 as an encoder; its output joins the map of stride 4, reduced to
  48 channels, and two 3x3 convolutions; all 3x3 convolutions behind the encoder may be separable. Left out:
  norm and ReLU between their depthwise and pointwise parts, and the authors' own Xception.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from core.models.context import AtrousPyramid, conv_norm_relu_1x1, conv_norm_relu_3x3, resized
from core.models.encoders import Encoder, build_encoder
from core.models.layers import Convolution, Norm, decoder_norm
from core.models.network import SegmentationNetwork

RATES_V2: Final = (6, 12, 18, 24)
"""At output stride 8."""
RATES_V3: Final = (6, 12, 18)
"""At output stride 16: pixels between the nine points of a 3x3 convolution."""
LOW_LEVEL: Final = 48
LOW_LEVEL_SHARE: Final = LOW_LEVEL / 256
"""Channels of v3+'s low-level map, as a share of the pyramid's: few, so that they do not outweigh it."""
DROPOUT: Final = 0.1


class DeepLabV2(SegmentationNetwork):
    """An encoder and four score layers that see more and more around them."""

    def __init__(self, encoder: Encoder, *, classes: int) -> None:
        super().__init__(encoder, classes)
        self.pyramid = nn.ModuleList()
        for rate in rates_at(encoder, RATES_V2, 8):
            layer = nn.Conv2d(encoder.channels[-1], classes, kernel_size=3, padding=rate, dilation=rate)
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
            self.pyramid.append(layer)

    @property
    def score_layer(self) -> nn.Conv2d:
        """The narrowest, whose bias is one of four that are added."""
        layer = self.pyramid[0]
        assert isinstance(layer, nn.Conv2d)
        return layer

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """All four branches."""
        return tuple(self.pyramid)  # type: ignore[arg-type]  # all convolutions

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        deepest = self.encoder(x)[-1]  # (N, 2048, H/8, W/8)
        scores = torch.stack([layer(deepest) for layer in self.pyramid]).sum(dim=0)
        return resized(scores, x.shape[-2:])


class DeepLabV3(SegmentationNetwork):
    """An encoder, the atrous pyramid and a score layer."""

    def __init__(self, encoder: Encoder, *, classes: int, width: int, norm: Norm) -> None:
        super().__init__(encoder, classes)
        self.pyramid = AtrousPyramid(encoder.channels[-1], width, norm, rates=rates_at(encoder, RATES_V3, 16))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        deepest = self.encoder(x)[-1]  # (N, 2048, H/16, W/16)
        seen = self.dropout(self.pyramid(deepest))  # (N, 256, H/16, W/16)
        return resized(self.head(seen), x.shape[-2:])


class LowLevelDecoder(nn.Module):
    """What v3+ adds: the pyramid's output is refined by the map of stride 4."""

    def __init__(self, low: int, width: int, norm: Norm, kind: Convolution) -> None:
        super().__init__()
        reduced = max(1, round(width * LOW_LEVEL_SHARE))
        self.reduced = conv_norm_relu_1x1(low, reduced, norm)
        self.refined = nn.Sequential(
            conv_norm_relu_3x3(width + reduced, width, norm, kind=kind),
            conv_norm_relu_3x3(width, width, norm, kind=kind),
        )

    def forward(self, x: Tensor, low: Tensor) -> Tensor:
        """(N, width, h, w) and the map (N, low, H/4, W/4) -> (N, width, H/4, W/4)."""
        up = resized(x, low.shape[-2:])
        refined: Tensor = self.refined(torch.cat([up, self.reduced(low)], dim=1))
        return refined


class DeepLabV3Plus(SegmentationNetwork):
    """DeepLab v3 with a decoder."""

    def __init__(
        self, encoder: Encoder, *, classes: int, width: int, norm: Norm, convolution: Convolution
    ) -> None:
        super().__init__(encoder, classes)
        *_, low, _, _, deepest = encoder.channels
        self.pyramid = AtrousPyramid(
            deepest, width, norm, rates=rates_at(encoder, RATES_V3, 16), kind=convolution
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.decoder = LowLevelDecoder(low, width, norm, convolution)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        *_, low, _, _, deepest = self.encoder(x)  # (N, 256, H/4, W/4), ..., (N, 2048, H/16, W/16)
        seen = self.dropout(self.pyramid(deepest))  # (N, 256, H/16, W/16)
        refined = self.decoder(seen, low)  # (N, 256, H/4, W/4)
        return resized(self.head(refined), x.shape[-2:])


def rates_at(encoder: Encoder, published: tuple[int, ...], stride: int) -> tuple[int, ...]:
    """A pyramid's rates, published at one output stride: the same distances in the image at any other."""
    return tuple(max(1, rate * stride // encoder.output_stride) for rate in published)


def deeplabv2(*, classes: int, encoder: str, norm: Norm, output_stride: int, encoder_width: int) -> DeepLabV2:
    """Build for the registry."""
    features = build_encoder(encoder, width=encoder_width, norm=norm, output_stride=output_stride)
    return DeepLabV2(features, classes=classes)


def deeplabv3(
    *, classes: int, encoder: str, width: int, norm: Norm, output_stride: int, encoder_width: int
) -> DeepLabV3:
    """Build for the registry."""
    features = build_encoder(encoder, width=encoder_width, norm=norm, output_stride=output_stride)
    return DeepLabV3(features, classes=classes, width=width, norm=decoder_norm(norm))


def deeplabv3plus(
    *,
    classes: int,
    encoder: str,
    width: int,
    norm: Norm,
    convolution: Convolution,
    output_stride: int,
    encoder_width: int,
) -> DeepLabV3Plus:
    """Build for the registry."""
    features = build_encoder(encoder, width=encoder_width, norm=norm, output_stride=output_stride)
    return DeepLabV3Plus(
        features, classes=classes, width=width, norm=decoder_norm(norm), convolution=convolution
    )
