"""A run that was interrupted goes on as if nothing had happened."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from core.annotation.model import ClassList
from core.errors import WeightsFileError
from core.learning.config import TrainConfig
from core.learning.events import Checkpointed, Finished, Notice, StepDone, TrainingStarted
from core.learning.runs.checkpoint import load_checkpoint, save_checkpoint
from core.learning.runs.run_folder import RunFolder
from core.learning.training.fit import TrainState, fit


def _weights(state) -> dict[str, torch.Tensor]:
    """Copies of everything that learns: network, average, optimizer."""
    learner = state.learner
    tensors = {f"network.{name}": value for name, value in learner.network.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in learner.ema.network.state_dict().items()}
    for number, values in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    return {name: value.clone() for name, value in tensors.items()}


def _assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert different == []


def _abandon_after(state, step: int) -> int:
    """Train, drop everything at the first checkpoint from `step` on, as a kill would; its step."""
    for event in fit(state):
        if isinstance(event, Checkpointed) and event.step >= step:
            return event.step
    raise AssertionError("the run ended without a checkpoint")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model": "fcn8s", "model_options": (("encoder_width", 4), ("fc", 16))},  # stages and dropout
        {"batch": 3, "turns": True, "ema": 0.9, "class_weights": "median_frequency"},
    ],
    ids=["unet", "fcn-in-stages", "other-settings"],
)
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(world, start, resume, run, settings) -> None:
    world.put_done(1, 2)
    world.put_drawn(3, 3)
    whole = start(steps=12, **settings)
    run(whole)
    cut = start(steps=12, checkpoint_every_s=0.0, **settings)
    step = _abandon_after(cut, 5)
    assert step < 12
    del cut
    torch.manual_seed(999)  # whatever ran in between
    resumed = resume()
    events = run(resumed)
    assert events[-1].resumed_step == step
    assert events[-1].steps == 12
    _assert_same(_weights(resumed), _weights(whole))


CHILD = """
import sys, time
from pathlib import Path
import numpy as np, torch
from core.annotation.model import AnnotationState, ClassList, LabelClass
from core.learning.labels.data import LabelStore
from core.learning.training.fit import TrainState, fit
from core.learning.runs.run_folder import RunFolder
torch.set_num_threads(1)
folder, template, run = map(Path, sys.argv[1:])
store = LabelStore(ClassList((LabelClass(3, "disc", "#ff0000"), LabelClass(0, "background", "#000000"),
                              LabelClass(7, "square", "#0000ff")), 0))
for mask in sorted(folder.glob("*.npy")):
    image = mask.with_suffix(".png")
    store.put(image.name, image, np.load(mask), AnnotationState.DONE)
for event in fit(TrainState.create(RunFolder(template).config, store, run, print)):
    time.sleep(0.05)
