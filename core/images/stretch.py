"""Numbers of any kind to 8 bits: the contrast stretch of 16-bit, integer and float images.

From the 0.1 percentile (black) to the 99.9 percentile (white) of the image's own values. Percentiles, because
one hot pixel of a microscope's camera would leave the rest black. All channels share one stretch, so that
hues stay. They are taken from about a million values, evenly spread over the image: every n-th in the order
of rows, columns, channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PERCENTILES: Final = (0.1, 99.9)
_SAMPLE: Final = 1 << 20


class Sampler:
    """Collects every n-th value of an image that comes in parts.

    Args:
        size: how many values the whole image has.
    """

    def __init__(self, size: int) -> None:
        self._step = max(1, size // _SAMPLE)
        self._passed = 0
        self._found: list[NDArray[np.float32]] = []

    def add(self, values: NDArray[Any]) -> None:
        """The next part of the image."""
        flat = values.reshape(-1)
        self._found.append(flat[-self._passed % self._step :: self._step].astype(np.float32))
        self._passed += flat.size

    def stretch(self) -> Stretch:
        """The stretch for what was added."""
        sample = np.concatenate(self._found) if self._found else np.zeros(0, np.float32)
        finite = sample[np.isfinite(sample)]
        if finite.size == 0:
            return Stretch(0.0, 0.0)
        low, high = (float(v) for v in np.percentile(finite, PERCENTILES))
        if high <= low:  # nearly everything has one value: what differs is all there is to see
            low, high = float(finite.min()), float(finite.max())
        return Stretch(low, high)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Maps `low` to 0 and `high` to 255; everything to 0 where they are the same."""

    low: float
    high: float

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values of any number type and shape to uint8. NaN and minus infinity become 0."""
        if self.high <= self.low:
            return np.zeros(values.shape, np.uint8)
        scaled = (values.astype(np.float32) - np.float32(self.low)) * np.float32(255 / (self.high - self.low))
        scaled = np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255, neginf=0)
        scaled += np.float32(0.5)
        return np.asarray(np.clip(scaled, 0, 255, out=scaled).astype(np.uint8))
