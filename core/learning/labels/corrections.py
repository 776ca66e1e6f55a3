"""Labels that changed while the network trains, followed until it has learned them. Torch-free.

A correction is a region of an image whose labels are new: what changed since the sampler last looked, or a
whole image that was not there before. The sampler draws from them more often, and training tells after each
step how large the loss is at the pixels that were drawn for. A correction is learned once that is no larger
than it usually is; one that never gets there, because other labels contradict it, is dropped after a while.

Losses are taken in some steps late: reading one waits for the device, and what is read then is done long
since. How late is counted in steps, so that a resumed run draws what an uninterrupted one does.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED

REPLAY: Final = -1
"""Stands for a correction's number where a pixel was drawn from everything that is labelled."""
RARE: Final = -2
"""Likewise for one that was drawn because its class is rare."""
STAND_IN: Final = -3
"""Likewise for one that only stands in for background: its loss says nothing about labels."""
LEARNED: Final = 0.35
"""A mean loss this small is learned in any case: the right class has about 0.7 of the probability."""
RECENT: Final = 12
"""Losses of a correction that count, the latest ones; as many are wanted before it can be learned."""
USUAL: Final = 200
"""Losses from everything that is labelled that count as usual."""
MOST_DRAWN: Final = 512
"""Crops that one correction gets at most."""
MOST_PER_IMAGE: Final = 8
LATE: Final = 4
"""Steps after which losses are read."""
FEWEST_PIXELS: Final = 4
"""Smaller changes, at training scale, are rounding."""
NEAR: Final = 7
"""Changed pixels that are nearer to each other than about this are one correction."""


class Losses(Protocol):
    """A tensor (N,), wherever it is."""

    def tolist(self) -> list[float]:
        """Its values; waits for the device."""
        ...


