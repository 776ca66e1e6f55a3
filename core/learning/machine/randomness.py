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
        self._device = device
        self._kept = present_numbers(self._device)
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
        others = present_numbers(self._device)
        put_numbers(self._kept, self._device)
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
            self._kept = present_numbers(self._device)
            put_numbers(others, self._device)

    def through(self, pieces: Iterator[T]) -> Iterator[T]:
        """The same pieces, each made with this state in place."""
        nothing: Any = object()
        while True:
            with self.own():
                piece = next(pieces, nothing)
            if piece is nothing:
                return
            yield piece


def present_numbers(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """The state of torch's global generators at present: the CPU's, and a CUDA device's."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def put_numbers(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    """Draw on from such a state; one of a CUDA device says nothing to another kind."""
    torch.set_rng_state(state[0])
    if device.type == "cuda" and state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
