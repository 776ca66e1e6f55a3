"""Several processes that do one job together, as `torchrun` starts them, and which of them this one is.

Torch-free. How they talk: `core.learning.training.team`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from core.errors import UsageError
from core.files import write_atomic
from core.learning.runs.run_folder import RunFolder

T = TypeVar("T")

JOB_FILE: Final = "job.txt"


@dataclass(frozen=True, slots=True)
class Place:
    """Which process of how many this one is.

    Attributes:
        rank: 0..world - 1; 0 leads: it alone writes and prints.
        world: processes in all, over all machines.
        local_rank: rank on this machine, which chooses the GPU.
        restarts: how often the job was started again after a process was lost.
        job: names the job, the same after a restart; empty where no launcher started this process.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    restarts: int = 0
    job: str = ""

    @classmethod
    def here(cls, environment: Mapping[str, str] | None = None) -> Place:
        """What `torchrun` says in the environment; alone where it says nothing.

        Raises:
            UsageError: the variables contradict each other.
        """
        said = os.environ if environment is None else environment
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= said.keys():
            return cls()
        rank, world, local_rank, restarts = (
            _whole_number(said, name)
            for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
        )
        if not 0 <= rank < world:
            raise UsageError(f"RANK is {rank} of WORLD_SIZE {world}; it must be from 0 to {world - 1}")
        return cls(rank, world, local_rank, restarts, _job(said))

    @property
    def leads(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of a list that all processes have in the same order: every `world`-th item."""
        return list(items[self.rank :: self.world])


def _whole_number(said: Mapping[str, str], name: str) -> int:
    text = said.get(name, "0")
    try:
        return int(text)
    except ValueError as error:
        raise UsageError(f"the environment variable {name} is {text!r}; it must be a whole number") from error


def _job(said: Mapping[str, str]) -> str:
    """A name that no other job has: the launcher's run id, or where that is none, its address and process."""
    run_id = said.get("TORCHELASTIC_RUN_ID", "none")
    if run_id != "none":
        return run_id
    return f"{said['MASTER_ADDR']}:{said['MASTER_PORT']} of process {os.getppid()}"


def note_job(run: Path, place: Place) -> None:
    """Remember in a run's folder which job trains it. Raises StorageError."""
    if place.job:
        write_atomic(run / JOB_FILE, place.job.encode() + b"\n")


def run_of_job(runs: Sequence[Path], place: Place) -> Path | None:
    """The newest of these runs that the same job has trained before it was started again.

    None where it was not, or where no run of it got as far as a checkpoint.
    """
    if not place.restarts:
        return None
    for run in reversed(runs):
        with contextlib.suppress(OSError):
            if (run / JOB_FILE).read_text(encoding="utf-8").strip() == place.job:
                return run if RunFolder(run).last_checkpoint.is_file() else None
    return None
