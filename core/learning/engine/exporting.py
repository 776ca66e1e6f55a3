"""A run's best weights, written for other programs."""

from __future__ import annotations

from pathlib import Path

from core.errors import MaskloopError
from core.learning.commands import Export
from core.learning.events import Exported
from core.learning.export import export_run
from core.learning.labels.data import LabelStore
from core.learning.runs.run_folder import RunFolder
from core.postprocess.pipeline import Pipeline


def export(command: Export, best: RunFolder | None, store: LabelStore | None, post: Pipeline) -> Exported:
    """Do as the command says.

    Args:
        command: names the run, or None for the best one.
        best: the best run; None while there is none.
        store: with the classes' names of today.
        post: what is done to predictions, to be noted.

    Raises:
        MaskloopError: there is no such run, or it cannot be written.
    """
    run = best if command.run is None else RunFolder(Path(command.run))
    if run is None:
        raise MaskloopError("no run has saved weights yet; train first, then export")
    classes = None if store is None else store.classes
    path = export_run(run, command.format, Path(command.out), classes=classes, post=post)
    return Exported(format=command.format, path=str(path))
