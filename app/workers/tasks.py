"""Work off the GUI thread, its result back in the GUI thread.

::

    task = runner.run(read_image, path)
    task.done.connect(self._on_image_read)
    task.failed.connect(self._on_image_failed)    # one sentence; the exception is in task.error

`done` and `failed` are emitted in the thread that made the runner, so anything may be connected to them
(`progress` is emitted in the worker: connect bound methods of QObjects only).
A task that was cancelled delivers nothing. A runner with one thread is a queue: jobs of one priority run
in the order they were given, which is what saving relies on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThreadPool, Signal

from core.errors import MaskloopError

log = logging.getLogger(__name__)


class TaskCancelledError(Exception):
    """Raised inside a worker function, by `Task.report`, when nobody wants the result any more."""


def sentence_for(error: BaseException, doing: str) -> str:
    """What to tell a person: our own errors speak for themselves, others get the log's help."""
    if isinstance(error, MaskloopError):
        return str(error)
    detail = str(error) or "no further detail"
    return f"Unexpected problem while {doing} ({type(error).__name__}: {detail}); details are in the log."


class Task(QObject):
    """One function call on its way through a worker.

    Attributes:
        error: the exception, once `failed` was sent.
        outcome: True as soon as the function has returned or raised (set in the worker).
    """

    done = Signal(object)
    failed = Signal(str)
    progress = Signal(float, str)
    _finished = Signal()

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        doing: str,
        reports: bool,
        parent: TaskRunner,
    ) -> None:
        super().__init__(parent)
        self.error: BaseException | None = None
        self._function = function
        self._args = args
        self._doing = doing
        self._reports = reports
        self._result: Any = None
        self._cancelled = threading.Event()
        self._over = threading.Event()
        self._delivered = False
        self._runner = parent
        # Emitted in the worker, received in this object's thread: Qt queues the call.
        self._finished.connect(self._deliver)

    @property
    def cancelled(self) -> bool:
        """Nobody wants the result; a long function should look at this through `report`."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Drop the result. A function that has not started will not; one that reports stops there."""
        self._cancelled.set()

    def report(self, share: float, text: str = "") -> None:
        """Called by the function in the worker: `share` of the work, 0..1, is done.

        Raises:
            TaskCancelledError: the task was cancelled; let it through.
        """
        if self.cancelled:
            raise TaskCancelledError
        self.progress.emit(share, text)

    def _run(self) -> None:
        """Worker: call the function and keep what came of it. Never raises."""
        try:
            if not self.cancelled:
                arguments = {"report": self.report} if self._reports else {}
                self._result = self._function(*self._args, **arguments)
        except TaskCancelledError:
            pass
        except MaskloopError as error:
            self.error = error
        except Exception as error:
            # The boundary of a worker: an error here must reach the person, never end the thread.
            log.exception("Unexpected problem while %s", self._doing)
            self.error = error
        finally:
            self._over.set()
            self._finished.emit()

    def _deliver(self) -> None:
        """GUI thread: send the result on, once."""
        if self._delivered or not self._over.is_set():
            return
        self._delivered = True
        if not self.cancelled:
            if self.error is not None:
                self.failed.emit(sentence_for(self.error, self._doing))
            else:
                self.done.emit(self._result)
        self._result = None
        self._runner.forget(self)


class TaskRunner(QObject):
    """A few worker threads of one owner; created and used in the GUI thread."""

    def __init__(self, threads: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(threads)
        self._tasks: dict[Task, None] = {}  # ordered, and quick to remove from
        self._closed = False

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        doing: str = "working",
        priority: int = 0,
        reports: bool = False,
    ) -> Task:
        """Call `function(*args)` in a worker.

        Args:
            function: must not touch the window.
            args: handed over as they are; do not change them afterwards.
            doing: for the message of an unforeseen error, as in "reading a.png".
            priority: higher runs earlier.
            reports: pass `report=Task.report` for progress and cancelling.
        """
        task = Task(function, args, doing=doing, reports=reports, parent=self)
        if self._closed:
            task.cancel()
            return task
        self._tasks[task] = None
        self._pool.start(task._run, priority)
        return task

    @property
    def busy(self) -> bool:
        """Something is running, waiting, or not delivered yet."""
        return bool(self._tasks)

    def wait(self, timeout_ms: int) -> bool:
        """Block until all jobs are over and deliver their results here; False when time ran out."""
        finished = self._pool.waitForDone(timeout_ms)
        for task in list(self._tasks):
            task._deliver()
        return finished

    def close(self, timeout_ms: int = 5000) -> bool:
        """Drop what waits and every result, wait for what runs. False: a job is still running."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        self._pool.clear()
        finished = self._pool.waitForDone(timeout_ms)
        self._tasks.clear()
        return finished

    def forget(self, task: Task) -> None:
        """Called by a task that has been delivered."""
        if task in self._tasks:
            del self._tasks[task]
            task.deleteLater()
