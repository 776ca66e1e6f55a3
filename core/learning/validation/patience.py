"""Ends a run that has stopped getting better. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Patience:
    """Counts validations in a row that brought no better score.

    New labels are new hope: the count begins anew, so that a run does not end under the hands of someone who
    is drawing. A network that is trained in stages shows what it can do in the last one: it begins there.

    Args:
        limit: so many end the run; None: it may go on for ever.

    Attributes:
        counting: whether the network is in its last stage; before it the budget decides.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.without_better = 0
        self.counting = True
        self._labels: str | None = None

    @property
    def spent(self) -> bool:
        """Whether it is time to end."""
        return self.limit is not None and self.without_better >= self.limit

    def note(self, *, better: bool, labels: str) -> None:
        """A validation was held; `labels` is the digest of all labels. Once spent, it stays so."""
        if self.spent:
            return
        new_labels = self._labels is not None and labels != self._labels
        self._labels = labels
        self.without_better = 0 if better or new_labels or not self.counting else self.without_better + 1

    @property
    def sentence(self) -> str:
        """Why the run ends, for people."""
        count = "a validation" if self.without_better == 1 else f"{self.without_better} validations in a row"
        return f"{count} brought no better score: the run ends, its best weights are kept"

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"without_better": self.without_better, "labels": self._labels or ""}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()`; the limit is this run's own. A spent patience is given once more.

        Whoever continues a run that had ended wants it to go on.
        """
        self._labels = state["labels"] or None
        self.without_better = state["without_better"]
        if self.spent:
            self.without_better = 0
