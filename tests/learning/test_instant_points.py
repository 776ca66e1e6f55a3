"""Which labelled pixels the instant learner's head learns from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from core.annotation.model import UNLABELLED
from core.learning.instant import points as points_module
from core.learning.instant.features import Features
from core.learning.instant.learner import FeaturesDone
from core.learning.instant.points import POINTS_IN_ALL, collect_points, points_per_image
from core.learning.labels.data import scaled_size
from core.models.instant import GRID
from tests.learning.conftest import BACKGROUND, DISC, SQUARE


def test_rare_classes_are_drawn_more_often_than_their_share(network, feature_cache) -> None:
    image = np.zeros((128, 128, 3), np.uint8)
    targets = np.zeros((128, 128), np.uint8)
    targets[:8, :16] = 2  # 1 in 128
    points = collect_points(
        feature_cache.compute(image), targets, count=1000, weak=None, background=0, seed=0
    )
    assert 0.05 < float((points.targets == 2).float().mean()) < 0.2
    assert len(points) <= 1001


def test_unlabelled_pixels_are_never_drawn(network, feature_cache) -> None:
    targets = np.full((64, 64), UNLABELLED, np.uint8)
    targets[10:12, 10:20] = 1
    points = collect_points(
        feature_cache.compute(np.zeros((64, 64, 3), np.uint8)),
        targets,
        count=500,
        weak=None,
        background=0,
        seed=0,
    )
    assert len(points) == 20
    assert set(points.targets.tolist()) == {1}


def test_many_images_share_the_memory_for_points() -> None:
    assert points_per_image(1) > points_per_image(100) > points_per_image(1000) >= 1
    for images in (1, 32, 33, 513, 2000, 100_000):
        assert images * points_per_image(images) <= POINTS_IN_ALL


def test_images_that_come_one_by_one_thin_the_points_of_the_others(world, learner, monkeypatch) -> None:
    monkeypatch.setattr(points_module, "POINTS_IN_ALL", 2048)
    looks, held = [], []
    for number in range(1, 10):
        world.put_drawn(number, BACKGROUND, DISC, SQUARE)
        looks.append(sum(isinstance(piece, FeaturesDone) for piece in learner.update(steps=1)))
        held.append(sum(len(learner.points(key)) for key in learner.keys))
    assert looks == [1] * 9
    assert max(held) <= 2 * 2048
    assert set(learner.points("1.png").targets.tolist()) == {0, 1, 2}, "every class is there still"


def _knowing_how_far_right(size_hw: tuple[int, int], scale: float) -> Features:
    """Features of an image at this scale, that say nothing but how far to the right a pixel lies, 0 to 1."""
    scaled_hw = scaled_size(size_hw, scale)
    rows, columns = (-(-side // 64) * 64 // GRID for side in scaled_hw)
    across = (torch.arange(columns) + 0.5) * GRID / scaled_hw[1]
    return Features((across.half().expand(1, 1, rows, columns),), size_hw, scaled_hw)


@pytest.mark.parametrize("size_hw", [(1, 5000), (20, 5000), (60, 2000)])
def test_labels_of_a_flat_image_are_learned_where_they_are(size_hw: tuple[int, int]) -> None:
    """Their small side cannot be an eighth of itself; that is no reason to move what lies along the other."""
    features = _knowing_how_far_right(size_hw, 0.125)
    targets = np.zeros(size_hw, np.uint8)
    targets[:, size_hw[1] // 2 :] = 1
    points = collect_points(
        features, targets, count=4096, weak=None, background=None, seed=0, fresh_for=targets
    )
    right = points.features[:, 0] > 0.5
    assert 0.4 < float((points.targets == 1).float().mean()) < 0.6
    assert float((right == (points.targets == 1)).float().mean()) > 0.99
    assert float(right[points.fresh].float().mean()) > 0.99


@pytest.mark.parametrize("stands_out", [True, False])
def test_beside_what_is_drawn_background_is_sure_where_objects_stand_out(*, stands_out: bool) -> None:
    """One of nine discs is drawn; with or without a feature that tells discs from the rest."""
    rng = np.random.default_rng(0)
    side = 320
    truth = np.zeros((side, side), np.uint8)
    for n in range(9):
        cv2.circle(truth, (55 + 105 * (n % 3), 55 + 105 * (n // 3)), 16, 1, -1)
    targets = np.full_like(truth, UNLABELLED)
    targets[120:200, 120:200][truth[120:200, 120:200] == 1] = 1  # the one in the middle
    cells = truth[GRID // 2 :: GRID, GRID // 2 :: GRID]
    noise = rng.normal(0, 1, (8, *cells.shape)) + 6.0 * cells * stands_out
    features = Features((torch.from_numpy(noise)[None].half(),), truth.shape, truth.shape)
    points = collect_points(features, targets, count=4096, weak=0.1, background=0, seed=0)
    stand_in = points.weights < 1
    assert not points.doubtful[~stand_in].any()
    sure = stand_in & ~points.doubtful
    assert bool(sure.sum() > 100) == stands_out
    assert not points.targets[sure].any()
    assert points.doubtful[stand_in].float().mean() > 0.5, "far away anything may be undrawn"
