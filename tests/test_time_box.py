"""Tests that no time is left for are told, and too many of them are a failure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.time_box import OUT_OF_TIME, TimeBox


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def report(outcome: str, why: str = "", when: str = "setup") -> SimpleNamespace:
    return SimpleNamespace(when=when, skipped=outcome == "skipped", longrepr=("test_x.py", 1, why))


def after(*reports: SimpleNamespace) -> tuple[TimeBox, SimpleNamespace, list[str]]:
    """The box when these were reported, its session's end, and what it said."""
    box, said = TimeBox(1.0), []
    for each in reports:
        box.pytest_runtest_logreport(each)
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK, config=SimpleNamespace())
    box.pytest_sessionfinish(session)
    box.pytest_terminal_summary(SimpleNamespace(write_line=lambda text, **_: said.append(text)))
    return box, session, said


BEGUN = report("passed")
LEFT_OUT = report("skipped", f"Skipped: {OUT_OF_TIME}")


def test_tests_are_begun_until_the_minutes_are_over() -> None:
    clock = Clock()
    box = TimeBox(2.0, clock)
    clock.now_s = 119.0
    box.pytest_runtest_setup()
    clock.now_s = 121.0
    with pytest.raises(pytest.skip.Exception, match=OUT_OF_TIME):
        box.pytest_runtest_setup()


def test_what_was_left_out_is_said_and_other_skips_are_not() -> None:
    _, session, said = after(BEGUN, BEGUN, report("skipped", "Skipped: no GPU"), LEFT_OUT)
    assert said == [f"1 of 4 tests {OUT_OF_TIME}"]
    assert session.exitstatus == pytest.ExitCode.OK


def test_nothing_is_said_where_all_were_begun() -> None:
    _, session, said = after(BEGUN, report("passed", when="call"))
    assert not said
    assert session.exitstatus == pytest.ExitCode.OK


def test_fewer_than_a_third_are_a_failure() -> None:
    _, session, _ = after(BEGUN, LEFT_OUT, LEFT_OUT)
    assert session.exitstatus == pytest.ExitCode.OK
    _, session, _ = after(BEGUN, LEFT_OUT, LEFT_OUT, LEFT_OUT)
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED


def test_a_worker_leaves_the_verdict_to_the_first_process() -> None:
    box = TimeBox(1.0)
    for each in (BEGUN, LEFT_OUT, LEFT_OUT, LEFT_OUT):
        box.pytest_runtest_logreport(each)
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK, config=SimpleNamespace(workerinput={}))
    box.pytest_sessionfinish(session)
    assert session.exitstatus == pytest.ExitCode.OK
