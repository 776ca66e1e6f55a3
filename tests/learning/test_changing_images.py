"""Images that are removed or replaced while the instant learner knows them."""

from __future__ import annotations

import pytest

from core.learning.instant.learner import FeaturesDone, InstantLearner


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
