"""U-Net as it was published: valid convolutions, cropped skips, mirrored surroundings.

Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597). Nothing is padded inside: of a tile of 572 x 572 pixels
the middle 388 x 388 get scores, each from pixels that were really seen (section 2, figure 1). What lies
beyond the image is its mirror image (figure 2, "overlap-tile"). Dropout is at the end of the contracting
path, weights are drawn as by He et al. (section 3). Root width and depth can be chosen, as the authors'
followers do.

A ReLU follows each up-convolution: the paper's text leaves it out, the authors' own network has it.

Two differences: images have three channels, not one, and `forward` puts mirrored surroundings around
whatever it is given, so that scores have its size; a tile of 388 x 388 wastes none of them. So training
crops and the tiles of an ONNX file have mirrored surroundings; tiles of a prediction have those of the image.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UsageError
from core.models.encoders import Encoder
from core.models.network import SegmentationNetwork
from core.models.normalization import SYMMETRIC

LOST: Final = 4
"""Pixels that two valid 3x3 convolutions take from each side's length."""
SMALLEST_BOTTOM: Final = 4
"""Side of the coarsest map of the smallest tile that leaves anything."""


class ContractingPath(Encoder):
    """Two valid 3x3 convolutions with ReLU a level, 2x2 max pools between; channels double at each level.

    Its maps are what each level has convolved, fine to coarse: `depth` + 1 of them, each smaller than half
    the one before.
    """

    def __init__(self, *, width: int, depth: int, dropout: float) -> None:
        channels = tuple(width << level for level in range(depth + 1))
        super().__init__("plain", channels, SYMMETRIC)
        self.levels = nn.ModuleList(
            valid_convolutions(before, after) for before, after in zip((3, *channels), channels, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What each level has convolved; dropout on the two coarsest, as in the authors' network."""
        maps: list[Tensor] = []
        for index, level in enumerate(self.levels):
            x = level(self.pool(x) if maps else x)
            if index >= len(self.levels) - 2:
                x = self.dropout(x)
            maps.append(x)
        return maps  # of 572: (N, 64, 568, 568), (N, 128, 280, 280), ..., (N, 1024, 28, 28)


class PaperUNet(SegmentationNetwork):
    """Contracting path, expanding path with 2x2 up-convolutions that halve the channels, 1x1 classifier."""

    size_multiple = 1  # `logits` surrounds any size with what it needs

    def __init__(self, *, classes: int, width: int, depth: int, dropout: float) -> None:
        encoder = ContractingPath(width=width, depth=depth, dropout=dropout)
        super().__init__(encoder, classes)
        self.depth = depth
        steps = list(zip(encoder.channels[::-1], encoder.channels[-2::-1], strict=False))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(below, after, kernel_size=2, stride=2) for below, after in steps
        )
        for up, (below, _) in zip(self.ups, steps, strict=True):
            # Of a stride as long as the kernel every output sees one pixel of each channel.
            nn.init.normal_(up.weight, std=(2.0 / below) ** 0.5)  # type: ignore[arg-type]
            nn.init.zeros_(up.bias)  # type: ignore[arg-type]  # it has a bias
        self.levels = nn.ModuleList(valid_convolutions(2 * after, after) for _, after in steps)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W) of any x (N, 3, H, W), its surroundings mirrored."""
        height, width = x.shape[-2:]
        rows = mirrored_places(height, self.depth).to(x.device)
        columns = mirrored_places(width, self.depth).to(x.device)
        tile = x.index_select(2, rows).index_select(3, columns)
        return self.valid_logits(tile)[..., :height, :width]

    def surroundings(self, side: int) -> tuple[int, int]:
        """The margin, and after the tile what makes all pools divide evenly."""
        before = margin(self.depth)
        return before, tile_side(side, self.depth) - side - before

    def inner_scores(self, x: Tensor) -> Tensor:
        """`valid_logits`: nothing is mirrored."""
        return self.valid_logits(x)

    def valid_logits(self, tile: Tensor) -> Tensor:
        """Scores of the middle of a tile: (N, 3, 572, 572) -> (N, classes, 388, 388) at depth 4.

        Raises:
            UsageError: a side that no tile of this depth has, with the nearest that one has.
        """
        check_tile(tile.shape[-2], tile.shape[-1], self.depth)
        *skips, x = self.encoder(tile)
        for up, level, skip in zip(self.ups, self.levels, reversed(skips), strict=True):
            x = F.relu(up(x))  # (N, 512, 56, 56), then 104, 200, 392
            x = level(torch.cat([_middle(skip, x), x], dim=1))  # (N, 512, 52, 52), then 100, 196, 388
        scores: Tensor = self.head(x)
        return scores


def valid_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions without padding, each with ReLU; He initialisation."""
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        convolution = nn.Conv2d(before, outputs, kernel_size=3)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # it has a bias
        layers += [convolution, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


# --- sizes ------------------------------------------------------------------------------------------------


def margin(depth: int) -> int:
    """Pixels at each border of a tile that get no scores: 92 at depth 4."""
    return (3 * LOST << depth) // 2 - LOST


def tile_side(wanted: int, depth: int) -> int:
    """Side of the smallest tile whose middle has `wanted` pixels or more: 572 for 388 at depth 4."""
    bottom = max(SMALLEST_BOTTOM, -(-(wanted + LOST * ((1 << depth) - 1)) // (1 << depth)))
    for _ in range(depth):
        bottom = 2 * (bottom + LOST)
    return bottom + LOST


def scored_side(tile: int, depth: int) -> int:
    """Side of the middle of a tile that gets scores: 388 of 572 at depth 4."""
    return tile - 2 * margin(depth)


def nearest_tile_side(side: int, depth: int) -> int:
    """The tile side nearest to this one; the smaller of two that are as near."""
    step = 1 << depth
    smallest = tile_side(1, depth)
    return max(smallest, smallest + round((side - smallest) / step - 1e-9) * step)


def check_tile(height: int, width: int, depth: int) -> None:
    """Raise UsageError for a tile whose pools would not divide evenly, naming the nearest that fits."""
    nearest = nearest_tile_side(height, depth), nearest_tile_side(width, depth)
    if nearest != (height, width):
        raise UsageError(
            f"a U-Net of depth {depth} without padding cannot take a tile of {width} x {height} pixels;"
            f" the nearest that it can take is {nearest[1]} x {nearest[0]}, of which the middle"
            f" {scored_side(nearest[1], depth)} x {scored_side(nearest[0], depth)} get scores"
        )


def mirrored_places(side: int, depth: int) -> Tensor:
    """Where a tile's rows, or columns, come from in an image: (T,) int64, 0..side - 1.

    The image is mirrored at its borders as often as it takes, which also serves images smaller than the
    margin, where torch's own "reflect" padding gives up.
    """
    before = margin(depth)
    places = torch.arange(-before, tile_side(side, depth) - before)
    period = max(1, 2 * (side - 1))
    places = places.remainder(period)
    return torch.minimum(places, period - places).clamp_max(side - 1)


def _middle(skip: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as large as another one."""
    top = (skip.shape[-2] - like.shape[-2]) // 2
    left = (skip.shape[-1] - like.shape[-1]) // 2
    return skip[..., top : top + like.shape[-2], left : left + like.shape[-1]]


def unet_paper(*, classes: int, encoder: str, width: int, depth: int, dropout: int) -> PaperUNet:
    """Build for the registry."""
    del encoder  # the contracting path is its own
    return PaperUNet(classes=classes, width=width, depth=depth, dropout=dropout / 100)
