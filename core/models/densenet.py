"""FC-DenseNet, "The One Hundred Layers Tiramisu": densely connected blocks down and up again.

Jegou, Drozdzal, Vazquez, Romero and Bengio 2016 (arXiv:1611.09326). A layer is batch normalisation, ReLU, a
3x3 convolution to `growth` new maps, dropout; it sees the maps of all layers before it in its block, and what
the block was given. On the way up only the new maps of the last block are raised, as all of them would grow
too many (section 3.2); the skips bring the others. Weights are drawn uniformly as by He et al., nothing is
pretrained.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from core.models.encoders import Encoder
from core.models.network import SegmentationNetwork
from core.models.normalization import SYMMETRIC

DOWN: Final[dict[str, tuple[int, ...]]] = {
    "fcdensenet56": (4, 4, 4, 4, 4),
    "fcdensenet67": (5, 5, 5, 5, 5),
    "fcdensenet103": (4, 5, 7, 10, 12),
}
"""Layers of the blocks on the way down, by network; the way up mirrors them."""
BOTTLENECK: Final = {"fcdensenet56": 4, "fcdensenet67": 5, "fcdensenet103": 15}


class DenseBlock(nn.Module):
    """Layers that each see all the maps before them; their new maps together are the block's."""

    def __init__(self, inputs: int, layers: int, *, growth: int, dropout: float) -> None:
        super().__init__()
        self.channels = layers * growth
        self.layers = nn.ModuleList(
            _layer(inputs + index * growth, growth, kernel=3, dropout=dropout) for index in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, layers * growth, h, w)."""
        new: list[Tensor] = []
        for layer in self.layers:
            new.append(layer(torch.cat([x, *new], dim=1)))
        return torch.cat(new, dim=1)


class DenseEncoder(Encoder):
    """First convolution, then five times a dense block and a transition down (a layer of 1x1, max pool).

    Its maps are what each block was given and has found, at strides 1 to 16, and the last pool at 32.
    """

    def __init__(self, blocks: tuple[int, ...], *, growth: int, stem: int, dropout: float) -> None:
        channels = [stem]
        for layers in blocks:
            channels.append(channels[-1] + layers * growth)
        # A transition keeps the channels, so that the last pool has those of the last block.
        super().__init__("plain", (*channels[1:], channels[-1]), SYMMETRIC)
        self.first = _he_uniform(nn.Conv2d(3, stem, kernel_size=3, padding=1, bias=False))
        self.blocks = nn.ModuleList(
            DenseBlock(given, layers, growth=growth, dropout=dropout)
            for given, layers in zip(channels, blocks, strict=False)
        )
        self.transitions = nn.ModuleList(
            nn.Sequential(_layer(found, found, kernel=1, dropout=dropout), nn.MaxPool2d(2))
            for found in channels[1:]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Five skips and the last pool; of FC-DenseNet103 112, 192, 304, 464, 656 and 656 maps."""
        maps: list[Tensor] = []
        x = self.first(x)  # (N, stem, H, W)
        for block, transition in zip(self.blocks, self.transitions, strict=True):
            maps.append(torch.cat([x, block(x)], dim=1))
            x = transition(maps[-1])
        return [*maps, x]


class FCDenseNet(SegmentationNetwork):
    """Dense encoder, a block at stride 32, and five times a transition up, a skip and a dense block."""

    encoder: DenseEncoder

    def __init__(
        self, encoder: DenseEncoder, *, classes: int, bottleneck: int, growth: int, dropout: float
    ) -> None:
        super().__init__(encoder, classes)
        *skips, deepest = encoder.channels
        self.bottleneck = DenseBlock(deepest, bottleneck, growth=growth, dropout=dropout)
        self.ups = nn.ModuleList()
        self.blocks = nn.ModuleList()
        raised = self.bottleneck.channels
        for down, skip in zip(reversed(list(encoder.blocks)), reversed(skips), strict=True):
            layers = len(down.layers)  # type: ignore[arg-type]  # a dense block's
            self.ups.append(_transition_up(raised))
            block = DenseBlock(raised + skip, layers, growth=growth, dropout=dropout)
            self.blocks.append(block)
            last, raised = raised + skip + block.channels, block.channels
        self.head = nn.Conv2d(last, classes, kernel_size=1)  # of FC-DenseNet103's 256 maps
        nn.init.kaiming_uniform_(self.head.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        *skips, x = self.encoder(x)
        new = self.bottleneck(x)  # (N, 240, H/32, W/32) of FC-DenseNet103
        for up, block, skip in zip(self.ups, self.blocks, reversed(skips), strict=True):
            x = torch.cat([up(new), skip], dim=1)
            new = block(x)
        scores: Tensor = self.head(torch.cat([x, new], dim=1))
        return scores


def _layer(inputs: int, outputs: int, *, kernel: int, dropout: float) -> nn.Sequential:
    """Batch normalisation, ReLU, convolution, dropout."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(
        nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), _he_uniform(convolution), nn.Dropout(dropout)
    )


def _transition_up(channels: int) -> nn.ConvTranspose2d:
    """A transposed 3x3 convolution of stride 2, which doubles the resolution exactly."""
    up = nn.ConvTranspose2d(channels, channels, kernel_size=3, stride=2, padding=1, output_padding=1)
    nn.init.kaiming_uniform_(up.weight, nonlinearity="relu")
    nn.init.zeros_(up.bias)  # type: ignore[arg-type]  # it has a bias
    return up


def _he_uniform(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return layer


def _build(
    name: str, *, classes: int, encoder: str, growth: int, depth: int, stem: int, dropout: int
) -> FCDenseNet:
    """`depth`: layers of every block; 0: the paper's."""
    del encoder  # its way down is its own
    share = dropout / 100
    blocks = DOWN[name] if depth == 0 else (depth,) * len(DOWN[name])
    down = DenseEncoder(blocks, growth=growth, stem=stem, dropout=share)
    bottleneck = depth or BOTTLENECK[name]
    return FCDenseNet(down, classes=classes, bottleneck=bottleneck, growth=growth, dropout=share)


def fcdensenet56(**options: Any) -> FCDenseNet:
    """Build for the registry, which has checked the options."""
    return _build("fcdensenet56", **options)


def fcdensenet67(**options: Any) -> FCDenseNet:
    """Build for the registry, which has checked the options."""
    return _build("fcdensenet67", **options)


def fcdensenet103(**options: Any) -> FCDenseNet:
    """Build for the registry, which has checked the options."""
    return _build("fcdensenet103", **options)
