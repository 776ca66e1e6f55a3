"""From an image of any size to a class map: one pass where it fits, else tiles that overlap and blend.

Images are resized by the header's `scale` and cut into tiles, whose logits are joined with Gaussian weights.
What lies within a quarter of the overlap from a tile's inner edge is dropped: there the network saw its own
padding instead of the picture. Weights are normalised once per axis, so that the weighted logits only need to
be added. Rows of tiles are finished one after the other: memory holds one row's logits, never the image's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.annotation.model import ClassList
from core.errors import DeviceError, MaskloopError
from core.learning.config import DeviceChoice
from core.learning.data import resized
from core.learning.header import WeightsHeader
from core.learning.memory import is_out_of_memory
from core.learning.weights import load_weights
from core.models.network import Normalize, SegmentationNetwork
from core.models.pretrained import Notify

SMALLEST_TILE: Final = 128
_ONE_PASS_PIXELS: Final = {"cpu": 1024 * 1024, "cuda": 2048 * 2048}
_TILE: Final = {"cpu": 512, "cuda": 1024}
_TILES_AT_ONCE: Final = {"cpu": 1, "cuda": 4}
_UPSAMPLED_VALUES: Final = 1 << 24
"""Logits that are brought to full size at a time: 64 MB."""


@dataclass(frozen=True, slots=True)
class PredictedMap:
    """What the network sees.

    Attributes:
        classes: (H, W) uint8: class indices (mask values).
        confidence: (H, W) uint8: probability of that class, 0..255.
        probabilities: (C, H, W) float16 in channel order, where they were asked for.
    """

    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    probabilities: NDArray[np.float16] | None = None


def choose_device(choice: DeviceChoice = "auto") -> torch.device:
    """The device a choice means here. Raises DeviceError for a GPU that is not there."""
    if choice == "cuda" and not torch.cuda.is_available():
        raise DeviceError("there is no CUDA GPU that torch can use here; choose the device auto or cpu")
    return torch.device("cuda" if choice != "cpu" and torch.cuda.is_available() else "cpu")


def open_predictor(
    path: Path,
    *,
    device: DeviceChoice = "auto",
    classes: ClassList | None = None,
    notify: Notify | None = None,
) -> Predictor:
    """A predictor from a file of weights. Raises WeightsFileError, DeviceError; see `load_weights`."""
    network, header = load_weights(path, classes=classes)
    network.to(memory_format=torch.channels_last)
    return Predictor(network, header, choose_device(device), notify=notify)


class Predictor:
    """Asks one network about images.

    Args:
        network: used as it is at each call, so that one in training can be watched; moved to `device`.
        header: its classes, normalisation and scale.
        device: bf16 on CUDA, float32 on the CPU.
        tile: side of the tiles for images too large for one pass, rounded to what the network halves.
            Giving it also turns one-pass prediction off for images larger than it.
        overlap: of neighbouring tiles, pixels; a quarter of the tile by default.
        notify: told when memory ran out and what is done about it.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        header: WeightsHeader,
        device: torch.device | str = "cpu",
        *,
        tile: int | None = None,
        overlap: int | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.network = network
        self.header = header
        self.device = torch.device(device)
        self._notify = notify
        self._multiple = network.size_multiple
        self._one_pass = tile is None
        self._tile = self._rounded(tile or max(header.tile, _TILE[self.device.type]))
        self._overlap = overlap
        network.to(self.device)
        self._normalize = Normalize(header.normalization).to(self.device)
        self._values = np.array(header.classes.indices, dtype=np.uint8)

    def predict(self, image: NDArray[np.uint8], *, probabilities: bool = False) -> PredictedMap:
        """The class of every pixel of an RGB image (H, W, 3), uint8, of any size.

        When memory runs out, smaller tiles are tried, then the CPU; later images start from there.

        Raises:
            MaskloopError: not even the smallest tile fits into memory.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise ValueError(f"an image is (H, W, 3) uint8 and not empty, not {image.shape} {image.dtype}")
        while True:
            try:
                return self._predict(image, probabilities=probabilities)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            # Out of the handler first: the error's traceback holds the tensors that filled the memory.
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            if not self._step_down():
                raise MaskloopError(
                    f"there is not enough memory to predict an image of {image.shape[1]} x {image.shape[0]}"
                    f" pixels ({reason}); close other programs and try again"
                )

    def _step_down(self) -> bool:
        """Take the next rung of the ladder; False at its end."""
        if self._one_pass:
            self._one_pass = False
        elif self._tile > SMALLEST_TILE:
            self._tile = self._rounded(max(SMALLEST_TILE, self._tile // 2))
            self._overlap = None
        elif self.device.type != "cpu":
            self.device = torch.device("cpu")
            self._normalize = Normalize(self.header.normalization)
            self._tile = self._rounded(_TILE["cpu"])
        else:
            return False
        if self._notify is not None:
            where = "on the CPU" if self.device.type == "cpu" else "on the graphics card"
            self._notify(
                f"out of memory while predicting: tiles of {self._tile} pixels {where} from now on", None
            )
        return True

    def _rounded(self, side: int) -> int:
        return max(self._multiple, -(-side // self._multiple) * self._multiple)

    def _predict(self, image: NDArray[np.uint8], *, probabilities: bool) -> PredictedMap:
        network = self._on_device()
        was_training = network.training
        network.eval()
        try:
            with torch.inference_mode():
                scaled = resized(image, self.header.scale)
                return mapped(
                    self._bands(network, scaled),
                    (scaled.shape[0], scaled.shape[1]),
                    (image.shape[0], image.shape[1]),
                    self._values,
                    probabilities=probabilities,
                )
        finally:
            network.train(was_training)

    def _on_device(self) -> SegmentationNetwork:
        """The network where it is to run; a copy when its owner's GPU has no room for the work."""
        if next(self.network.parameters()).device.type == self.device.type:
            return self.network
        return copy.deepcopy(self.network).to(self.device)

    def _bands(self, network: SegmentationNetwork, image: NDArray[np.uint8]) -> Iterator[Tensor]:
        """Finished rows of logits (C, rows, w), top to bottom, of a scaled image (h, w, 3)."""
        height, width = image.shape[:2]
        padding = ((0, -height % self._multiple), (0, -width % self._multiple), (0, 0))
        padded = np.pad(image, padding, mode="reflect")
        rows, columns = self._grids(padded.shape[0], padded.shape[1])
        row_weights = self._weights(rows)
        column_weights = self._weights(columns)
        carry: Tensor | None = None
        for number, top in enumerate(rows.starts):
            strip = padded[top : top + rows.tile]
            joined = self._joined(network, strip, columns, column_weights) * row_weights[number][:, None]
            if carry is not None:
                joined[:, : carry.shape[1]] += carry
            last = number == len(rows.starts) - 1
            done = rows.tile if last else rows.starts[number + 1] - top
            carry = joined[:, done:].clone()
            yield joined[:, : min(done, height - top), :width]

    def _joined(
        self, network: SegmentationNetwork, strip: NDArray[np.uint8], grid: _Grid, weights: Sequence[Tensor]
    ) -> Tensor:
        """Logits (C, tile, w) of one row of tiles, blended along it."""
        joined = torch.zeros(len(self._values), *strip.shape[:2], device=self.device)
        at_once = _TILES_AT_ONCE[self.device.type]
        for first in range(0, len(grid.starts), at_once):
            starts = grid.starts[first : first + at_once]
            tiles = np.stack([strip[:, left : left + grid.tile] for left in starts])  # (n, tile, tile, 3)
            for number, logits in enumerate(self._logits(network, tiles)):
                left = starts[number]
                joined[:, :, left : left + grid.tile] += logits * weights[first + number]
        return joined

    def _logits(self, network: SegmentationNetwork, tiles: NDArray[np.uint8]) -> Tensor:
        """Logits (n, C, h, w), float32, of RGB tiles (n, h, w, 3)."""
        # Pixels lie channel by channel in memory already: this view is what channels_last means.
        pixels = torch.from_numpy(tiles).to(self.device).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits: Tensor = network(self._normalize(pixels))
        return logits.to(torch.float32)

    def _grids(self, height: int, width: int) -> tuple[_Grid, _Grid]:
        if self._one_pass and height * width <= _ONE_PASS_PIXELS[self.device.type]:
            return _Grid.cover(height, height, 0), _Grid.cover(width, width, 0)
        overlap = self._tile // 4 if self._overlap is None else self._overlap
        # Tiles stay in step with the encoder's grid, as in one pass.
        overlap = min(self._rounded(overlap), self._tile - self._multiple)
        return _Grid.cover(height, self._tile, overlap), _Grid.cover(width, self._tile, overlap)

    def _weights(self, grid: _Grid) -> list[Tensor]:
        return [torch.from_numpy(weights).to(self.device) for weights in grid.weights()]


