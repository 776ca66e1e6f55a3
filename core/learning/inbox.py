"""Commands on their way into the engine: read at once, kept in order, superseded ones dropped.

A thread of its own empties the pipe while the engine computes. Without it two processes that both send
something large (a mask this way, a prediction that way) would each wait for the other to read.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from core.learning.commands import (
    Command,
    ImageRemoved,
    LabelsChanged,
    PostProcess,
    Predict,
    PredictWithRun,
    PreviewCrops,
    Watch,
)


class Inbox:
    """A queue of commands, fed by a connection or by `put`.

    Attributes:
        closed: the other side is gone; nothing more will come.

    Args:
        on_closed: called once, in the reading thread, when the other side is gone.
    """

    def __init__(self, on_closed: Callable[[], None] | None = None) -> None:
        self.closed = False
        self._on_closed = on_closed
        self._commands: list[Command] = []
        self._lock = threading.Lock()
        # SimpleQueue.put is reentrant, so that a signal handler may wake the engine; a Condition is not.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def read_from(self, connection: Connection[Any, Any]) -> None:
        """Start to read commands from this pipe, until it ends."""
        threading.Thread(target=self._read, args=(connection,), name="inbox", daemon=True).start()

    def put(self, command: Command) -> None:
        """Add one command; from any thread."""
        with self._lock:
            self._commands = superseded_dropped(self._commands, command)
        self.wake()

    def take(self) -> Command | None:
        """Take the oldest command; None when there is none."""
        with self._lock:
            return self._commands.pop(0) if self._commands else None

    def waiting(self) -> tuple[Command, ...]:
        """What is there, oldest first, without taking it."""
        with self._lock:
            return tuple(self._commands)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return as soon as there is something to do: a command, a wake-up, the end of the pipe.

        False: there is nothing, and the time is up.
        """
        with self._lock:
            if self._commands or self.closed:
                return True
        try:
            self._bell.get(timeout=timeout_s)
        except queue.Empty:
            return False
        with contextlib.suppress(queue.Empty):
            while True:
                self._bell.get_nowait()
        return True

    def wake(self) -> None:
        """End a `wait`. May be called by a signal handler."""
        self._bell.put(None)

    def _read(self, connection: Connection[Any, Any]) -> None:
        while True:
            try:
                command: Command = connection.recv()
            except (OSError, EOFError):
                break
            self.put(command)
        self.closed = True
        self.wake()
        if self._on_closed is not None:
            self._on_closed()


def superseded_dropped(waiting: list[Command], newer: Command) -> list[Command]:
    """`waiting` with `newer` at its end, without what `newer` makes pointless.

    - LabelsChanged replaces an earlier one of the same image, which a removal of the image also does, back to
      the last command that is not about labels or views: a Train in between must see what it was to see.
    - Watch replaces every earlier Watch, PostProcess every earlier PostProcess; Predict an earlier Predict of
      the same image; PredictWithRun one with the same run.
    """
    kept = list(waiting)
    if isinstance(newer, LabelsChanged | ImageRemoved):
        for position in range(len(kept) - 1, -1, -1):
            earlier = kept[position]
            if isinstance(earlier, LabelsChanged) and earlier.key == newer.key:
                del kept[position]
            elif not isinstance(earlier, LabelsChanged | ImageRemoved | Watch | Predict):
                break
    elif isinstance(newer, PreviewCrops):
        kept = [command for command in kept if not isinstance(command, PreviewCrops)]
    elif isinstance(newer, Watch | PostProcess):
        kept = [command for command in kept if not isinstance(command, type(newer))]
    elif isinstance(newer, Predict):
        kept = [c for c in kept if not (isinstance(c, Predict) and c.key == newer.key)]
    elif isinstance(newer, PredictWithRun):
        kept = [c for c in kept if not (isinstance(c, PredictWithRun) and c.run == newer.run)]
    kept.append(newer)
    return kept
