"""`maskloop train`: the window's training loop, in this process."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

from core.cli.beginning import Resume, begin
from core.cli.folds import answer_folds, check_alone, cross_validate, folds_fields, plan_to_resume
from core.cli.lost_card import say_lost
from core.cli.output import ProgressPrinter, answer, answer_json, class_table, percent, say, say_problems
from core.cli.settled import open_settled
from core.errors import MaskloopError, TrainingError
from core.learning.config import TrainConfig
from core.learning.engine.run_host import next_of_folds
from core.learning.events import Finished
from core.learning.labels.data import LabelStore
from core.learning.runs.run_status import RunLock
from core.learning.settings.sensible import check_sensible
from core.learning.settings.settings_text import configured
from core.learning.training.distributed import Place
from core.learning.training.fit import TrainState
from core.learning.training.fold_plan import FoldPlan
from core.learning.training.folds import FoldReport
from core.learning.training.following import follow
from core.learning.training.joint import events_of
from core.learning.training.team import Group, Team, team_of
from core.project.layout import ProjectLayout
from core.project.project import Project


def train(arguments: argparse.Namespace) -> None:
    """Train, or with `--resume` continue the newest run, and print its summary.

    Started by `torchrun`, this process does its part of the work, and only the first one prints and writes.
    """
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
    place = Place.here()
    check_alone(config, place.world)
    report: FoldReport | None = None
    opened = open_settled if place.leads else partial(Project.open, lock=False)
    with opened(arguments.project) as project, team_of(place, config.device) as team:
        if isinstance(team, Group) and not place.leads:
            with _stopping_on_signals(lambda: setattr(team, "stop_wanted", True), team):
                follow(team, LabelStore.from_project(project))
            return
        for note in project.notes:
            say(note)
        choice: Resume = "newest" if arguments.resume else "auto" if arguments.auto_resume else None
        plan: FoldPlan | None = None
        if choice and place.world == 1:
            plan = plan_to_resume(project.layout, config, choice, ProgressPrinter().on_event)
        if plan is not None or config.folds:
            store = _labels(project)
            if plan is None:
                plan = FoldPlan.begin(config, store, project.layout)
            else:
                say("going on with the cross-validation that was cut short")
            finished, report = cross_validate(plan, partial(_train_fold, store=store, asked=config))
        else:
            finished = run_training(project, config, resume=choice, team=team)
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


def run_training(
    project: Project, config: TrainConfig, *, resume: Resume = None, team: Team | None = None
) -> Finished:
    """Train on the project's labels, printing progress to standard error.

    Args:
        project: open.
        config: as asked for.
        resume: which run to continue, if any: see `begin`.
        team: the processes that share the work; None: this one alone.
    """
    team = Team() if team is None else team
    store = _labels(project)
    printer = ProgressPrinter()
    state = _begun(lambda asked: begin(project, asked, store, resume, team, printer.on_event), config, team)
    state.team = team
    team.note_run(state.run.path.name)
    if state.over():
        say(_nothing_left(state))
    finished = _to_the_end(state, project.layout, printer, team)
    if finished.reason != "stopped":  # a launcher that moves its processes stops them, too
        team.note_run("")
    return finished


def _labels(project: Project) -> LabelStore:
    """What there is to learn; files that cannot be read are said."""
    store = LabelStore.from_project(project)
    say_problems(project.problems)
    if project.problems and not store.labelled_keys():
        raise MaskloopError(f"{project.root}: none of its labels could be read; the lines above say why")
    return store


def _train_fold(plan: FoldPlan, *, store: LabelStore, asked: TrainConfig) -> Finished:
    """The run of a cross-validation that is under way, or the next, to its end."""
    printer = ProgressPrinter()
    alone = Team()
    state = _begun(lambda chosen: next_of_folds(plan, store, printer.on_event, chosen), asked, alone)
    return _to_the_end(state, plan.layout, printer, alone)


def _begun(begun: Callable[[TrainConfig], TrainState], asked: TrainConfig, team: Team) -> TrainState:
    """The run that `begun` makes of a configuration; on the CPU, if the graphics card is lost meanwhile."""
    try:
        return begun(asked)
    except RuntimeError as error:
        _say_lost(error, team)
    state = begun(replace(asked, device="cpu"))
    if not state.resumed_step:  # when it goes on some day it tries the card again
        state.run.write_config(replace(state.run.config, device=asked.device))
    return state


def _to_the_end(state: TrainState, layout: ProjectLayout, printer: ProgressPrinter, team: Team) -> Finished:
    with RunLock(state.run):
        try:
            return _trained(state, layout, printer, team)
        except RuntimeError as error:
            _say_lost(error, team)
        state = TrainState.resume(state.run.path, state.store, TrainConfig(device="cpu"), printer.on_event)
        return _trained(state, layout, printer, team)


def _say_lost(error: RuntimeError, team: Team) -> None:
    """As `say_lost`; but in a team the others would not know."""
    if team.world > 1:
        raise error
    say_lost(error, "training")


def _trained(state: TrainState, layout: ProjectLayout, printer: ProgressPrinter, team: Team) -> Finished:
    """The run from here to its end."""
    with _stopping_on_signals(state.request_stop, team):
        for event in events_of(state, features=layout.features):
            printer.on_event(event)
            if isinstance(event, Finished):
                return event
    raise TrainingError("training ended without a result; the run's log.txt says more")


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
def _stopping_on_signals(request_stop: Callable[[], None], team: Team) -> Iterator[None]:
    """Ctrl+C and SIGTERM finish the step, save and end the run; a second one ends the process.

    Not so in a team: there a launcher sends on to every process what they have all got already.
    """
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: FrameType | None) -> None:
        if team.place.leads:
            say("stopping after this step; everything is saved")
        request_stop()
        if team.world == 1:
            signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
