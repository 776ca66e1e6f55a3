"""An image's file is replaced by another program while the learners know it."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import AnnotationState
from core.errors import ImageFileError
from core.images.pages import stamp
from core.images.reader import read_image
from core.learning.commands import Train
from core.learning.labels import data
from core.learning.labels.data import LOOK_EVERY_S, LabelStore
from core.learning.overlay import kept
from core.learning.overlay.overlay import OverlayWeights
from core.learning.overlay.schedule import Target
from core.learning.prediction.predict import Predictor
from tests.learning.conftest import three_classes
from tests.learning.engine_bench import live_squares_bench, shrink_instant_learner
from tests.tiny import TINY

SIZE_WH = (20, 10)
GREEN, GREY = (10, 200, 30), (90, 90, 90)
_written = itertools.count(1)


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _write(path: Path, content: tuple[int, int, int] | bytes) -> None:
    """Another picture, or what is no picture, at a time of its own."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.new("RGB", SIZE_WH, content).save(path)
    os.utime(path, ns=(0, next(_written) * 1_000_000_000))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a green image."""
    made = tmp_path / "a.png"
    _write(made, GREEN)
    return made


@pytest.fixture
def store(path: Path, clock: Clock) -> LabelStore:
    """With labels of that image, and room for three as large."""
    made = LabelStore(three_classes(), pixel_budget_bytes=3 * 20 * 10 * 3, clock=clock)
    _label(made, path, 0)
    return made


def _label(store: LabelStore, path: Path, value: int) -> None:
    store.put(path.name, path, np.full(SIZE_WH[::-1], value, np.uint8), AnnotationState.DONE)


def test_its_new_pixels_are_learned_from_a_moment_later(store: LabelStore, path: Path, clock: Clock) -> None:
    for scale in (1.0, 0.5):
        assert tuple(store.pixels("a.png", scale)[0, 0]) == GREEN
    _write(path, GREY)
    clock.now_s += LOOK_EVERY_S
    for scale in (1.0, 0.5):
        assert tuple(store.pixels("a.png", scale)[0, 0]) == GREY


def test_new_labels_are_of_its_new_pixels_at_once(store: LabelStore, path: Path) -> None:
    store.pixels("a.png")
    _write(path, GREY)
    _label(store, path, 3)
    assert tuple(store.pixels("a.png")[0, 0]) == GREY


def test_its_file_is_not_asked_for_every_crop(
    store: LabelStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def noted(path: Path) -> str:
        asked.append(path)
        return stamp(path)

    monkeypatch.setattr(data, "stamp", noted)
    for _ in range(100):
        store.pixels("a.png")
        clock.now_s += LOOK_EVERY_S / 50
    assert 1 <= len(asked) <= 3


def test_its_older_pixels_leave_the_room_to_other_images(store: LabelStore, path: Path, clock: Clock) -> None:
    other = path.with_name("b.png")
    _write(other, GREY)
    _label(store, other, 0)
    kept = store.pixels("b.png")
    for _ in range(5):
        _write(path, GREEN)
        clock.now_s += LOOK_EVERY_S
        store.pixels("a.png")
        store.pixels("a.png", 0.5)
    assert store.pixels("b.png") is kept


@pytest.mark.parametrize("half", [b"", b"\x89PNG\r\n\x1a\n"])
def test_while_it_is_being_written_its_older_pixels_are_learned_from(
    store: LabelStore, path: Path, clock: Clock, half: bytes
) -> None:
    store.pixels("a.png")
    _write(path, half)
    clock.now_s += LOOK_EVERY_S
    assert tuple(store.pixels("a.png")[0, 0]) == GREEN
    with pytest.raises(ImageFileError, match=r"a\.png"):
        store.pixels("a.png", of=stamp(path))
    _write(path, GREY)
    assert tuple(store.pixels("a.png")[0, 0]) == GREEN, "asked a moment ago"
    clock.now_s += LOOK_EVERY_S
    assert tuple(store.pixels("a.png")[0, 0]) == GREY


def test_features_that_are_kept_are_of_its_new_pixels(world, learner) -> None:
    world.put_done(1)
    before = learner.features("1.png")
    path = world.store.get("1.png").image_path
    Image.fromarray(255 - read_image(path)).save(path)
    os.utime(path, ns=(0, next(_written) * 1_000_000_000))
    found, right = learner.features("1.png"), learner.cache.compute(read_image(path))
    for old, new, true in zip(before.groups, found.groups, right.groups, strict=True):
        torch.testing.assert_close(new, true)
        assert not torch.equal(new, old)


def test_while_it_is_predicted_nothing_of_its_older_pixels_is_kept_as_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_instant_learner(monkeypatch, first_steps=5, more_fits=0, scored_steps=2)
    monkeypatch.setattr(OverlayWeights, "_instant_share", lambda _self: 0.5)
    bench = live_squares_bench(tmp_path / "squares")
    bench.do(Train(config=replace(TINY, steps=2)))
    bench.run()
    entry, overlay, learner = bench.entries[0], bench.engine._viewer.overlay, bench.engine._instant.learner
    target = Target(entry.key, str(entry.image_path))
    assert learner is not None

    def replaced_at_once(path: Path) -> NDArray[np.uint8]:
        pixels = read_image(path)
        Image.fromarray(255 - pixels).save(path)
        os.utime(path, ns=(0, next(_written) * 1_000_000_000))
        return pixels

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(kept, "read_image", replaced_at_once)
        overlay.predict(target, 0, lambda: False)
    present = read_image(entry.image_path)
    found, right = learner.features(entry.key), learner.cache.compute(present)
    for group, true in zip(found.groups, right.groups, strict=True):
        torch.testing.assert_close(group, true)
    asked: list[NDArray[np.uint8]] = []
    predict = Predictor.predict

    def noted(predictor: Predictor, image: NDArray[np.uint8], **how: object) -> object:
        asked.append(image)
        return predict(predictor, image, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(Predictor, "predict", noted)
    overlay.predict(target, 0, lambda: False)
    np.testing.assert_array_equal(asked, [present])
