"""Which labelled pixels the head learns from: some thousands an image, rare classes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.annotation.model import UNLABELLED
from core.learning.instant.features import Features
from core.learning.labels.likeness import LIKE_NONE, alike
from core.learning.labels.weak_background import surroundings
from core.models.instant import point_features

POINTS_PER_IMAGE: Final = 4096
POINTS_IN_ALL: Final = 1 << 17
"""Labelled ones together: 400 MB of float16 features on the bundled encoder. There are up to twice as many
before those of earlier images are thinned, and half as many again may stand in for background."""
CORRECTED_SHARE: Final = 0.25
"""Of an image's points, those of corrected pixels at most, before the others are drawn."""
BALANCE: Final = 0.5
"""Classes are drawn by this power of their inverse share: 1 would make all equally frequent, 0 leave them."""


@dataclass(frozen=True, slots=True)
class Points:
    """Labelled pixels of one image.

    Attributes:
        features: (P, inputs), float16.
        targets: (P,), int64, channels.
        weights: (P,), float32; less than 1 for pixels that only stand in for background.
        fresh_for: (P,), uint8: fits for which it counts as corrected lately.
        doubtful: (P,), bool: it stands in for background and may be something else.
    """

    features: Tensor
    targets: Tensor
    weights: Tensor
    fresh_for: Tensor
    doubtful: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def fresh(self) -> Tensor:
        """(P,), bool: corrected lately."""
        return self.fresh_for > 0

    def where(self, chosen: Tensor) -> Points:
        """Some of them: `chosen` is (P,), bool, or positions."""
        all_of = self.features, self.targets, self.weights, self.fresh_for, self.doubtful
        return Points(*(each[chosen] for each in all_of))

    def settled(self) -> Points:
        """The same points, none of them fresh."""
        return replace(self, fresh_for=torch.zeros_like(self.fresh_for))

    def older(self) -> Points:
        """The same after another fit."""
        return replace(self, fresh_for=self.fresh_for.clamp_min(1) - 1)


def points_per_image(images: int) -> int:
    """How many points each of so many images contributes."""
    return max(1, min(POINTS_PER_IMAGE, POINTS_IN_ALL // max(images, 1)))


def thinned(parts: Sequence[Points], count: int) -> Points:
    """About `count` points of all images, evenly."""
    step = max(1, sum(len(part) for part in parts) // count)
    some = [part.where(torch.arange(0, len(part), step)) for part in parts]
    return Points(
        torch.cat([part.features for part in some]),
        torch.cat([part.targets for part in some]),
        torch.cat([part.weights for part in some]),
        torch.cat([part.fresh_for for part in some]),
        torch.cat([part.doubtful for part in some]),
    )


def collect_points(
    features: Features,
    targets: NDArray[np.uint8],
    *,
    count: int,
    weak: float | None,
    background: int | None,
    seed: int,
    fresh_for: NDArray[np.uint8] | None = None,
) -> Points:
    """Draw labelled pixels of an image, and their features.

    Args:
        features: the image's.
        targets: channels (H, W), uint8, 255 unlabelled, at the image's size.
        count: how many at most.
        weak: weight of undrawn pixels that stand in for background; None: they say nothing.
        background: the channel they stand in for.
        seed: the same seed and labels give the same points.
        fresh_for: (H, W): fits for which pixels count as corrected lately; of these more are drawn.
    """
    small = _resized_to(features.scaled_hw, targets)
    rng = np.random.default_rng(seed)
    flat = small.ravel()
    chosen = balanced(flat, np.flatnonzero(flat != UNLABELLED), count, rng)
    fresh = np.zeros(len(chosen), np.uint8)
    if fresh_for is not None:
        still = _resized_to(features.scaled_hw, fresh_for).ravel()
        lately = np.flatnonzero((still > 0) & (flat != UNLABELLED))
        lately = balanced(flat, lately, max(1, round(CORRECTED_SHARE * count)), rng)
        others = rng.permutation(chosen[~np.isin(chosen, lately)])[: max(0, count - len(lately))]
        chosen = np.concatenate([lately, others])
        fresh = np.concatenate([still[lately], np.zeros(len(others), np.uint8)])
    values = flat[chosen].astype(np.int64)
    weights = np.ones(len(chosen), np.float32)
    doubtful = np.zeros(len(chosen), np.bool_)
    around = np.empty(0, np.int64)
    if weak is not None and background is not None:
        away, near = surroundings(small)
        around = np.flatnonzero(away)
        around = rng.choice(around, size=min(count // 2, len(around)), replace=False)
        chosen = np.concatenate([chosen, around])
        values = np.concatenate([values, np.full(len(around), background, np.int64)])
        weights = np.concatenate([weights, np.full(len(around), weak, np.float32)])
        fresh = np.concatenate([fresh, np.zeros(len(around), np.uint8)])
        doubtful = np.concatenate([doubtful, np.ones(len(around), np.bool_)])
    points_xy = np.stack([chosen % small.shape[1], chosen // small.shape[1]], axis=1).astype(np.float32)
    sampled = point_features(features.groups, torch.from_numpy(points_xy), features.padded_hw)
    targets_of = torch.from_numpy(values)
    if around.size:
        # Of what is undrawn, the objects nobody has drawn yet are no background. What lies beside a drawn one
        # and looks like none is background for sure: doubted, it becomes a halo around what is drawn, since
        # coarse features are the same there.
        drawn, fine = len(chosen) - len(around), sampled[:, : features.groups[0].shape[1]].float()
        like = alike(fine[:drawn], targets_of[:drawn], fine[drawn:])
        targets_of[drawn:] = torch.where(like < 0, targets_of[drawn:], like)
        doubtful[drawn:] &= ~(near.ravel()[around] & (like == LIKE_NONE).numpy())
    return Points(
        sampled.to(torch.float16),
        targets_of,
        torch.from_numpy(weights),
        torch.from_numpy(fresh),
        torch.from_numpy(doubtful),
    )


def _resized_to(size_hw: tuple[int, int], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask without mixing its values; pixel centres stay in place, as in the image that was looked at."""
    return np.asarray(cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def balanced(
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
