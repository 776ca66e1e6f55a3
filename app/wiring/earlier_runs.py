"""Worker: a project's earlier runs, for the list of runs and for what predicts before there is a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from app.panels.run_history import RunSummary
from core.annotation.model import ClassList
from core.errors import MaskloopError
from core.learning.runs.comparison import title_of_run
from core.learning.runs.continuing import can_continue
from core.learning.runs.header import gone_classes, read_header
from core.learning.runs.run_folder import RunFolder, best_of
from core.project.layout import ProjectLayout


@dataclass(frozen=True, slots=True)
class History:
    """A project's earlier runs.

    Attributes:
        summaries: newest first; the first says whether it can go on.
        shown: what people call the one that the engine predicts with before there is a new one; "" for none.
    """

    summaries: list[RunSummary]
    shown: str


def read_history(layout: ProjectLayout, classes: ClassList) -> History:
    """Worker: the project's runs, and which of them predicts."""
    best = best_of(layout.runs_by_time(), classes)
    try:
        usable = best is not None and not gone_classes(read_header(best.best_weights), classes)
    except MaskloopError:
        usable = False
    runs = read_runs(layout)
    if runs:
        newest = RunFolder(Path(runs[0].path))
        runs[0] = replace(runs[0], continues=newest.config if can_continue(newest, classes) else None)
    return History(runs, best.spoken_name() if best is not None and usable else "")


def read_runs(layout: ProjectLayout) -> list[RunSummary]:
    """Worker: the project's runs, newest first; one that cannot be read is left out."""
    summaries: list[RunSummary] = []
    for path in reversed(layout.runs_by_time()):
        run = RunFolder(path)
        try:
            config, rows = run.config, run.read_metrics()
            best = run.best_score(rows)
        except MaskloopError:
            continue
        started = run.started
        if started is None:
            continue
        steps = max((int(step) for row in rows if isinstance(step := row.get("step"), float)), default=0)
        summaries.append(
            RunSummary(
                path=str(path),
                model=title_of_run(config),
                started=started,
                steps=steps,
                best=best,
                has_weights=run.best_weights.is_file(),
            )
        )
    return summaries
