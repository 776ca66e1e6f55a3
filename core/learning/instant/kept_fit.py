"""A fit of the head, kept on disk while it goes on: a kill costs what was learned since the last writing."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from core.errors import StorageError, WeightsFileError
from core.learning.instant.head import HeadFit
from core.learning.runs.checkpoint import load_checkpoint, save_checkpoint


class KeptFit:
    """One file. While the disk is full nothing is kept.

    Args:
        path: of the file.
        every_s: how often it is written, seconds.
    """

    def __init__(self, path: Path, *, every_s: float) -> None:
        self._path, self._every_s = path, every_s
        self._name, self._written_s = "", 0.0

    def go_on(self, fit: HeadFit) -> None:
        """A fit begins: if the file is of the same one, and is whole, it goes on from there."""
        self._name, self._written_s = fit.name(), time.monotonic()
        # There is none, or none that can be read, or what is in it does not fit.
        with contextlib.suppress(WeightsFileError, StorageError, ValueError):
            kept = load_checkpoint(self._path)
            if kept.get("name") == self._name:
                fit.restore(kept)

    def keep(self, fit: HeadFit, *, at_once: bool) -> None:
        """After a step: write it, if it is time."""
        if not at_once and time.monotonic() - self._written_s < self._every_s:
            return
        with contextlib.suppress(StorageError):
            save_checkpoint(self._path, {"name": self._name, **fit.state()})
        self._written_s = time.monotonic()

    def forget(self) -> None:
        """What it was kept for has ended."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
