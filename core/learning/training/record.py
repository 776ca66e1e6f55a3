"""What a run notes down as it goes: rows of metrics.csv, lines of log.txt, and its best score."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from core.errors import StorageError
from core.learning.events import ScoredOn
from core.learning.runs.run_folder import METRICS, RunFolder, Value, class_columns
from core.learning.runs.run_status import RunState, RunStatus, write_status
from core.learning.runs.tally import Row
from core.learning.validation.validation import Score

MOST_KEPT: Final = 10_000
"""Rows and lines that wait for room on the disk; after that the oldest go."""


@dataclass(slots=True)
class Best:
    """The best score so far.

    Attributes:
        compared: mIoU on the images of the intermediate validations, which decides what is better.
        miou, per_class_iou, pixel_accuracy: of the same weights, on all images that were scored.
        step: None before the first score.
        saved: whether its weights are on disk.
        labels: digest of the labels it was compared on; None of runs of before that was noted.
        claimed: whether it holds against the next score.
        on: what it was taken on; None before the first score, and of runs of before that was noted.
    """

    compared: float | None = None
    miou: float | None = None
    per_class_iou: Mapping[str, float | None] = field(default_factory=dict)
    pixel_accuracy: float | None = None
    step: int | None = None
    saved: bool = True
    labels: str | None = None
    claimed: bool = True
    on: ScoredOn | None = None

    def note(
        self,
        score: Score,
        comparable: Score,
        step: int,
        *,
        labels: str | None = None,
        on: ScoredOn | None = None,
    ) -> bool:
        """Take over a score that is better, or the first one; returns whether it was.

        Weights that have no score, because nothing is left to score them on, are no better than any later
        ones.
        """
        known = self.compared if self.step is not None and self.claimed else None
        if known is not None and (comparable.miou or 0.0) <= known:
            return False
        self.replace(score, comparable, on=on)
        self.step, self.saved, self.labels, self.claimed = step, False, labels, True
        return True

    def replace(self, score: Score, comparable: Score, *, on: ScoredOn | None) -> None:
        """The same weights have another score now, and on other images perhaps."""
        self.compared, self.miou, self.on = comparable.miou, score.miou, on
        self.per_class_iou, self.pixel_accuracy = score.per_class_iou, score.pixel_accuracy

    def void(self) -> None:
        """Nobody knows any more what it is worth: the next score takes its place."""
        self.claimed = False

    def rename(self, names: Sequence[str]) -> None:
        """The classes of the channels have these names now, in their order."""
        if len(names) == len(self.per_class_iou):
            self.per_class_iou = dict(zip(names, self.per_class_iou.values(), strict=True))

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {**asdict(self), "per_class_iou": dict(self.per_class_iou)}


class RunRecord:
    """Writes to a run's folder. What a full disk does not take is kept, and written when it can be.

    Args:
        run: the folder.
        class_names: of the network's channels; the columns of their scores.

    Attributes:
        trouble: why there is something that is not written; None: all is.
    """

    def __init__(self, run: RunFolder, class_names: Iterable[str]) -> None:
        self._run = run
        self._names = tuple(class_names)
        self._columns = (*METRICS, *class_columns(self._names))
        self._rows: deque[Mapping[str, Value]] = deque(maxlen=MOST_KEPT)
        self._lines: deque[tuple[str, datetime]] = deque(maxlen=MOST_KEPT)
        self.trouble: StorageError | None = None

    def rename(self, names: Sequence[str]) -> None:
        """The classes of the channels have these names now, in their order; so have the file's columns.

        Where the file cannot be written now, its columns keep the names of before, and their scores.
        """
        try:
            self._run.rename_classes(names)
        except StorageError as error:
            self.trouble = error
            return
        columns = (*METRICS, *class_columns(names))
        waiting = [dict(zip(columns, row.values(), strict=True)) for row in self._rows]
        self._rows = deque(waiting, maxlen=MOST_KEPT)
        self._names, self._columns = tuple(names), columns

    def losses(self, rows: Iterable[Row]) -> None:
        """Note losses down."""
        for row in rows:
            self._write({"step": row.step, "seconds": round(row.seconds, 3), "loss": row.loss, "lr": row.lr})

    def score(
        self, score: Score, *, on: str, step: int, seconds: float, lr: float, anew: bool | float = False
    ) -> None:
        """Note a validation down; `anew`: as `val_anew` of `METRICS` says."""
        miou = "none" if score.miou is None else f"{score.miou:.3f}"
        low, high = score.interval or (None, None)
        between = "" if low is None else f" ({low:.3f} to {high:.3f})"
        self.log(f"step {step}: mIoU {miou}{between} on {score.images} {on} images")
        if (found := score.calibration) is not None:
            self.log(
                f"calibration error {found.error:.3f} at temperature {found.temperature:.2f},"
                f" {found.error_before:.3f} without"
            )
        column = dict(zip(score.per_class_iou, self._names, strict=True))
        intervals = [(name, ends) for name, ends in score.class_intervals.items() if ends]
        self._write(
            {
                "step": step,
                "seconds": round(seconds, 3),
                "lr": lr,
                "val_miou": score.miou,
                "val_pixel_accuracy": score.pixel_accuracy,
                "val_on": on,
                "val_images": score.images,
                "val_miou_low": low,
                "val_miou_high": high,
                "val_interval_over": None if low is None else score.interval_over,
                "val_anew": float(anew) or None,
                **_of_calibration(score),
                **{f"val_iou:{column[name]}": value for name, value in score.per_class_iou.items()},
                **{f"val_iou_low:{column[name]}": ends.low for name, ends in intervals},
                **{f"val_iou_high:{column[name]}": ends.high for name, ends in intervals},
            }
        )

    def status(self, state: RunState, *, step: int, seconds: float) -> None:
        """How far it has come: for windows, which offer to go on with what was cut short."""
        with contextlib.suppress(StorageError):
            write_status(self._run, RunStatus(state=state, step=step, seconds=round(seconds, 3)))

    def log(self, text: str) -> None:
        """A line with the time."""
        self._lines.append((text, datetime.now().astimezone()))
        self.write()

    def write(self) -> None:
        """Write what is not written yet; what cannot be is kept, see `trouble`."""
        try:
            while self._rows:
                self._run.append_metrics(self._rows[0])
                self._rows.popleft()
            while self._lines:
                self._run.log(*self._lines[0])
                self._lines.popleft()
        except StorageError as error:
            self.trouble = error
        else:
            self.trouble = None

    def _write(self, row: Mapping[str, Value]) -> None:
        self._rows.append({name: row.get(name) for name in self._columns})
        self.write()


def _of_calibration(score: Score) -> dict[str, Value]:
    """The columns of a score's calibration."""
    found = score.calibration
    if found is None:
        return {}
    return {"val_ece": found.error, "val_ece_before": found.error_before, "temperature": found.temperature}
