"""A cross-validation on disk: what is to be trained, what is done, and which run is under way.

::

    .maskloop/folds/            like a run's folder: config.json as asked for, status.json, its lock
    .maskloop/folds/plan.json   the runs, their held-out images, and what is finished
    .maskloop/folds/<date>-...  the folds' runs; the last run, on all images, is among the project's runs

Whatever ends the process, the same folds go on from the last checkpoint of the one that was under way.
Torch-free.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from core.errors import ProjectFileError
from core.files import write_atomic
from core.learning.config import TrainConfig
from core.learning.events import Finished
from core.learning.labels.data import LabelStore
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import CutShort, RunLock, RunState, RunStatus, read_status, write_status
from core.learning.training.folds import FoldLayout, FoldReport, fold_configs, forget_weights
from core.project.layout import ProjectLayout

PLAN_FILE: Final = "plan.json"


class _Plan(msgspec.Struct):
    """The file.

    Attributes:
        runs: their configurations, the one on all images last. finished: what came of the first of them.
        present: folder of the run under way, relative to the project; "" between two.
    """

    runs: list[TrainConfig]
    finished: list[Finished] = []
    present: str = ""


@dataclass(slots=True)
class FoldPlan:
    """A cross-validation; every change is on disk before it counts.

    Attributes:
        layout: of the project.
        folder: stands for the whole, as a run's folder does for a run: what is locked, resumed, declined.
    """

    layout: ProjectLayout
    folder: RunFolder = field(init=False)
    _plan: _Plan = field(default_factory=lambda: _Plan([]))

    def __post_init__(self) -> None:
        self.folder = RunFolder(FoldLayout(self.layout.root).runs)

    @classmethod
    def begin(cls, config: TrainConfig, store: LabelStore, layout: ProjectLayout) -> FoldPlan:
        """A new one, in place of what there was.

        Raises:
            UsageError, NothingToLearnError: as `fold_configs`.
            TrainingError: another process is at one.
            StorageError: the project cannot be written.
        """
        plan = cls(layout, _plan=_Plan(fold_configs(config, store)))
        with RunLock(plan.folder):
            plan.folder.write_config(config)
            plan._write()
            plan._status("going")
        return plan

    @classmethod
    def load(cls, layout: ProjectLayout) -> FoldPlan | None:
        """The one that was not finished; None where there is none.

        Raises:
            ProjectFileError: its file is damaged.
        """
        plan = cls(layout)
        path = plan.folder.path / PLAN_FILE
        try:
            plan._plan = msgspec.json.decode(path.read_bytes(), type=_Plan)
        except OSError:
            return None
        except msgspec.DecodeError as error:
            raise ProjectFileError(
                path, f"{error}; delete it and start the cross-validation again"
            ) from error
        return plan

    @classmethod
    def of(cls, run: Path, layout: ProjectLayout) -> FoldPlan | None:
        """The unfinished one that this folder stands for, or that this run is, or was, under way in.

        Raises:
            ProjectFileError: the folder is that of folds, and the plan in it is damaged.
        """
        try:
            plan = cls.load(layout)
        except ProjectFileError:
            if FoldLayout(layout.root).runs.absolute() in (run.absolute(), *run.absolute().parents):
                raise
            return None
        if plan is None:
            return None
        done = (Path(fold.run).absolute() for fold in plan._plan.finished)
        return plan if run.absolute() in (plan.folder.path.absolute(), plan.present, *done) else None

    @property
    def config(self) -> TrainConfig | None:
        """Of the run under way, or of the next; None: all are done."""
        done = len(self._plan.finished)
        return self._plan.runs[done] if done < len(self._plan.runs) else None

    @property
    def run_layout(self) -> ProjectLayout:
        """Where that run goes: folds lie apart."""
        return self.layout if self.on_all else FoldLayout(self.layout.root)

    @property
    def on_all(self) -> bool:
        """That run is the last one, which learns from all images."""
        return len(self._plan.finished) >= self.folds

    @property
    def folds(self) -> int:
        """How many runs hold images out."""
        return len(self._plan.runs) - 1

    @property
    def number(self) -> int:
        """Of the run under way, from 1."""
        return len(self._plan.finished) + 1

    @property
    def present(self) -> Path | None:
        """The run under way, which can be resumed; None between two."""
        return (self.layout.root / self._plan.present).absolute() if self._plan.present else None

    @property
    def report(self) -> FoldReport:
        """What the folds have scored so far."""
        return FoldReport(list(self._plan.finished[: self.folds]))

    def begun(self, run: Path) -> None:
        """The next run has begun in this folder. Raises StorageError."""
        self._plan.present = Path(os.path.relpath(run, self.layout.root)).as_posix()
        self._write()

    def done(self, finished: Finished) -> Finished:
        """The run under way, a fold's, is over; its score counts, its weights are of no further use.

        A score on images that it has learned from does not: those held out have lost their labels meanwhile.

        Returns:
            What counts of it.

        Raises:
            StorageError: the plan cannot be written.
        """
        score = RunFolder(Path(finished.run)).best_score()
        if score is not None and score.on == "training":
            finished = replace(finished, best_miou=None, per_class_iou={})
        self._plan.finished.append(finished)
        self._plan.present = ""
        self._write()
        forget_weights(Path(finished.run))
        return finished

    def end(self, state: RunState) -> None:
        """All is done, or a person wants no more of it.

        The fold that was stopped predicts on: its best weights stay until the next cross-validation ends.
        """
        with contextlib.suppress(OSError):
            (self.folder.path / PLAN_FILE).unlink(missing_ok=True)
        self._status(state)
        for run in FoldLayout(self.layout.root).runs_by_time():
            forget_weights(run, but_best=run.absolute() == self.present)

    def is_newest(self) -> bool:
        """Whether nothing was trained since, but for what belongs to it."""
        begun = datetime.fromtimestamp(self.folder.config_file.stat().st_mtime)
        others = (RunFolder(run) for run in self.layout.runs_by_time() if run.absolute() != self.present)
        return all(run.started is not None and run.started <= begun for run in others)

    def _write(self) -> None:
        path = self.folder.path / PLAN_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, msgspec.json.encode(self._plan))

    def _status(self, state: RunState) -> None:
        write_status(self.folder, RunStatus(state=state))


def unfinished_folds(layout: ProjectLayout) -> CutShort | None:
    """A cross-validation that should be gone on with, unless some process is at it still."""
    try:
        plan = FoldPlan.load(layout)
    except ProjectFileError:
        return None
    if plan is None or not plan.is_newest():
        return None
    status = read_status(plan.folder)
    if status is None or status.state != "going" or status.declined:
        return None
    what = "its last run, on all images" if plan.on_all else f"fold {plan.number} of {plan.folds}"
    return CutShort(plan.folder.path, 0, f"Cross-validation was cut short in {what}.")
