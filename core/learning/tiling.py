"""Where tiles lie, with which weights what they give is joined, and the way back to full size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

UPSAMPLED_VALUES: Final = 1 << 24
"""Logits that are brought to full size at a time: 64 MB."""


@dataclass(frozen=True, slots=True)
class TileGrid:
    """Where tiles start along one axis."""

    length: int
    tile: int
    overlap: int
    starts: tuple[int, ...]

    @classmethod
    def cover(cls, length: int, tile: int, overlap: int) -> TileGrid:
        """Tiles over 0..length, the last one flush with the end."""
        tile = min(tile, length)
        last = length - tile
        steps = range(0, last, tile - overlap) if last else ()
        return cls(length, tile, overlap, (*steps, last))

    @classmethod
    def spread(cls, length: int, most: int, overlap: int, multiple: int) -> TileGrid:
        """As few tiles of at most `most` as there must be, and no larger than that many need be.

        All but `length` and `most` are multiples of `multiple`, and so are the tiles.
        """
        if length <= most:
            return cls.cover(length, length, 0)
        count = -(-(length - overlap) // (most - overlap))
        needed = -(-(length + (count - 1) * overlap) // count)
        return cls.cover(length, min(most, -(-needed // multiple) * multiple), overlap)

    def weights(self) -> list[NDArray[np.float32]]:
        """Weights (tile,) of each tile: Gaussian, zero near inner edges, adding up to 1 at each position."""
        positions = np.arange(self.tile)
        bell = np.exp(-0.5 * ((positions - (self.tile - 1) / 2) / (self.tile / 4)) ** 2)
        margin = self.overlap // 4
        raw = []
        for start in self.starts:
            weights = bell.copy()
            if start > 0:
                weights[:margin] = 0.0
            if start + self.tile < self.length:
                weights[self.tile - margin :] = 0.0
            raw.append(weights)
        total = np.zeros(self.length)
        for start, weights in zip(self.starts, raw, strict=True):
            total[start : start + self.tile] += weights
        return [
            (weights / total[start : start + self.tile]).astype(np.float32)
            for start, weights in zip(self.starts, raw, strict=True)
        ]


def to_size(
    bands: Iterator[Tensor | None], scaled_hw: tuple[int, int], size_hw: tuple[int, int]
) -> Iterator[Tensor | None]:
    """Interpolate bands of rows (C, rows, w) to the image's size, bilinearly and across their seams."""
    if scaled_hw == size_hw:
        yield from bands
        return
    (scaled_height, _), (height, width) = scaled_hw, size_hw
    pending: Tensor | None = None
    first = 0  # the scaled row that `pending` starts with
    done = 0
    for band in bands:
        if band is None:
            yield None
            continue
        pending = band if pending is None else torch.cat([pending, band], dim=1)
        at_once = max(1, UPSAMPLED_VALUES // (pending.shape[0] * width))
        while done < height:
            wanted = np.arange(done, min(height, done + at_once))
            source = ((wanted + 0.5) * scaled_height / height - 0.5).clip(0, scaled_height - 1)
            above = source.astype(np.int64)
            below = np.minimum(above + 1, scaled_height - 1)
            source, above, below = (rows[below < first + pending.shape[1]] for rows in (source, above, below))
            if not len(source):
                break
            needed = pending[None, :, above[0] - first : below[-1] - first + 1]
            wide = F.interpolate(needed, size=(needed.shape[2], width), mode="bilinear")[0]
            share = torch.from_numpy((source - above).astype(np.float32)).to(wide.device)[:, None]
            upper, lower = (torch.from_numpy(rows - above[0]).to(wide.device) for rows in (above, below))
            yield torch.lerp(wide[:, upper], wide[:, lower], share)
            done += len(source)
            pending, first = pending[:, above[-1] - first :], int(above[-1])
