"""`maskloop train --folds K`: a score for sets too small to hold much out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from core.cli.beginning import FOLLOWED, Resume, check_same, tell_ignored
from core.cli.output import answer, say
from core.errors import MaskloopError, UsageError
from core.learning.config import TrainConfig
from core.learning.events import Finished
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import RunLock
from core.learning.training.fold_plan import FoldPlan
from core.learning.training.folds import FoldReport
from core.learning.training.state import Notify
from core.project.layout import ProjectLayout

TrainOnce = Callable[[FoldPlan], Finished]

STOPPED: Final = "the cross-validation is not finished; go on with it with --resume or --auto-resume"


def cross_validate(plan: FoldPlan, train_once: TrainOnce) -> tuple[Finished, FoldReport]:
    """Train what is left of the folds, and then on all images.

    Whatever ends it early, a signal as well, the plan stays, and `--resume` goes on with it.

    Args:
        plan: new, or one that was cut short.
        train_once: does the run of the plan that is under way, or the next.

    Returns:
        The last run, with the folds' score, and that score in detail; of a stopped run what there is.
    """
    with RunLock(plan.folder):
        while not plan.on_all:
            config = plan.config
            assert config is not None
            say(f"fold {plan.number} of {plan.folds}: {len(config.held_out)} images held out")
            finished = train_once(plan)
            if finished.reason == "stopped":
                say(STOPPED)
                return finished, plan.report
            plan.done(finished)
        say("now on all images")
        finished = train_once(plan)
        report = plan.report
        if finished.reason == "stopped":
            say(STOPPED)
        else:
            report.note_in(RunFolder(plan.layout.root / finished.run), finished.steps, finished.seconds)
            plan.end("finished")
    return report.of(finished), report


def plan_to_resume(
    layout: ProjectLayout, asked: TrainConfig, choice: Resume, notify: Notify
) -> FoldPlan | None:
    """The cross-validation that was cut short, if nothing was trained since.

    Args:
        layout: of the project.
        asked: what the command line says.
        choice: whether there must be one.
        notify: told which settings do not count, for it has its own.

    Raises:
        UsageError: a budget is given, which is divided among its runs already.
        MaskloopError: it has another network or another number of folds; or there is none, where just that is
            wanted.
    """
    plan = FoldPlan.load(layout)
    if plan is None or not plan.is_newest():
        if choice == "newest" and asked.folds:
            raise MaskloopError(
                f"{layout.root}: no cross-validation was cut short last; leave --resume out to begin one"
            )
        return None
    if choice == "newest" and (asked.steps is not None or asked.seconds is not None):
        raise UsageError(
            "the cross-validation that was cut short has a budget; leave --steps and --seconds out"
        )
    if asked.folds not in (None, plan.folds):
        raise MaskloopError(
            f"{plan.folder.path}: the cross-validation that was cut short has {plan.folds} folds, not"
            f" {asked.folds}; leave --folds out to go on with it, or train without --resume"
        )
    check_same(plan.folder, asked)
    tell_ignored(plan.folder, asked, notify, FOLLOWED - {"patience"})
    return plan


def answer_folds(report: FoldReport) -> None:
    """A table: class, mean, spread over the folds."""
    rows = {**report.per_class_iou, "mean": report.miou}
    width = max(len(name) for name in rows)
    answer(f"{'class':<{width}}  IoU over {report.scored_folds}")
    for name, spread in rows.items():
        answer(f"{name:<{width}}  {spread or '-'}")


def folds_fields(report: FoldReport) -> dict[str, Any]:
    """What `train --json` says besides."""
    return {"cross_validation": report.as_dict()}


def check_alone(config: TrainConfig, world: int) -> None:
    """Raise UsageError where several processes are to share a cross-validation."""
    if config.folds and world > 1:
        raise UsageError("cross-validation runs in one process; start without torchrun")
