"""Out of memory is a ladder, not an error: smaller pieces of a batch, smaller crops, then the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import torch

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
    """

    crop: int
    piece: int
    device: Literal["cpu", "cuda"]

    def lighter(self) -> Load | None:
        """One rung down; None at the bottom."""
        if self.piece > 1:
            return replace(self, piece=self.piece // 2)
        if self.crop > SMALLEST_CROP:
            return replace(self, crop=max(SMALLEST_CROP, self.crop // 64 * 32))
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


_DEVICE_LOST: Final = (
    "CUDA error",
    "device-side assert",
    "CUDNN_STATUS_EXECUTION_FAILED",
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
