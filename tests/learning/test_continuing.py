"""When pressing Train again goes on with the last run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from core.annotation.model import ClassList
from core.learning.config import TrainConfig
from core.learning.runs.continuing import asks_for_the_same, can_continue, continued_as
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import RunStatus, status_file, write_status
from core.learning.training.state import TrainState

RUN = TrainConfig(
    model="unet", join_instant=True, encoder="tf_efficientnet_lite0", crop=256, lr=1e-3, seconds=60.0
)
CHOSEN = TrainConfig(model="auto", seconds=300.0)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"seconds": None},
        {"device": "cuda", "threads": 4, "patience": 3},
        {"encoder": "tf_efficientnet_lite0"},
        {"crop": 256},
    ],
)
def test_another_length_and_place_is_the_same_run(change) -> None:
    assert asks_for_the_same(replace(CHOSEN, **change), RUN)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "unet"},  # without the instant learner
        {"model": "fcn8s"},
        {"encoder": "resnet18"},
        {"encoder_weights": "none"},
        {"preset": "best"},
        {"crop": 128},
        {"seed": 1},
        {"folds": 3},
        {"schedule_steps": 100},
        {"model_options": (("width", 16),)},
    ],
)
def test_whoever_chooses_something_else_gets_a_new_run(change) -> None:
    assert not asks_for_the_same(replace(CHOSEN, **change), RUN)


def test_a_schedule_of_its_own_is_given_up_in_a_new_run() -> None:
    assert not asks_for_the_same(CHOSEN, replace(RUN, schedule_steps=100))


@pytest.mark.parametrize(
    ("chosen", "budget"),
    [
        ({"steps": 500, "seconds": None}, (500, None)),
        ({"steps": 500, "seconds": 60.0}, (500, 60.0)),
        ({"steps": None, "seconds": 60.0}, (None, 60.0)),
        ({"steps": None, "seconds": None}, (None, math.inf)),
    ],
)
def test_for_how_long_and_where_a_run_goes_on_is_chosen_now(tmp_path, chosen, budget) -> None:
    run = RunFolder(tmp_path / "run")
    run.write_config(replace(RUN, device="cuda", threads=8, patience=9))
    asked = continued_as(replace(CHOSEN, device="cpu", threads=1, patience=3, **chosen), run)
    assert (asked.steps, asked.seconds) == budget
    assert (asked.device, asked.threads, asked.patience) == ("cpu", 1, 3)
    assert (asked.crop, asked.lr) == (256, 1e-3), "all else is as it was"


@pytest.mark.parametrize("status", ["right", "lost", "ahead"])
def test_a_run_goes_on_for_the_steps_that_are_chosen(world, start, run, status: str) -> None:
    """After those that are saved: a run that failed had come further."""
    world.put_done(1, 2)
    ended = start(steps=2)
    run(ended)
    if status == "lost":
        status_file(ended.run).write_bytes(b"damaged")
    elif status == "ahead":
        write_status(ended.run, RunStatus(state="failed", step=40))
    asked = continued_as(TrainConfig(steps=3, device="cpu"), ended.run)
    again = TrainState.resume(ended.run.path, world.store, asked, lambda _: None, as_chosen=True)
    run(again)
    assert again.step == 5


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize(
    ("chosen", "as_chosen", "followed"),
    [
        ({}, True, ("auto", None, None)),
        ({}, False, ("cpu", 2, 5)),
        ({"threads": 1, "patience": 3}, True, ("auto", 1, 3)),
        ({"threads": 1, "patience": 3}, False, ("cpu", 1, 3)),
    ],
)
def test_what_is_taken_back_in_the_panel_no_longer_holds(
    world, start, run, saved, chosen, as_chosen, followed
) -> None:
    """Where nothing is asked for, as on the command line, a run is as it was."""
    world.put_done(1, 2)
    state = start(steps=1, device="cpu", threads=2, patience=5)
    if saved:
        run(state)
    asked = continued_as(TrainConfig(steps=3, **chosen), state.run)
    again = TrainState.resume(state.run.path, world.store, asked, lambda _: None, as_chosen=as_chosen)
    assert (again.config.device, again.config.threads, again.config.patience) == followed


def test_a_run_goes_on_while_the_classes_are_what_it_learned(world, start, run) -> None:
    world.put_done(1, 2)
    state = start(steps=2)
    folder, classes = state.run, world.store.classes
    assert not can_continue(folder, classes)  # nothing is saved yet
    run(state)
    assert can_continue(folder, classes)
    renamed = ClassList((replace(classes.by_index(3), name="coin"), *list(classes)[1:]), classes.background)
    assert can_continue(folder, renamed)
    fewer = ClassList(tuple(c for c in classes if c.index != 7), classes.background)
    assert not can_continue(folder, fewer)
    kept = folder.best_weights.read_bytes()
    folder.best_weights.write_bytes(b"damaged")
    assert not can_continue(folder, classes)
    folder.best_weights.write_bytes(kept)
    folder.write_config(replace(folder.config, folds=3))
    assert not can_continue(folder, classes)


def test_a_run_whose_time_is_up_can_go_on_without_a_limit(world, start, resume, run) -> None:
    world.put_done(1, 2)
    ended = start(steps=2)
    run(ended)
    same = resume(steps=None, seconds=None)
    assert same.over()  # its own limit still holds
    endless = resume(steps=None, seconds=math.inf)
    assert endless.budget.endless
    assert not endless.over()


def test_so_can_one_that_was_cut_short_before_it_was_saved(world, start, resume) -> None:
    world.put_done(1, 2)
    cut = start(steps=2)
    assert not cut.run.last_checkpoint.exists()
    again = resume(steps=None, seconds=math.inf)
    assert again.resumed_step == 0
    assert again.budget.endless
    assert again.run.config.seconds is None
