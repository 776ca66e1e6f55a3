"""What is on the screen of a large image is predicted first, and painted at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.learning.commands import Predict, Watch
from core.learning.events import Prediction
from core.learning.overlay import view_parts
from tests.app.controller.conftest import SIZE, Bench, predicted
from tests.app.engine_events import prediction

BOX = (8, 4, 40, 28)


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images of this test count as large."""
    monkeypatch.setattr(view_parts, "LARGE_PIXELS", 1000)


def part(key: str, version: int = 1, value: int = 1, **changes: object) -> Prediction:
    x0, y0, x1, y1 = BOX
    classes = np.full((y1 - y0, x1 - x0), value, np.uint8)
    return prediction(key, classes, region=BOX, weights_version=version, **changes)


def test_the_engine_is_told_what_is_on_the_screen_of_a_large_image(opened: Bench) -> None:
    opened.controller.follow_view(BOX)
    opened.controller.follow_view(BOX)
    views = [watch.view for watch in opened.thread.of(Watch) if watch.key == "scan000.png"]
    assert views == [None, BOX]
    opened.controller.follow_view((0, 0, 64, 48))
    assert opened.thread.of(Watch)[-1].view == (0, 0, 64, 48)
    assert [ahead.key for ahead in opened.thread.of(Predict)] == ["scan001.png"], "once, whatever moves"


def test_of_a_small_image_it_is_not_told(opened: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_parts, "LARGE_PIXELS", 10_000)
    opened.controller.follow_view(BOX)
    assert all(watch.view is None for watch in opened.thread.of(Watch))


def test_a_part_is_shown_over_what_there_was_and_the_whole_takes_its_place(opened: Bench) -> None:
    opened.thread.say(predicted("scan000.png", version=1))
    opened.thread.say(part("scan000.png", version=2, value=0))
    shown = opened.shown[-1]
    assert shown is not None
    assert opened.controller.fresh_part == BOX
    classes, old = shown.classes.unpack(), predicted("scan000.png").classes.unpack()
    assert not classes[4:28, 8:40].any()
    outside = np.ones(SIZE, bool)
    outside[4:28, 8:40] = False
    np.testing.assert_array_equal(classes[outside], old[outside])

    whole = predicted("scan000.png", version=2)
    opened.thread.say(whole)
    assert opened.shown[-1] is whole
    assert opened.controller.fresh_part is None


def test_a_first_part_leaves_the_rest_open_and_only_the_whole_can_be_accepted(opened: Bench) -> None:
    opened.thread.say(part("scan000.png"))
    shown = opened.shown[-1]
    assert shown is not None
    assert shown.classes.size_hw == SIZE
    assert shown.classes.unpack()[0, 0] == 255
    opened.controller.accepting.accept_all()
    assert "still being predicted" in opened.messages[-1][0]
    opened.thread.say(predicted("scan000.png"))
    opened.controller.accepting.accept_all()
    opened.qtbot.waitUntil(lambda: len(opened.document) == 2)


def test_parts_are_written_into_the_maps_on_show(opened: Bench) -> None:
    whole = predicted("scan000.png")
    opened.thread.say(whole)
    before = whole.classes.unpack().copy()
    opened.thread.say(part("scan000.png", version=2, value=0))
    first = opened.controller.prediction
    assert first is not None
    maps = first.classes.unpack(), first.confidence.unpack()
    opened.thread.say(part("scan000.png", version=3, value=1))
    opened.thread.say(predicted("scan000.png", version=4, value=0))
    opened.thread.say(part("scan000.png", version=5))
    last = opened.controller.prediction
    assert last is not None
    for old, new in zip(maps, (last.classes.unpack(), last.confidence.unpack()), strict=True):
        assert np.shares_memory(old, new)
        assert not new.flags.writeable
    assert last.classes.unpack()[10, 10] == 1
    assert not last.classes.unpack()[35:45, 40:60].any(), "around it is the newest whole"
    np.testing.assert_array_equal(whole.classes.unpack(), before)
    opened.thread.say(part("scan000.png", version=4, value=0))
    assert opened.controller.prediction is last
    assert last.classes.unpack()[10, 10] == 1, "of older weights nothing is written"


def test_what_is_being_accepted_or_was_left_is_not_written_into(opened: Bench) -> None:
    opened.thread.say(part("scan000.png"))
    accepted = opened.controller.prediction
    assert accepted is not None
    opened.controller.accepting.accept_region(10, 10)
    opened.thread.say(part("scan000.png", version=2, value=0))
    assert accepted.classes.unpack()[10, 10] == 1
    left = opened.controller.prediction
    assert left is not None
    opened.show("scan001.png")
    opened.thread.say(part("scan001.png", version=2))
    assert left.classes.unpack()[10, 10] == 0


def test_parts_of_other_images_and_of_older_weights_are_dropped(
    opened: Bench, image_folder: Callable[..., Path]
) -> None:
    fresh = predicted("scan000.png", version=5)
    opened.thread.say(fresh)
    opened.thread.say(part("scan001.png", version=6))
    opened.thread.say(part("scan000.png", version=4))
    assert opened.shown == [fresh]
    opened.show("scan001.png")
    assert opened.shown[-1] is None
