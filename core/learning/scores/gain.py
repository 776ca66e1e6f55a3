"""What the last minutes of training have brought, and whether it can be told from chance. Needs no torch.

Scores are compared only where they are of the same images with the same labels; where these change, the
comparison begins anew and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.learning.scores.bootstrap import Counts, Interval, Units, difference
from core.learning.scores.counted import Unit
from core.learning.scores.trust import FEW_IMAGES

if TYPE_CHECKING:
    from core.learning.scores.counted import CountedImages

SPAN_S: Final = 300.0
"""The last five minutes."""
BEGUN_ANEW: Final = "labels or images of the validation have changed: compared anew from here"


@dataclass(frozen=True, slots=True)
class Gain:
    """One score against an earlier one of the same run.

    Attributes:
        miou: what was gained; below 0 where it was lost; None for the first of its kind.
        interval: of what was gained; None where there is nothing to draw from.
        seconds: training time between the two scores.
        since_first: the earlier one is the first on these images and labels, less than SPAN_S ago.
        images: how many both are on.
        anew: images or labels have changed since the last score, so that there is none to compare with.
    """

    miou: float | None
    interval: Interval | None = None
    seconds: float = 0.0
    since_first: bool = False
    images: int = 0
    anew: bool = False

    @property
    def told_from_chance(self) -> bool:
        """Whether other images of the same kind would very probably say the same."""
        return self.interval is not None and self.images >= FEW_IMAGES and not self.interval.holds(0.0)

    @property
    def sentence(self) -> str:
        """For people, without a full stop; "" where there is nothing to say yet."""
        if self.miou is None:
            return BEGUN_ANEW if self.anew else ""
        span = _span(self.seconds)
        when = f"{span} since the first score" if self.since_first else f"the last {span}"
        if self.interval is None or self.images < FEW_IMAGES:
            on = "one image" if self.images == 1 else f"{self.images} images"
            if f"{abs(self.miou):.2f}" == "0.00":
                return f"{_capital(when)}: no change on {on}"
            return f"{_capital(when)}: {self.miou:+.2f}, which on {on} can be chance"
        low, high = self.interval
        if not self.told_from_chance:
            within = "since the first score" if self.since_first else f"in {when}"
            return f"No change {within} that can be told from chance ({low:+.2f} to {high:+.2f})"
        if self.miou < 0:
            return f"{_capital(when)} lost {-self.miou:.2f} ({-high:.2f}–{-low:.2f})"
        return f"{_capital(when)} gained {self.miou:.2f} ({low:.2f}–{high:.2f})"


@dataclass(frozen=True, slots=True)
class _Scored:
    seconds: float
    images: tuple[Unit, ...]
    counts: Counts
    over: Units
    miou: float | None


class GainHistory:
    """The scores of one run, as far back as they are needed."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        self._span_s = span_s
        self._scores: list[_Scored] = []

    def note(self, counted: CountedImages, seconds: float) -> Gain:
        """Take a score in and compare it with the one of SPAN_S ago, or the first if that is later."""
        counts, over = counted.units
        new = _Scored(seconds, counted.images, counts, over, counted.confusion.miou())
        anew = bool(self._scores) and self._scores[-1].images != new.images
        if anew:
            self._scores.clear()
        self._scores.append(new)
        # The newest score that is old enough is the one to compare with; older ones are needed no more.
        while len(self._scores) > 2 and self._scores[1].seconds <= seconds - self._span_s:
            self._scores.pop(0)
        earlier = self._scores[0]
        if earlier is new or new.miou is None or earlier.miou is None:
            return Gain(None, images=len(counted), anew=anew)
        passed_s = seconds - earlier.seconds
        return Gain(
            new.miou - earlier.miou,
            difference(earlier.counts, counts),
            seconds=passed_s,
            since_first=passed_s < self._span_s,
            images=len(counted),
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint: numbers, texts, lists. All scores here are of the same images."""
        images = self._scores[-1].images if self._scores else ()
        return {
            "images": [[unit.key, unit.digest] for unit in images],
            "scores": [
                {"seconds": one.seconds, "counts": one.counts.tolist(), "over": one.over, "miou": one.miou}
                for one in self._scores
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Compare with what was scored before the checkpoint, too."""
        images = tuple(Unit(key, digest) for key, digest in state["images"])
        self._scores = [
            _Scored(one["seconds"], images, np.array(one["counts"], np.int64), one["over"], one["miou"])
            for one in state["scores"]
        ]


def _span(seconds: float) -> str:
    """Time as people say it: "40 seconds", "5 minutes"."""
    if seconds < 90:
        return f"{round(seconds)} seconds" if seconds >= 1.5 else "1 second"
    return f"{round(seconds / 60)} minutes"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
