"""The thread that owns the engine process: commands in, events out as Qt signals, a dead engine replaced.

::

    GUI thread                    this thread                            engine process
    send(command) -> outbox ----> pipe ------------------------------->  ...
                    event_received <---- pipe <------------------------  events
                    engine_state_changed: starting, ready, crashed, stopped

An engine that dies is started again after a growing delay and told again what it has to know: the project,
the newest labels, the classes, the watched image. Commands nobody has read yet survive, but those of which
the window misses an answer (`MISSED`). Whether an interrupted run goes on is the controller's decision, not
this thread's.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Final

from PySide6.QtCore import QCoreApplication, QThread, Signal

from core.errors import EngineError
from core.learning.commands import (
    ClassesChanged,
    CloseProject,
    Command,
    Export,
    ImageRemoved,
    LabelsChanged,
    LearnLive,
    OpenProject,
    PostProcess,
    Predict,
    PredictFolder,
    Train,
    UseWeights,
    WantUncertainty,
    Watch,
)
from core.learning.events import EngineReady, Event
from core.learning.process import KILL_LIMIT_S, TERMINATE_LIMIT_S, EngineProcess

log = logging.getLogger(__name__)

RESTART_DELAYS_S: Final = (0.5, 2.0, 5.0)
CRASH_WINDOW_S: Final = 60.0
SHUTDOWN_LIMIT_S: Final = 8.0
LABELS_KEPT: Final = 8
"""Images whose labels are told again after a crash; older ones have long been on disk."""


class TrainerThread(QThread):
    """Supervises one engine process at a time.

    Signals:
        event_received(object): what an engine says.
        engine_state_changed(str, str): see above, and a sentence.
        watch_ended: no other engine is told of the watched image, of which the last ones may have died.

    The methods belong to the GUI thread. Have no parent and keep a reference until `shutdown` has returned: a
    QThread that is destroyed while it runs takes the program with it.

    Args:
        make_engine: makes an engine that was not started yet.
        restart_delays_s: before the first, second, ... restart; one more crash within `crash_window_s` and
            the engine stays stopped until `start_engine`.
    """

    event_received = Signal(object)
    engine_state_changed = Signal(str, str)
    watch_ended = Signal()

    def __init__(
        self,
        make_engine: Callable[[], EngineProcess] = EngineProcess,
        *,
        restart_delays_s: Sequence[float] = RESTART_DELAYS_S,
        crash_window_s: float = CRASH_WINDOW_S,
    ) -> None:
        super().__init__()
        self.setObjectName("trainer")
        self._make_engine = make_engine
        self._restart_delays_s = tuple(restart_delays_s)
        self._crash_window_s = crash_window_s
        self._lock = threading.Lock()  # guards everything down to the next blank line
        self._outbox: deque[Command] = deque()
        self._memory = EngineMemory()
        self._wanted = False
        self._closing = False
        self._shutdown_limit_s = SHUTDOWN_LIMIT_S
        self._engine: EngineProcess | None = None
        self._woken = False

        self._wake_reader, self._wake_writer = multiprocessing.Pipe(duplex=False)
        self._ready = False
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shutdown)

    # --- GUI thread ---------------------------------------------------------------------------------------

    @property
    def engine_pid(self) -> int | None:
        """Process id of the engine, None while there is none."""
        with self._lock:
            return None if self._engine is None else self._engine.pid

    def start_engine(self) -> None:
        """Have an engine from now on; also after it was given up. Returns at once."""
        with self._lock:
            if self._closing:
                return
            self._wanted = True
        if not self.isRunning():
            self.start(QThread.Priority.HighPriority)  # mostly asleep, but the window waits for its events
        self._wake()

    def send(self, command: Command) -> None:
        """Queue a command for the engine. What cannot be done without one (Train, Export) starts it."""
        with self._lock:
            if self._closing:
                return
            self._memory.note(command)
            if self._engine is not None or not isinstance(command, (*REMEMBERED, Predict)):
                self._outbox.append(command)
        if isinstance(command, Train | Export | PredictFolder | UseWeights):
            self.start_engine()
        else:
            self._wake()

    def begin_shutdown(self, timeout_s: float = SHUTDOWN_LIMIT_S) -> None:
        """Ask the engine to save and leave, without waiting: `finished` follows."""
        with self._lock:
            self._closing = True
            self._shutdown_limit_s = timeout_s
        self._wake()

    def shutdown(self, timeout_s: float = SHUTDOWN_LIMIT_S) -> bool:
        """Have the engine save and leave, and wait for both to end; True when they have.

        The engine gets `timeout_s` to save; a few seconds more and it is killed.
        """
        self.begin_shutdown(timeout_s)
        if not self.isRunning():
            return True
        if self.wait(round((timeout_s + TERMINATE_LIMIT_S + KILL_LIMIT_S) * 1000)):
            return True
        with self._lock:
            engine = self._engine
        if engine is not None:
            log.error("The engine does not leave; killing it.")
            engine.kill()
        return self.wait(2000)

    # --- this thread --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve engines until the shutdown. Called by Qt in the new thread."""
        crashes: deque[float] = deque()
        while self._sleep_until(lambda: self._wanted):
            problem = self._serve_one_engine()
            if problem is None:
                break
            now = time.monotonic()
            crashes.append(now)
            while crashes[0] < now - self._crash_window_s:
                crashes.popleft()
            self._after_crash(problem, len(crashes))
            if not self._wanted:
                crashes.clear()
        self.engine_state_changed.emit("stopped", "")

    def _after_crash(self, problem: str, crashes: int) -> None:
        log.warning("%s (crash %d within %.0f s)", problem, crashes, self._crash_window_s)
        with self._lock:
            self._outbox = deque(command for command in self._outbox if not isinstance(command, MISSED))
        if crashes > len(self._restart_delays_s):
            with self._lock:
                self._wanted = False
                self._outbox.clear()
            sentence = (
                f"{problem} It failed {crashes} times in a row and stays stopped until you train again."
            )
            self.engine_state_changed.emit("stopped", sentence)
            return
        if crashes > 1:
            with self._lock:
                self._memory.forget_watched()  # it may be the image that the engine dies of
            self.watch_ended.emit()
        self.engine_state_changed.emit("crashed", problem)
        self._sleep_until(lambda: False, self._restart_delays_s[crashes - 1])

    def _serve_one_engine(self) -> str | None:
        """Run one engine to its end: None after a shutdown, or a sentence about how it died."""
        self._ready = False
        self.engine_state_changed.emit("starting", "The engine starts.")
        engine = self._make_engine()
        try:
            engine.start()
            with self._lock:
                self._engine = engine
                waiting = [command for command in self._outbox if not isinstance(command, REMEMBERED)]
                self._outbox = deque([*self._memory.commands(), *waiting])
            while not self._closing:
                self._send_waiting(engine)
                self._receive_waiting(engine)
            # An engine that is still importing its libraries has nothing to save.
            engine.stop(self._shutdown_limit_s if self._ready else 0.0, self._on_event)
        except EngineError as error:
            return None if self._closing else str(error)
        finally:
            with self._lock:
                self._engine = None
            engine.close()
        return None

    def _send_waiting(self, engine: EngineProcess) -> None:
        while True:
            with self._lock:
                if not self._outbox or self._closing:
                    return
                command = self._outbox[0]
            engine.send(command)
            with self._lock:
                # Only after it was sent: what a dying engine did not take is for the next one.
                if self._outbox and self._outbox[0] is command:
                    self._outbox.popleft()

    def _receive_waiting(self, engine: EngineProcess) -> None:
        """Block until there is an event or a wake-up; pass on what is there."""
        if self._wake_reader in wait([engine.waitable, self._wake_reader]):
            self._take_wake_up()
        while (event := engine.receive()) is not None:
            self._on_event(event)
            if self._outbox:
                return  # a chatty engine must not keep commands waiting

    def _on_event(self, event: Event) -> None:
        if isinstance(event, EngineReady):
            self._ready = True
            self.engine_state_changed.emit("ready", event.device)
        self.event_received.emit(event)

    def _sleep_until(self, condition: Callable[[], bool], limit_s: float | None = None) -> bool:
        """Sleep until the condition, the limit or the shutdown; False for the shutdown."""
        until = None if limit_s is None else time.monotonic() + limit_s
        while not self._closing and not condition():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                break
            if self._wake_reader.poll(left):
                self._take_wake_up()
        return not self._closing

    def _wake(self) -> None:
        with self._lock:
            if self._woken:
                return  # one byte is enough, and many would fill the pipe
            self._woken = True
        self._wake_writer.send_bytes(b"!")

    def _take_wake_up(self) -> None:
        self._wake_reader.recv_bytes()
        with self._lock:
            self._woken = False


