"""`pytest --minutes N`: begin no test after N minutes, and say how many were left out.

For machines on which the suite would take hours, and whoever waits for it would give up with nothing: there
the tests that fit still count, and those that do not are told, not hidden. Too few of them are a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import pytest

OUT_OF_TIME: Final = "not begun: the minutes are over"
FEWEST: Final = Fraction(1, 3)
"""Of the tests must have been begun, or their passing says too little."""


class TimeBox:
    """A pytest plugin; beside xdist each process has its own, and the first one's counts what all report.

    Args:
        minutes: from now on.
        clock: monotonic, seconds.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end_s = clock() + 60.0 * minutes
        self._tests = 0
        self._left_out = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        if self._clock() > self._end_s:
            pytest.skip(OUT_OF_TIME)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup":
            self._tests += 1
            self._left_out += report.skipped and OUT_OF_TIME in str(report.longrepr)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.enough and session.exitstatus == pytest.ExitCode.OK and not _is_worker(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left_out:
            terminalreporter.write_line(f"{self._left_out} of {self._tests} tests {OUT_OF_TIME}", yellow=True)

    @property
    def enough(self) -> bool:
        """Whether as many tests were begun as must be."""
        return self._tests - self._left_out >= FEWEST * self._tests


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
