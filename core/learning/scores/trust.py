"""Whether a validation is large enough to be believed, said in words. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from core.learning.scores.bootstrap import Counts, Interval

FEW_IMAGES: Final = 6
"""Below this no difference can be told from chance: six of six images improve by chance once in 64 times,
five of five more often than the 1 in 40 that an interval of 95 % allows on either side."""
FEW_PIXELS: Final = 500
"""Of a class; a border drawn one pixel off can then halve its IoU."""
WIDE: Final = 0.2
"""Of mIoU: an interval as wide as most differences between networks."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What limits a validation.

    Attributes:
        notes: about all of it, each one sentence without a full stop; empty: nothing to say.
        class_notes: why a class has no IoU, or how little its IoU rests on.
    """

    notes: tuple[str, ...] = ()
    class_notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def trust(counts: Counts, names: Sequence[str], *, interval: Interval | None = None) -> Trust:
    """Judge a validation by what it counted.

    Args:
        counts: (N, 3, C): see `core.learning.scores.bootstrap`.
        names: of the classes.
        interval: of mIoU, where there is one.
    """
    images = len(counts)
    true = counts[:, 1] if images else np.zeros((0, len(names)), np.int64)
    class_notes: dict[str, str] = {}
    for position, name in enumerate(names):
        having, pixels = int((true[:, position] > 0).sum()), int(true[:, position].sum())
        if not pixels:
            where = "the image" if images == 1 else f"the {images} images"
            class_notes[name] = f"no pixel of this class is labelled in {where} of the score"
        elif pixels < FEW_PIXELS:
            class_notes[name] = (
                f"rests on {pixels} {_noun('pixel', pixels)} in {having} {_noun('image', having)}"
            )
        elif having == 1 and images > 1:
            class_notes[name] = "rests on one image"
    notes = []
    if images < FEW_IMAGES:
        notes.append(
            f"{images} {_noun('image', images)} {'is' if images == 1 else 'are'} few: this can be chance"
        )
    elif interval is not None and interval.high - interval.low > WIDE:
        notes.append("the images differ a lot: more of them would make the score surer")
    absent = [name for position, name in enumerate(names) if not true[:, position].any()]
    if absent:
        notes.append(f"not scored: {', '.join(absent)}")
    little = [name for name in class_notes if name not in absent]
    if little:
        notes.append(f"little to go by: {', '.join(little)}")
    return Trust(tuple(notes), MappingProxyType(class_notes))


def _noun(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
