"""Work in threads, results in the window's thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.workers.tasks import TaskRunner
from core.errors import ImageFileError
from tests.patience import PATIENCE_MS, PATIENCE_S


@pytest.fixture
def runner(qapp: object) -> Iterator[TaskRunner]:
    runner = TaskRunner(1)
    yield runner
    assert runner.close()


def test_a_result_arrives_in_the_windows_thread_although_the_work_was_done_in_another(runner, qtbot):
    seen = []
    task = runner.run(threading.get_ident)
    task.done.connect(lambda worker: seen.append((worker, threading.get_ident())))
    qtbot.waitUntil(lambda: bool(seen))
    worker, receiver = seen[0]
    assert worker != receiver == threading.get_ident()


def test_our_own_errors_arrive_as_their_sentence(runner, qtbot):
    def fail() -> None:
        raise ImageFileError(Path("a.png"), "is truncated")

    task = runner.run(fail, doing="reading a.png")
    with qtbot.waitSignal(task.failed) as failed:
        pass
    assert failed.args == ["a.png: is truncated"]
    assert isinstance(task.error, ImageFileError)


@pytest.mark.expects_errors
def test_unforeseen_errors_say_what_was_being_done_and_go_to_the_log(runner, qtbot, caplog):
    task = runner.run(lambda: [][1], doing="reading a.png")
    with qtbot.waitSignal(task.failed) as failed:
        pass
    assert failed.args[0].startswith("Unexpected problem while reading a.png (IndexError: ")
    assert "Traceback" in caplog.text


def test_a_cancelled_task_says_nothing_and_does_not_start(runner, qtbot):
    gate, ran, told = threading.Event(), [], []
    runner.run(gate.wait, PATIENCE_S)
    second = runner.run(lambda: ran.append(1))
    second.done.connect(told.append)
    second.cancel()
    gate.set()
    assert runner.wait(PATIENCE_MS)
    assert not ran
    assert not told


def test_a_long_task_reports_and_stops_when_nobody_wants_it(runner, qtbot):
    reached = []

    def count(report):
        for step in range(1000):
            reached.append(step)
            report(step / 1000, f"step {step}")
            if step == 3:
                task.cancel()

    task = runner.run(count, reports=True)
    assert runner.wait(PATIENCE_MS)
    assert reached == [0, 1, 2, 3, 4]


def test_work_in_small_steps_ends_when_nobody_wants_it(runner, qtbot):
    reached = []

    def count(check):
        for step in range(1000):
            check()
            reached.append(step)
            if step == 3:
                task.cancel()

    task = runner.run(count, checks=True)
    assert runner.wait(PATIENCE_MS)
    assert reached == [0, 1, 2, 3]


def test_one_thread_is_a_queue_and_priority_jumps_it(runner, qtbot):
    gate, order = threading.Event(), []
    runner.run(gate.wait, PATIENCE_S)
    for name in "abc":
        runner.run(order.append, name)
    runner.run(order.append, "urgent", priority=5)
    gate.set()
    assert runner.wait(PATIENCE_MS)
    assert order == ["urgent", "a", "b", "c"]


def test_waiting_delivers_the_results_before_it_returns(runner, qtbot):
    seen = []
    runner.run(lambda: 7).done.connect(seen.append)
    assert runner.wait(PATIENCE_MS)
    assert seen == [7]
    assert not runner.busy


def test_closing_drops_what_waits(qapp, qtbot):
    runner = TaskRunner(1)
    started, gate, ran = threading.Event(), threading.Event(), []

    def block():
        started.set()
        gate.wait(PATIENCE_S)

    runner.run(block)
    runner.run(ran.append, 1)
    assert started.wait(PATIENCE_S)
    gate.set()
    assert runner.close()
    late = runner.run(ran.append, 2)
    assert late.cancelled
    assert 2 not in ran


def test_a_job_given_to_an_idle_runner_is_not_overtaken_by_the_next(runner, qtbot):
    """Saving, then renaming a class: the file must be there when the class is renamed."""
    order: list[int] = []
    for start in range(0, 100, 2):
        runner.run(order.append, start, priority=10)
        runner.run(order.append, start + 1, priority=10)
        assert runner.wait(PATIENCE_MS)  # idle again: the next job wakes the thread
    assert order == list(range(100))


def test_waiting_for_one_job_leaves_the_others(runner, qtbot):
    gate, seen = threading.Event(), []
    first = runner.run(lambda: 7)
    first.done.connect(seen.append)
    runner.run(gate.wait, PATIENCE_S)
    assert runner.wait(PATIENCE_MS, [first])
    assert seen == [7]
    assert runner.busy
    gate.set()
