"""How little a prediction can be relied on in a pixel: predictive entropy, and where two learners differ.

Every learner that has a say is a voice; it may have looked at the image several times (as it is, mirrored).
The probabilities of all of them, each at its own temperature, are averaged, and the entropy of that mean is
the uncertainty: it is high where one voice is undecided and where two sure ones contradict each other
(Houlsby et al. 2011, arXiv:1112.5745, have the sum of both). How much they contradict each other is told by
itself as well: the Jensen-Shannon divergence (Lin 1991). Both are in bits, 0 to 1: one bit is what "either of
two classes" is worth, whatever the number of classes, so more than that is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

UncertaintySource: TypeAlias = Literal["tta", "mc_dropout", "ensemble"]
"""What uncertainty is taken from; see `core.learning.overlay.doubt_sources`."""

_VALUES_AT_ONCE: Final = 1 << 22
_FLOOR: Final = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """What one learner thinks of an image.

    Attributes:
        looks: (C, H, W) each, as the network gave them (at temperature 1), all in the image's orientation.
        temperature: its own; see `core.learning.scores.calibration`.
        share: in what is shown, 0..1.
    """

    looks: tuple[NDArray[np.float16], ...]
    temperature: float = 1.0
    share: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class UncertaintyMap:
    """Of one image.

    Attributes:
        entropy: (H, W) uint8, 0..255 for 0..1 bit.
        disagreement: (H, W) uint8, 0..255 for 0..1 bit; None where there is one voice only.
    """

    entropy: NDArray[np.uint8]
    disagreement: NDArray[np.uint8] | None = None


def tempered(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """What softmax gives of the same logits divided by `temperature`; classes are the first axis."""
    powered = probabilities.astype(np.float32) + np.float32(_FLOOR)
    if temperature != 1.0:
        powered = powered ** np.float32(1.0 / temperature)
    return np.asarray(powered / powered.sum(axis=0), np.float32)


def entropy(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Entropy in bits, 0 to log2(C), of probabilities whose first axis are the classes."""
    chances = probabilities.astype(np.float32)
    logs = np.log2(np.maximum(chances, np.float32(_FLOOR)))
    return np.asarray(np.maximum(-(chances * logs).sum(axis=0), 0.0), np.float32)


def disagreement(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float32]:
    """Jensen-Shannon divergence in bits, 0 (the same) to 1 (nothing in common); classes first."""
    between = entropy((first.astype(np.float32) + second.astype(np.float32)) / 2)
    return np.asarray(np.maximum(between - (entropy(first) + entropy(second)) / 2, 0.0), np.float32)


def uncertainty_map(voices: Sequence[Voice]) -> UncertaintyMap:
    """The uncertainty of what one or two voices say of an image. Raises ValueError for none or more."""
    if not 1 <= len(voices) <= 2:
        raise ValueError(f"one or two voices make a map, not {len(voices)}")
    classes, height, width = voices[0].looks[0].shape
    found = np.empty((height, width), np.uint8)
    apart = np.empty((height, width), np.uint8) if len(voices) == 2 else None
    whole = sum(voice.share for voice in voices)
    rows_at_once = max(1, _VALUES_AT_ONCE // (classes * width))
    for top in range(0, height, rows_at_once):
        rows = slice(top, top + rows_at_once)
        opinions = [_opinion(voice, rows) for voice in voices]
        shares = [np.float32(voice.share / whole) for voice in voices]
        mean = sum(opinion * share for opinion, share in zip(opinions, shares, strict=True))
        found[rows] = _to_bytes(entropy(np.asarray(mean)))
        if apart is not None:
            apart[rows] = _to_bytes(disagreement(*opinions))
    return UncertaintyMap(found, apart)


def _opinion(voice: Voice, rows: slice) -> NDArray[np.float32]:
    """The mean of a voice's looks (C, rows, W)."""
    looks = [tempered(look[:, rows], voice.temperature) for look in voice.looks]
    return np.asarray(sum(looks[1:], looks[0]) / np.float32(len(looks)), np.float32)


def _to_bytes(bits: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.minimum(bits, 1.0) * 255.0), np.uint8)
