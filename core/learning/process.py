"""The engine as a child process, seen from its parent: start, send, receive, stop.

Torch-free: the parent never imports what the child needs. The child is *spawned* (a forked one would inherit
the window's threads and display connection), runs at low priority, and leaves when its parent is gone.

::

    engine = EngineProcess()
    engine.start()
    engine.send(OpenProject(root="..."))
    event = engine.receive(0.5)          # None: nothing within half a second
    engine.stop(8.0)                     # Shutdown, then terminate, then kill, each with a limit
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final

from core.errors import EngineError
from core.learning.commands import Command, Shutdown
from core.learning.engine.exit import EXIT_NO_ENGINE, EXIT_PARENT_GONE, sentence_for_exit
from core.learning.events import Event, Failed
from core.learning.inbox import Inbox

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

NICENESS: Final = 10
"""Steps of POSIX niceness: the window's thread is always served first."""
TERMINATE_LIMIT_S: Final = 3.0
KILL_LIMIT_S: Final = 2.0
LEAVE_LIMIT_S: Final = 20.0
"""For an engine whose parent is gone, to save and leave by itself."""


class EngineProcess:
    """One engine, from start to end; a dead one is replaced by a new object.

    `send` and `receive` belong to one thread; `kill` may be called from any.

    Args:
        niceness: 0 leaves the priority as it is.
        threads: torch threads; None uses every core.
    """

    def __init__(self, *, niceness: int = NICENESS, threads: int | None = None) -> None:
        self._niceness = niceness
        self._threads = threads
        self._process: SpawnProcess | None = None
        self._connection: Connection[Any, Any] | None = None

    def start(self) -> None:
        """Start the child and return at once; its first event is `EngineReady`."""
        if self._process is not None:
            raise EngineError("This engine was started before; make a new one.")
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=True)
        process = context.Process(
            target=_run_child,
            args=(theirs, self._niceness, self._threads),
            name="maskloop engine",
            daemon=True,  # never outlives an interpreter that forgot to stop it
        )
        try:
            process.start()
        except OSError as error:
            ours.close()
            raise EngineError(f"The engine process cannot be started: {error}.") from error
        finally:
            theirs.close()  # or the end of the child would never read as the end of the pipe
        self._process, self._connection = process, ours

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """The child runs."""
        return self._process is not None and self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """As the operating system has it, a signal as its negative number; None while it runs."""
        return None if self._process is None else self._process.exitcode

    @property
    def exit_sentence(self) -> str:
        """How it ended, for a person."""
        code = self.exit_code
        return "The engine runs." if code is None else sentence_for_exit(code)

    @property
    def waitable(self) -> Connection[Any, Any]:
        """What becomes ready when there is something to `receive`: for `multiprocessing.connection.wait`."""
        return self._opened()

    def send(self, command: Command) -> None:
        """Hand over one command. Blocks for as long as the pipe is full, which the child sees to be short.

        Raises:
            EngineError: the child is gone.
        """
        try:
            self._opened().send(command)
        except (OSError, EOFError) as error:
            raise EngineError(self._ended()) from error

    def receive(self, timeout_s: float = 0.0) -> Event | None:
        """The next event, or None when none came within `timeout_s`.

        Raises:
            EngineError: the child is gone and has nothing more to say; the message is `exit_sentence`.
        """
        connection = self._opened()
        try:
            if not connection.poll(timeout_s):
                return None
            event: Event = connection.recv()
        except (OSError, EOFError) as error:
            raise EngineError(self._ended()) from error
        return event

    def stop(self, timeout_s: float = 10.0, on_event: Callable[[Event], None] | None = None) -> None:
        """Ask it to save and leave; after `timeout_s` terminate it, then kill it. Returns when it is gone.

        Args:
            timeout_s: for leaving by itself; the harder ways have short limits of their own.
            on_event: gets what the child still says. Reading on matters: a child that waits for its pipe to
                drain would never come to read the Shutdown.
        """
        process = self._process
        if process is None:
            return
        listen = on_event or _ignore
        with contextlib.suppress(EngineError):  # gone, or no longer listening: what follows deals with both
            self.send(Shutdown())
        if not self._drain_until_gone(process, timeout_s, listen):
            process.terminate()
            if not self._drain_until_gone(process, TERMINATE_LIMIT_S, listen):
                process.kill()
                process.join(KILL_LIMIT_S)
        self._opened().close()

    def kill(self) -> None:
        """End the child at once, unsaved. For a parent that can wait no longer."""
        if self._process is not None and self._process.is_alive():
            self._process.kill()

    def close(self) -> None:
        """Free what is left of a child that has ended; one that runs is killed."""
        if self._process is None:
            return
        self.kill()
        self._process.join(KILL_LIMIT_S)
        self._opened().close()

    def _drain_until_gone(
        self, process: SpawnProcess, limit_s: float, on_event: Callable[[Event], None]
    ) -> bool:
        connection = self._opened()
        until = time.monotonic() + limit_s
        while (left := until - time.monotonic()) > 0:
            try:
                if connection in wait([connection, process.sentinel], left):
                    on_event(connection.recv())
                    continue
            except (OSError, EOFError):
                process.join(max(0.0, until - time.monotonic()))
            if not process.is_alive():
                return True
        return not process.is_alive()

    def _ended(self) -> str:
        """The exit sentence of a child whose pipe has closed, which it does a moment before it exits."""
        if self._process is not None:
            self._process.join(KILL_LIMIT_S)
        if self.alive:
            return "The engine does not answer any more."
        return self.exit_sentence

    def _opened(self) -> Connection[Any, Any]:
        if self._connection is None:
            raise EngineError("The engine was not started.")
        return self._connection


def _run_child(connection: Connection[Any, Any], niceness: int, threads: int | None) -> None:
    """First function of the child. Imports the engine here, and only here: the parent stays torch-free."""
    # Ctrl+C in a terminal reaches both processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _lower_priority(niceness)
    inbox = Inbox(on_closed=_leave_in_time)
    inbox.read_from(connection)
    try:
        from core.learning.engine.main import engine_main
    except ImportError as error:
        with contextlib.suppress(OSError):
            text = f"The engine cannot load a library it needs: {error}."
            connection.send(Failed(during="Start", text=text, detail=traceback.format_exc()))
        sys.exit(EXIT_NO_ENGINE)
    sys.exit(engine_main(connection, inbox, threads=threads))


def _leave_in_time() -> None:
    """The parent is gone: whatever the engine is in the middle of (a long export, a hung driver) must end."""
    timer = threading.Timer(LEAVE_LIMIT_S, os._exit, (EXIT_PARENT_GONE,))
    timer.daemon = True
    timer.start()


def _lower_priority(niceness: int) -> None:
    """Before the first thread starts: on Linux niceness belongs to a thread and is inherited."""
    if niceness <= 0:
        return
    if sys.platform == "win32":
        import ctypes

        below_normal_priority_class = 0x4000
        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), below_normal_priority_class)
    else:
        os.nice(niceness)


def _ignore(_event: Event) -> None:
    pass
