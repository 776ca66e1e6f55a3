"""Halves the learning rate when scores stand still. Needs no torch."""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 3
"""Scores in a row without a better one until the rate is halved."""
CUT: Final = 0.5


class Plateau:
    """Counts scores that were not better.

    Attributes:
        cuts: how often the rate was halved.
    """

    def __init__(self) -> None:
        self.cuts = 0
        self._without_better = 0

    @property
    def factor(self) -> float:
        """On the rate."""
        return CUT**self.cuts

    def note(self, *, better: bool) -> None:
        """A score was taken."""
        self._without_better = 0 if better else self._without_better + 1
        if self._without_better >= PATIENCE:
            self._without_better = 0
            self.cuts += 1

    def begin_anew(self) -> None:
        """Something else is trained from now on."""
        self.cuts = self._without_better = 0

    def state(self) -> list[int]:
        """For a checkpoint."""
        return [self.cuts, self._without_better]

    def restore(self, state: list[int]) -> None:
        """Go on from `state()`."""
        self.cuts, self._without_better = state
