"""A score on many images keeps nobody waiting: between two of them others have their turn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.annotation.model import UNLABELLED
from core.learning.events import Finished, Notice, Validated
from core.learning.labels.data import ChannelMap
from core.learning.prediction import predict
from core.learning.scores.calibration import PixelSample
from core.learning.training import fit as fitting
from core.learning.training.fit import SCORING, fit
from core.learning.validation.hold_out import Plan
from core.learning.validation.validation import Validator


@pytest.fixture(autouse=True)
def _told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "REPORT_S", 0.0)


def _is_scoring(event: object) -> bool:
    return isinstance(event, Notice) and event.text == SCORING


def test_after_every_image_others_have_their_turn(world, start, run) -> None:
    world.put_done(1, 2, 3, 4)
    events = run(start(steps=2))
    shares = [event.progress for event in events if _is_scoring(event)]
    assert sorted(set(shares)) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert shares[-1] == 1.0
    last = max(number for number, event in enumerate(events) if _is_scoring(event))
    assert isinstance(events[last + 1], Validated)


def test_a_large_image_is_scored_tile_by_tile(world, start, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_ONE_PASS_PIXELS", {"cpu": 1})
    monkeypatch.setattr(predict, "_TILE", {"cpu": 64})
    world.put_done(1)
    state = start(steps=1)
    events = run(state)
    shares = [event.progress for event in events if _is_scoring(event)]
    assert shares == [0.0] * 4 + [1.0, 1.0], "two rows of two tiles"
    assert isinstance(events[-1], Finished)


def test_every_image_has_pixels_of_its_own_by_which_confidence_is_judged(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else of images of one size all would be judged at the same places; the order of images is nothing."""
    world.put_done(1, 2)
    judged = []
    monkeypatch.setattr(PixelSample, "keep", lambda _sample, logits, _truth: judged.append(logits))
    numbers = np.arange(3 * 72 * 96, dtype=np.float32).reshape(3, 72, 96)
    found = SimpleNamespace(classes=np.zeros((72, 96), np.uint8), probabilities=numbers)
    predictor = SimpleNamespace(predict=lambda _image, *, probabilities: found)
    for keys in (("1.png", "2.png"), ("2.png", "1.png")):
        plan = Plan(keys, "validation")
        Validator(world.store, ChannelMap(world.store.classes), plan, every_s=15.0).final_score(predictor)
    first, second, second_again, first_again = judged
    assert not np.array_equal(first, second)
    assert np.array_equal(first, first_again)
    assert np.array_equal(second, second_again)


@pytest.mark.parametrize("change", ["corrected", "removed"])
def test_labels_that_change_meanwhile_are_scored_as_they_are_now(world, start, change: str) -> None:
    world.put_done(1, 2, 3, 4)
    state = start(steps=2)
    events = fit(state)
    seen = []
    for event in events:
        seen.append(event)
        if state.step == 2 and _is_scoring(event) and event.progress == 0.5 and "1.png" in world.store:
            if change == "removed":
                world.store.remove("1.png")
            else:
                labels = world.store.get("1.png")
                mask = np.full_like(labels.mask, UNLABELLED)
                mask[:10] = labels.mask[:10]
                world.store.put("1.png", labels.image_path, mask, labels.state)
    score = next(event for event in reversed(seen) if isinstance(event, Validated))
    labelled = sum(
        int((world.store.get(key).mask != UNLABELLED).sum()) for key in world.store.labelled_keys()
    )
    assert score.confusion is not None
    assert np.sum(score.confusion) == labelled < 4 * 72 * 96


@pytest.mark.parametrize("last", [False, True])
def test_of_all_images_only_those_that_change_meanwhile_are_looked_at_again(world, last: bool) -> None:
    """Somebody draws on while the score is taken: it waits for no more than that image, and others go on."""
    world.put_done(1, 2, 3, 4)
    keys = world.store.done_keys()
    plan, channels = Plan(keys, "validation"), ChannelMap(world.store.classes)
    validator = Validator(world.store, channels, plan, every_s=15.0)
    looks = list[bytes]()

    class Careful:
        """Has pauses; no predictor has them while nobody can have a turn."""

        def predict(self, image, *, probabilities=False):
            pytest.fail("in one piece")

        def predicting(self, image, *, probabilities=False):
            looks.append(image.tobytes())
            yield
            return SimpleNamespace(classes=np.zeros(image.shape[:2], np.uint8), probabilities=None)

    scoring = (
        validator.final_scoring(Careful()) if last else validator.scoring(Careful(), seconds=0.0, step=1)
    )
    strokes = iter(range(1, 7))  # the last one while the image is looked at again
    score = None
    while score is None:
        try:
            share = next(scoring)
        except StopIteration as end:
            score = end.value[1] if last else end.value
        else:
            if share >= 0.5 and (row := next(strokes, None)) is not None:
                labels = world.store.get(keys[0])
                mask = labels.mask.copy()
                mask[:row] = UNLABELLED
                world.store.put(labels.key, labels.image_path, mask, labels.state)
    assert len(looks) == 5
    assert looks[4] == looks[0]
    assert score.images == 4
    labelled = sum(int((world.store.get(key).mask != UNLABELLED).sum()) for key in keys)
    assert np.sum(score.confusion) == labelled == 4 * 72 * 96 - 6 * 96
