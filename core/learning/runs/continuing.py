"""Whether a person who presses Train again wants to go on with a run, or another one. Torch-free.

A run that goes on keeps what it has learned, its held-out images and its curves, and labels drawn since are
learned like those that are drawn while it trains. Beside a scripted person who labels for ten minutes that is
worth far more than a second run from the beginning (docs/results.md, "Quality per effort").
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Final

from core.annotation.model import ClassList
from core.errors import MaskloopError
from core.learning.config import AUTO_MODEL, TrainConfig
from core.learning.runs.header import read_header
from core.learning.runs.run_folder import RunFolder

_MAY_DIFFER: Final = frozenset({"steps", "seconds", "patience", "device", "threads"})
"""How long it lasts, and where it is computed."""
_BY_NAME: Final = frozenset({"model", "join_instant"})
"""What "auto" stands for is filled in when a run begins."""


def can_continue(run: RunFolder, classes: ClassList) -> bool:
    """Whether a run can go on in a project with these classes."""
    if not (run.last_checkpoint.is_file() and run.best_weights.is_file()):
        return False
    try:
        if run.config.folds:
            return False
        learned = read_header(run.best_weights).classes
    except MaskloopError:
        return False
    return set(learned.indices) == set(classes.indices)


def asks_for_the_same(chosen: TrainConfig, run: TrainConfig) -> bool:
    """Whether what is chosen now is what a run was told, but for how long and where.

    Args:
        chosen: None where a preset is to decide.
        run: as its folder keeps it, with everything that the preset decided.
    """
    if chosen.network != run.network or (chosen.model == AUTO_MODEL) != run.join_instant:
        return False
    names = (field.name for field in fields(TrainConfig) if field.name not in _MAY_DIFFER | _BY_NAME)
    # No preset decides about the schedule: without steps of its own it is as long as the run.
    return chosen.schedule_steps == run.schedule_steps and all(
        getattr(chosen, name) in (None, getattr(run, name)) for name in names
    )


def continued_as(chosen: TrainConfig, run: RunFolder) -> TrainConfig:
    """What a run is told that goes on with what is chosen now: for how long and where; all else is as it was.

    Steps and time are those of what follows; with neither it goes on until it is stopped. To be told
    `as_chosen`: see `core.learning.training.state.TrainState.resume`.

    Raises:
        ProjectFileError: the run's config.json cannot be read.
    """
    endless = chosen.steps is None and chosen.seconds is None
    return replace(
        run.config,
        steps=chosen.steps,
        seconds=math.inf if endless else chosen.seconds,
        patience=chosen.patience,
        device=chosen.device,
        threads=chosen.threads,
    )
