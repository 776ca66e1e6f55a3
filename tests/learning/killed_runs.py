"""A process that trains in children which it kills: `python -m tests.learning.killed_runs PLANS.json`.

torch is loaded once, here, and every sitting is a fork that runs the command line or the engine's main loop
from its beginning. What came of each sitting is printed, one JSON object a line::

    {"run": folder, "code": exit code or -9, "step": of the checkpoint it left,
     "lost_s": training that this does not have when the process is killed, by the clock on the wall,
     "slowest_s": the longest time from one step's beginning to the next one's, or to the kill}
"""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Final

import torch

import core.cli.train  # noqa: F401 - loaded here, for all children
from core import files
from core.cli.main import main as command_line
from core.learning.commands import OpenProject, Train
from core.learning.config import TrainConfig
from core.learning.engine.main import engine_main
from core.learning.events import Failed, Finished
from core.learning.instant import head, learner, points, setup
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import read_status
from core.learning.training import fit

# The head of a few squares learns in no time, on an encoder of a few filters.
learner.STEPS, head.BATCH = 20, 64  # type: ignore[misc]
points.POINTS_PER_IMAGE, setup.DEFAULT_ENCODER = 256, "plain"  # type: ignore[misc]


MARK: Final = struct.Struct("d")
TORN: Final = "torn"
ALL_KILLS_WITHIN_S: Final = 120.0
"""A machine that is busy with other work takes that long for the first run: there fewer kills have to do."""


def sitting(project: Path, run: RunFolder, engine: bool) -> int:
    """In a child: go on with the run until its end."""
    torch.set_num_threads(1)
    if not engine:
        return command_line(["train", str(project), "--resume", "--json"])
    ours, theirs = Pipe()
    # The engine is this process's main thread, for its signals; the window is the other one.
    ours.send(OpenProject(root=str(project)))
    ours.send(Train(config=TrainConfig(), resume_run=str(run.path)))

    def window() -> None:
        while not isinstance(event := ours.recv(), Finished | Failed):
            pass
        if isinstance(event, Failed):
            print(event.text, event.detail, file=sys.stderr, flush=True)
        os._exit(0 if isinstance(event, Finished) else 1)

    threading.Thread(target=window, daemon=True).start()
    return engine_main(theirs, threads=1)


def with_marks(step: Callable[[fit.TrainState], str | None], pipe: int) -> Callable[..., str | None]:
    """A step that first writes the time into the pipe."""

    def marked(state: fit.TrainState) -> str | None:
        os.write(pipe, MARK.pack(time.time()))
        return step(state)

    return marked


def torn(write: Callable[..., Path]) -> Callable[..., Path]:
    """A writing of files that is killed in the middle of the second checkpoint."""
    checkpoints = 0

    def killed(target: Path, data: bytes, **how: bool) -> Path:
        nonlocal checkpoints
        checkpoints += target.name == "last.ckpt"
        if target.name != "last.ckpt" or checkpoints < 2:
            return write(target, data, **how)
        (target.parent / f"{files.TEMPORARY_PREFIX}torn.tmp").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives that")

    return killed


def sit(project: Path, run: RunFolder, engine: bool, kill: tuple[int, float] | str | None) -> dict[str, Any]:
    """One sitting.

    It is killed so many seconds after its run came to so many steps, or TORN: while it writes a checkpoint;
    or not at all.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        fit.step = with_marks(fit.step, writing)
        if kill == TORN:
            files.write_temporary = torn(files.write_temporary)
        os._exit(sitting(project, run, engine))
    os.close(writing)
    ended = 0
    while ended == 0:
        ended, status = os.waitpid(child, os.WNOHANG)
        now = read_status(run)
        if isinstance(kill, tuple) and ended == 0 and now is not None and now.step >= kill[0]:
            time.sleep(kill[1])
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.01)
    killed_at = time.time()
    with os.fdopen(reading, "rb") as pipe:
        began = [at for (at,) in MARK.iter_unpack(pipe.read())]
    code = os.waitstatus_to_exitcode(status)
    now = read_status(run)
    step = -1 if now is None else now.step
    lost_s = slowest_s = 0.0
    if code == -signal.SIGKILL and began:
        written = run.last_checkpoint.stat().st_mtime
        lost_s = killed_at - max(written, began[0])
        slowest_s = max(later - at for at, later in pairwise([*began, killed_at]))
    return {"run": str(run.path), "code": code, "step": step, "lost_s": lost_s, "slowest_s": slowest_s}


def carry_out(plan: dict[str, Any], until_s: float) -> None:
    """Kill as planned, then let it end; from that time on only the first, the torn and the last kill."""
    dice = random.Random(plan["seed"])
    project, run = Path(plan["project"]), RunFolder(Path(plan["run"]))
    steps = sorted(dice.randrange(plan["steps"] * 9 // 10) for _ in range(plan["kills"]))
    if steps:
        steps[0] = 0  # once before anything of it was saved
    kills = [(step, dice.uniform(0.0, 0.08)) for step in steps]
    for kill in (*kills[:1], *[TORN] * plan["torn"], *kills[1:], None):
        if kill in kills[1:-1] and time.monotonic() > until_s:
            continue
        print(json.dumps(sit(project, run, plan["engine"], kill)), flush=True)


if __name__ == "__main__":
    until_s = time.monotonic() + ALL_KILLS_WITHIN_S
    for one in json.loads(Path(sys.argv[1]).read_text()):
        carry_out(one, until_s)
