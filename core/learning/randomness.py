"""Random numbers of torch that belong to one piece of work, whoever else draws some meanwhile.

Networks drop features by torch's one global generator. A run that shared it with predictions, or with
another learner at work beside it, would give other weights whenever somebody looks at an image; so each has a
state of its own, which is put in place while it works::

    randomness = Randomness.seeded(0)
    with randomness.own():          and whatever is drawn here
        ...                         does not depend on what happens between two such blocks
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Randomness:
    """A state of torch's global generators, put aside while others work.

    Args:
        device: a CUDA device's generator is kept as well as the CPU's.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        self._kept = self._present()
        self._inside = False

    @classmethod
    def seeded(cls, seed: int, device: torch.device) -> Self:
        """Numbers that follow from a seed."""
        randomness = cls(device)
        with randomness.own():
            torch.manual_seed(seed)
        return randomness

    @contextlib.contextmanager
    def own(self) -> Iterator[None]:
        """What is drawn inside comes from this state; a block inside such a block is part of it."""
        if self._inside:
            yield
            return
        others = self._present()
        self._put(self._kept)
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            self._kept = self._present()
            self._put(others)

    def through(self, pieces: Iterator[T]) -> Iterator[T]:
        """The same pieces, each made with this state in place."""
        nothing: Any = object()
        while True:
            with self.own():
                piece = next(pieces, nothing)
            if piece is nothing:
                return
            yield piece

    def _present(self) -> tuple[Tensor, Tensor | None]:
        return torch.get_rng_state(), None if self._cuda is None else torch.cuda.get_rng_state(self._cuda)

    def _put(self, state: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(state[0])
        if self._cuda is not None and state[1] is not None:
            torch.cuda.set_rng_state(state[1], self._cuda)
