"""Work that is done piece by piece, and which newer work may take its place."""

from __future__ import annotations

from collections.abc import Iterator

from core.learning.instant.head import FitStep


class UnderWay:
    """What is being done, or nothing.

    Attributes:
        urgent: nothing else is done meanwhile.
    """

    def __init__(self) -> None:
        self.urgent = False
        self._pieces: Iterator[object] | None = None
        self._fitting = False
        self._dropped = False

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self._pieces is not None

    def begin(self, pieces: Iterator[object], *, urgent: bool) -> None:
        """Do this from now on, instead of what is under way."""
        self._dropped = urgent and self.urgent
        self._pieces, self.urgent, self._fitting = pieces, urgent, False

    def drop(self) -> None:
        """Nothing is under way any more."""
        self._pieces, self.urgent, self._dropped = None, False, False

    @property
    def is_to_be_finished(self) -> bool:
        """Whether newer labels should wait: it is a fit, and the one before it was dropped for newer labels.

        Somebody who draws faster than a head is fitted would see nothing new until the next pause.
        """
        return self._fitting and self._dropped

    def advance(self) -> bool:
        """Do the next piece; False where there was none: it is done. After an error nothing is under way."""
        assert self._pieces is not None
        try:
            self._fitting = isinstance(next(self._pieces), FitStep)
        except StopIteration:
            self.drop()
            return False
        except Exception:
            self.drop()
            raise
        return True
