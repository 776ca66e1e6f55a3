"""From logits, which come in rows and at another scale, to what they say of every pixel of an image."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.learning.pieces import drained
from core.learning.tiling import to_size


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


def mapping(
    bands: Iterator[Tensor | None],
    scaled_hw: tuple[int, int],
    size_hw: tuple[int, int],
    values: NDArray[np.uint8],
    *,
    probabilities: bool = False,
    temperature: float = 1.0,
) -> Generator[None, None, PredictedMap]:
    """Class of every pixel from rows of logits at another scale.

    Args:
        bands: logits (C, rows, w), top to bottom, `scaled_hw` together; None is a pause.
        scaled_hw: of the image the network saw.
        size_hw: of the map.
        values: the class index of each channel.
        probabilities: keep them as well, at temperature 1.
        temperature: of the confidence.
    """
    height, width = size_hw
    classes = np.empty((height, width), dtype=np.uint8)
    confidence = np.empty((height, width), dtype=np.uint8)
    shares = np.empty((len(values), height, width), dtype=np.float16) if probabilities else None
    for part in mapped_rows(
        bands, scaled_hw, size_hw, values, probabilities=probabilities, temperature=temperature
    ):
        if part is None:
            yield
            continue
        rows = slice(part.top, part.top + len(part.classes))
        classes[rows] = part.classes
        confidence[rows] = part.confidence
        if shares is not None and part.probabilities is not None:
            shares[:, rows] = part.probabilities
    return PredictedMap(classes, confidence, shares)


def mapped(
    bands: Iterator[Tensor | None],
    scaled_hw: tuple[int, int],
    size_hw: tuple[int, int],
    values: NDArray[np.uint8],
    *,
    probabilities: bool = False,
    temperature: float = 1.0,
) -> PredictedMap:
    """What `mapping` comes to, without a pause."""
    work = mapping(bands, scaled_hw, size_hw, values, probabilities=probabilities, temperature=temperature)
    return drained(work)


def mapped_rows(
    bands: Iterator[Tensor | None],
    scaled_hw: tuple[int, int],
    size_hw: tuple[int, int],
    values: NDArray[np.uint8],
    *,
    probabilities: bool = False,
    temperature: float = 1.0,
) -> Iterator[PredictedRows | None]:
    """As `mapping`, row after row; None where `bands` has it."""
    top = 0
    for logits in to_size(bands, scaled_hw, size_hw):
        if logits is None:
            yield None
            continue
        cooled = logits if temperature == 1.0 else logits / temperature
        softmax = cooled.softmax(dim=0)  # (C, rows, W)
        best, channel = softmax.max(dim=0)
        if probabilities and temperature != 1.0:
            softmax = logits.softmax(dim=0)
        yield PredictedRows(
            top,
            values[channel.cpu().numpy()],
            (best * 255.0).round().to(torch.uint8).cpu().numpy(),
            softmax.to(torch.float16).cpu().numpy() if probabilities else None,
        )
        top += logits.shape[1]
