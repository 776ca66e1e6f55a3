"""Work off the GUI thread, its result back in the GUI thread.

::

    task = runner.run(read_image, path)
    task.done.connect(self._on_image_read)
    task.failed.connect(self._on_image_failed)    # one sentence; the exception is in task.error

All signals of a task are emitted in the thread that made the runner, so anything may be connected to them. A
task that was cancelled delivers nothing. A runner with one thread is a queue: jobs of one priority run in the
order they were given, which is what saving relies on. The queue is ours: QThreadPool forgets the priority of
a job that wakes a waiting thread, and so lets a later one overtake it.

Workers never touch a `Task`: its last reference must not be dropped, and so the QObject not be deleted, in
another thread. They fill a plain `_Job` and tell the runner.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QThreadPool, Signal

from core.errors import MaskloopError

log = logging.getLogger(__name__)


class TaskCancelledError(Exception):
    """Raised inside a worker function, by its `report` or `check`, when nobody wants the result any more."""


def sentence_for(error: BaseException, doing: str) -> str:
    """What to tell a person: our own errors speak for themselves, others get the log's help."""
    if isinstance(error, MaskloopError):
        return str(error)
    detail = str(error) or "no further detail"
    return f"Unexpected problem while {doing} ({type(error).__name__}: {detail}); details are in the log."


class _Queue:
    """Calls that wait: the highest priority first, equal ones in the order they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def put(self, call: Callable[[], None], priority: int) -> None:
        with self._lock:
            heapq.heappush(self._heap, (-priority, next(self._numbers), call))

    def clear(self) -> None:
        with self._lock:
            self._heap.clear()

    def run_next(self) -> None:
        """Worker: make the most urgent call, if any is left."""
        with self._lock:
            call = heapq.heappop(self._heap)[2] if self._heap else None
        if call is not None:
            call()


class _Job:
    """One function call and what came of it; shared by a worker and the GUI thread."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], doing: str, *, checks: bool
    ) -> None:
        self.doing = doing
        self.cancelled = threading.Event()
        self.over = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self._function = function
        self._args = args
        self._checks = checks

    def check(self) -> None:
        """Worker: raise TaskCancelledError once nobody wants the result any more."""
        if self.cancelled.is_set():
            raise TaskCancelledError

    def run(self, tell: Callable[[_Job], None], report: Callable[[_Job, float, str], None] | None) -> None:
        """Worker: call the function, keep what came of it, tell. Never raises."""
        try:
            if not self.cancelled.is_set():
                self.result = self._call(report)
        except TaskCancelledError:
            pass
        except MaskloopError as error:
            self.error = error
        except Exception as error:
            # The boundary of a worker: an error here must reach the person, never end the thread.
            log.exception("Unexpected problem while %s", self.doing)
            self.error = error
        finally:
            self.over.set()
            tell(self)

    def _call(self, report: Callable[[_Job, float, str], None] | None) -> Any:
        given: dict[str, Callable[..., None]] = {"check": self.check} if self._checks else {}
        if report is not None:

            def report_or_stop(share: float, text: str = "") -> None:
                self.check()
                report(self, share, text)

            given["report"] = report_or_stop
        return self._function(*self._args, **given)


class Task(QObject):
    """One function call on its way through a worker. Lives in the GUI thread.

    Signals:
        done(object): what the function returned.
        failed(str): one sentence; `error` has the exception.
        progress(float, str): the share done, 0..1, and what is being done.
    """

    done = Signal(object)
    failed = Signal(str)
    progress = Signal(float, str)

    def __init__(self, job: _Job) -> None:
        super().__init__()
        self._job = job

    @property
    def result(self) -> Any:
        """What the function returned; None as long as it has not."""
        return self._job.result

    @property
    def error(self) -> BaseException | None:
        """The exception the function raised."""
        return self._job.error

    @property
    def cancelled(self) -> bool:
        """Nobody wants the result."""
        return self._job.cancelled.is_set()

    def cancel(self) -> None:
        """Drop the result. A function that has not started will not; one that reports or checks ends."""
        self._job.cancelled.set()

    def deliver(self) -> None:
        """Called by the runner: send on what came of it."""
        if self.cancelled:
            return
        if self._job.error is not None:
            self.failed.emit(sentence_for(self._job.error, self._job.doing))
        else:
            self.done.emit(self._job.result)


class TaskRunner(QObject):
    """A few worker threads of one owner; created, used and closed in the GUI thread."""

    _job_over = Signal(object)
    _job_progressed = Signal(object, float, str)

    def __init__(self, threads: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(threads)
        self._queue = _Queue()
        self._tasks: dict[_Job, Task] = {}
        self._closed = False
        # Emitted in workers, received in this object's thread: Qt queues the calls.
        self._job_over.connect(self._on_job_over)
        self._job_progressed.connect(self._on_job_progressed)

    def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        doing: str = "working",
        priority: int = 0,
        reports: bool = False,
        checks: bool = False,
    ) -> Task:
        """Call `function(*args)` in a worker.

        Args:
            function: must not touch the window.
            args: handed over as they are; do not change them afterwards.
            doing: for the message of an unforeseen error, as in "reading a.png".
            priority: higher runs earlier.
            reports: pass `report=`, a function `(share, text="")` for progress; it raises
                `TaskCancelledError` (let it through) once the task is cancelled.
            checks: pass `check=`, a function without arguments that raises the same, and nothing else: for
                work of many small steps, none of which is worth a word.
        """
        job = _Job(function, args, doing, checks=checks)
        task = Task(job)
        if self._closed:
            task.cancel()
            return task
        self._tasks[job] = task
        report = self._job_progressed.emit if reports else None
        self._queue.put(partial(job.run, self._job_over.emit, report), priority)
        self._pool.start(self._queue.run_next)
        return task

    @property
    def busy(self) -> bool:
        """Something is running, waiting, or not delivered yet."""
        return bool(self._tasks)

    def wait(self, timeout_ms: float, tasks: Collection[Task] | None = None) -> bool:
        """Block until these jobs are over (None: all), deliver what is done here; False when time ran out."""
        awaited = [job for job, task in self._tasks.items() if tasks is None or task in tasks]
        deadline = time.monotonic() + timeout_ms / 1000
        finished = all(job.over.wait(max(0.0, deadline - time.monotonic())) for job in awaited)
        for job in [job for job in self._tasks if job.over.is_set()]:
            self._on_job_over(job)
        return finished

    def close(self, timeout_ms: int = 5000) -> bool:
        """Drop what waits and every result, wait for what runs. False: a job is still running."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        self._queue.clear()
        self._pool.clear()
        finished = self._pool.waitForDone(timeout_ms)
        self._tasks.clear()
        return finished

    def _on_job_over(self, job: _Job) -> None:
        task = self._tasks.pop(job, None)
        if task is not None:  # not delivered by `wait` before
            task.deliver()
            task.deleteLater()  # ends its connections, which may hold the task itself

    def _on_job_progressed(self, job: _Job, share: float, text: str) -> None:
        task = self._tasks.get(job)
        if task is not None and not task.cancelled:
            task.progress.emit(share, text)
