"""Which run `maskloop train` starts or goes on with, and whether so many processes can share it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from core.errors import MaskloopError, UsageError
from core.learning.config import AUTO_MODEL, FOREST_MODEL, INSTANT_MODEL, TrainConfig
from core.learning.engine.run_host import start_run
from core.learning.events import Notice
from core.learning.labels.data import LabelStore
from core.learning.prediction.predict import choose_device
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import RunLock, can_go_on, read_status
from core.learning.settings.preset import resolve
from core.learning.training.state import Notify, TrainState
from core.learning.training.team import Team
from core.project.project import Project

FOLLOWED: Final = frozenset(
    {"steps", "seconds", "device", "threads", "patience", "folds", "model", "join_instant"}
)
"""Settings that a run that goes on takes from the command line, or that are looked at elsewhere."""
Resume: TypeAlias = Literal["newest", "auto"] | None


def begin(
    project: Project,
    config: TrainConfig,
    store: LabelStore,
    resume: Resume,
    team: Team,
    notify: Notify,
) -> TrainState:
    """A new run or one that goes on.

    A job that its launcher starts again, after it has lost a process, goes on with its own run, whatever
    `resume` says: "newest" is the newest run there is, "auto" the newest if it is not finished.
    """

    def resumed(run: Path, asked: TrainConfig) -> TrainState:
        with RunLock(RunFolder(run)):  # refused while another program trains it
            return TrainState.resume(run, store, asked, notify)

    runs = [run for run in project.layout.runs_by_time() if can_go_on(RunFolder(run))]
    noted = team.noted_run()
    own = next((run for run in runs if run.name == noted), None)
    if own is None and resume == "newest":
        if not runs:
            raise MaskloopError(f"{project.root}: there is no run to resume; train without --resume first")
        check_same(RunFolder(runs[-1]), config)
        tell_ignored(RunFolder(runs[-1]), config, notify)
        return _divisible(resumed(runs[-1], config), team)
    unfinished = [run for run in runs[-1:] if not _is_finished(RunFolder(run))] if resume == "auto" else []
    going_on = own or (unfinished[0] if unfinished else None)
    if going_on is not None:
        # The budget is the run's own: the same command line must not add another one at every start.
        state = resumed(going_on, replace(config, steps=None, seconds=None))
        if own is not None or not state.over():
            check_same(RunFolder(going_on), config)
            tell_ignored(RunFolder(going_on), config, notify)
            return _divisible(state, team)
    return start_run(divided(config, store, team.world), store, project.layout, notify)


def divided(config: TrainConfig, store: LabelStore, world: int) -> TrainConfig:
    """The configuration for so many processes: each gets the same number of crops of a batch.

    Raises:
        UsageError: the batch that was asked for cannot be divided; or the instant learner or a forest, which
            are one process's work.
    """
    if world == 1:
        return config
    if config.model == INSTANT_MODEL:
        raise UsageError("the instant learner is fitted in one process; start without torchrun")
    if config.model == FOREST_MODEL:
        raise UsageError("a random forest is grown in one process; start without torchrun")
    if config.batch is None:
        kind = choose_device(config.device).type
        batch = resolve(config, "cuda" if kind == "cuda" else "cpu", store).batch or 1
        return replace(config, batch=-(-batch // world) * world)
    if config.batch % world:
        raise UsageError(_indivisible(config.batch, world))
    return config


def _is_finished(run: RunFolder) -> bool:
    """Whether it has come to its end, by its budget or by patience."""
    status = read_status(run)
    return status is not None and status.state == "finished"


def tell_ignored(
    run: RunFolder, asked: TrainConfig, notify: Notify, followed: Collection[str] = FOLLOWED
) -> None:
    """Say which settings of the command line a run that goes on does not follow: it keeps its own."""
    saved, usual = run.config, TrainConfig()
    ignored = [
        field.name
        for field in fields(TrainConfig)
        if field.name not in followed
        and getattr(asked, field.name) not in (getattr(usual, field.name), getattr(saved, field.name))
    ]
    if ignored:
        text = f"the run goes on with its own settings; what was given now is left out: {', '.join(ignored)}"
        notify(Notice(text=text, level="warning"))


def _divisible(state: TrainState, team: Team) -> TrainState:
    """The run, if its batch can be divided among the processes; else UsageError."""
    if state.batch % team.world:
        raise UsageError(f"{state.run.path}: {_indivisible(state.batch, team.world)}")
    return state


def _indivisible(batch: int, world: int) -> str:
    nearest = max(batch // world, 1) * world
    return (
        f"a batch of {batch} crops cannot be divided evenly among {world} processes;"
        f" take --batch {nearest} in a new run, or another number of processes"
    )


def check_same(run: RunFolder, asked: TrainConfig) -> None:
    """Raise MaskloopError where the command line asks for another network than the run has."""
    saved = run.config
    options = dict(saved.model_options)
    differences = [
        ("model", None if asked.model == AUTO_MODEL else asked.model, saved.model),
        ("encoder", asked.encoder, saved.encoder),
        ("crop", asked.crop, saved.crop),
        ("batch", asked.batch, saved.batch),
        *((f"option {name}", value, options.get(name)) for name, value in asked.model_options),
    ]
    for name, wanted, has in differences:
        if wanted is not None and wanted != has:
            raise MaskloopError(
                f"{run.path}: this run has {name} {has}, not {wanted}; leave that out to go on with it, or "
                "train without --resume"
            )
