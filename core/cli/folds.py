"""`maskloop train --folds K`: a score for sets too small to hold much out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.cli.output import answer, say
from core.errors import UsageError
from core.learning.config import TrainConfig
from core.learning.data import LabelStore
from core.learning.events import Finished
from core.learning.folds import FoldLayout, FoldReport, fold_configs, forget_weights
from core.learning.runs import RunFolder
from core.project.layout import ProjectLayout

TrainOnce = Callable[[TrainConfig, LabelStore, ProjectLayout], Finished]


def cross_validate(
    config: TrainConfig, store: LabelStore, layout: ProjectLayout, train_once: TrainOnce
) -> tuple[Finished, FoldReport]:
    """Train the folds and then on all images.

    Args:
        config: with `folds`.
        store: the labels.
        layout: of the project.
        train_once: does one run in the runs' folder of a layout.

    Returns:
        The last run, with the folds' score, and that score in detail; of a stopped run what there is.
    """
    report = FoldReport()
    *folds, last = fold_configs(config, store)
    for number, fold in enumerate(folds, start=1):
        say(f"fold {number} of {len(folds)}: {len(fold.held_out)} images held out")
        finished = train_once(fold, store, FoldLayout(layout.root))
        if finished.reason == "stopped":
            return finished, report
        report.finished.append(finished)
        forget_weights(finished.run)
    say("now on all images")
    finished = train_once(last, store, layout)
    report.note_in(RunFolder(layout.root / finished.run), finished.steps, finished.seconds)
    return report.of(finished), report


def answer_folds(report: FoldReport) -> None:
    """A table: class, mean, spread over the folds."""
    rows = {**report.per_class_iou, "mean": report.miou}
    width = max(len(name) for name in rows)
    answer(f"{'class':<{width}}  IoU over {len(report.finished)} folds")
    for name, spread in rows.items():
        answer(f"{name:<{width}}  {spread or '-'}")


def folds_fields(report: FoldReport) -> dict[str, Any]:
    """What `train --json` says besides."""
    return {"cross_validation": report.as_dict()}


def check_alone(config: TrainConfig, world: int) -> None:
    """Raise UsageError where several processes are to share a cross-validation."""
    if config.folds and world > 1:
        raise UsageError("cross-validation runs in one process; start without torchrun")
