"""Images that are removed or replaced while the instant learner knows them."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState
from core.errors import MaskFileError
from core.images.pages import stamp
from core.images.reader import read_image
from core.learning.instant.crossfit import cross_fit
from core.learning.instant.learner import FeaturesDone, InstantLearner
from tests.learning.conftest import DISC

_written = itertools.count(1)


def _write(path: Path, content: np.ndarray | bytes) -> None:
    """Other pixels, or what is no image, at a time of its own."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(content).save(path)
    os.utime(path, ns=(0, next(_written) * 1_000_000_000))


def _looks(learner: InstantLearner) -> int:
    """An update; how many images it looks at."""
    return sum(isinstance(piece, FeaturesDone) for piece in learner.update(steps=2))


@pytest.mark.parametrize("removed", ["1.png", "3.png"])
def test_an_image_that_is_removed_between_two_looks_is_left_out(
    world, learner: InstantLearner, removed: str
) -> None:
    world.put_done(1, 2, 3)
    for piece in learner.update(steps=2):
        if isinstance(piece, FeaturesDone) and piece.done == 1:
            world.store.remove(removed)
    assert learner.version == 1
    assert learner.points(removed) is None
    assert learner.points("2.png") is not None
    assert learner.problems == []
    assert learner.stale


def test_what_was_learned_of_a_picture_is_not_learned_from_the_next_one(world, learner) -> None:
    world.put_done(1, 2, 3)
    assert _looks(learner) == 3
    path = world.picture(1).path
    before = learner.points("1.png").features
    _write(path, 255 - read_image(path))
    assert _looks(learner) == 1
    assert not torch.equal(before, learner.points("1.png").features)
    assert _looks(learner) == 0


def test_an_image_of_another_size_than_its_labels_is_left_out_and_told(world, learner) -> None:
    world.put_done(1, 2, 3, 4)
    _looks(learner)
    path = world.picture(2).path
    _write(path, np.random.default_rng(0).integers(0, 255, (144, 100, 3), dtype=np.uint8))
    learner.cache.get("2.png", stamp(path), lambda: read_image(path))  # somebody looks at it
    with pytest.raises(MaskFileError, match="its labels are 96 x 72"):
        learner.features("2.png")
    *_, score = cross_fit(learner, world.store)
    assert score.images == 3
    _looks(learner)
    assert [type(problem) for problem in learner.problems] == [MaskFileError]
    assert learner.keys == ("1.png", "3.png", "4.png")


@pytest.mark.parametrize("half", [b"", b"\x89PNG\r\n\x1a\n"])
def test_while_an_image_is_being_written_its_older_pixels_are_learned_from(
    world, learner, half: bytes
) -> None:
    world.put_done(1, 2)
    _looks(learner)
    picture = world.picture(1)
    pixels, before = read_image(picture.path), learner.points("1.png")
    _write(picture.path, half)
    assert _looks(learner) == 0
    drawn = np.where(picture.mask == DISC, picture.mask, UNLABELLED).astype(np.uint8)
    world.store.put(picture.key, picture.path, drawn, AnnotationState.DONE)
    assert _looks(learner) == 1
    assert len(learner.points("1.png")) < len(before)
    _write(picture.path, 255 - pixels)
    assert _looks(learner) == 1
    world.store.put(picture.key, picture.path, picture.mask, AnnotationState.DONE)
    assert _looks(learner) == 1
    assert not torch.equal(before.features, learner.points("1.png").features)
    assert learner.problems == []
