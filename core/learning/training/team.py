"""The processes a training loop has beside it: none, or those of one `torchrun`.

The leader (rank 0) runs the loop as ever: it alone reads the clock, validates, saves, prints and decides.
What the others have to do follows from three orders: take over a whole state, do one step, end. A step needs
all processes: each computes its part of the batch, and loss, batch statistics and gradients are those of the
whole batch, so that every process moves the same weights in the same way.

Orders and numbers travel between the processors (gloo); gradients between GPUs (nccl) where there are any.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from core.errors import DeviceError, TrainingError
from core.learning.config import DeviceChoice
from core.learning.prediction.predict import choose_device
from core.learning.training.batch_statistics import SharedBatchStatistics
from core.learning.training.distributed import Place
from core.learning.training.launcher import (
    PATIENCE,
    Launcher,
    known_as_lost,
    outlives_restarts,
    store_of_this_start,
)
from core.learning.training.losses import LossSums
from core.learning.training.sampler import Windows

P = ParamSpec("P")
R = TypeVar("R")


class Order(IntEnum):
    """What the leader wants of the others."""

    END = 0
    STATE = 1
    STEP = 2


@dataclass(frozen=True, slots=True)
class Word:
    """One exchange, as every process hears it.

    Attributes:
        order: the leader's.
        progress: share of the run that is done, by the leader's clock.
        stop: some process was asked to stop.
        in_step: all processes have drawn the same crops so far.
        message: what comes with the order.
    """

    order: Order
    progress: float
    stop: bool
    in_step: bool
    message: dict[str, Any] | None


class Team:
    """A process alone: what all processes have together is what it has itself.

    Args:
        place: which process this is; None: one that no launcher has started.
        launcher: remembers the run of this job, if there is any.
    """

    def __init__(self, place: Place | None = None, launcher: Launcher | None = None) -> None:
        self.place = Place() if place is None else place
        self._launcher = launcher

    @property
    def world(self) -> int:
        """How many processes there are."""
        return 1

    def announce(
        self, order: Order, *, progress: float = 0.0, mark: int = 0, message: dict[str, Any] | None = None
    ) -> bool:
        """Tell the others what to do next; returns whether one of them was asked to stop."""
        del order, progress, mark, message
        return False

    def own(self, windows: Windows) -> Windows:
        """This process's part of a batch."""
        return windows

    def shared_statistics(self) -> contextlib.AbstractContextManager[object]:
        """In it, batch norms in training take the statistics of all processes' crops."""
        return contextlib.nullcontext()

    def total(self, sums: LossSums) -> LossSums:
        """The sums of all processes; gradients reach this process's own."""
        return sums

    def gathered(self, values: Tensor) -> Tensor:
        """Values (N, ...) of all processes, in the order of the batch."""
        return values

    def agree(self, trouble: str | None) -> list[int]:
        """The ranks that are in trouble; every process asks at the same time."""
        return [] if trouble is None else [self.place.rank]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes."""

    def note_run(self, name: str) -> None:
        """The leader remembers which run this job trains, for as long as its launcher lives; "": none."""
        if self._launcher is not None:
            self._launcher.note_run(name)

    def noted_run(self) -> str | None:
        """The folder's name of the run that this job has trained before its launcher started it again."""
        return None if self._launcher is None else self._launcher.noted_run()


