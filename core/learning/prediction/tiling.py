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

from core.images.upright import Box

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

    def meeting(self, start: int, end: int) -> list[int]:
        """Numbers of the tiles that have weight somewhere in start..end."""
        found = []
        for number, at in enumerate(self.starts):
            first = at + self._margin if at > 0 else at
            last = at + self.tile - (self._margin if at + self.tile < self.length else 0)
            if first < end and last > start:
                found.append(number)
        return found

    @property
    def _margin(self) -> int:
        """Of a tile, at an inner edge: there it has no weight."""
        return self.overlap // 4

    def weights(self) -> list[NDArray[np.float32]]:
        """Weights (tile,) of each tile: Gaussian, zero near inner edges, adding up to 1 at each position."""
        positions = np.arange(self.tile)
        bell = np.exp(-0.5 * ((positions - (self.tile - 1) / 2) / (self.tile / 4)) ** 2)
        margin = self._margin
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


def overlapping(start: int, tile: int, span: tuple[int, int]) -> tuple[slice, slice]:
    """What a tile and a span have in common, counted from the tile's start and from the span's."""
    first, last = max(start, span[0]), min(start + tile, span[1])
    return slice(first - start, last - start), slice(first - span[0], last - span[0])


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
            source, above, below = _sources(wanted, scaled_height, height)
            there = below < first + pending.shape[1]
            source, above, below = source[there], above[there], below[there]
            if not len(source):
                break
            needed = pending[None, :, above[0] - first : below[-1] - first + 1]
            wide = F.interpolate(needed, size=(needed.shape[2], width), mode="bilinear")[0]
            share = torch.from_numpy((source - above).astype(np.float32)).to(wide.device)[:, None]
            upper, lower = (torch.from_numpy(rows - above[0]).to(wide.device) for rows in (above, below))
            yield torch.lerp(wide[:, upper], wide[:, lower], share)
            done += len(source)
            pending, first = pending[:, above[-1] - first :], int(above[-1])


def source_span(start: int, end: int, scaled: int, length: int) -> tuple[int, int]:
    """Which positions of a scaled axis those from `start` to `end` of the whole one are interpolated from."""
    first, last = _sources(np.array([start, end - 1]), scaled, length)[0]
    return int(first), min(scaled, int(last) + 2)


def part_to_size(
    block: Tensor, corner_yx: tuple[int, int], scaled_hw: tuple[int, int], size_hw: tuple[int, int], box: Box
) -> Iterator[Tensor]:
    """The part `box` of what `to_size` comes to, as bands of rows (C, rows, x1 - x0).

    Args:
        block: scaled logits (C, h, w), at least those that `source_span` names.
        corner_yx: where the block's corner lies in the scaled image.
        scaled_hw: size of the scaled image.
        size_hw: of the image.
        box: x0, y0, x1, y1 of it.
    """
    x0, y0, x1, y1 = box
    at_once = max(1, UPSAMPLED_VALUES // (block.shape[0] * (x1 - x0)))
    columns = np.arange(x0, x1)
    for top in range(y0, y1, at_once):
        rows = np.arange(top, min(y1, top + at_once))
        tall = _interpolated(block, 1, rows, corner_yx[0], scaled_hw[0], size_hw[0])
        yield _interpolated(tall, 2, columns, corner_yx[1], scaled_hw[1], size_hw[1])


def _interpolated(
    block: Tensor, axis: int, wanted: NDArray[np.int64], corner: int, scaled: int, length: int
) -> Tensor:
    """Positions `wanted` of one axis (1 down, 2 across) of the whole size, bilinearly."""
    if scaled == length:
        return block.narrow(axis, int(wanted[0]) - corner, len(wanted))
    source, before, after = _sources(wanted, scaled, length)
    lower, upper = (
        block.index_select(axis, torch.from_numpy(at - corner).to(block.device)) for at in (before, after)
    )
    share = torch.from_numpy((source - before).astype(np.float32)).to(block.device)
    return torch.lerp(lower, upper, share[:, None] if axis == 1 else share)


def _sources(
    wanted: NDArray[np.int64], scaled: int, length: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Where positions of the whole axis lie on the scaled one, and the positions before and after."""
    source = ((wanted + 0.5) * scaled / length - 0.5).clip(0, scaled - 1)
    before = source.astype(np.int64)
    return source, before, np.minimum(before + 1, scaled - 1)
