"""More weight for the background between objects that nearly touch, so that a network keeps them apart.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015
(arXiv:1505.04597), equation 2: w(x) = w_class(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)), where d1 and d2
are the distances to the nearest object and to the second nearest. Here the second term is of labelled
background only. An object is what one polygon, or one group of them, has drawn, so that two that touch are
two; where nobody drew any, as in masks from elsewhere, it is a connected region of a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.instances import Instances, draw_instances
from core.annotation.model import UNLABELLED
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.labels.drawn_shapes import Stamps
from core.postprocess.regions import regions

SIGMA: Final = 5.0
"""Pixels at training scale, as in the paper."""

_NEGLIGIBLE: Final = 0.5 / 255
"""What is less is no weight in eight bits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    targets: NDArray[np.uint8]
    stamp: Stamps | None
    strengths: NDArray[np.uint8]


class BorderMaps:
    """Strengths of whole images, found once as long as their labels and shapes stay.

    Args:
        store: where the shapes come from.
        channels: what targets are in.
        sigma: pixels at training scale.
    """

    def __init__(self, store: LabelStore, channels: ChannelMap, *, sigma: float = SIGMA) -> None:
        self._store = store
        self._channels = channels
        self._sigma = sigma
        self._known: dict[str, _Found] = {}

    def of(self, key: str, targets: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Strengths (h, w) of an image at training scale, of which these are the targets."""
        if self._channels.background is None:
            return np.zeros_like(targets)
        drawn = self._store.drawn
        stamp = None if drawn is None else drawn.stamp(key)
        known = self._known.get(key)
        if known is None or known.targets is not targets or known.stamp != stamp:
            strengths = border_strengths(
                targets, self._channels.background, self._sigma, self._instances(key, targets.shape)
            )
            known = self._known[key] = _Found(targets, stamp, strengths)
        return known.strengths

    def of_part(self, targets: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Strengths (h, w) of a part of a huge image, whose objects are connected regions."""
        if self._channels.background is None:
            return np.zeros_like(targets)
        return border_strengths(targets, self._channels.background, self._sigma)

    def _instances(self, key: str, size_hw: tuple[int, ...]) -> Instances | None:
        """The image's objects at training scale, values in channels."""
        annotation = None if self._store.drawn is None else self._store.drawn.annotation(key)
        if annotation is None or not annotation.shapes:
            return None
        drawn = draw_instances(annotation, self._store.classes, self._store.get(key).mask.shape)
        rows, columns = (
            ((np.arange(side) + 0.5) * whole / side).astype(np.int64)
            for side, whole in zip(size_hw, drawn.numbers.shape, strict=True)
        )
        return Instances(drawn.numbers[np.ix_(rows, columns)], self._channels.to_channels(drawn.values))


def border_strengths(
    targets: NDArray[np.uint8], background: int, sigma: float = SIGMA, drawn: Instances | None = None
) -> NDArray[np.uint8]:
    """How near two objects the pixels between them are: exp(-(d1 + d2)^2 / (2 sigma^2)) as 0..255.

    Args:
        targets: (H, W) channels, 255 where nothing is known.
        background: the background's channel.
        sigma: pixels.
        drawn: the objects, their values in channels; None: connected regions.

    Returns:
        (H, W) uint8; 0 everywhere but on background.
    """
    channels = [channel for channel in np.unique(targets) if channel not in (background, UNLABELLED)]
    marked, sizes = regions(targets, channels)
    count = len(sizes)
    if drawn is not None:
        marked, count = _parted(marked, count, targets, drawn)
    nearest, second = _two_distances(marked, count, sigma)
    strength = np.exp(-((nearest + second) ** 2) / (2.0 * sigma**2))
    strength[targets != background] = 0.0
    return np.asarray(np.rint(255.0 * strength), np.uint8)


def _parted(
    marked: NDArray[np.int32], count: int, targets: NDArray[np.uint8], drawn: Instances
) -> tuple[NDArray[np.int32], int]:
    """Connected regions parted into the objects drawn in them, and joined where an object is in several.

    Shapes may be older than the mask, or a pixel off where both were reduced: what no object of its class
    has drawn belongs to the nearest one if there is one in its region, and else is an object of its own.

    Returns:
        (H, W) int32: the number of each pixel's object, 0 for none; and how many numbers there are.
    """
    own = (marked > 0) & (drawn.values[drawn.numbers] == targets)
    objects = np.where(own, drawn.numbers, 0)
    if not own.any():
        return marked, count
    has_own = np.zeros(count, np.bool_)
    has_own[marked[own]] = True
    left = (marked > 0) & ~own
    if left.any():
        _, label = cv2.distanceTransformWithLabels(
            (~own).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.zeros(int(label.max()) + 1, np.int32)
        of_label[label[own]] = objects[own]
        alone = left & ~has_own[marked]
        objects[left] = of_label[label[left]]
        objects[alone] = len(drawn.values) + marked[alone]
    present = np.bincount(objects.ravel()) > 0
    present[0] = True
    compact = np.cumsum(present, dtype=np.int32) - 1
    return compact[objects], int(present.sum())


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
