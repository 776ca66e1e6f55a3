"""A run's progress as it is told and kept: scores with interval and gain, and the labels that were seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.learning.events import EndReason, ScoredOn, Validated
from core.learning.labels.data import LabelStore
from core.learning.labels.revisions import LabelsRecord, SeenLabels, Unseen, labels_now
from core.learning.scores.gain import GainHistory
from core.learning.validation.patience import Patience
from core.learning.validation.validation import Score


class Progress:
    """Follows one run.

    Args:
        folder: of the run.
        store: the labels it learns from.
        patience: validations without a better score that end the run; None: none does.

    Attributes:
        patience: asked by the loop whether it is time to end.
    """

    def __init__(self, folder: Path, store: LabelStore, patience: int | None) -> None:
        self.patience = Patience(patience)
        self._store = store
        self._history = GainHistory()
        self._labels = LabelsRecord(folder)
        self._scored: SeenLabels | None = None
        self._taken_in: Mapping[str, str] | None = None

    def labels_taken_in(self) -> None:
        """From the next step on the run learns the labels as they are now."""
        self._taken_in = labels_now(self._store)

    @property
    def _learned(self) -> Mapping[str, str]:
        """Labels that come during a score, or while the run is held, have taught nothing yet."""
        return labels_now(self._store) if self._taken_in is None else self._taken_in

    def validated(
        self, score: Score, comparable: Score, *, on: ScoredOn, step: int, seconds: float, best: bool
    ) -> Validated:
        """Take a score in and put it into an event.

        Args:
            score: what is told.
            comparable: on the images of earlier scores; what was gained is found with it.
            on: kind of the images.
            step: of the run.
            seconds: training time.
            best: whether it is the best so far.
        """
        self.patience.note(better=best, labels=self._store.digest())
        if best:
            self._scored = SeenLabels(step, self._learned)
        return Validated(
            step=step,
            seconds=seconds,
            miou=score.miou,
            per_class_iou=score.per_class_iou,
            pixel_accuracy=score.pixel_accuracy,
            on=on,
            images=score.images,
            best=best,
            interval=score.interval,
            class_intervals=score.class_intervals,
            interval_over=score.interval_over,
            confusion=score.confusion,
            notes=score.trust.notes,
            class_notes=dict(score.trust.class_notes),  # a read-only view does not travel
            gain=self._history.note(comparable.counted, seconds),
            calibration=score.calibration,
        )

    def reason(self, *, stopped: bool) -> EndReason:
        """Why the run is over; `stopped`: a person has ended it."""
        if stopped:
            return "stopped"
        return "patience" if self.patience.spent else "budget"

    def saved(self, *, step: int, best: bool, held_out: Sequence[str]) -> None:
        """The checkpoint is on disk, and with `best` new best weights: note what they saw.

        Raises:
            StorageError: it cannot be written.
        """
        now = SeenLabels(step, self._learned, tuple(held_out))
        # Labels that came between a score and its saving have not taught the weights that were scored.
        self._labels.note(now, best=(self._scored or now) if best else None)
        if best:
            self._scored = None

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "patience": self.patience.state(),
            "labels": dict(self._learned),
            "gain": self._history.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> str:
        """Go on from `state()`; returns what has changed since then, in words, "" for nothing."""
        self.patience.restore(state["patience"])
        if "gain" in state:  # checkpoints of before this was kept have none
            self._history.restore(state["gain"])
        self._taken_in = state["labels"]
        unseen = Unseen.between(state["labels"], labels_now(self._store))
        return f"the checkpoint {unseen.sentence}" if unseen != Unseen() else ""