@dataclass(slots=True)
class Correction:
    """One region that is to be learned.

    Attributes:
        number: of its own, never used again in a run.
        key: of the image.
        top, left: of the region, in pixels at training scale.
        where: (h, w), bool, which of its pixels; None: all labelled pixels of the image.
        drawn: crops so far. heard: losses so far. loss: mean of the latest.
    """

    number: int
    key: str
    top: int = 0
    left: int = 0
    where: NDArray[np.bool_] | None = None
    drawn: int = 0
    heard: int = 0
    loss: float = 0.0

    def pixels(self, targets: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of its labelled pixels in the image's targets (H, W)."""
        if self.where is None:
            rows, columns = np.nonzero(targets != UNLABELLED)
            return rows, columns
        part = targets[self.top : self.top + self.where.shape[0], self.left : self.left + self.where.shape[1]]
        rows, columns = np.nonzero(self.where[: part.shape[0], : part.shape[1]] & (part != UNLABELLED))
        return rows + self.top, columns + self.left

    def touches(self, other: Correction) -> bool:
        """Whether both have a pixel in common; whole images touch nothing."""
        if self.where is None or other.where is None or self.key != other.key:
            return False
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = min(self.top + self.where.shape[0], other.top + other.where.shape[0])
        right = min(self.left + self.where.shape[1], other.left + other.where.shape[1])
        if top >= bottom or left >= right:
            return False
        mine, theirs = (
            c.where[top - c.top : bottom - c.top, left - c.left : right - c.left]
            for c in (self, other)
            if c.where is not None
        )
        return bool((mine & theirs).any())

    @property
    def learned(self) -> bool:
        """Whether its loss is small."""
        return self.heard >= RECENT and self.loss <= LEARNED


class Corrections:
    """All that are not learned yet, oldest first."""

    def __init__(self) -> None:
        self._open: list[Correction] = []
        self._next = 0
        self._usual = math.nan
        self._usual_heard = 0
        self._late: deque[tuple[tuple[int, ...], Losses | list[float]]] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Correction]:
        return iter(tuple(self._open))

    # --- labels change --------------------------------------------------------------------------------------

    def add_image(self, key: str) -> None:
        """All labels of this image are new."""
        self.forget(key)
        self._add(Correction(self._next, key))

    def add_changes(self, key: str, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        """Follow what differs between two targets (H, W) of an image, where there is something to learn."""
        changed = (before != after) & (after != UNLABELLED)
        for top, left, where in regions(changed):
            new = Correction(self._next, key, top, left, where)
            # What is corrected again starts anew.
            self._open = [old for old in self._open if not old.touches(new)]
            self._add(new)

    def _add(self, new: Correction) -> None:
        self._next += 1
        self._open.append(new)
        of_image = [old for old in self._open if old.key == new.key]
        for old in of_image[: max(0, len(of_image) - MOST_PER_IMAGE)]:
            self._open.remove(old)

    def forget(self, key: str) -> None:
        """The image is not learned from any more, or altogether anew."""
        self._open = [old for old in self._open if old.key != key]

    # --- training goes on -----------------------------------------------------------------------------------

    def draw(self, rng: np.random.Generator, keys: Collection[str]) -> Correction | None:
        """One of those in these images, all equally likely; None if there is none."""
        candidates = [correction for correction in self._open if correction.key in keys]
        if not candidates:
            return None
        chosen = candidates[rng.integers(len(candidates))]
        chosen.drawn += 1
        if chosen.drawn >= MOST_DRAWN:
            self._open.remove(chosen)
        return chosen

    def drop(self, correction: Correction) -> None:
        """Nothing of it is labelled any more."""
        self._open = [old for old in self._open if old is not correction]

    def hear(self, numbers: Sequence[int], losses: Losses) -> None:
        """The losses at pixels drawn for corrections of these numbers, or REPLAY and the like; read later."""
        self._late.append((tuple(numbers), losses))

    def take_in(self) -> None:
        """Take in losses that are late enough; what is learned leaves."""
        while len(self._late) > LATE:
            numbers, losses = self._late.popleft()
            values = losses if isinstance(losses, list) else losses.tolist()
            self._count(numbers, values)

    def _count(self, numbers: Sequence[int], values: Sequence[float]) -> None:
        by_number = {correction.number: correction for correction in self._open}
        for number, value in zip(numbers, values, strict=True):
            if not math.isfinite(value):
                continue
            if number == REPLAY:
                self._usual_heard += 1
                before = 0.0 if math.isnan(self._usual) else self._usual
                self._usual = before + (value - before) / min(self._usual_heard, USUAL)
            elif (correction := by_number.get(number)) is not None:
                correction.heard += 1
                correction.loss += (value - correction.loss) / min(correction.heard, RECENT)
        self._open = [correction for correction in self._open if not self._is_learned(correction)]

    def _is_learned(self, correction: Correction) -> bool:
        if correction.learned:
            return True
        known = self._usual_heard >= RECENT and correction.heard >= RECENT
        return known and correction.loss <= self._usual

    # --- checkpoints ----------------------------------------------------------------------------------------

    def state(self) -> str:
        """What `restore` needs, as JSON."""
        return json.dumps(
            {
                "next": self._next,
                "usual": None if math.isnan(self._usual) else self._usual,
                "usual_heard": self._usual_heard,
                "late": [
                    [list(numbers), losses if isinstance(losses, list) else losses.tolist()]
                    for numbers, losses in self._late
                ],
                "open": [
                    [c.number, c.key, c.top, c.left, _packed(c.where), c.drawn, c.heard, c.loss]
                    for c in self._open
                ],
            }
        )

    def restore(self, text: str) -> None:
        """Go on from `state()`."""
        values = json.loads(text)
        self._next = values["next"]
        self._usual = math.nan if values["usual"] is None else values["usual"]
        self._usual_heard = values["usual_heard"]
        self._late = deque((tuple(numbers), list(losses)) for numbers, losses in values["late"])
        self._open = [
            Correction(number, key, top, left, _unpacked(where), drawn, heard, loss)
            for number, key, top, left, where, drawn, heard, loss in values["open"]
        ]


def regions(changed: NDArray[np.bool_]) -> list[tuple[int, int, NDArray[np.bool_]]]:
    """Top, left and pixels of each region of changed pixels (H, W), at most MOST_PER_IMAGE of them.

    Changes that lie near each other are one region; where there are more regions, all are taken as one.
    """
    if np.count_nonzero(changed) < FEWEST_PIXELS:
        return []
    near = cv2.dilate(changed.astype(np.uint8), np.ones((NEAR, NEAR), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    if count - 1 > MOST_PER_IMAGE:
        rows, columns = np.nonzero(changed)
        box = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        return [(int(box[0]), int(box[2]), changed[box[0] : box[1], box[2] : box[3]].copy())]
    found = []
    for number in range(1, count):
        left, top, width, height = (int(value) for value in stats[number, :4])
        part = slice(top, top + height), slice(left, left + width)
        where = changed[part] & (labels[part] == number)
        if np.count_nonzero(where) >= FEWEST_PIXELS:
            found.append((top, left, where))
    return found


def _packed(where: NDArray[np.bool_] | None) -> list[object] | None:
    if where is None:
        return None
    text = base64.b64encode(zlib.compress(np.packbits(where).tobytes())).decode("ascii")
    return [*where.shape, text]


def _unpacked(values: Sequence[object] | None) -> NDArray[np.bool_] | None:
    if values is None:
        return None
    height, width, text = int(str(values[0])), int(str(values[1])), str(values[2])
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=height * width).reshape(height, width).astype(np.bool_)
