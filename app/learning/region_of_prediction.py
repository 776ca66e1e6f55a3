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


def joined(part: Prediction, shown: Prediction | None, size_hw: tuple[int, int]) -> Prediction:
    """A prediction of the whole image: the part, and around it what was shown so far, or nothing.

    Args:
        part: of a region; see `is_part`.
        shown: of the whole image; None: nothing is shown.
        size_hw: of the image.
    """
    assert part.region is not None
    x0, y0, x1, y1 = part.region
    if shown is not None and shown.classes.size_hw == size_hw:
        classes, confidence = shown.classes.unpack().copy(), shown.confidence.unpack().copy()
    else:
        classes, confidence = np.full(size_hw, UNLABELLED, np.uint8), np.zeros(size_hw, np.uint8)
    classes[y0:y1, x0:x1] = part.classes.unpack()
    confidence[y0:y1, x0:x1] = part.confidence.unpack()
    return replace(
        part, region=None, classes=PackedMask.pack(classes), confidence=PackedMask.pack(confidence)
    )


def at(maps: NDArray[np.uint8], region: Box | None, x: int, y: int) -> int | None:
    """What a map (H, W), of a region or of the whole image, has at a pixel of the image; None: nothing."""
    height, width = maps.shape
    x0, y0, x1, y1 = (0, 0, width, height) if region is None else region
    if not (x0 <= x < x1 and y0 <= y < y1):
        return None
    return int(maps[(y - y0) * height // (y1 - y0), (x - x0) * width // (x1 - x0)])
