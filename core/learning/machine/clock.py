"""Training time: it runs while training does."""

from __future__ import annotations

import time


class Clock:
    """A stop watch that starts stopped.

    Args:
        seconds: what earlier sittings have taken.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._before_s = seconds
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Time it has run so far."""
        running_s = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._before_s + running_s

    def start(self) -> None:
        """Run on; nothing happens if it runs."""
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """Hold; nothing happens if it holds."""
        self._before_s, self._started = self.seconds, None
