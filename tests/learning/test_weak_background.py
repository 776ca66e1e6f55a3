"""Which undrawn pixels stand in for background while nobody has drawn any."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.annotation.model import UNLABELLED
from core.learning.labels.weak_background import stand_ins, surroundings, undrawn

SIDE = 160


@pytest.fixture
def cells() -> tuple[np.ndarray, np.ndarray]:
    """Twenty-five bright discs on dark noise; and which is which, 0 for none."""
    rng = np.random.default_rng(0)
    which = np.zeros((SIDE, SIDE), np.uint8)
    for n in range(25):
        cv2.circle(which, (16 + 32 * (n % 5), 16 + 32 * (n // 5)), 9, n + 1, -1)
    grey = np.where(which > 0, 150, 40) + rng.normal(0, 12, which.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2), which


def test_objects_like_the_drawn_ones_do_not_stand_in_for_background(cells) -> None:
    pixels, which = cells
    targets = np.where(np.isin(which, (1, 7)), 1, UNLABELLED).astype(np.uint8)
    found = stand_ins(pixels, targets)
    others, ground = (which > 0) & (targets == UNLABELLED), (which == 0) & undrawn(targets)
    assert found[others].mean() < 0.1
    assert found[ground].mean() > 0.6  # a disc's surroundings look a little like its border
    assert not found[targets == 1].any()


def test_the_neighbourhood_of_what_is_drawn_is_a_ring_of_the_undrawn() -> None:
    targets = np.full((400, 300), UNLABELLED, np.uint8)  # a diagonal of 500
    targets[200, 150] = 1
    away, near = surroundings(targets)
    np.testing.assert_array_equal(away, undrawn(targets))
    right = np.flatnonzero(near[200, 150:])
    np.testing.assert_allclose((right.min(), right.max()), (10, 50), atol=3)
    assert len(right) == right.max() - right.min() + 1


def test_where_nothing_is_drawn_nothing_stands_in(cells) -> None:
    pixels, which = cells
    assert not stand_ins(pixels, np.full(which.shape, UNLABELLED, np.uint8)).any()
    assert not stand_ins(pixels, np.zeros(which.shape, np.uint8)).any()


def test_a_few_drawn_pixels_keep_nothing_but_their_surroundings_out(cells) -> None:
    pixels, which = cells
    targets = np.full(which.shape, UNLABELLED, np.uint8)
    targets[16, 14:18] = 1
    np.testing.assert_array_equal(stand_ins(pixels, targets), undrawn(targets))


def test_large_images_are_looked_at_in_a_reduced_size(cells) -> None:
    pixels, which = (cv2.resize(each, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST) for each in cells)
    targets = np.where(np.isin(which, (1, 7)), 1, UNLABELLED).astype(np.uint8)
    found = stand_ins(pixels, targets)
    assert found.shape == which.shape
    assert found[(which > 0) & (targets == UNLABELLED)].mean() < 0.1
    assert found[(which == 0) & undrawn(targets)].mean() > 0.6


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 3)])
def test_images_of_a_few_pixels_are_no_trouble(shape) -> None:
    pixels = np.zeros((*shape, 3), np.uint8)
    targets = np.full(shape, UNLABELLED, np.uint8)
    targets[0, 0] = 1
    assert stand_ins(pixels, targets).shape == shape


def test_the_same_labels_give_the_same_answer(cells) -> None:
    pixels, which = cells
    targets = np.where(which == 3, 1, UNLABELLED).astype(np.uint8)
    np.testing.assert_array_equal(stand_ins(pixels, targets), stand_ins(pixels, targets))
