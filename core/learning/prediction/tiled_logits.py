"""A network asked about a picture in tiles: rows of joined logits, or a block from the tiles it needs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.images.rows import PixelRows, mirrored_rows, padded_rows
from core.learning.prediction.kept_tiles import KeptTiles
from core.learning.prediction.tiling import TileGrid, overlapping
from core.models.network import Normalize, SegmentationNetwork

_TILES_AT_ONCE: Final = {"cpu": 1, "cuda": 4}


class TiledLogits:
    """One network and one picture.

    Args:
        network: on `device`, in evaluation mode. normalize: of its pixels.
        picture: at the network's scale.
        rows: where tiles lie down the padded picture. columns: and across.
        device: bf16 on CUDA, float32 on the CPU.
        kept: tiles that are there are not computed again, others are kept.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        normalize: Normalize,
        picture: PixelRows,
        rows: TileGrid,
        columns: TileGrid,
        device: torch.device,
        kept: KeptTiles | None = None,
    ) -> None:
        self._network = network
        self._normalize = normalize
        self._picture = picture
        self._rows, self._columns = rows, columns
        self._around = network.surroundings(rows.tile), network.surroundings(columns.tile)
        self._device = device
        self._kept = kept
        self._row_weights, self._column_weights = self._weights(rows), self._weights(columns)

    def bands(self) -> Iterator[Tensor | None]:
        """Finished rows of logits (C, rows, w), from the top; None between two passes."""
        height, width = self._picture.size_hw
        rows, columns = self._rows, self._columns
        carry: Tensor | None = None
        for number, top in enumerate(rows.starts):
            strip = self._strip(top)
            joined = torch.zeros(self._network.classes, rows.tile, columns.length, device=self._device)
            for column, logits in self._passes(strip, top):
                if logits is None:
                    yield None
                    continue
                left = columns.starts[column]
                joined[:, :, left : left + columns.tile] += logits * self._column_weights[column]
            joined *= self._row_weights[number][:, None]
            if carry is not None:
                joined[:, : carry.shape[1]] += carry
            last = number == len(rows.starts) - 1
            done = rows.tile if last else rows.starts[number + 1] - top
            carry = joined[:, done:].clone()
            yield joined[:, : min(done, height - top), :width]

    def block(self, down: tuple[int, int], across: tuple[int, int]) -> Generator[None, None, Tensor]:
        """The same logits, within rounding, of some rows and columns, from and to: (C, h, w)."""
        size = down[1] - down[0], across[1] - across[0]
        block = torch.zeros(self._network.classes, *size, device=self._device)
        wanted = frozenset(self._columns.meeting(*across))
        for row in self._rows.meeting(*down):
            top = self._rows.starts[row]
            inner_rows, outer_rows = overlapping(top, self._rows.tile, down)
            for column, logits in self._passes(self._strip(top), top, wanted):
                if logits is None:
                    yield
                elif column in wanted:
                    inner, outer = overlapping(self._columns.starts[column], self._columns.tile, across)
                    weighted = logits * self._column_weights[column] * self._row_weights[row][:, None]
                    block[:, outer_rows, outer] += weighted[:, inner_rows, inner]
        return block

    def _strip(self, top: int) -> NDArray[np.uint8]:
        """Rows of the padded picture from `top` on, as many as a tile has, and what is wanted around them."""
        (above, below), (before, after) = self._around
        bottom, right = top + self._rows.tile, self._columns.length
        if not any((above, below, before, after)):
            return padded_rows(self._picture, top, bottom, right)
        return mirrored_rows(self._picture, top - above, bottom + below, -before, right + after)

    def _passes(
        self, strip: NDArray[np.uint8], top: int, wanted: frozenset[int] | None = None
    ) -> Iterator[tuple[int, Tensor | None]]:
        """Logits (C, tile, tile) of each tile of a row of tiles, by its number; None after each pass.

        With `wanted` only passes that such tiles are in. What goes through the network together is the same
        whichever are wanted: so are the logits, to the last bit.
        """
        grid, at_once = self._columns, _TILES_AT_ONCE[self._device.type]
        for first in range(0, len(grid.starts), at_once):
            starts = grid.starts[first : first + at_once]
            numbers = range(first, first + len(starts))
            if wanted is not None and wanted.isdisjoint(numbers):
                continue
            name = self._device.type, self._rows.tile, grid.tile, top, starts
            found = None if self._kept is None else self._kept.get(name)
            if found is None:
                side = grid.tile + sum(self._around[1])
                tiles = np.stack([strip[:, left : left + side] for left in starts])  # (n, h, w, 3)
                found = self._logits(tiles)
                if self._kept is not None:
                    self._kept.keep(name, found)
            yield from zip(numbers, found, strict=True)
            yield first, None

    def _logits(self, tiles: NDArray[np.uint8]) -> Tensor:
        """Logits (n, C, tile, tile), float32, of RGB tiles and what is around them (n, h, w, 3)."""
        # Pixels lie channel by channel in memory already: this view is what channels_last means.
        pixels = torch.from_numpy(tiles).to(self._device).permute(0, 3, 1, 2)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            logits: Tensor = self._network.inner_scores(self._normalize(pixels))
        return logits[..., : self._rows.tile, : self._columns.tile].to(torch.float32)

    def _weights(self, grid: TileGrid) -> list[Tensor]:
        return [torch.from_numpy(weights).to(self._device) for weights in grid.weights()]
