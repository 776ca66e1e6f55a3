"""Images worth labelling come first, and near-identical ones not all together."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from core.learning.events import ImagesRated
from core.learning.instant.features import FeatureCache
from core.learning.overlay.asking import Speakers
from core.learning.overlay.usefulness import MOST_PICKS, UsefulnessRater, tiny_version, usefulness

NONE = np.zeros((0, 2), np.float32)


def ranked(doubts, looks, labelled=NONE, own=None) -> list[int]:
    scores = usefulness(
        np.array(doubts, np.float32), np.array(looks, np.float32), np.array(labelled, np.float32), own
    )
    assert scores.max() == pytest.approx(1.0)
    assert scores.min() >= 0.0
    return np.argsort(-scores, kind="stable").tolist()


def test_among_images_equally_unlike_all_others_doubt_decides():
    assert ranked([0.1, 0.4, 0.2], [(0, 0), (50, 0), (0, 50)]) == [1, 2, 0]


def test_ten_frames_of_one_scene_do_not_come_first_together():
    doubts = [0.50 + 0.001 * number for number in range(10)] + [0.3, 0.25]
    looks = [(0.0, 0.01 * number) for number in range(10)] + [(9.0, 0.0), (0.0, 9.0)]
    order = ranked(doubts, looks)
    assert order[0] == 9
    assert set(order[1:3]) == {10, 11}


def test_what_looks_like_a_labelled_image_is_less_useful():
    assert ranked([0.4, 0.3, 0.3], [(0, 0), (9, 0), (0, 9)], labelled=[(0, 0.01)])[-1] == 0


def test_an_image_in_progress_is_not_compared_with_itself():
    looks = [(0, 0), (9, 0), (0, 9)]
    own = np.array([0, -1, -1])
    assert ranked([0.4, 0.3, 0.3], looks, labelled=[(0, 0)], own=own)[0] == 0


def test_nothing_to_rate_and_nothing_in_doubt_are_no_trouble():
    assert usefulness(np.zeros(0, np.float32), NONE, NONE).shape == (0,)
    assert usefulness(np.zeros(3, np.float32), np.ones((3, 2), np.float32), NONE).tolist() == [0, 0, 0]


def test_thousands_of_images_are_ranked_at_once():
    rng = np.random.default_rng(0)
    doubts = rng.random(3 * MOST_PICKS).astype(np.float32)
    looks = rng.normal(size=(len(doubts), 8)).astype(np.float32)
    scores = usefulness(doubts, looks, looks[:5])
    assert len(np.unique(scores)) > MOST_PICKS
    assert scores[:5].max() < 0.3, "each of them is like a labelled one"


def test_pictures_of_one_scene_are_nearer_than_others():
    rng = np.random.default_rng(0)
    scene, other = (rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(2))
    frame = np.roll(scene, 1, axis=1)
    near = np.abs(tiny_version(scene) - tiny_version(frame)).sum()
    assert near < np.abs(tiny_version(scene) - tiny_version(other)).sum()
    assert tiny_version(scene).shape == (192,)


class _Deep:
    """A network at another scale than the instant learner's, in doubt about everything."""

    def __init__(self, classes) -> None:
        self.header = SimpleNamespace(scale=0.5, classes=classes)

    def predict(self, picture, probabilities):
        assert probabilities
        return SimpleNamespace(probabilities=np.full((3, *picture.shape[:2]), 1 / 3, np.float16))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_huge_image_is_rated_too_and_read_once_in_pieces(
    world, network, learner, tmp_path, monkeypatch, suffix
):
    monkeypatch.setattr("core.images.pyramid.HUGE_PIXELS", 500_000)
    world.put_done(1, 2)
    list(learner.update(steps=5))
    path = tmp_path / f"huge.{suffix}"
    rows = np.arange(1200, dtype=np.uint8)[:, None, None]
    Image.fromarray(np.broadcast_to(rows, (1200, 900, 3)).copy()).save(path)
    instant = SimpleNamespace(learner=learner)
    overlay = SimpleNamespace(version=1, speakers=Speakers(None, None, instant, 1.0))
    told: list[ImagesRated] = []
    rater = UsefulnessRater(told.append, overlay, instant)
    rater.consider({"huge": str(path)})
    pieces = []
    for version in (1, 2):
        overlay.version = version
        pieces.append(0)
        while rater.tick(world.store, training=False):
            pieces[-1] += 1
    assert [(rated.weights_version, list(rated.scores)) for rated in told] == [(1, ["huge"]), (2, ["huge"])]
    assert pieces[0] >= pieces[1] + 4, "a turn for each strip, and none when it is known"


def test_images_are_rated_on_when_a_network_of_another_scale_joins(world, network, learner, tmp_path):
    learner.cache = FeatureCache(network, torch.device("cpu"), scale=0.25)
    world.put_done(1, 2)
    list(learner.update(steps=5))
    path = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)).save(path)
    instant = SimpleNamespace(learner=learner)
    overlay = SimpleNamespace(version=1, speakers=Speakers(None, None, instant, 1.0))
    told: list[ImagesRated] = []
    rater = UsefulnessRater(told.append, overlay, instant)
    rater.consider({"large.png": str(path)})
    while rater.tick(world.store, training=False):
        pass
    overlay.version, overlay.speakers = 2, Speakers(_Deep(world.store.classes), 1, instant, 0.5)
    while rater.tick(world.store, training=False):
        pass
    assert [(rated.weights_version, list(rated.scores)) for rated in told] == [
        (1, ["large.png"]),
        (2, ["large.png"]),
    ]
