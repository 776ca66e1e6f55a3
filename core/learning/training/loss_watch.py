"""Notices a loss that has left its course: far above the usual, for many steps, and worse than at the start.

Single steps are allowed to be bad, and so is a network that meets new labels (then the watch begins anew).
What is worse than a network that knows nothing, again and again, will not come back by itself.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import Final

WINDOW: Final = 40
"""Reports whose median is the usual loss."""
FEWEST: Final = 4
"""Reports before there is anything usual."""
FAR: Final = 4.0
"""Times the usual loss."""
FAR_REPORTS: Final = 3
FAR_STEPS: Final = 12
"""So many in a row, together with FAR_REPORTS, and the run has diverged. While it might have, nothing is
saved: so few that this takes seconds."""


class LossWatch:
    """Follows the mean losses that are reported a few times a second."""

    def __init__(self) -> None:
        self._usual: deque[float] = deque(maxlen=WINDOW)
        self._start: float | None = None
        self._far_reports = 0
        self._far_steps = 0

    def begin_anew(self) -> None:
        """Labels, weights or what is trained are others now: what was usual does not count any more."""
        self._usual.clear()
        self._start = None
        self._far_reports = self._far_steps = 0

    def hear(self, loss: float, steps: int) -> None:
        """The mean loss over so many steps, a finite number."""
        if self._start is not None and loss > max(FAR * statistics.median(self._usual), self._start):
            self._far_reports += 1
            self._far_steps += steps
            return
        self._far_reports = self._far_steps = 0
        self._usual.append(loss)
        if len(self._usual) == FEWEST and self._start is None:
            self._start = max(self._usual)

    @property
    def usual(self) -> float | None:
        """The median lately; None at the start."""
        return statistics.median(self._usual) if self._usual else None

    @property
    def doubtful(self) -> bool:
        """The last reports were far off: this may be the beginning of the end."""
        return self._far_reports > 0

    @property
    def diverged(self) -> bool:
        """It has been far off for too long."""
        return self._far_reports >= FAR_REPORTS and self._far_steps >= FAR_STEPS
