"""`maskloop train`: the window's training loop, in this process."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from core.cli.folds import answer_folds, cross_validate, folds_fields
from core.cli.output import ProgressPrinter, answer, answer_json, class_table, percent, say, say_problems
from core.errors import MaskloopError, TrainingError
from core.learning.config import AUTO_MODEL, TrainConfig
from core.learning.data import LabelStore
from core.learning.events import Finished
from core.learning.fit import TrainState
from core.learning.folds import FoldReport
from core.learning.joint import events_of
from core.learning.memory import is_device_lost
from core.learning.run_host import start_run
from core.learning.run_status import RunLock, can_go_on
from core.learning.runs import RunFolder
from core.learning.sensible import check_sensible
from core.learning.settings_text import configured
from core.project.layout import ProjectLayout
from core.project.project import Project


def train(arguments: argparse.Namespace) -> None:
    """Train, or with `--resume` continue the newest run, and print its summary."""
    config = TrainConfig(
        model=arguments.model,
        encoder=arguments.encoder,
        encoder_weights=arguments.encoder_weights,
        preset=arguments.preset,
        device=arguments.device,
        seconds=arguments.seconds,
        steps=arguments.steps,
        patience=arguments.patience,
        seed=arguments.seed,
        crop=arguments.crop,
        batch=arguments.batch,
        folds=arguments.folds,
        class_weights=arguments.class_weights,
        rare_crops=arguments.rare_crops,
        model_options=tuple(arguments.option),
    )
    config = configured(config, arguments.set)
    check_sensible(config)
    report: FoldReport | None = None
    with Project.open(arguments.project, lock=False) as project:
        for note in project.notes:
            say(note)
        if config.folds:
            train_once = partial(_train_in, project=project, printer=ProgressPrinter())
            finished, report = cross_validate(config, _labels(project), project.layout, train_once)
        else:
            finished = run_training(project, config, resume=arguments.resume)
    if arguments.json:
        answer_json(summary(finished) | ({} if report is None else folds_fields(report)))
    else:
        if report is not None:
            answer_folds(report)
        answer(class_table(finished.per_class_iou, finished.best_miou))
        answer(
            f"{finished.steps} steps in {finished.seconds:.0f} s, best mIoU {percent(finished.best_miou)}; "
            f"run {finished.run}"
        )


def run_training(project: Project, config: TrainConfig, *, resume: bool = False) -> Finished:
    """Train on the project's labels, printing progress to standard error."""
    store = _labels(project)
    printer = ProgressPrinter()
    if resume:
        runs = [run for run in map(RunFolder, project.layout.runs_by_time()) if can_go_on(run)]
        if not runs:
            raise MaskloopError(f"{project.root}: there is no run to resume; train without --resume first")
        _check_same(runs[-1], config)
        lock = RunLock(runs[-1])
        lock.acquire()
        state = TrainState.resume(runs[-1].path, store, config, notify=printer.on_event)
        if state.over():
            say(_nothing_left(state))
    else:
        state = start_run(config, store, project.layout, printer.on_event)
        lock = RunLock(state.run)
    with lock:
        try:
            return _trained(state, project, printer)
        except RuntimeError as error:
            if not is_device_lost(error):
                raise
            reason = str(error).partition("\n")[0]
        say(f"warning: the graphics card reported an error ({reason}): training goes on on the CPU")
        state = TrainState.resume(state.run.path, store, TrainConfig(device="cpu"), printer.on_event)
        return _trained(state, project, printer)


def _labels(project: Project) -> LabelStore:
    """What there is to learn; files that cannot be read are said."""
    store = LabelStore.from_project(project)
    say_problems(project.problems)
    if project.problems and not store.labelled_keys():
        raise MaskloopError(f"{project.root}: none of its labels could be read; the lines above say why")
    return store


def _train_in(
    config: TrainConfig,
    store: LabelStore,
    layout: ProjectLayout,
    *,
    project: Project,
    printer: ProgressPrinter,
) -> Finished:
    """A new run in the runs' folder of a layout, to its end."""
    state = start_run(config, store, layout, printer.on_event)
    with RunLock(state.run):
        return _trained(state, project, printer)


def _trained(state: TrainState, project: Project, printer: ProgressPrinter) -> Finished:
    """The run from here to its end."""
    with _stopping_on_signals(state):
        for event in events_of(state, features=project.layout.features):
            printer.on_event(event)
            if isinstance(event, Finished):
                return event
    raise TrainingError("training ended without a result; the run's log.txt says more")


def _check_same(run: RunFolder, asked: TrainConfig) -> None:
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


def _nothing_left(state: TrainState) -> str:
    """For a run whose budget was spent before it was resumed."""
    steps, wanted = state.step, state.budget.steps
    done = f"done {steps} steps and is asked for {wanted}" if wanted else f"had its time, {steps} steps"
    return (
        f"{state.run.path}: the run has {done}, so there is nothing to train;"
        " give more --steps, or --seconds to add"
    )


def summary(finished: Finished) -> dict[str, Any]:
    """The fields of `train --json`."""
    return {
        "run": finished.run,
        "model": finished.model,
        "steps": finished.steps,
        "seconds": round(finished.seconds, 3),
        "best_miou": finished.best_miou,
        "per_class_iou": dict(finished.per_class_iou),
        "resumed_step": finished.resumed_step,
    }


@contextmanager
def _stopping_on_signals(state: TrainState) -> Iterator[None]:
    """Ctrl+C and SIGTERM finish the step, save and end the run; a second one ends the process."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: FrameType | None) -> None:
        say("stopping after this step; everything is saved")
        state.request_stop()
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
