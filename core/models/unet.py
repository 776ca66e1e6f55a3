"""U-Net on any encoder: each decoder level doubles the resolution, concatenates the encoder's map, convolves.

The paper's expanding path (Ronneberger et al. 2015, arXiv:1505.04597) with same padding, so that the output
has the input's size, and nearest-neighbour upsampling before its two convolutions, which leaves no
checkerboard. Upsampling, skips, convolutions, normalisation, dropout, width and depth can be varied, to see
what each is good for. `unet_paper.py` is the network as it was published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from core.models.auxiliary import SupervisedNetwork
from core.models.encoders import Encoder, PlainEncoder, build_encoder
from core.models.layers import Convolution, Norm, decoder_norm, double_conv
from core.models.standardized_maps import StandardizedMaps
from core.models.upsampling import Upsampling, upsampling

Skips: TypeAlias = Literal["concatenate", "add", "none"]
DEEPEST = 5
"""Poolings, or strided convolutions, of every encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the decoder is made of; the default is the network that is offered first.

    Attributes:
        norm: of the decoder.
        dropout: share of the channels of each level's output that is dropped while learning.
    """

    norm: Norm = "batch"
    upsampling: Upsampling = "nearest"
    skips: Skips = "concatenate"
    convolution: Convolution = "plain"
    dilation: int = 1
    dropout: float = 0.0


class UNet(StandardizedMaps, SupervisedNetwork):
    """Encoder, a decoder level for each of its strides, of ... 4, 2 and 1 times `width` channels, classifier.

    Args:
        depth: halvings of the resolution that the encoder's maps show: they are one more.
        supervised: so many levels before the last give scores of their own while learning.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        classes: int,
        width: int,
        depth: int = DEEPEST,
        parts: Parts | None = None,
        supervised: int = 0,
    ) -> None:
        super().__init__(encoder, classes)
        self.parts = parts = parts or Parts()
        finer = encoder.channels[-2::-1]  # at strides 16, 8, 4, 2, 1
        outputs = [width << level for level in reversed(range(depth))]  # 16, 8, 4, 2, 1 times the width
        inputs = [encoder.channels[-1], *outputs[:-1]]
        ups = [
            upsampling(parts.upsampling, below, finer=skip, norm=parts.norm)
            for below, skip in zip(inputs, finer, strict=True)
        ]
        self.ups = nn.ModuleList(ups)
        raised = [int(up.channels) for up in ups]  # type: ignore[arg-type]  # a number, torch cannot know
        self.laterals = nn.ModuleList(
            nn.Conv2d(skip, up, kernel_size=1)
            for skip, up in zip(finer, raised, strict=True)
            if parts.skips == "add"
        )
        self.levels = nn.ModuleList(
            double_conv(
                up + skip if parts.skips == "concatenate" else up,
                after,
                parts.norm,
                kind=parts.convolution,
                dilation=parts.dilation,
            )
            for up, skip, after in zip(raised, finer, outputs, strict=True)
        )
        self.dropout = nn.Dropout2d(parts.dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias
        halved = range(1, min(supervised, depth - 1) + 1)
        self.supervised = nn.ModuleDict(
            {str(halvings): nn.Conv2d(width << halvings, classes, kernel_size=1) for halvings in halved}
        )

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """The classifier and those of the supervised levels."""
        return (self.head, *self.supervised.values())  # type: ignore[arg-type]  # all convolutions

    def scores(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores (N, classes, H, W), and in training those of the supervised levels."""
        auxiliaries: dict[str, Tensor] = {}
        *finer, x = self.standardized_maps(x)  # (N, C5, H/32, W/32)
        for index, (up, level) in enumerate(zip(self.ups, self.levels, strict=True)):
            skip = finer[-1 - index]
            x = up(x, skip)
            if self.parts.skips == "concatenate":
                x = torch.cat([x, skip], dim=1)
            elif self.parts.skips == "add":
                x = x + self.laterals[index](skip)
            x = self.dropout(level(x))
            halvings = str(len(self.levels) - 1 - index)
            if self.training and halvings in self.supervised:
                auxiliaries[f"level {halvings}"] = self.supervised[halvings](x)
        return self.head(x), auxiliaries


def unet(
    *,
    classes: int,
    encoder: str,
    width: int,
    depth: int,
    norm: Norm,
    upsampling: Upsampling,
    skips: Skips,
    convolution: Convolution,
    dilation: int,
    dropout: int,
    supervised: int,
    encoder_width: int,
) -> UNet:
    """Build for the registry, which refuses parts that the encoder cannot take."""
    features = build_encoder(encoder, width=encoder_width, norm=norm)
    if depth < DEEPEST:
        features = _shallower(features, depth)
    parts = Parts(
        norm=decoder_norm(norm),
        upsampling=upsampling,
        skips=skips,
        convolution=convolution,
        dilation=dilation,
        dropout=dropout / 100,
    )
    return UNet(features, classes=classes, width=width, depth=depth, parts=parts, supervised=supervised)


def _shallower(encoder: Encoder, depth: int) -> Encoder:
    """The encoder without its levels beyond this depth."""
    assert isinstance(encoder, PlainEncoder)
    encoder.levels = encoder.levels[: depth + 1]
    encoder.channels = encoder.channels[: depth + 1]
    return encoder
