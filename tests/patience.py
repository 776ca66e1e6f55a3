"""How long a test waits for what is bound to come.

Whoever waits goes on the moment it comes, so a long limit costs nothing on a fast machine, and on one that is
busy with other work a short one fails tests of which nothing is wrong.
"""

from __future__ import annotations

from typing import Final

from pytestqt.qtbot import QtBot

PATIENCE_S: Final = 300.0
PATIENCE_MS: Final = 300_000


def make_qtbot_patient() -> None:
    """Let every wait of `qtbot` last so long where a test does not say how long; five seconds otherwise."""
    for wait in (QtBot.waitUntil, QtBot.waitSignal, QtBot.waitSignals, QtBot.waitExposed, QtBot.waitActive):
        assert wait.__kwdefaults__["timeout"] == 5000
        wait.__kwdefaults__["timeout"] = PATIENCE_MS
