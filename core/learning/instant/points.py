"""Which labelled pixels the head learns from: some thousands an image, rare classes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.annotation.model import UNLABELLED
from core.learning.data import resized_mask
from core.learning.instant.features import Features
from core.learning.sampler import undrawn
from core.models.instant import point_features

POINTS_PER_IMAGE: Final = 4096
POINTS_IN_ALL: Final = 1 << 17
"""Together at most: 400 MB of float16 features on the bundled encoder."""
FEWEST_PER_IMAGE: Final = 256
BALANCE: Final = 0.5
"""Classes are drawn by this power of their inverse share: 1 would make all equally frequent, 0 leave them."""


@dataclass(frozen=True, slots=True)
class Points:
    """Labelled pixels of one image.

    Attributes:
        features: (P, inputs), float16.
        targets: (P,), int64, channels.
        weights: (P,), float32; less than 1 for pixels that only stand in for background.
    """

    features: Tensor
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.targets)


def points_per_image(images: int) -> int:
    """How many points each of so many images contributes."""
    return max(FEWEST_PER_IMAGE, min(POINTS_PER_IMAGE, POINTS_IN_ALL // max(images, 1)))


def collect_points(
    features: Features,
    targets: NDArray[np.uint8],
    *,
    count: int,
    weak: float | None,
    background: int | None,
    seed: int,
) -> Points:
    """Draw labelled pixels of an image, and their features.

    Args:
        features: the image's.
        targets: channels (H, W), uint8, 255 unlabelled, at the image's size.
        count: how many at most.
        weak: weight of undrawn pixels that stand in for background; None: they say nothing.
        background: the channel they stand in for.
        seed: the same seed and labels give the same points.
    """
    scale = features.scaled_hw[0] / features.size_hw[0]
    small = resized_mask(targets, scale)
    small = small[: features.scaled_hw[0], : features.scaled_hw[1]]
    rng = np.random.default_rng(seed)
    flat = small.ravel()
    chosen = _balanced(flat, np.flatnonzero(flat != UNLABELLED), count, rng)
    values = flat[chosen].astype(np.int64)
    weights = np.ones(len(chosen), np.float32)
    if weak is not None and background is not None:
        around = np.flatnonzero(undrawn(small))
        around = rng.choice(around, size=min(count // 2, len(around)), replace=False)
        chosen = np.concatenate([chosen, around])
        values = np.concatenate([values, np.full(len(around), background, np.int64)])
        weights = np.concatenate([weights, np.full(len(around), weak, np.float32)])
    points_xy = np.stack([chosen % small.shape[1], chosen // small.shape[1]], axis=1).astype(np.float32)
    sampled = point_features(features.groups, torch.from_numpy(points_xy), features.padded_hw)
    return Points(sampled.to(torch.float16), torch.from_numpy(values), torch.from_numpy(weights))


def _balanced(
    flat: NDArray[np.uint8], labelled: NDArray[np.int64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """At most `count` of the labelled positions, classes by the power BALANCE of their inverse share."""
    if len(labelled) <= count:
        return labelled
    pixels = np.bincount(flat[labelled], minlength=256).astype(np.float64)
    chance = np.where(pixels > 0, pixels, 1.0) ** -BALANCE
    shares = chance * pixels
    shares /= shares.sum()
    picked = [
        rng.choice(of_class, size=min(len(of_class), max(1, round(count * shares[channel]))), replace=False)
        for channel in np.flatnonzero(pixels)
        if len(of_class := labelled[flat[labelled] == channel])
    ]
    return np.concatenate(picked)
