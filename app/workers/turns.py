"""Work of the GUI thread that is too much for one frame: a step each time Qt has nothing more urgent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, QTimer


def in_turn(owner: QObject, wanted: Callable[[], bool], *steps: Callable[[], None]) -> None:
    """Take these steps, each in a turn of its own, as long as they are `wanted` and their owner lives.

    With ten thousand images a step may take some ten milliseconds: together they would be missed frames.
    """

    def step(first: Callable[[], None], *later: Callable[[], None]) -> None:
        if wanted():
            first()
            if later:
                QTimer.singleShot(0, owner, partial(step, *later))

    QTimer.singleShot(0, owner, partial(step, *steps))