def mapped(
    bands: Iterator[Tensor],
    scaled_hw: tuple[int, int],
    size_hw: tuple[int, int],
    values: NDArray[np.uint8],
    *,
    probabilities: bool = False,
) -> PredictedMap:
    """Class of every pixel from rows of logits at another scale.

    Args:
        bands: logits (C, rows, w), top to bottom, `scaled_hw` together.
        scaled_hw: of the image the network saw.
        size_hw: of the map.
        values: the class index of each channel.
        probabilities: keep them as well.
    """
    height, width = size_hw
    classes = np.empty((height, width), dtype=np.uint8)
    confidence = np.empty((height, width), dtype=np.uint8)
    shares = np.empty((len(values), height, width), dtype=np.float16) if probabilities else None
    top = 0
    for logits in _to_size(bands, scaled_hw, size_hw):
        softmax = logits.softmax(dim=0)  # (C, rows, W)
        best, channel = softmax.max(dim=0)
        rows = slice(top, top + logits.shape[1])
        classes[rows] = values[channel.cpu().numpy()]
        confidence[rows] = (best * 255.0).round().to(torch.uint8).cpu().numpy()
        if shares is not None:
            shares[:, rows] = softmax.to(torch.float16).cpu().numpy()
        top = rows.stop
    return PredictedMap(classes, confidence, shares)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where tiles start along one axis."""

    length: int
    tile: int
    overlap: int
    starts: tuple[int, ...]

    @classmethod
    def cover(cls, length: int, tile: int, overlap: int) -> _Grid:
        """Tiles over 0..length, the last one flush with the end."""
        tile = min(tile, length)
        last = length - tile
        steps = range(0, last, tile - overlap) if last else ()
        return cls(length, tile, overlap, (*steps, last))

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


def _to_size(
    bands: Iterator[Tensor], scaled_hw: tuple[int, int], size_hw: tuple[int, int]
) -> Iterator[Tensor]:
    """Interpolate bands of rows (C, rows, w) to the image's size, bilinearly and across their seams."""
    if scaled_hw == size_hw:
        yield from bands
        return
    (scaled_height, _), (height, width) = scaled_hw, size_hw
    pending: Tensor | None = None
    first = 0  # the scaled row that `pending` starts with
    done = 0
    for band in bands:
        pending = band if pending is None else torch.cat([pending, band], dim=1)
        at_once = max(1, _UPSAMPLED_VALUES // (pending.shape[0] * width))
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
