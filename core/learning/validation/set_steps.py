"""When a run of a fixed number of steps is scored: at steps that follow from their number alone.

Elsewhere validation follows the clock, so that it costs a share of the time. But the best score decides which
weights are kept, and who trains the same steps twice, or was interrupted, should get the same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.learning.labels.data import LabelStore, scaled_size

FIRST: Final = 25
"""The first score comes soon: it also brings the first weights to disk."""
SCORES: Final = 16
FEWEST_BETWEEN: Final = 50
MOST_BETWEEN: Final = 500
PIXELS: Final = 2 << 20
"""Of scaled images, that one intermediate score is on: some seconds on a CPU."""


def last_set_step(step: int, steps: int) -> int:
    """The last of a run's `steps` at which it is scored, up to `step`; 0 before the first."""
    between = min(max(steps // SCORES, FEWEST_BETWEEN), MOST_BETWEEN)
    regular = step // between * between
    return max(regular, FIRST if step >= FIRST else 0)


def scored_images(store: LabelStore, keys: Sequence[str], scale: float) -> int:
    """How many of these images the intermediate scores are on, at least one."""
    pixels = 0
    for number, key in enumerate(keys):
        height, width = scaled_size(store.get(key).mask.shape, scale)
        pixels += height * width
        if pixels > PIXELS:
            return max(number, 1)
    return max(len(keys), 1)
