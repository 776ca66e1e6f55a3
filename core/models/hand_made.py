"""Hand-made features of every pixel: what people measured in pictures before networks learned to.

Brightness (a quarter of red, half of green, a quarter of blue) and two colour differences are smoothed at
seven scales; at each of them are measured

- the smoothed brightness and colours themselves;
- the gradient's length: how strong an edge is;
- the Laplacian of the Gaussian: blobs, bright ones negative;
- both eigenvalues of the Hessian matrix: ridges and valleys, as of vessels and membranes;
- the mean difference to the scale before: how rough the texture is.

A pixel's place in the picture is not among them, for a tile does not know its own.

Smoothing is binomial (1 2 1) / 4 with holes of 1, 2, 4, ... pixels (the "algorithme a trous",
Holschneider et al. 1989), which approaches Gaussians of 1 to 52 pixels. It consists of sums and halvings and
is kept to a sixteenth of a grey level: single precision holds all of it exactly. So each device
and each runtime sees the same features, to the last bit but for the square roots, and a tree that asks "more
than?" gets the same answer.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.encoders import Encoder
from core.models.normalization import Normalization

SCALES: Final = 7
PER_SCALE: Final = 8
CHANNELS: Final = 3 + PER_SCALE * SCALES
ASKED_AT_FIRST: Final = tuple(range(3)) + tuple(
    3 + PER_SCALE * scale + plane for scale in range(SCALES) for plane in range(3)
)
"""Brightness and colours: what questions that nobody has learned are about."""
REACH: Final = 3 * 2 ** (SCALES - 1) - 1
"""Pixels in each direction that a feature depends on: all smoothings, and once more the last."""
FINENESS: Final = 16.0
"""Steps in a grey level."""
GREY_LEVELS: Final = Normalization(scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class HandMadeFeatures(Encoder):
    """The features as a registry encoder; it learns nothing, and gives one map at full resolution."""

    def __init__(self) -> None:
        super().__init__("hand_made", (CHANNELS,), GREY_LEVELS, output_stride=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features (N, 59, H, W) of grey levels x (N, 3, H, W), 0..255, which are rounded to whole ones."""
        red, green, blue = torch.split(x.float().round(), 1, dim=1)  # (N, 1, H, W) each
        planes = torch.cat([(red + 2 * green + blue) / 4, red - green, blue - green], dim=1)
        found = [planes]
        for scale in range(SCALES):
            spacing = 2**scale
            smoothed = _smoothed(planes, spacing)  # (N, 3, H, W)
            roughness = _smoothed((planes[:, :1] - smoothed[:, :1]).abs(), spacing)
            found += [smoothed, *_derivatives(smoothed[:, :1], spacing), roughness]
            planes = smoothed
        return [_kept(torch.cat(found, dim=1))]


def _smoothed(planes: Tensor, spacing: int) -> Tensor:
    """The planes under (1 2 1) / 4 in both directions, its points so many pixels apart."""
    around = F.pad(planes, (spacing,) * 4, mode="replicate")
    for dim in (-1, -2):
        size = planes.shape[dim]
        a, b, c = (around.narrow(dim, step * spacing, size) for step in range(3))
        around = a + c + 2 * b
    return _kept(around / 16)


def _derivatives(plane: Tensor, spacing: int) -> list[Tensor]:
    """Gradient, Laplacian and the Hessian's two eigenvalues of (N, 1, H, W), from points so far apart."""
    height, width = plane.shape[-2:]
    around = F.pad(plane, (spacing,) * 4, mode="replicate")
    left, right = (around.narrow(-1, step * spacing, width) for step in (0, 2))  # (N, 1, H + 2 spacing, W)
    slope, both = right - left, right + left
    above, level, below = (slope.narrow(-2, step * spacing, height) for step in range(3))
    beside = both.narrow(-2, spacing, height)
    up, down = (around.narrow(-1, spacing, width).narrow(-2, step * spacing, height) for step in (0, 2))
    xx, yy, xy = beside - 2 * plane, up + down - 2 * plane, (below - above) / 4
    half, spread = (xx + yy) / 2, _length((xx - yy) / 2, xy)
    return [_length(level / 2, (down - up) / 2), xx + yy, half + spread, half - spread]


def _length(a: Tensor, b: Tensor) -> Tensor:
    return (a * a + b * b).sqrt()


def _kept(x: Tensor) -> Tensor:
    return (x * FINENESS).round() / FINENESS
