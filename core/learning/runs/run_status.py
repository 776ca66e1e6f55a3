"""How far a run has come and how it ended, beside its checkpoint, so that a window can tell without torch.

::

    status.json   {"state": "going" | "finished" | "stopped" | "failed", "step": int, "seconds": float,
                   "declined": bool}

A run that says it is going while no process trains it was cut short: its process was killed, crashed or
left. Such a run is offered to be resumed until somebody declines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

import msgspec

from core.errors import StorageError, TrainingError
from core.files import write_atomic
from core.learning.runs.run_folder import RunFolder

RunState: TypeAlias = Literal["going", "finished", "stopped", "failed"]

LOCK_FILE: Final = ".maskloop-lock"


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `status.json` says.

    Attributes:
        state: "stopped" by a person, "failed" with a sentence that was told.
        step, seconds: of the last checkpoint.
        declined: somebody was offered to go on with it and did not want to.
    """

    state: RunState
    step: int = 0
    seconds: float = 0.0
    declined: bool = False


def status_file(run: RunFolder) -> Path:
    """`status.json` of a run."""
    return run.path / "status.json"


def read_status(run: RunFolder) -> RunStatus | None:
    """What is known; None of a run of before there were such files, and of one whose file is damaged."""
    try:
        return msgspec.json.decode(status_file(run).read_bytes(), type=RunStatus)
    except (OSError, msgspec.DecodeError):
        return None


def write_status(run: RunFolder, status: RunStatus) -> None:
    """Replace the file. Raises StorageError."""
    write_atomic(status_file(run), msgspec.json.encode(status) + b"\n")


@dataclass(frozen=True, slots=True)
class CutShort:
    """A run that ended without having been finished or stopped.

    Attributes:
        path: its folder.
        step: that it goes on from, if it is resumed.
        said: the sentence, where it is another than a run's.
    """

    path: Path
    step: int
    said: str = ""

    def sentence(self) -> str:
        """What happened, for a person: "Training of 06:12 was cut short at step 140."."""
        if self.said:
            return self.said
        name = RunFolder(self.path).spoken_name().removeprefix("run of ")
        when = f"at step {self.step}" if self.step else "before its first steps were saved"
        return f"Training of {name} was cut short {when}."

    def held_elsewhere(self) -> bool:
        """Whether some process is at it still, so that it was not cut short, or not yet."""
        return RunLock(RunFolder(self.path)).held_elsewhere()


def unfinished(folders: Iterable[Path]) -> CutShort | None:
    """The last of these runs, oldest first, if it has not ended and nobody has declined to go on with it.

    It was cut short, unless some process trains it still. Earlier ones do not count: whoever has trained
    again since has had the choice.
    """
    runs = [RunFolder(path) for path in folders]
    if not runs:
        return None
    last = runs[-1]
    status = read_status(last)
    if status is None or status.state != "going" or status.declined or not can_go_on(last):
        return None
    return CutShort(last.path, status.step)


def can_go_on(run: RunFolder) -> bool:
    """Whether it can be resumed: from its checkpoint, or from its start if it was cut short before one."""
    if run.last_checkpoint.is_file():
        return True
    status = read_status(run)
    return status is not None and status.state == "going" and run.config_file.is_file()


def decline(run: RunFolder) -> None:
    """Do not offer this run again until it was resumed and cut short once more. Raises StorageError."""
    status = read_status(run)
    if status is not None:
        write_status(run, msgspec.structs.replace(status, declined=True))


class RunLock:
    """Held by the process that trains a run; the operating system frees it, however that process ends."""

    def __init__(self, run: RunFolder) -> None:
        from filelock import FileLock  # 70 ms that only those pay who train or open a project

        self._run = run
        self._lock = FileLock(run.path / LOCK_FILE, thread_local=False)

    def acquire(self) -> None:
        """Take it at once.

        Raises:
            TrainingError: another process trains this run.
            StorageError: the run's folder cannot be written.
        """
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise TrainingError(
                f"{self._run.path}: this run is going on in another program; stop it there first"
            ) from error
        except OSError as error:
            raise StorageError.from_os_error(self._run.path, error) from error

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Give it back; without it nothing happens."""
        self._lock.release(force=True)

    def held_elsewhere(self) -> bool:
        """Whether somebody holds it at present."""
        try:
            self.acquire()
        except TrainingError:
            return True
        except StorageError:
            return False
        self.release()
        return False
