"""The image on show when engines die one after the other: it is left alone until it may be well."""

from __future__ import annotations

import pytest

from core.learning.commands import Watch
from core.learning.overlay import view_parts
from tests.app.controller.conftest import Bench
from tests.app.engine_events import started


def watched(bench: Bench) -> list[str | None]:
    return [command.key for command in bench.thread.of(Watch)]


@pytest.fixture
def given_up(opened: Bench) -> Bench:
    """The second engine has died of the image on show, or so it may be."""
    opened.thread.watch_ended.emit()
    opened.thread.crash()
    opened.thread.ready()
    opened.thread.sent.clear()
    return opened


def test_an_image_that_is_given_up_is_told(given_up: Bench) -> None:
    text, level = given_up.messages[-1]
    assert text.startswith("The engine was killed. The image on show is predicted again once")
    assert level == "warning"
    assert watched(given_up) == []


def test_it_is_predicted_again_with_the_next_run(given_up: Bench) -> None:
    given_up.thread.say(started("/runs/1"))
    given_up.thread.say(started("/runs/2"))
    assert watched(given_up) == ["scan000.png"]


def test_it_is_predicted_again_when_it_is_drawn_in(given_up: Bench) -> None:
    given_up.draw()
    given_up.qtbot.waitUntil(lambda: bool(watched(given_up)))
    assert watched(given_up) == ["scan000.png"]
    assert isinstance(given_up.thread.sent[-1], Watch), "after the labels it is predicted with"
    assert given_up.thread.sent[-1].revision > 0


def test_moving_over_a_large_image_is_no_reason_to_try_it_again(
    given_up: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_parts, "LARGE_PIXELS", 1000)
    given_up.controller.follow_view((8, 4, 40, 28))
    given_up.controller.follow_view((9, 4, 41, 28))
    assert watched(given_up) == []
    given_up.thread.say(started("/runs/1"))
    assert [watch.view for watch in given_up.thread.of(Watch)] == [(9, 4, 41, 28)], "where the person is now"


def test_after_a_first_crash_the_thread_sees_to_it(opened: Bench) -> None:
    opened.thread.crash()
    opened.thread.ready()
    opened.thread.sent.clear()
    opened.thread.say(started("/runs/1"))
    assert watched(opened) == []
    assert opened.messages[-1] == ("The engine was killed.", "warning")
