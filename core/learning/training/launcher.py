"""The store of the launcher that started this process: there processes meet, and notes outlive a restart."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from core.errors import LostProcessError
from core.learning.training.distributed import Place

PATIENCE: Final = timedelta(hours=2)
"""How long a process waits for the others: the leader may be scoring thousands of images. A process that died
is noticed at once, by its closed connections."""
LOOK_S: Final = 0.05
"""Between two looks of the leader at who has come."""
RUN_KEY: Final = "run"
"""The run of this job, by the name of its folder; "" once it has come to its end."""


class Launcher:
    """What a process asks of its launcher.

    Args:
        place: which process asks.

    Attributes:
        store: the launcher's, which outlives a restart; or one that goes with the process that leads.

    Raises:
        LostProcessError: as all methods do, the store cannot be reached.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        with known_as_lost(place, "its launcher"):
            meeting = rendezvous("env://", rank=place.rank, world_size=place.world, timeout=PATIENCE)
            self.store: Store = PrefixStore("maskloop", next(meeting)[0])

    def note_run(self, name: str) -> None:
        """Remember the run of this job; "": none any more."""
        with known_as_lost(self._place, "its launcher"):
            self.store.set(RUN_KEY, name)

    def noted_run(self) -> str | None:
        """The run that was noted, if any."""
        with known_as_lost(self._place, "its launcher"):
            return self.store.get(RUN_KEY).decode() or None if self.store.check([RUN_KEY]) else None


def outlives_restarts() -> bool:
    """Whether the launcher itself keeps the store of its processes."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)


@contextlib.contextmanager
def known_as_lost(place: Place, whom: str) -> Iterator[None]:
    """In it, torch's errors of connections that broke are LostProcessErrors."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"process {place.rank} of {place.world} lost {whom}; what was saved last is there:"
            " continue with --resume, or start with torchrun's --max-restarts"
        ) from error


def store_of_this_start(launcher: Store, place: Place) -> Store:
    """A part of the launcher's store that the processes of this start have to themselves.

    The launcher's may outlive a restart, with what processes that are gone have left there, and launchers on
    several machines do not count restarts alike. So every process asks the leader anew, under a name that it
    makes up, and only those that hear the answer are there.

    Raises:
        RuntimeError: the others have not come within `PATIENCE`, or the launcher is gone.
    """
    if not place.leads:
        name = uuid.uuid4().hex
        launcher.set(f"asks {place.rank}", name)
        start = PrefixStore(launcher.get(f"start for {name}").decode(), launcher)
        start.set(name, "")
        return start
    token = uuid.uuid4().hex
    start = PrefixStore(token, launcher)
    end_s = time.monotonic() + PATIENCE.total_seconds()
    while time.monotonic() < end_s:
        names = [launcher.get(f"asks {rank}").decode() for rank in range(1, place.world)]
        for name in names:
            launcher.set(f"start for {name}", token)
        if start.check(names):
            return start
        time.sleep(LOOK_S)
    raise RuntimeError("the other processes have not come")