class EngineMemory:
    """What a new engine has to be told so that it knows what the last one knew."""

    def __init__(self) -> None:
        self._live: LearnLive | None = None
        self._uncertainty: WantUncertainty | None = None
        self._post: PostProcess | None = None
        self._project: OpenProject | None = None
        self._forget_all()

    def _forget_all(self) -> None:
        self._classes: ClassesChanged | None = None
        self._labels: OrderedDict[str, LabelsChanged] = OrderedDict()
        self._weights: UseWeights | None = None
        self._watched: Watch | None = None

    def note(self, command: Command) -> None:
        """Remember what this command changes for good."""
        if isinstance(command, OpenProject | CloseProject):
            self._forget_all()
            self._project = command if isinstance(command, OpenProject) else None
        elif isinstance(command, LearnLive):
            self._live = command
        elif isinstance(command, WantUncertainty):
            self._uncertainty = command
        elif isinstance(command, PostProcess):
            self._post = command
        elif isinstance(command, ClassesChanged):
            self._classes = command
        elif isinstance(command, LabelsChanged):
            self._labels[command.key] = command
            self._labels.move_to_end(command.key)
            while len(self._labels) > LABELS_KEPT:
                self._labels.popitem(last=False)
        elif isinstance(command, ImageRemoved):
            self._labels.pop(command.key, None)
        elif isinstance(command, UseWeights):
            self._weights = command if command.path is not None else None
        elif isinstance(command, Train):
            self._weights = None  # the run's own take over
        elif isinstance(command, Watch):
            self._watched = command if command.key is not None else None

    def forget_watched(self) -> None:
        """Do not ask for the watched image again."""
        self._watched = None

    def commands(self) -> list[Command]:
        """In the order in which they make sense."""
        known = [
            self._live,
            self._uncertainty,
            self._post,
            self._project,
            self._classes,
            *self._labels.values(),
            self._weights,
            self._watched,
        ]
        return [command for command in known if command is not None]


MISSED: Final = (Train, Export, PredictFolder)
"""Commands that the window says to be lost with an engine, or gives again: unread ones are dropped."""
REMEMBERED: Final = (
    LearnLive,
    WantUncertainty,
    PostProcess,
    OpenProject,
    CloseProject,
    ClassesChanged,
    LabelsChanged,
    ImageRemoved,
    UseWeights,
    Watch,
)
"""Commands whose outcome `EngineMemory` tells again, so that none of them waits for an engine to come."""
