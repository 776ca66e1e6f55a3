"""An image looked at several times, mirrored and turned, and what is said of it averaged.

Test-time augmentation over the symmetries of a square. They come in an order in which the first ones suit
most images::

    as it is, mirrored | upside down, turned half round | the same four, on its side
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.predict import Predictor
from core.learning.prediction.uncertainty import tempered

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One way to look at an image: laid on its side, then mirrored and turned upside down.

    Attributes:
        sideways: rows become columns.
        upside_down: from the last row to the first.
        mirrored: from the last column to the first.
    """

    sideways: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def of(self, image: NDArray[T]) -> NDArray[T]:
        """What is seen of an image (H, W, ...), contiguous: (W, H, ...) where it lies on its side."""
        seen = np.swapaxes(image, 0, 1) if self.sideways else image
        return np.ascontiguousarray(seen[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1])

    def back(self, maps: NDArray[T]) -> NDArray[T]:
        """Maps (C, h, w) of what is seen, as maps (C, H, W) of the image; a view."""
        upright = maps[:, :: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        return np.swapaxes(upright, 1, 2) if self.sideways else upright


LOOKS: Final = tuple(
    Look(sideways=sideways, upside_down=upside_down, mirrored=mirrored)
    for sideways in (False, True)
    for upside_down in (False, True)
    for mirrored in (False, True)
)
"""The first is the image as it is."""
MIRRORED: Final = LOOKS[1]


class Averaging:
    """The mean of what is said in several looks, which come one after the other.

    Args:
        first: probabilities (C, H, W) of the first look, at temperature 1.

    Attributes:
        looks: so many are in it.
    """

    def __init__(self, first: NDArray[np.floating]) -> None:
        self.looks = 1
        self._sum = first.astype(np.float32)

    def add(self, look: NDArray[np.floating]) -> None:
        """Take another one in: (C, H, W) of the same image."""
        self._sum += look
        self.looks += 1

    def map(self, values: NDArray[np.uint8], *, temperature: float = 1.0) -> PredictedMap:
        """The classes of the mean, and its probabilities (C, H, W), float16.

        Args:
            values: (C,) the class index of each channel.
            temperature: of the confidence.
        """
        mean = self._sum / np.float32(self.looks)
        classes = values[mean.argmax(axis=0)]
        sure = (mean if temperature == 1.0 else tempered(mean, temperature)).max(axis=0)
        confidence = np.rint(sure.clip(0.0, 1.0) * 255.0).astype(np.uint8)
        return PredictedMap(classes, confidence, mean.astype(np.float16))


def looked_again(
    predictor: Predictor, image: NDArray[np.uint8], found: PredictedMap, looks: int
) -> Generator[None, None, PredictedMap]:
    """The mean over so many looks at an image, with a pause between two passes of the network.

    Args:
        predictor: the network; its temperature is the confidence's.
        image: (H, W, 3) uint8, RGB.
        found: of the image as it is, with probabilities; it is the answer where `looks` is 1.
        looks: 1 to 8.

    Raises:
        MaskloopError: as `Predictor.predict`.
    """
    if looks == 1:
        return found
    assert found.probabilities is not None
    mean = Averaging(found.probabilities)
    for look in LOOKS[1:looks]:
        seen = yield from predictor.predicting(look.of(image), probabilities=True)
        assert seen.probabilities is not None
        mean.add(look.back(seen.probabilities))
    values = np.array(predictor.header.classes.indices, np.uint8)
    return mean.map(values, temperature=predictor.temperature)
