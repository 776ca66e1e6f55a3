"""The C library's memory for tensors on a CPU, kept between two steps instead of given back after each.

By itself glibc takes every large tensor from the system anew and gives it back with the tensor, and the
system clears each of its pages: a step of the default U-Net on four crops of 256 pixels touches 80,000 new
pages, a sixth of its processor time. Other C libraries, and the memory of a GPU, are none of its business.
"""

from __future__ import annotations

import ctypes
import platform
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of glibc's mallopt, as its malloc.h numbers them."""
_NEVER: Final = -1
_LARGEST: Final = 1 << 30
"""Bytes; what is larger still comes and goes."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for what it needs next; False where that cannot be set."""
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, _LARGEST) and library.mallopt(_TRIM_THRESHOLD, _NEVER))


def give_back() -> None:
    """Give the system what is free: after work that needed much, when nothing follows."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