class Group(Team):
    """One of several processes.

    Args:
        place: which one.
        device: where it computes.

    Attributes:
        stop_wanted: set it to tell the leader so at the next exchange.
    """

    def __init__(self, place: Place, device: torch.device) -> None:
        launcher = Launcher(place)
        super().__init__(place, launcher)
        self.device = device
        self.stop_wanted = False
        # Whether the others can be told something now: not in the middle of a step, nor once one is lost or
        # all have ended.
        self._within_reach = True
        self._ask(self._meet, launcher)

    @property
    def world(self) -> int:
        """How many processes there are."""
        return self.place.world

    def _meet(self, launcher: Launcher) -> None:
        place = self.place
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo",
            store=store_of_this_start(launcher.store, place),
            rank=place.rank,
            world_size=place.world,
            timeout=PATIENCE,
        )

    def close(self) -> None:
        """Leave the others. The leader tells them to end, if they can still hear it."""
        with contextlib.suppress(TrainingError):
            if self.place.leads and self._within_reach:
                self.announce(Order.END)
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()

    # --- orders --------------------------------------------------------------------------------------------

    def announce(
        self, order: Order, *, progress: float = 0.0, mark: int = 0, message: dict[str, Any] | None = None
    ) -> bool:
        """As `Team.announce`.

        Args:
            order: what to do.
            progress: see `Word`.
            mark: of what was drawn so far; a step needs the same of every process.
            message: texts, numbers and tensors for the others.

        Raises:
            TrainingError: a process was lost, or does not draw the same crops.
        """
        word = self._exchange(order, progress=progress, mark=mark, message=message)
        self._within_reach = order is Order.STATE
        self._check(word)
        return word.stop

    def hear(self, mark: int = 0) -> Word:
        """The leader's next order; errors as `announce`."""
        word = self._exchange(None, mark=mark)
        self._check(word)
        return word

    def agree(self, trouble: str | None) -> list[int]:
        """As `Team.agree`."""
        flags = torch.zeros(self.world)
        flags[self.place.rank] = trouble is not None
        self._add_up(flags)
        return [rank for rank, flag in enumerate(flags.tolist()) if flag]

    def _exchange(
        self,
        order: Order | None,
        *,
        progress: float = 0.0,
        mark: int = 0,
        message: dict[str, Any] | None = None,
    ) -> Word:
        data = b"" if message is None else _packed(message)
        leads = order is not None
        # One sum says it all: what only the leader knows, the others add as 0.
        numbers = torch.zeros(6, dtype=torch.float64)
        if order is not None:
            numbers[:4] = torch.tensor([float(order), progress, len(data), mark], dtype=torch.float64)
        numbers[4], numbers[5] = float(self.stop_wanted), mark
        self._add_up(numbers)
        kind, heard, length, leaders_mark, stops, marks = numbers.tolist()
        received = None
        if length:
            buffer = torch.empty(int(length), dtype=torch.uint8)
            if leads:
                buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            self._ask(dist.broadcast, buffer, src=0)
            received = message if leads else _unpacked(buffer)
        return Word(Order(int(kind)), heard, stops > 0, marks == self.world * leaders_mark, received)

    def _check(self, word: Word) -> None:
        if word.order is Order.STEP and not word.in_step:
            raise TrainingError(
                "the processes do not draw the same crops any more: the images or labels of the project are"
                " not the same for all of them; mend that and continue with --resume"
            )

    # --- one step ------------------------------------------------------------------------------------------

    def own(self, windows: Windows) -> Windows:
        """As `Team.own`: the rank's block of the batch, which the number of processes divides."""
        return windows.pieces(len(windows.keys) // self.world)[self.place.rank]

    def shared_statistics(self) -> contextlib.AbstractContextManager[object]:
        """As `Team.shared_statistics`."""
        return SharedBatchStatistics(self._add_up, self.world)

    def total(self, sums: LossSums) -> LossSums:
        """As `Team.total`.

        The loss is a function of the sums over all pixels. Its gradient by each process's own sums is the
        same everywhere, so the gradients of all processes add up to that of the whole batch.
        """
        parts = sums.tensors()
        own = torch.cat([part.reshape(-1) for part in parts])
        whole = self._add_up(own.detach().clone())
        # The value of the whole, the gradient of the own part.
        joined = own + (whole - own.detach())
        pieces = torch.split(joined, [part.numel() for part in parts])
        return sums.with_tensors(
            [piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)]
        )

    def gathered(self, values: Tensor) -> Tensor:
        """As `Team.gathered`."""
        everyones = torch.zeros(self.world, *values.shape, dtype=values.dtype, device=values.device)
        everyones[self.place.rank] = values
        return self._add_up(everyones).flatten(0, 1)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """As `Team.sum_gradients`: one message for all of them, the last of a step."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self._add_up(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        sums = torch.split(flat, [gradient.numel() for gradient in gradients])
        torch._foreach_copy_(
            gradients, [whole.view(own.shape) for whole, own in zip(sums, gradients, strict=True)]
        )
        self._within_reach = True

    # --- the wire ------------------------------------------------------------------------------------------

    def _add_up(self, tensor: Tensor) -> Tensor:
        """Replace the tensor by its sum over all processes, bit for bit the same in each."""
        self._ask(dist.all_reduce, tensor)
        return tensor

    def _ask(self, collective: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> None:
        reached, self._within_reach = self._within_reach, False
        with known_as_lost(self.place, "the others"):
            collective(*args, **kwargs)
        self._within_reach = reached


@contextlib.contextmanager
def team_of(place: Place, choice: DeviceChoice) -> Iterator[Team]:
    """The processes beside this one, for as long as the context lasts.

    Args:
        place: which process this is.
        choice: of the device; on GPUs each process of a machine has its own.

    Raises:
        DeviceError: there are more processes than GPUs on this machine, or no GPU at all.
        LostProcessError: the others or the launcher cannot be reached.
    """
    if place.world == 1:
        yield Team(place, Launcher(place) if outlives_restarts() else None)
        return
    device = choose_device(choice)
    if device.type == "cuda":
        gpus = torch.cuda.device_count()
        if place.local_rank >= gpus:
            raise DeviceError(
                f"this machine has {gpus} GPUs, too few for process {place.local_rank + 1} on it;"
                f" start with --nproc-per-node {gpus}, or train on the processor with --device cpu"
            )
        torch.cuda.set_device(place.local_rank)
    group = Group(place, device)
    try:
        yield group
    finally:
        group.close()


def _packed(message: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(message, buffer)
    return buffer.getvalue()


def _unpacked(data: Tensor) -> dict[str, Any]:
    """Onto the CPU; nothing in it is unpickled."""
    message: dict[str, Any] = torch.load(
        io.BytesIO(data.numpy().tobytes()), map_location="cpu", weights_only=True
    )
    return message
