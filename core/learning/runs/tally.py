"""Losses gathered on the device and read now and then: reading one waits for the device to get there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

ROW_STEPS: Final = 10
"""A row of metrics.csv covers at most this many steps."""
ROW_S: Final = 2.0
"""And about this much time, where steps are slow."""


@dataclass(frozen=True, slots=True)
class Row:
    """Means over a few steps, up to `step`."""

    step: int
    seconds: float
    loss: float
    lr: float


class Tally:
    """Sums since the last reading.

    Args:
        device: where losses are computed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.reset()

    def reset(self) -> None:
        """Forget what has not been read."""
        self.steps = 0
        self._loss = torch.zeros((), device=self.device)
        self._norm = torch.zeros((), device=self.device)
        self._rows: list[tuple[int, float, float, Tensor]] = []
        self._row_loss = torch.zeros((), device=self.device)
        self._row_steps = 0
        self._row_started_s = math.nan

    def add(self, loss: Tensor, gradient_norm: Tensor, *, step: int, seconds: float, lr: float) -> None:
        """Count one step in; nothing is read from the device."""
        self.steps += 1
        self._loss += loss
        self._norm += gradient_norm
        if self._row_steps == 0:
            self._row_started_s = seconds
        self._row_loss += loss
        self._row_steps += 1
        if self._row_steps >= ROW_STEPS or seconds - self._row_started_s >= ROW_S:
            self._rows.append((step, seconds, lr, self._row_loss / self._row_steps))
            self._row_loss = torch.zeros_like(self._row_loss)
            self._row_steps = 0

    def read(self) -> tuple[float, bool, list[Row]]:
        """Mean loss since the last reading, whether all was finite, and rows that are complete."""
        values = torch.stack([self._loss, self._norm, *(row[3] for row in self._rows)]).tolist()
        loss = values[0] / max(self.steps, 1)
        finite = math.isfinite(values[0]) and math.isfinite(values[1])
        rows = [
            Row(step, seconds, value, lr)
            for (step, seconds, lr, _), value in zip(self._rows, values[2:], strict=True)
        ]
        self.steps = 0
        self._loss, self._norm, self._rows = torch.zeros_like(self._loss), torch.zeros_like(self._norm), []
        return loss, finite, rows
