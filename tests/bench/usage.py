"""What a piece of work takes beside its time: memory at its peak, and how busy the device is meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

SAMPLE_S: Final = 0.2
_NVIDIA: Final = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0")


@dataclass(slots=True)
class Usage:
    """Of one piece of work, filled in when it is over.

    Attributes:
        seconds: it took. peak_bytes: on a GPU what torch had allocated, on a CPU the process's resident
            memory; None where the system does not tell.
        busy: share of the device's time, 0..1: of all cores, or of the GPU as its driver sees it; None where
            nobody tells.
    """

    seconds: float = 0.0
    peak_bytes: int | None = None
    busy: float | None = None
    _samples: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        memory = "unknown memory" if self.peak_bytes is None else f"{self.peak_bytes / 2**20:,.0f} MiB"
        return memory if self.busy is None else f"{memory}, {self.busy:.0%} busy"


@contextlib.contextmanager
def measured(device: torch.device) -> Iterator[Usage]:
    """Measure what happens inside; the device has finished when it ends."""
    usage = Usage()
    synchronize(device)
    _forget_peak(device)
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(usage, over), name="utilisation")
    if device.type == "cuda" and shutil.which(_NVIDIA[0]):
        watching.start()
    processor_s, started_s = _processor_s(), time.perf_counter()
    try:
        yield usage
        synchronize(device)
    finally:
        usage.seconds = time.perf_counter() - started_s
        over.set()
        if watching.ident is not None:
            watching.join()
        if device.type == "cuda":
            usage.busy = sum(usage._samples) / len(usage._samples) if usage._samples else None
        else:
            usage.busy = (_processor_s() - processor_s) / usage.seconds / (os.cpu_count() or 1)
        usage.peak_bytes = _peak(device)


def synchronize(device: torch.device) -> None:
    """Wait for what the device has been given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor_s() -> float:
    """Of this process and of the loading processes it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # Linux alone can; elsewhere the peak is the process's so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def _watch(usage: Usage, over: threading.Event) -> None:
    while not over.wait(SAMPLE_S):
        answer = subprocess.run(_NVIDIA, capture_output=True, text=True, check=False).stdout.strip()
        if answer.isdigit():
            usage._samples.append(int(answer) / 100)
