"""kill -9 at any moment, again and again: the run ends with the weights of one that was left alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from core.learning.config import TrainConfig
from core.learning.events import Event
from core.learning.labels.data import LabelStore
from core.learning.runs.checkpoint import load_checkpoint
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import read_status
from core.learning.training.fit import TrainState
from core.project.project import Project
from tests.tiny import TINY, squares_project

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="forks"),
    pytest.mark.timeout(1200),  # with what comes before them, on a machine that hardly runs
]

DEEP = replace(TINY, steps=20, checkpoint_every_s=0.1)
KILLS_TORN = {"command-line": 1}
"""So many of them in the middle of writing a checkpoint, beside the others."""
STILL_S, MOST_STILL = 0.1, 0.3
"""On a machine of our own four tests at a time on two cores take turns every few milliseconds."""
RUNS = {
    "command-line": (DEEP, 6, False),
    # A network that drops features at random, in three stages.
    "engine": (
        replace(DEEP, model="fcn8s", model_options=(("encoder_width", 4), ("fc", 16)), steps=18),
        3,
        True,
    ),
    "both-learners": (replace(DEEP, steps=12, join_instant=True), 2, False),
}
"""Configuration, kills, and whether the engine trains or the command line."""


@dataclass
class Pair:
    """A run that was killed again and again, and its twin that was left alone."""

    config: TrainConfig
    killed: Path
    whole: Path
    sittings: list[dict[str, float]]


def share_stood_still(seconds: float = 10.0) -> float:
    """Of some time, how much passed while a loop that only looks at the clock was not running."""
    began = last = time.perf_counter()
    still = 0.0
    while last - began < seconds:
        now = time.perf_counter()
        still += now - last if now - last > STILL_S else 0.0
        last = now
    return still / (last - began)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """All of them, trained by one process that loads torch once."""
    folder = tmp_path_factory.mktemp("killed")
    plans = []
    found = {}
    for number, (name, (config, kills, engine)) in enumerate(RUNS.items()):
        pair = Pair(config, *(begun(folder / f"{name}-{twin}", config) for twin in ("killed", "whole")), [])
        found[name] = pair
        about = {"steps": config.steps, "seed": number, "engine": engine}
        for run, count in ((pair.killed, kills), (pair.whole, 0)):
            torn = KILLS_TORN.get(name, 0) if count else 0
            plan = {"project": str(run.parents[1]), "run": str(run), "kills": count, "torn": torn}
            plans.append({**plan, **about})
    file = folder / "plans.json"
    file.write_text(json.dumps(plans))
    command = [sys.executable, "-m", "tests.learning.killed_runs", str(file)]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=400, check=False
        )
    except subprocess.TimeoutExpired:
        if (still := share_stood_still()) < MOST_STILL:
            raise
        pytest.skip(f"other programs leave this machine too little: a loop stood still for {still:.0%} of it")
    assert done.returncode == 0, done.stderr[-2000:]
    for line in done.stdout.splitlines():
        sitting = json.loads(line)
        for pair in found.values():
            if sitting["run"] == str(pair.killed):
                pair.sittings.append(sitting)
    return found


def begun(root: Path, config: TrainConfig) -> Path:
    """A project of its own with a run in it that has not done a step; the run's folder."""
    squares_project(root, [(8, 8 + n, 39, 39) for n in range(4)], side=64, labelled=4)
    run = root / "runs" / "2026-01-02_03-04-05-unet"
    with Project.open(root) as project:
        TrainState.create(config, LabelStore.from_project(project), run, quiet)
    return run


def quiet(_event: Event) -> None:
    pass


def assert_same_tensors(one: object, other: object, where: str = "") -> None:
    """Bit for bit, down to the last table of a checkpoint."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name, value in one.items():
            assert_same_tensors(value, other[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, value in enumerate(one):
            assert_same_tensors(value, other[number], f"{where}[{number}]")
    else:
        assert one == other, where


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(pairs, name) -> None:
    pair = pairs[name]
    *cut, last = pair.sittings
    torn = KILLS_TORN.get(name, 0)
    assert 2 + torn <= len(cut) <= RUNS[name][1] + torn, "a starved machine leaves some of them out"
    assert {sitting["code"] for sitting in cut} == {-9}
    steps = [sitting["step"] for sitting in cut]
    assert steps == sorted(steps)  # what was saved is never lost
    assert 0 < steps[-1] <= pair.config.steps  # the end, when both learners are joined, may be hit as well
    assert (last["code"], last["step"]) == (0, pair.config.steps)
    one, other = (load_checkpoint(run / "last.ckpt")["learner"] for run in (pair.killed, pair.whole))
    assert_same_tensors(one, other)
    # What people use is the file of the best weights: the same scores chose the same ones.
    assert tensors_of(pair.killed / "best.safetensors") == tensors_of(pair.whole / "best.safetensors")
    status = read_status(RunFolder(pair.killed))
    assert status is not None
    assert status.state == "finished"
    rows = [row["step"] for row in RunFolder(pair.killed).read_metrics() if row["loss"] is not None]
    assert rows == sorted(set(rows))
    assert [path.name for path in pair.killed.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize("name", RUNS)
def test_a_kill_costs_no_more_than_what_comes_between_two_checkpoints(pairs, name) -> None:
    """However slow the machine is: all of that is in the time of a step and what came with it."""
    pair = pairs[name]
    lost = [sitting for sitting in pair.sittings if sitting["lost_s"]]
    assert lost, "some kill has to hit the training"
    for sitting in lost:
        assert sitting["lost_s"] <= pair.config.checkpoint_every_s + 3 * sitting["slowest_s"] + 0.2, sitting


def tensors_of(path: Path) -> bytes:
    """The numbers of a safetensors file; its header also says how many seconds they took."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little") :]
