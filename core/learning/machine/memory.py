"""Out of memory is a ladder, not an error: smaller pieces of a batch, smaller crops, then the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import torch

from core.errors import MaskloopError

SMALLEST_CROP: Final = 128
_SIGNS: Final = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True, slots=True)
class Load:
    """How much of a batch is computed at a time, and where.

    Attributes:
        crop: side of a crop, pixels. piece: crops at a time; their gradients are added up over the batch.
        least: crop below which the CPU is the better way on.
    """

    crop: int
    piece: int
    device: Literal["cpu", "cuda"]
    least: int = SMALLEST_CROP

    def lighter(self) -> Load | None:
        """One rung down; None at the bottom."""
        if self.piece > 1:
            return replace(self, piece=self.piece // 2)
        least = self.least if self.device == "cuda" else SMALLEST_CROP
        if self.crop > least:
            return replace(self, crop=max(least, self.crop // 64 * 32))
        if self.device == "cuda":
            return replace(self, device="cpu")
        return None

    def step_down_text(self, lower: Load) -> str:
        """The step from here to `lower`, in one line for the person."""
        if lower.device != self.device:
            return "the graphics card is out of memory even so: training goes on on the CPU, more slowly"
        where = "the graphics card is" if self.device == "cuda" else "the computer is"
        if lower.crop != self.crop:
            return f"{where} out of memory: crops are {lower.crop} pixels from now on, instead of {self.crop}"
        crops = "crop" if lower.piece == 1 else "crops"
        return f"{where} out of memory: batches are computed {lower.piece} {crops} at a time from now on"


_OF_THE_COMPUTER: Final = ("can't allocate memory", "not enough memory")
"""Signs that it is not the graphics card's memory."""
_DEVICE_LOST: Final = (
    "CUDA error",
    "CUDA driver error",
    "CUDA unknown error",
    "CUDA driver initialization failed",
    "No CUDA GPUs are available",
    "device-side assert",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "NVML_SUCCESS",
    "unspecified launch",
)


def is_device_lost(error: BaseException) -> bool:
    """Whether the graphics card is of no further use to this process."""
    if not isinstance(error, RuntimeError) or is_out_of_memory(error):
        return False
    return any(sign in str(error) for sign in _DEVICE_LOST)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch would have helped."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def is_card_full(error: BaseException) -> bool:
    """Whether the memory that was short is the graphics card's."""
    text = str(error)
    by_computer = isinstance(error, MemoryError) or any(sign in text for sign in _OF_THE_COMPUTER)
    return is_out_of_memory(error) and not by_computer


def why_given_up(error: Exception) -> str:
    """In one line, why a piece of work could not be done, for whoever goes on without it.

    Args:
        error: one of ours, or memory is short, in Python's words or in torch's, which are those of any
            RuntimeError. Any other is raised again.
    """
    if isinstance(error, MaskloopError):
        return str(error)
    if not is_out_of_memory(error):
        raise error
    return f"{'the graphics card' if is_card_full(error) else 'the computer'} is out of memory"
