"""How an engine process can end, and how to say so. Torch-free."""

from __future__ import annotations

import signal
from typing import Final

EXIT_PARENT_GONE: Final = 64
EXIT_DEVICE_LOST: Final = 65
EXIT_NO_ENGINE: Final = 66
EXIT_TERMINATED: Final = 143
"""As a shell reports SIGTERM: the engine saves before it obeys, so it is not the signal that ends it."""

_SENTENCES: Final = {
    0: "The engine has ended.",
    1: "The engine ended by an unexpected error; details are in the log.",
    EXIT_PARENT_GONE: "The engine left because its window was gone.",
    EXIT_DEVICE_LOST: "The engine left because the graphics card reported an error it cannot recover from.",
    EXIT_NO_ENGINE: "The engine could not start: a library it needs cannot be loaded; see the log.",
    EXIT_TERMINATED: "The engine was ended from outside (SIGTERM).",
}
_CRASHES: Final = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"})


def sentence_for_exit(code: int) -> str:
    """Turn an exit code (negative: a signal) into a sentence for a person."""
    if code >= 0:
        return _SENTENCES.get(code, f"The engine ended with exit code {code}.")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"The engine was ended by signal {-code}."
    if name == "SIGKILL":
        return "The engine was killed by the system, most likely for want of memory."
    if name in _CRASHES:
        return f"The engine crashed ({name}) inside a library."
    return f"The engine was ended from outside ({name})."
