"""A process that trains in children which it kills: `python -m tests.learning.killed_runs PLANS.json`.

torch is loaded once, here, and every sitting is a fork that runs the command line or the engine's main loop
from its beginning. What came of each sitting is printed, one JSON object a line::

    {"run": folder, "code": exit code or -9, "step": of the checkpoint it left,
     "lost_s": how old that was when the process was killed}
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import torch

import core.cli.train  # noqa: F401 - loaded here, for all children
from core.cli.main import main as command_line
from core.learning.commands import OpenProject, Train
from core.learning.config import TrainConfig
from core.learning.engine_main import engine_main
from core.learning.events import Failed, Finished
from core.learning.instant import head, learner, points, setup
from core.learning.run_status import read_status
from core.learning.runs import RunFolder

# The head of a few squares learns in no time, on an encoder of a few filters.
learner.STEPS, head.BATCH = 20, 64  # type: ignore[misc]
points.POINTS_PER_IMAGE, setup.DEFAULT_ENCODER = 256, "plain"  # type: ignore[misc]


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


def sit(project: Path, run: RunFolder, engine: bool, kill: tuple[int, float] | None) -> dict[str, Any]:
    """One sitting; killed so many seconds after its run came to so many steps, or not at all."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(sitting(project, run, engine))
    ended = 0
    while ended == 0:
        ended, status = os.waitpid(child, os.WNOHANG)
        now = read_status(run)
        if kill is not None and now is not None and now.step >= kill[0]:
            time.sleep(kill[1])
            os.kill(child, signal.SIGKILL)
            killed_at = time.time()
            _, status = os.waitpid(child, 0)
            written = run.last_checkpoint.stat().st_mtime if run.last_checkpoint.is_file() else killed_at
            break
        time.sleep(0.01)
    code = os.waitstatus_to_exitcode(status)
    now = read_status(run)
    step = -1 if now is None else now.step
    lost_s = killed_at - written if code == -signal.SIGKILL else 0.0
    return {"run": str(run.path), "code": code, "step": step, "lost_s": lost_s}


def carry_out(plan: dict[str, Any]) -> None:
    """Kill as planned, then let it end."""
    dice = random.Random(plan["seed"])
    project, run = Path(plan["project"]), RunFolder(Path(plan["run"]))
    steps = sorted(dice.randrange(plan["steps"] * 9 // 10) for _ in range(plan["kills"]))
    if steps:
        steps[0] = 0  # once before anything of it was saved
    for kill in (*((step, dice.uniform(0.0, 0.08)) for step in steps), None):
        print(json.dumps(sit(project, run, plan["engine"], kill)), flush=True)


if __name__ == "__main__":
    for one in json.loads(Path(sys.argv[1]).read_text()):
        carry_out(one)
