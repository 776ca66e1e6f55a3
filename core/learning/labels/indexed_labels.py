"""Where the labelled pixels of an image are, at training scale: what seeds of windows are drawn from.

Of every class some thousand positions are remembered, so that drawing one costs nothing, however large the
image is. An image is looked through once for each revision of its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState
from core.errors import FileProblem
from core.learning.labels.data import ChannelMap, LabelStore, resized_mask
from core.learning.labels.weak_background import stand_ins, undrawn

SEEDS_KEPT: Final = 4096
"""Labelled pixels remembered per class and image; more would add nothing but memory."""


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """One image at training scale.

    Attributes:
        version: of its labels. weak_wanted: undrawn pixels were asked to stand in for background.
        targets: channels (h, w), uint8, 255 where nothing is known.
        weak: (h, w), bool: targets that only stand in for background; None if there are none.
        seeds: flat positions of some pixels of each channel that is there. counts: how many there are.
        drawn_seeds: flat positions of some pixels of each channel that somebody drew.
    """

    version: int
    weak_wanted: bool
    targets: NDArray[np.uint8]
    weak: NDArray[np.bool_] | None
    seeds: Mapping[int, NDArray[np.int64]]
    counts: Mapping[int, int]
    drawn_seeds: Mapping[int, NDArray[np.int64]]

    @property
    def drawn(self) -> NDArray[np.uint8]:
        """Targets that somebody drew, (h, w), channels."""
        if self.weak is None:
            return self.targets
        return np.where(self.weak, np.uint8(UNLABELLED), self.targets)


def indexed(
    store: LabelStore,
    key: str,
    channels: ChannelMap,
    scale: float,
    *,
    weak_background: bool,
    known: IndexedImage | None = None,
) -> IndexedImage:
    """Look an image through.

    Args:
        store: with its labels.
        key: the image.
        channels: what mask values become.
        scale: factor between image pixels and training pixels.
        weak_background: undrawn pixels of images in progress stand in for background.
        known: what was found before; it is returned where it still holds.
    """
    labels = store.get(key)
    wants_weak = weak_background and labels.state is AnnotationState.IN_PROGRESS
    if known is not None and known.version == labels.version and known.weak_wanted == wants_weak:
        return known
    targets = channels.to_channels(resized_mask(labels.mask, scale))
    seeds = drawn_seeds = _seeds(targets)
    weak = None
    if wants_weak and channels.background is not None:
        weak = _stand_ins(store, key, scale, targets)
        targets = np.where(weak, np.uint8(channels.background), targets)
        seeds = _seeds(targets)
    counts = np.bincount(targets.ravel(), minlength=256)
    return IndexedImage(
        version=labels.version,
        weak_wanted=wants_weak,
        targets=targets,
        weak=weak,
        seeds=seeds,
        counts={channel: int(counts[channel]) for channel in seeds},
        drawn_seeds=drawn_seeds,
    )


def class_pixels(images: Iterable[IndexedImage], classes: int) -> NDArray[np.int64]:
    """Labelled pixels of each of these images and each channel, (N, C), int64."""
    counted = [[image.counts.get(channel, 0) for channel in range(classes)] for image in images]
    return np.array(counted, np.int64).reshape(len(counted), classes)


def _stand_ins(store: LabelStore, key: str, scale: float, targets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    try:
        pixels = store.pixels(key, scale)
    except FileProblem:
        return undrawn(targets)  # whoever draws from it finds the same
    return stand_ins(pixels, targets)


def _seeds(targets: NDArray[np.uint8]) -> dict[int, NDArray[np.int64]]:
    """Flat positions of some pixels of each channel that is there."""
    flat = targets.ravel()
    present = np.flatnonzero(np.bincount(flat, minlength=256)[:UNLABELLED])
    return {int(channel): _thinned(np.flatnonzero(flat == channel)) for channel in present}


def _thinned(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most SEEDS_KEPT of them, evenly; a function of the labels alone, so that resumed runs agree."""
    if len(positions) <= SEEDS_KEPT:
        return positions
    return positions[np.linspace(0, len(positions) - 1, SEEDS_KEPT).astype(np.int64)]