"""


@pytest.mark.skipif(sys.platform != "win32", reason="test_killed_runs.py kills many times where forks are")
def test_a_process_killed_at_any_moment_loses_nothing_that_was_saved(world, config, run, tmp_path) -> None:
    for number in (1, 2):
        picture = world.picture(number)
        np.save(picture.path.with_suffix(".npy"), picture.mask)
    world.put_done(1, 2)
    settings = config(steps=30, checkpoint_every_s=0.0)
    RunFolder(tmp_path / "template").write_config(settings)
    whole = TrainState.create(settings, world.store, tmp_path / "whole", print)
    run(whole)
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", CHILD, str(world.folder), str(tmp_path / "template"), str(killed)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        _wait_for_step(killed / "last.ckpt", 5, child)
    finally:
        child.kill()  # SIGKILL: nothing is tidied up
        child.wait()
    resumed = TrainState.resume(killed, world.store, TrainConfig(), print)
    assert 5 <= resumed.step < 30
    run(resumed)
    _assert_same(_weights(resumed), _weights(whole))


def _wait_for_step(path: Path, step: int, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        if path.is_file() and load_checkpoint(path)["step"] >= step:
            return
        time.sleep(0.02)
    raise AssertionError("the child ended by itself")


def test_more_steps_can_be_asked_for(world, start, resume, run) -> None:
    world.put_done(1)
    run(start(steps=4))
    finished = run(resume(steps=9))[-1]
    assert (finished.steps, finished.resumed_step) == (9, 4)


def test_seconds_are_added_to_what_the_run_had(world, start, resume, run) -> None:
    world.put_done(1)
    run(start(steps=4))
    state = resume(seconds=0.5)
    had_s = load_checkpoint(state.run.path / "last.ckpt")["seconds"]
    started, *_, finished = run(state)
    assert isinstance(started, TrainingStarted)
    assert (started.steps, started.resumed_step) == (None, 4)
    assert started.seconds == pytest.approx(had_s + 0.5)
    assert finished.reason == "budget"


def test_a_finished_run_resumed_without_a_budget_ends_at_once(world, start, resume, run) -> None:
    world.put_done(1)
    first = run(start(steps=4))[-1]
    again = run(resume())[-1]
    assert isinstance(again, Finished)
    assert again.steps == 4
    assert again.best_miou == pytest.approx(first.best_miou)


def test_the_best_score_of_before_still_has_to_be_beaten(world, start, resume, run) -> None:
    world.put_done(1)
    run(start(steps=4))
    state = resume(steps=6)
    state.best.miou = state.best.compared = 0.999
    weights = state.run.best_weights.read_bytes()
    assert run(state)[-1].best_miou == 0.999
    assert state.run.best_weights.read_bytes() == weights


def test_rows_of_steps_that_are_done_again_appear_once(world, start, resume, run) -> None:
    world.put_done(1)
    state = start(steps=30, checkpoint_every_s=1e9)
    for event in fit(state):
        if isinstance(event, StepDone) and event.step >= 12:
            break  # killed long after the only checkpoint, that of step 0
    resumed = resume()
    assert resumed.step == 0
    run(resumed)
    steps = [row["step"] for row in resumed.run.read_metrics() if row["loss"] is not None]
    assert steps == sorted(set(steps))


def test_labels_that_changed_meanwhile_are_learned(world, start, resume, run) -> None:
    world.put_drawn(1, 3, 0)
    run(start(steps=4))
    world.put_done(2)
    state = resume(steps=8)
    assert "2.png" in state.sampler.keys
    assert run(state)[-1].steps == 8


def test_held_out_images_stay_held_out(world, start, resume, run) -> None:
    world.put_done(*range(1, 9))
    state = start(steps=3, validation="auto")
    held_out = state.validator.plan.held_out
    assert held_out
    run(state)
    world.put_done(*range(20, 40))
    assert resume(steps=5).validator.plan.held_out == held_out


def test_classes_that_came_meanwhile_are_refused_with_their_names(world, start, resume, run) -> None:
    world.put_done(1)
    run(start(steps=2))
    classes = world.store.classes
    star = classes[0].__class__(9, "star", "#ffffff")
    world.store.set_classes(ClassList((*classes.classes, star), classes.background))
    with pytest.raises(WeightsFileError, match=r"last\.ckpt.*star came.*start a new run"):
        resume()


def test_reordered_and_renamed_classes_are_no_obstacle(world, start, resume, run) -> None:
    world.put_done(1)
    run(start(steps=2))
    disc, background, square = world.store.classes.classes
    round_one = disc.__class__(disc.index, "round", disc.color)
    world.store.set_classes(ClassList((background, square, round_one), background.index))
    state = resume(steps=3)
    assert state.channels.classes.names == ("round", "background", "square")
    run(state)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of a file", None])
def test_a_missing_or_damaged_checkpoint_is_named(world, start, resume, run, content) -> None:
    world.put_done(1)
    state = start(steps=2)
    run(state)
    if content is None:
        state.run.last_checkpoint.unlink()
    else:
        state.run.last_checkpoint.write_bytes(content)
    with pytest.raises(WeightsFileError, match=r"last\.ckpt: .*start a new run"):
        resume()


def test_a_truncated_checkpoint_is_named(world, start, resume, run) -> None:
    world.put_done(1)
    state = start(steps=2)
    run(state)
    whole = state.run.last_checkpoint.read_bytes()
    state.run.last_checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsFileError, match="damaged"):
        resume()


@pytest.mark.parametrize("pickled", [b"\x80\x02.", b"\x80\x02K\x01K\x02K\x03s.", b"\x80\x02K\x01K\x02b."])
def test_a_checkpoint_of_which_a_few_bytes_are_others_is_named(tmp_path, pickled: bytes) -> None:
    whole, path = tmp_path / "whole.ckpt", tmp_path / "last.ckpt"
    save_checkpoint(whole, {"weights": torch.ones(2)})
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            after.writestr(name, pickled if name.endswith("data.pkl") else before.read(name))
    with pytest.raises(WeightsFileError, match=r"last\.ckpt: the checkpoint is damaged; start a new run"):
        load_checkpoint(path)


def test_nothing_in_a_checkpoint_is_unpickled(tmp_path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"format": "maskloop checkpoint 1", "trap": _Trap()}, path)
    with pytest.raises(WeightsFileError):
        load_checkpoint(path)
    save_checkpoint(path, {"step": 3, "weights": torch.ones(2)})
    assert load_checkpoint(path)["step"] == 3


class _Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('a file was unpickled')",)


def test_a_checkpoint_is_written_at_least_as_often_as_promised(world, start, monkeypatch) -> None:
    world.put_done(1)
    now = [0.0]
    monkeypatch.setattr("core.learning.machine.clock.time.perf_counter", lambda: now[0])
    state = start(steps=40, checkpoint_every_s=10.0)
    output = type(state.learner.network).training_output

    def slow_step(network, x):
        now[0] += 3.0
        return output(network, x)

    monkeypatch.setattr(type(state.learner.network), "training_output", slow_step)
    saved = [(event.step, state.clock.seconds) for event in fit(state) if isinstance(event, Checkpointed)]
    gaps = [later[1] - earlier[1] for earlier, later in itertools.pairwise(saved)]
    assert 3.0 <= max(gaps) <= 10.0


def test_a_resumed_run_says_where_it_went_on(world, start, resume, run) -> None:
    world.put_done(1)
    run(start(steps=4))
    events = run(resume(steps=5))
    assert events[0].resumed_step == 4
    assert not [event for event in events if isinstance(event, Notice)]
