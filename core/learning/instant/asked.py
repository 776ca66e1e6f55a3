"""The instant learner's network asked about an image whose features are there: all of it, or a part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from core.images.upright import Box
from core.learning.instant.features import Features
from core.learning.prediction.tiling import part_to_size, source_span
from core.models.instant import GRID, InstantNetwork

COARSEST: Final = 64
"""Stride of the coarsest group; bands of rows are cut at its cells."""
BAND_ROWS: Final = 16
"""Coarsest cells a band of rows is high: a thousand pixels."""


def bands(network: InstantNetwork, features: Features, device: torch.device) -> Iterator[Tensor]:
    """Rows of logits (C, rows, w) of the scaled image, top to bottom."""
    height, width = features.scaled_hw
    for top in range(0, height, BAND_ROWS * COARSEST):
        rows = top, min(top + BAND_ROWS * COARSEST, height)
        yield _block(network, features, device, rows, (0, width))


def bands_of_part(
    network: InstantNetwork, features: Features, device: torch.device, box: Box
) -> Iterator[Tensor]:
    """Rows of logits (C, rows, x1 - x0) of a part of the image itself, x0, y0, x1, y1, top to bottom."""
    x0, y0, x1, y1 = box
    rows = source_span(y0, y1, features.scaled_hw[0], features.size_hw[0])
    columns = source_span(x0, x1, features.scaled_hw[1], features.size_hw[1])
    block = _block(network, features, device, rows, columns)
    yield from part_to_size(block, (rows[0], columns[0]), features.scaled_hw, features.size_hw, box)


def _block(
    network: InstantNetwork,
    features: Features,
    device: torch.device,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Tensor:
    """Logits (C, h, w) of some rows and columns, from and to, of the scaled image."""
    coarse_hw = features.groups[-1].shape[-2:]
    down, across = _cells(*rows, coarse_hw[0]), _cells(*columns, coarse_hw[1])
    groups = []
    for group in features.groups:
        factor = group.shape[-2] // coarse_hw[0]  # so many rows of a group a coarsest cell covers
        part = group[..., down[0] * factor : down[1] * factor, across[0] * factor : across[1] * factor]
        groups.append(part.to(device).float())
    logits = F.interpolate(network.grid_logits(groups), scale_factor=GRID, mode="bilinear")[0]
    top, left = rows[0] - down[0] * COARSEST, columns[0] - across[0] * COARSEST
    return logits[:, top : top + rows[1] - rows[0], left : left + columns[1] - columns[0]]


def _cells(start: int, end: int, count: int) -> tuple[int, int]:
    """The coarsest cells that start..end lies in, and one more on either side.

    What is interpolated across a seam needs it.
    """
    return max(0, start // COARSEST - 1), min(count, -(-end // COARSEST) + 1)
