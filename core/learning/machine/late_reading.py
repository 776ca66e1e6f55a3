"""Numbers that a device computes now and a program reads some steps later, without holding the device up."""

from __future__ import annotations

import torch
from torch import Tensor


class LateReading:
    """Values (N,) on their way from the device.

    Reading a tensor of a GPU waits for all that was queued meanwhile, however old the tensor is. So the copy
    is queued at once, behind what computes the values, and reading waits for that copy alone.
    """

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._arrived: torch.cuda.Event | None = None
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def tolist(self) -> list[float]:
        """The values; waits until they are there."""
        if self._arrived is not None:
            self._arrived.synchronize()
        found: list[float] = self._values.tolist()
        return found
