"""Newer work takes the place of older, but not again and again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from core.learning.instant.head import FitStep
from core.learning.instant.learner import FeaturesDone
from core.learning.instant.under_way import UnderWay

LOOK = FeaturesDone(1, 1)
STEP = FitStep(1, 9, torch.tensor(0.0), 0.1)


@pytest.fixture
def work() -> UnderWay:
    return UnderWay()


def _begin(work: UnderWay, *pieces: object, urgent: bool = True) -> None:
    work.begin(iter(pieces), urgent=urgent)


def test_the_first_fit_gives_way_and_the_second_is_finished(work: UnderWay) -> None:
    _begin(work, STEP, STEP)
    assert work.advance()
    assert not work.is_to_be_finished, "nothing was dropped for it"
    _begin(work, STEP, STEP)
    assert work.advance()
    assert work.is_to_be_finished
    assert work.advance()
    assert not work.advance()
    assert not work
    _begin(work, STEP)
    assert work.advance()
    assert not work.is_to_be_finished, "what was finished was not dropped"


def test_looking_at_images_always_gives_way(work: UnderWay) -> None:
    _begin(work, STEP)
    _begin(work, LOOK, STEP)
    assert work.advance()
    assert not work.is_to_be_finished, "labels of images that are gone by now may be among them"
    assert work.advance()
    assert work.is_to_be_finished


def test_what_is_not_urgent_gives_way_and_does_not_count(work: UnderWay) -> None:
    _begin(work, STEP, urgent=False)
    assert work
    assert not work.urgent
    _begin(work, STEP)
    assert work.advance()
    assert not work.is_to_be_finished
    _begin(work, STEP, urgent=False)
    assert work.advance()
    assert not work.is_to_be_finished


def test_after_an_error_nothing_is_under_way(work: UnderWay) -> None:
    def fails() -> Iterator[object]:
        yield STEP
        raise OSError("no")

    work.begin(fails(), urgent=True)
    assert work.advance()
    with pytest.raises(OSError, match="no"):
        work.advance()
    assert not work
    assert not work.urgent
