"""Predictions of a region of an image in the window: joined with what is shown already, and looked up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.images.upright import Box
from core.learning.events import Prediction
from core.learning.labels.packed_mask import PackedMask
from core.learning.overlay.view_parts import clipped


def is_part(prediction: Prediction, size_hw: tuple[int, int]) -> bool:
    """Whether it is of a region of an image of this size, in the image's own pixels."""
    region = prediction.region
    if region is None or clipped(region, size_hw) != region:
        return False
    return prediction.classes.size_hw == (region[3] - region[1], region[2] - region[0])


class JoinedMaps:
    """Class map and confidence of a whole image, into which parts are written as they come.

    In place, and in the same memory as long as the image is the same: copies of both maps of forty megapixels
    would hold the window for a tenth of a second and more with every part.
    """

    def __init__(self) -> None:
        self._joined: Prediction | None = None
        self._classes = self._confidence = np.zeros((0, 0), np.uint8)

    def join(self, part: Prediction, shown: Prediction | None, size_hw: tuple[int, int]) -> Prediction:
        """A prediction of the whole image: the part, and around it what was shown so far, or nothing.

        Args:
            part: of a region; see `is_part`.
            shown: of the whole image; None: nothing is shown. Where it has come from here, it changes.
            size_hw: of the image.
        """
        assert part.region is not None
        if shown is None or shown is not self._joined:
            self._begin(part.key, shown, size_hw)
        x0, y0, x1, y1 = part.region
        self._classes[y0:y1, x0:x1] = part.classes.unpack()
        self._confidence[y0:y1, x0:x1] = part.confidence.unpack()
        classes, confidence = PackedMask.of(self._classes), PackedMask.of(self._confidence)
        self._joined = replace(part, region=None, classes=classes, confidence=confidence)
        return self._joined

    def leave(self) -> None:
        """What was joined stays as it is from now on."""
        self._joined = None

    def _begin(self, key: str, shown: Prediction | None, size_hw: tuple[int, int]) -> None:
        if self._joined is None or self._joined.key != key or self._classes.shape != size_hw:
            self._classes, self._confidence = np.empty(size_hw, np.uint8), np.empty(size_hw, np.uint8)
        if shown is not None and shown.classes.size_hw == size_hw:
            self._classes[:], self._confidence[:] = shown.classes.unpack(), shown.confidence.unpack()
        else:
            self._classes[:], self._confidence[:] = UNLABELLED, 0


def at(maps: NDArray[np.uint8], region: Box | None, x: int, y: int) -> int | None:
    """What a map (H, W), of a region or of the whole image, has at a pixel of the image; None: nothing."""
    height, width = maps.shape
    x0, y0, x1, y1 = (0, 0, width, height) if region is None else region
    if not (x0 <= x < x1 and y0 <= y < y1):
        return None
    return int(maps[(y - y0) * height // (y1 - y0), (x - x0) * width // (x1 - x0)])
