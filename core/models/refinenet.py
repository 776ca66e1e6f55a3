"""RefineNet: four cascades that refine coarse features with finer ones (Lin et al. 2016, arXiv:1611.06612).

No dilation: the encoder halves the resolution five times, and from stride 32 up to stride 4 each cascade
takes what the coarser one has found and the encoder's map of its own stride. A cascade adapts each of them by
two residual convolution units, fuses them at the finer resolution, looks around by chained 5x5 pooling, and
ends in a residual convolution unit. All of its paths are sums with an identity: gradients reach the encoder
by a straight way. Nothing of it is normalised; so that dozens of sums do not grow out of hand, what is added
starts at zero: every unit begins as the identity, and a pretrained encoder's maps come at one spread.
"""

from __future__ import annotations

from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from core.models.context import resized
from core.models.encoders import Encoder, build_encoder
from core.models.layers import Norm, convolution_3x3
from core.models.standardized_maps import StandardizedMaps

CASCADES: Final = 4
POOLINGS: Final = 2
"""In a chain; each sees 4 pixels more to every side than the one before."""
DROPPED_MAPS: Final = 2
"""The two coarsest maps have most channels, and drop some of them while they learn."""


class ResidualUnit(nn.Module):
    """RCU: two 3x3 convolutions, each behind a ReLU, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution_3x3(channels, channels, bias=True)
        self.second = _from_zero(convolution_3x3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w), as it came."""
        # Not in place: x is added below as it is.
        seen: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + seen


class Fusion(nn.Module):
    """3x3 convolutions to as many channels, and the sum at the finest resolution."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        channels = min(coarse, fine)
        self.coarse = convolution_3x3(coarse, channels)
        self.fine = convolution_3x3(fine, channels)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, coarse, h, w) and (N, fine, 2h, 2w) -> (N, fewer of both, 2h, 2w)."""
        seen: Tensor = self.fine(fine)
        return resized(self.coarse(coarse), fine.shape[-2:]) + seen


class ChainedPooling(nn.Module):
    """Each 5x5 pooling looks at what the one before has found; 3x3 convolutions weigh it, and all add up."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=5, stride=1, padding=2)
        self.convolutions = nn.ModuleList(
            _from_zero(convolution_3x3(channels, channels)) for _ in range(POOLINGS)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w), as it came."""
        x = chained = F.relu(x)
        for convolution in self.convolutions:
            chained = convolution(self.pool(chained))
            x = x + chained
        return x


class Cascade(nn.Module):
    """One RefineNet block.

    Args:
        coarse: channels of the coarser cascade; 0 for the coarsest of all, which has nothing to fuse.
        channels: of the encoder's map, already reduced, and of what comes out.
    """

    def __init__(self, coarse: int, channels: int) -> None:
        super().__init__()
        self.adapted = _two_units(channels)
        if coarse:
            self.adapted_coarse = _two_units(coarse)
            self.fusion = Fusion(coarse, channels)
        self.pooling = ChainedPooling(channels)
        self.output = ResidualUnit(channels)

    def forward(self, fine: Tensor, coarse: Tensor | None = None) -> Tensor:
        """(N, channels, h, w) and, but for the coarsest, (N, coarse, h/2, w/2) -> (N, channels, h, w)."""
        x: Tensor = self.adapted(fine)
        if coarse is not None:
            x = self.fusion(self.adapted_coarse(coarse), x)
        refined: Tensor = self.output(self.pooling(x))
        return refined


class RefineNet(StandardizedMaps):
    """Encoder, four cascades of `width` channels (twice that in the coarsest), score layer at stride 4."""

    def __init__(self, encoder: Encoder, *, classes: int, width: int, dropout: float) -> None:
        super().__init__(encoder, classes)
        maps = encoder.channels[-1 : -1 - CASCADES : -1]  # at strides 32, 16, 8, 4
        widths = (2 * width, *(width,) * (CASCADES - 1))
        self.dropout = nn.Dropout(dropout)
        self.reduced = nn.ModuleList(
            convolution_3x3(channels, own) for channels, own in zip(maps, widths, strict=True)
        )
        self.cascades = nn.ModuleList(
            Cascade(coarse, own) for coarse, own in zip((0, *widths[:-1]), widths, strict=True)
        )
        self.last = _two_units(width)
        self.head = nn.Conv2d(width, classes, kernel_size=3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)  # features are as large as they come
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        finest = len(self.encoder.channels) - CASCADES
        # (N, 2048, H/32, W/32), ..., (N, 256, H/4, W/4)
        maps = self.standardized_maps(x, finest=finest)[::-1]
        refined: Tensor | None = None
        for index, (reduced, cascade) in enumerate(zip(self.reduced, self.cascades, strict=True)):
            fine = self.dropout(maps[index]) if index < DROPPED_MAPS else maps[index]
            refined = cascade(reduced(fine), refined)
        return resized(self.head(self.last(refined)), x.shape[-2:])


def _from_zero(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _two_units(channels: int) -> nn.Sequential:
    return nn.Sequential(ResidualUnit(channels), ResidualUnit(channels))


def refinenet(
    *, classes: int, encoder: str, width: int, norm: Norm, dropout: int, encoder_width: int
) -> RefineNet:
    """Build for the registry; `dropout` in percent, `norm` the encoder's."""
    features = build_encoder(encoder, width=encoder_width, norm=norm)
    return RefineNet(features, classes=classes, width=width, dropout=dropout / 100)
