"""From logits, which come in rows and at another scale, to what they say of every pixel of an image."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.learning.machine.pieces import drained
from core.learning.prediction.tiling import to_size


@dataclass(frozen=True, slots=True)
class PredictedMap:
    """What the network sees.

    Attributes:
        classes: (H, W) uint8: class indices (mask values).
        confidence: (H, W) uint8: probability of that class, 0..255, at the network's temperature.
        probabilities: (C, H, W) float16 in channel order, as the network gives them (at temperature 1), where
            they were asked for.
    """

    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    probabilities: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class PredictedRows:
    """Some rows of a map, from row `top` on: as `PredictedMap`, with (rows, W) for (H, W)."""

    top: int
    classes: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    probabilities: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class MapReader:
    """Reads the class of every pixel from logits (C, rows, w), which come as bands, top to bottom.

    Of all its methods: `bands` are `scaled_hw` together, the size of the image that the network saw, and None
    among them is a pause; the map has `size_hw`.

    Attributes:
        values: the class index of each channel.
        probabilities: keep them as well, at temperature 1.
        temperature: of the confidence.
    """

    values: NDArray[np.uint8]
    probabilities: bool = False
    temperature: float = 1.0

    def whole(
        self, bands: Iterator[Tensor | None], scaled_hw: tuple[int, int], size_hw: tuple[int, int]
    ) -> PredictedMap:
        """The map."""
        return drained(self.collecting(bands, scaled_hw, size_hw))

    def collecting(
        self, bands: Iterator[Tensor | None], scaled_hw: tuple[int, int], size_hw: tuple[int, int]
    ) -> Generator[None, None, PredictedMap]:
        """The map, with the pauses of `bands`."""
        classes = np.empty(size_hw, dtype=np.uint8)
        confidence = np.empty(size_hw, dtype=np.uint8)
        shares = np.empty((len(self.values), *size_hw), dtype=np.float16) if self.probabilities else None
        for part in self.rows(bands, scaled_hw, size_hw):
            if part is None:
                yield
                continue
            rows = slice(part.top, part.top + len(part.classes))
            classes[rows] = part.classes
            confidence[rows] = part.confidence
            if shares is not None and part.probabilities is not None:
                shares[:, rows] = part.probabilities
        return PredictedMap(classes, confidence, shares)

    def rows(
        self, bands: Iterator[Tensor | None], scaled_hw: tuple[int, int], size_hw: tuple[int, int]
    ) -> Iterator[PredictedRows | None]:
        """Rows of the map from top to bottom; None where `bands` has it."""
        top = 0
        for logits in to_size(bands, scaled_hw, size_hw):
            if logits is None:
                yield None
                continue
            cooled = logits if self.temperature == 1.0 else logits / self.temperature
            softmax = cooled.softmax(dim=0)  # (C, rows, W)
            best, channel = softmax.max(dim=0)
            if self.probabilities and self.temperature != 1.0:
                softmax = logits.softmax(dim=0)
            yield PredictedRows(
                top,
                self.values[channel.cpu().numpy()],
                (best * 255.0).round().to(torch.uint8).cpu().numpy(),
                softmax.to(torch.float16).cpu().numpy() if self.probabilities else None,
            )
            top += logits.shape[1]
