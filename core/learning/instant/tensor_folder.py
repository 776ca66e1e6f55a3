"""Tensors kept in a folder of bounded size: what was used longest ago makes room for what is new.

It is a cache: a write does not wait until it has reached the disk, and a file that a power cut, a full disk
or anything else has spoiled is found out when it is read, by its checksum.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from core.errors import StorageError
from core.files import TEMPORARY_PREFIX, write_atomic

AGAIN_S: Final = 15.0
"""After a write that failed the next one is tried so much later: a full disk must not slow every image."""
LEFT_OVER_S: Final = 3600.0
"""A temporary file as old as this is one of a write that was killed."""
_SUFFIX: Final = ".safetensors"

_log = logging.getLogger(__name__)


class TensorFolder:
    """Tensors by name, a file for each.

    Args:
        folder: made when it is needed.
        most_bytes: kept there.
        notify: told in one line what the disk lacks, and when it has it again.
        clock: monotonic, seconds.
    """

    def __init__(
        self, folder: Path, *, most_bytes: int, notify: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._notify = notify
        self._clock = clock
        self._fails = False
        self._again_s = float("-inf")

    def holds(self, name: str) -> bool:
        """Whether there is a file, of whatever stamp."""
        return self._path(name).is_file()

    def read(self, name: str, stamp: str) -> tuple[tuple[Tensor, ...], tuple[int, ...]] | None:
        """Tensors and numbers as they were written with this stamp; None: they are not here."""
        path = self._path(name)
        if not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("stamp") != stamp:
                    return None
                tensors = tuple(file.get_tensor(name) for name in sorted(file.keys()))
                if about["checksum"] != _checksum(tensors):
                    raise ValueError("the file is damaged")
                return tensors, tuple(int(number) for number in about["numbers"].split())
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            _log.warning("%s: computed again (%s)", path, error)
            return None

    def touch(self, name: str) -> None:
        """It is being used."""
        with contextlib.suppress(OSError):
            os.utime(self._path(name))

    def write(self, name: str, stamp: str, tensors: Sequence[Tensor], numbers: Sequence[int]) -> None:
        """Keep tensors and a few numbers; where that cannot be, it costs time later, nothing else."""
        if self._clock() < self._again_s:
            return
        about = {
            "stamp": stamp,
            "numbers": " ".join(str(number) for number in numbers),
            "checksum": _checksum(tensors),
        }
        named = {f"{place:02d}": tensor for place, tensor in enumerate(tensors)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(sum(tensor.nbytes for tensor in tensors))
            write_atomic(self._path(name), safetensors.torch.save(named, about), durable=False)
        except (StorageError, OSError) as error:
            self._again_s = self._clock() + AGAIN_S
            if not self._fails:
                self._notify(f"features of images are not kept on disk, which costs time later: {error}")
            self._fails = True
            return
        if self._fails:
            self._fails = False
            self._notify("features of images are kept on disk again")

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"

    def _make_room(self, nbytes: int) -> None:
        """For so many bytes more; what killed writes have left goes in any case."""
        files: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process makes room as well
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        used = nbytes + sum(size for _, size, _ in files)
        left_over_s = time.time() - LEFT_OVER_S
        for used_s, size, path in sorted(files):
            in_the_way = path.suffix == _SUFFIX and used > self._most_bytes
            if in_the_way or (path.name.startswith(TEMPORARY_PREFIX) and used_s < left_over_s):
                path.unlink(missing_ok=True)
                used -= size


def raw_bytes(tensor: Tensor) -> memoryview:
    """What a tensor consists of, in the order of its elements, wherever and however it is laid out."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _checksum(tensors: Sequence[Tensor]) -> str:
    """Of all bytes, a third of a millisecond for each megabyte."""
    value = 0
    for tensor in tensors:
        value = zlib.crc32(raw_bytes(tensor), value)
    return f"{value:08x}"
