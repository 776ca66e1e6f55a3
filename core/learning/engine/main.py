"""The engine's process, from its first command to its exit code.

::

    loop:  take commands, oldest first
           else do one piece of work
           else sleep until a command comes; now and then give back memory that nothing needs, and see
                whether there is work whose time has come

It saves and leaves on Shutdown, on SIGTERM and when its window is gone; at once when the graphics card is
lost.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any, Final

import torch

from core.learning.engine.engine import DeviceLostError, Engine
from core.learning.engine.exit import EXIT_DEVICE_LOST, EXIT_PARENT_GONE, EXIT_TERMINATED
from core.learning.events import EngineReady, Event
from core.learning.inbox import Inbox
from core.learning.machine.allocator import give_back, keep_freed_memory
from core.learning.machine.memory import is_device_lost
from core.learning.prediction.predict import choose_device
from core.learning.training.state import device_name

IDLE_S: Final = 10.0
"""Without work; a person who draws makes shorter pauses."""


def engine_main(
    connection: Connection[Any, Any], inbox: Inbox | None = None, *, threads: int | None = None
) -> int:
    """Main loop of the engine's process.

    Args:
        connection: events go out here; commands come in here, unless an `inbox` is read from it already.
        inbox: where commands wait.
        threads: torch threads; None uses every core.

    Returns:
        The process's exit code.
    """
    if inbox is None:
        inbox = Inbox()
        inbox.read_from(connection)
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    terminated = False

    def on_terminate(_number: int, _frame: object) -> None:
        nonlocal terminated
        terminated = True
        inbox.wake()

    signal.signal(signal.SIGTERM, on_terminate)

    def send(event: Event) -> None:
        try:
            connection.send(event)
        except OSError:
            inbox.closed = True  # the loop leaves as it does when the pipe ends

    engine = Engine(send, inbox)
    try:
        # Plain text: torch's own version type would make the window import torch to read it.
        send(EngineReady(pid=os.getpid(), device=_device(), torch=str(torch.__version__)))
        while not engine.leaving:
            if inbox.closed or terminated:
                engine.keep_run()
                return EXIT_TERMINATED if terminated else EXIT_PARENT_GONE
            command = inbox.take()
            if command is not None:
                engine.handle(command)
            elif not engine.tick() and not inbox.wait(IDLE_S):
                give_back()
    except DeviceLostError as error:
        print(f"maskloop engine: {error}", file=sys.stderr)
        return EXIT_DEVICE_LOST
    return 0


def _device() -> str:
    """What is computed on. Raises DeviceLostError."""
    try:
        return device_name(choose_device())
    except RuntimeError as error:
        if not is_device_lost(error):
            raise
        raise DeviceLostError(str(error).partition("\n")[0]) from error
