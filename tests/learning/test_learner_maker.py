"""When another instant learner has to be made, and what finding that out takes."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from core.annotation.model import AnnotationState
from core.learning.instant.maker import LearnerMaker
from core.learning.settings import preset
from core.learning.settings.preset import SCALES
from tests.learning.conftest import DISC


@pytest.fixture
def maker(world) -> LearnerMaker:
    made = LearnerMaker(lambda _event: None, time.monotonic)
    made.follow(world.store, None)
    return made


@pytest.mark.parametrize(("near", "far"), list(itertools.pairwise(SCALES)))
def test_a_width_near_a_threshold_does_not_have_images_looked_at_again_and_again(
    maker, learner, monkeypatch: pytest.MonkeyPatch, near: float, far: float
) -> None:
    for looked_at, wanted in ((near, far), (far, near)):
        learner.cache.scale = looked_at
        monkeypatch.setattr(maker, "_scale", lambda wanted=wanted: wanted)
        assert not maker.is_out_of_date(learner)


@pytest.mark.parametrize(("near", "far"), list(zip(SCALES[:-2], SCALES[2:], strict=True)))
def test_images_are_looked_at_again_where_the_scale_is_far_off(
    maker, learner, monkeypatch: pytest.MonkeyPatch, near: float, far: float
) -> None:
    for looked_at, wanted in ((near, far), (far, near)):
        learner.cache.scale = looked_at
        monkeypatch.setattr(maker, "_scale", lambda wanted=wanted: wanted)
        assert maker.is_out_of_date(learner)


def test_only_regions_of_the_image_that_changed_are_measured_again(
    maker, world, learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []
    plain = preset._width

    def counted(region):
        measured.append(1)
        return plain(region)

    monkeypatch.setattr(preset, "_width", counted)
    world.put_done(1, 2, 3)
    maker.is_out_of_date(learner)
    assert len(measured) == 3 * 2, "of the disc and the square in every image"
    world.put_drawn(2, DISC)
    maker.is_out_of_date(learner)
    maker.is_out_of_date(learner)
    assert len(measured) == 3 * 2 + 1


def test_what_is_measured_again_is_what_there_is_now(maker, world, learner) -> None:
    """Thin lines that are drawn later call for a closer look."""
    path = world.picture(1, (1600, 2000)).path
    mask = np.zeros((1600, 2000), np.uint8)
    mask[200:1200, 200:1200] = DISC
    world.store.put("1.png", path, mask, AnnotationState.DONE)
    learner.cache.scale = preset.choose_scale(world.store, 256, 1.0)
    assert learner.cache.scale < 0.2
    assert not maker.is_out_of_date(learner)
    mask = np.zeros((1600, 2000), np.uint8)
    mask[::100, :] = mask[1::100, :] = DISC
    world.store.put("1.png", path, mask, AnnotationState.DONE)
    assert maker.is_out_of_date(learner)
