"""More weight for the background between objects that nearly touch, so that a network keeps them apart.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015
(arXiv:1505.04597), equation 2: w(x) = w_class(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)), where d1 and d2
are the distances to the nearest object and to the second nearest. Here the second term is of labelled
background only. An object is a connected region of a class in the mask, which is what polygons have been
drawn into: between two that share a border there is no background to weigh.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.postprocess.regions import regions

SIGMA: Final = 5.0
"""Pixels at training scale, as in the paper."""
_NEGLIGIBLE: Final = 0.5 / 255
"""What is less is no weight in eight bits."""


def border_strengths(targets: NDArray[np.uint8], background: int, sigma: float = SIGMA) -> NDArray[np.uint8]:
    """How near two objects the pixels between them are: exp(-(d1 + d2)^2 / (2 sigma^2)) as 0..255.

    Args:
        targets: (H, W) channels, 255 where nothing is known.
        background: the background's channel.
        sigma: pixels.

    Returns:
        (H, W) uint8; 0 everywhere but on background.
    """
    objects = [channel for channel in np.unique(targets) if channel not in (background, UNLABELLED)]
    marked, sizes = regions(targets, objects)
    nearest, second = _two_distances(marked, len(sizes), sigma)
    strength = np.exp(-((nearest + second) ** 2) / (2.0 * sigma**2))
    strength[targets != background] = 0.0
    return np.asarray(np.rint(255.0 * strength), np.uint8)


def _two_distances(
    marked: NDArray[np.int32], count: int, sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances (H, W) to the nearest object and the second nearest; infinite beyond what matters."""
    height, width = marked.shape
    reach = ceil(sigma * float(np.sqrt(-2.0 * np.log(_NEGLIGIBLE)))) + 1
    nearest, second = np.full((2, height, width), np.inf, np.float32)
    for number, (top, left, bottom, right) in _boxes(marked, count):
        box = (
            slice(max(0, top - reach), min(height, bottom + reach)),
            slice(max(0, left - reach), min(width, right + reach)),
        )
        outside = (marked[box] != number).astype(np.uint8)
        distance = np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
        second[box] = np.minimum(second[box], np.maximum(nearest[box], distance))
        nearest[box] = np.minimum(nearest[box], distance)
    return nearest, second


def _boxes(marked: NDArray[np.int32], count: int) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Number, and top, left, bottom and right of each object."""
    rows, columns = np.nonzero(marked)
    numbers = marked[rows, columns]
    low, high = np.full((2, count), np.iinfo(np.int64).max), np.zeros((2, count), np.int64)
    for axis, places in enumerate((rows, columns)):
        np.minimum.at(low[axis], numbers, places)
        np.maximum.at(high[axis], numbers, places + 1)
    return [
        (number, (int(low[0, number]), int(low[1, number]), int(high[0, number]), int(high[1, number])))
        for number in range(1, count)
    ]
