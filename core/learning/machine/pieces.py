"""Work in pieces: a generator that lets others have their turn, and returns what it came to."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import TypeVar

R = TypeVar("R")


def drained(pieces: Generator[object, None, R]) -> R:
    """What such a work comes to, done without a pause."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: R = end.value
            return result


def with_share(pieces: Generator[object, None, R], share: float) -> Generator[float, None, R]:
    """The same work, which says in every pause how much of a greater one is done, 0..1."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: R = end.value
            return result
        yield share


class Stopwatch:
    """Counts the seconds of works in pieces, without their pauses."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def through(self, pieces: Iterator[R]) -> Iterator[R]:
        """The same pieces, timed."""
        while True:
            started = time.perf_counter()
            try:
                piece = next(pieces)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - started
            yield piece
