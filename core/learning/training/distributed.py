"""Several processes that do one job together, as `torchrun` starts them, and which of them this one is.

Torch-free. How they talk: `core.learning.training.team`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Which process of how many this one is.

    Attributes:
        rank: 0..world - 1; 0 leads: it alone writes and prints.
        world: processes in all, over all machines.
        local_rank: rank on this machine, which chooses the GPU.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def here(cls, environment: Mapping[str, str] | None = None) -> Place:
        """What `torchrun` says in the environment; alone where it says nothing.

        Raises:
            UsageError: the variables contradict each other.
        """
        said = os.environ if environment is None else environment
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= said.keys():
            return cls()
        rank, world, local_rank = (_whole_number(said, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if not 0 <= rank < world:
            raise UsageError(f"RANK is {rank} of WORLD_SIZE {world}; it must be from 0 to {world - 1}")
        return cls(rank, world, local_rank)

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
