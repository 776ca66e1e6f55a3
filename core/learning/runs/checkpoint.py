"""`last.ckpt`: everything a run needs to go on as if nothing had happened.

Written to a temporary file, synced and renamed, so that a kill at any moment leaves the old one or the new
one. It holds tensors, numbers, texts, lists and dicts only and is read with `weights_only=True`.
"""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch

from core.errors import StorageError, WeightsFileError
from core.files import write_atomic
from core.learning.machine.memory import is_out_of_memory

Checkpoint: TypeAlias = dict[str, Any]
"""What `core.learning.training.bundle` makes of a run: see there."""

FORMAT: Final = "maskloop checkpoint 1"


def save_checkpoint(path: Path, state: Checkpoint) -> None:
    """Replace the checkpoint as a whole. Raises StorageError; the old one is then untouched."""
    buffer = io.BytesIO()
    try:
        torch.save({"format": FORMAT, **state}, buffer)
        write_atomic(path, buffer.getvalue())
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise StorageError(path, "there is not enough memory to write it; close other programs") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Raises:
        WeightsFileError: there is none, it is damaged, or of another version of the program.
        StorageError: there is not enough memory to read it.
    """
    if not path.is_file():
        raise WeightsFileError(path, "there is no checkpoint here; start a new run")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch wonders aloud about files that are not its own
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        MemoryError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        if is_out_of_memory(error):
            raise StorageError(path, "there is not enough memory to read it; close other programs") from error
        raise WeightsFileError(path, "the checkpoint is damaged; start a new run") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise WeightsFileError(path, "is no checkpoint of this version of the program; start a new run")
    return state
