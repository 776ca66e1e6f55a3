"""How sure a network may be: one temperature, and how far "90 % sure" is from being right 9 times in 10.

A network that was trained for long is surer than it should be, one that was regularised hard less sure.
Dividing its logits by one number, the temperature, fitted on pixels it has not learned from, mends most of
that and changes no class (Guo et al. 2017, arXiv:1706.04599). The expected calibration error (ECE; Naeini et
al. 2015) is the distance between confidence and accuracy, averaged over bins of equal width in confidence by
the pixels in them. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED

BINS: Final = 15
COLDEST: Final = 0.4
HOTTEST: Final = 10.0
"""Temperatures outside of these come from samples without a mistake, or without anything right."""
PIXELS_PER_IMAGE: Final = 2048
"""Neighbours say much the same: more of one image add little."""
FEWEST_PIXELS: Final = 200
MOST_PIXELS: Final = 1 << 24
"""Probabilities of larger images would take gigabytes: they are not looked at."""
_ROUNDS: Final = 40
_FLOOR: Final = 1e-6


class Reliability:
    """How often what is said with a certain confidence is right.

    Args:
        bins: of equal width between 0 and 1; the upper end belongs to a bin.
    """

    def __init__(self, bins: int = BINS) -> None:
        self._pixels = np.zeros(bins, np.int64)
        self._right = np.zeros(bins, np.int64)
        self._confidence = np.zeros(bins, np.float64)

    def update(self, confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> None:
        """Count pixels in: (N,) confidences 0..1 and whether each of them is right."""
        bins = len(self._pixels)
        chosen = np.clip(np.ceil(confidence.astype(np.float64) * bins) - 1, 0, bins - 1).astype(np.intp)
        self._pixels += np.bincount(chosen, minlength=bins)
        self._right += np.bincount(chosen[right], minlength=bins)
        self._confidence += np.bincount(chosen, weights=confidence, minlength=bins)

    def error(self) -> float | None:
        """The expected calibration error, 0..1; None without a pixel."""
        pixels = int(self._pixels.sum())
        return float(np.abs(self._right - self._confidence).sum()) / pixels if pixels else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What held-out pixels say about a network's confidence.

    Attributes:
        temperature: what its logits are to be divided by.
        error_before: expected calibration error as it was.
        error: the same at the temperature; every image judged at one that the other images gave, where there
            are several.
        pixels: how many of them were looked at.
    """

    temperature: float
    error_before: float
    error: float
    pixels: int


class PixelSample:
    """Some labelled pixels of every held-out image, with what a network thinks of them."""

    def __init__(self) -> None:
        self._logits: list[NDArray[np.float32]] = []
        self._truths: list[NDArray[np.intp]] = []

    def add(self, probabilities: NDArray[np.floating], truth: NDArray[np.uint8], *, key: str) -> None:
        """Draw from the image of this name.

        Args:
            probabilities: (C, H, W) at temperature 1.
            truth: (H, W) uint8 channels, UNLABELLED where nothing is known.
            key: decides which pixels; see `sampled_places`.
        """
        rows, columns = sampled_places(truth, key)
        chances = probabilities[:, rows, columns].astype(np.float32)
        self.keep(np.log(chances + np.float32(_FLOOR)), truth[rows, columns])

    def add_sample(self, other: PixelSample) -> None:
        """What another one has drawn, from other images."""
        self._logits += other._logits
        self._truths += other._truths

    def clear(self) -> None:
        """Forget all."""
        self._logits.clear()
        self._truths.clear()

    def keep(self, logits: NDArray[np.float32], truth: NDArray[np.uint8]) -> None:
        """What was drawn from an image: logits (C, N), up to a constant of each pixel, and channels (N,)."""
        if len(truth):
            self._logits.append(logits.T)
            self._truths.append(truth.astype(np.intp))

    def calibration(self) -> Calibration | None:
        """The temperature they ask for, and what it mends; None where they are too few to say."""
        pixels = sum(len(truth) for truth in self._truths)
        if pixels < FEWEST_PIXELS:
            return None
        logits, truth = np.concatenate(self._logits), np.concatenate(self._truths)
        temperature = fit_temperature(logits, truth)
        before, after = Reliability(), Reliability()
        before.update(*_judged(logits, truth, 1.0))
        halves = [slice(0, None, 2), slice(1, None, 2)] if len(self._truths) > 1 else []
        for half, other in zip(halves, reversed(halves), strict=True):
            theirs = fit_temperature(np.concatenate(self._logits[other]), np.concatenate(self._truths[other]))
            mine = np.concatenate(self._logits[half]), np.concatenate(self._truths[half])
            after.update(*_judged(*mine, theirs))
        if not halves:
            after.update(*_judged(logits, truth, temperature))
        error_before, error = before.error(), after.error()
        assert error_before is not None
        assert error is not None
        return Calibration(temperature, error_before, error, pixels)


def sampled_places(truth: NDArray[np.uint8], key: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns (N,) of labelled pixels, PIXELS_PER_IMAGE at most.

    The image's name decides which: always the same, in whatever order images come, and others in every image.

    Args:
        truth: (H, W) uint8 channels, UNLABELLED where nothing is known.
        key: the image's name.
    """
    labelled = np.flatnonzero(truth.ravel() != UNLABELLED)
    if len(labelled) > PIXELS_PER_IMAGE:
        rng = np.random.default_rng(list(key.encode()))
        labelled = labelled[rng.choice(len(labelled), PIXELS_PER_IMAGE, replace=False)]
    rows, columns = np.unravel_index(labelled, truth.shape)
    return rows, columns


def worth_sampling(size_hw: Sequence[int]) -> bool:
    """Whether probabilities of a whole image of this size can be had for a sample."""
    return size_hw[0] * size_hw[1] <= MOST_PIXELS


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """The temperature under which the truth is likeliest.

    Args:
        logits: (N, C), up to a constant of each row.
        truth: (N,) channels.

    Returns:
        Between COLDEST and HOTTEST.
    """
    scores = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    true_scores = scores[np.arange(len(truth)), truth]
    # The likelihood is concave in the inverse of the temperature: Newton's steps, kept between bounds.
    low, high, inverse = 1.0 / HOTTEST, 1.0 / COLDEST, 1.0
    for _ in range(_ROUNDS):
        chances = np.exp(inverse * scores)
        chances /= chances.sum(axis=1, keepdims=True)
        means = (chances * scores).sum(axis=1)
        slope = float((true_scores - means).mean())
        bend = float(((chances * scores**2).sum(axis=1) - means**2).mean())
        low, high = (inverse, high) if slope > 0 else (low, inverse)
        wanted = inverse + slope / bend if bend > 1e-12 else (high if slope > 0 else low)
        if not low <= wanted <= high:
            wanted = (low + high) / 2
        if abs(wanted - inverse) < 1e-5:
            break
        inverse = wanted
    return 1.0 / inverse


def _judged(
    logits: NDArray[np.floating], truth: NDArray[np.intp], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of each row's best class at a temperature, and whether it is the true one."""
    scores = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64) / temperature
    confidence = 1.0 / np.exp(scores).sum(axis=1)
    return confidence, logits.argmax(axis=1) == truth
