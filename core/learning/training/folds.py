"""Cross-validation for small sets: every done image is held out once, in one of k runs; then one run on all.

One or two held-out images say little about a network. With k folds each of them is scored by a network that
has not seen it; mean and spread over the folds say how good the same recipe is, and the last run, which
learns from everything, has no image left to be scored on itself. Torch-free.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev

from core.errors import NothingToLearnError, UsageError
from core.files import write_atomic
from core.learning.config import TrainConfig
from core.learning.events import Finished
from core.learning.labels.data import LabelStore
from core.learning.runs.run_folder import RunFolder
from core.project.layout import ProjectLayout

REPORT = "folds.json"


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation over the folds that could say something; None of one alone."""

    mean: float
    deviation: float | None
    folds: int

    @classmethod
    def over(cls, values: Sequence[float | None]) -> Spread | None:
        """None where no fold has a value."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(fmean(known), stdev(known) if len(known) > 1 else None, len(known))

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.deviation is None else f"{self.mean:.2f} ± {self.deviation:.2f}"


@dataclass(slots=True)
class FoldReport:
    """What the folds have scored so far.

    Attributes:
        finished: of each fold, in order.
    """

    finished: list[Finished] = field(default_factory=list)

    @property
    def miou(self) -> Spread | None:
        """Of the mean over classes."""
        return Spread.over([run.best_miou for run in self.finished])

    @property
    def scored(self) -> int:
        """How many folds have a score; one that could hold no image out has none."""
        return 0 if self.miou is None else self.miou.folds

    @property
    def scored_folds(self) -> str:
        """How many these are, in words."""
        return "1 fold" if self.scored == 1 else f"{self.scored} folds"

    @property
    def per_class_iou(self) -> dict[str, Spread | None]:
        """Of each class."""
        names = list(dict.fromkeys(name for run in self.finished for name in run.per_class_iou))
        return {name: Spread.over([run.per_class_iou.get(name) for run in self.finished]) for name in names}

    def of(self, last: Finished) -> Finished:
        """The last run with the folds' score, which is the only one on images that were held out."""
        classes = {name: None if s is None else s.mean for name, s in self.per_class_iou.items()}
        return replace(last, best_miou=None if self.miou is None else self.miou.mean, per_class_iou=classes)

    def sentence(self) -> str:
        """For people, in one line."""
        classes = ", ".join(f"{name} {spread or '-'}" for name, spread in self.per_class_iou.items())
        return f"Cross-validated on {self.scored_folds}: mIoU {self.miou or '-'} ({classes})."

    def as_dict(self) -> dict[str, object]:
        """The fields of `train --folds --json`, and of folds.json."""
        return {
            "folds": [
                {"run": run.run, "best_miou": run.best_miou, "per_class_iou": dict(run.per_class_iou)}
                for run in self.finished
            ],
            "miou": _fields(self.miou),
            "per_class_iou": {name: _fields(spread) for name, spread in self.per_class_iou.items()},
        }

    def note_in(self, run: RunFolder, step: int, seconds: float) -> None:
        """Keep the report with the last run, whose own score it is: on images that were held out.

        Raises:
            StorageError: the run's folder cannot be written.
        """
        write_atomic(run.path / REPORT, json.dumps(self.as_dict(), indent=1, ensure_ascii=False).encode())
        miou = self.miou
        row: dict[str, float | str | None] = {
            "step": step,
            "seconds": round(seconds, 3),
            "val_miou": None if miou is None else miou.mean,
            "val_on": "cross-fit",
            "val_images": self.scored,
        }
        row |= {
            f"val_iou:{name}": None if spread is None else spread.mean
            for name, spread in self.per_class_iou.items()
        }
        run.append_metrics(row)


def _fields(spread: Spread | None) -> dict[str, float | int | None] | None:
    return None if spread is None else {"mean": spread.mean, "sd": spread.deviation, "folds": spread.folds}


class FoldLayout(ProjectLayout):
    """A project whose runs lie apart from those that are listed, shown and exported."""

    @property
    def runs(self) -> Path:
        """Among what nobody would miss: what they found is kept with the last run."""
        return self.private / "folds"


def folds_of(keys: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """The keys in `count` parts whose sizes differ by one at most; by name alone, so always the same."""
    mixed = sorted(keys, key=lambda key: hashlib.blake2b(key.encode(), digest_size=8).digest())
    return [tuple(sorted(mixed[number::count])) for number in range(count)]


def fold_configs(config: TrainConfig, store: LabelStore) -> list[TrainConfig]:
    """The runs of a cross-validation, one a fold, then the one on all; each has its share of the budget.

    Raises:
        UsageError: there is no budget to share.
        NothingToLearnError: fewer images are done than there are folds.
    """
    count = config.folds or 0
    if config.seconds is None and config.steps is None:
        raise UsageError("cross-validation shares a budget among its runs; give a time or a number of steps")
    done = store.done_keys()
    if len(done) < count:
        raise NothingToLearnError(
            f"{len(done)} images are done, too few for {count} folds: mark more as done, or take fewer folds"
        )
    share = replace(
        config,
        folds=None,
        seconds=None if config.seconds is None else config.seconds / (count + 1),
        steps=None if config.steps is None else max(1, config.steps // (count + 1)),
    )
    runs = [replace(share, held_out=keys) for keys in folds_of(done, count)]
    return [*runs, replace(share, validation="none")]


def forget_weights(run: Path, *, but_best: bool = False) -> None:
    """After its score a fold's network is of no further use; what it scored stays.

    Args:
        run: its folder.
        but_best: its best weights stay, too.
    """
    kept = RunFolder(run).best_weights if but_best else None
    for file in (*run.glob("*.ckpt"), *run.glob("*.safetensors")):
        if file != kept:
            with contextlib.suppress(OSError):  # of Windows, where somebody reads it
                file.unlink(missing_ok=True)
