"""How far a score can be trusted: intervals, paired differences, and what is said where they mean little."""

from __future__ import annotations

import numpy as np
import pytest

from core.learning.scores.bootstrap import Interval, difference, intervals, iou_of
from core.learning.scores.counted import CountedImages
from core.learning.scores.trust import FEW_IMAGES, trust


def _images(count: int, seed: int, *, hit: float = 0.7, spread: float = 0.15) -> np.ndarray:
    """Counts (N, 3, 2) of images; the share of an object that is found varies from one to the next."""
    rng = np.random.default_rng(seed)
    true = rng.integers(200, 400, count)
    right = (true * np.clip(rng.normal(hit, spread, count), 0, 1)).astype(int)
    extra = rng.integers(0, 60, count)
    area = 10_000
    objects = np.stack([right, true, right + extra], axis=1)
    rest = np.stack([area - true - extra, area - true, area - right - extra], axis=1)
    return np.stack([rest, objects], axis=2).astype(np.int64)


def test_the_interval_holds_the_true_score_about_95_times_in_100() -> None:
    truth = float(iou_of(_images(200_000, seed=1).sum(axis=0))[1])
    held = [
        interval.holds(truth)
        for seed in range(300)
        if (interval := intervals(_images(40, seed=100 + seed), "images", seed=seed).per_class[1])
    ]
    assert len(held) == 300
    assert 0.90 <= np.mean(held) <= 0.985


def test_four_times_the_images_halve_the_interval() -> None:
    few, many = (
        np.mean([np.ptp(intervals(_images(n, seed=seed), "images").miou) for seed in range(20)])
        for n in (20, 80)
    )
    assert many == pytest.approx(few / 2, rel=0.15)


def test_the_same_images_give_the_same_interval() -> None:
    counts = _images(12, seed=3)
    assert intervals(counts, "images") == intervals(counts, "images")


def test_one_image_has_no_interval_over_images() -> None:
    found = intervals(_images(1, seed=0), "images")
    assert found.miou is None
    assert found.per_class == (None, None)


def test_a_class_on_one_image_only_has_no_interval_of_its_own() -> None:
    counts = _images(8, seed=5)
    rare = np.zeros((8, 3, 1), np.int64)
    rare[2] = 100
    found = intervals(np.concatenate([counts, rare], axis=2), "images")
    assert found.per_class[2] is None
    assert found.miou is not None


def test_a_class_without_a_true_pixel_is_neither_0_nor_1() -> None:
    absent = np.zeros((8, 3, 1), np.int64)
    absent[:, 2] = 5  # predicted here and there
    with_it = intervals(np.concatenate([_images(8, seed=5), absent], axis=2), "images")
    assert with_it.per_class[2] is None
    assert with_it.miou == intervals(_images(8, seed=5), "images").miou


def test_hard_and_easy_images_do_not_blur_what_was_gained() -> None:
    """Images differ by 0.3 of IoU, and every one of them gains 0.03: paired, that is plain to see."""
    before = _images(12, seed=7, spread=0.3)
    after = before.copy()
    after[:, 0, 1] = before[:, 0, 1] + (before[:, 1, 1] - before[:, 0, 1]) // 8
    after[:, 2, 1] = after[:, 0, 1] + before[:, 2, 1] - before[:, 0, 1]
    gained = difference(before, after)
    single = intervals(before, "images").miou
    assert gained is not None
    assert single is not None
    assert gained.low > 0
    assert gained.high - gained.low < (single.high - single.low) / 2


def test_differences_of_nothing_but_chance_hold_zero() -> None:
    held = [
        interval.holds(0.0)
        for seed in range(200)
        if (interval := difference(_images(20, seed=2 * seed), _images(20, seed=2 * seed + 1)))
    ]
    assert np.mean(held) > 0.88


def test_different_images_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same units"):
        difference(_images(3, seed=0), _images(4, seed=0))


# --- counting ---------------------------------------------------------------------------------------------


def _maps(seed: int, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.zeros((size, size), np.uint8)
    truth[5:25, 5 + seed : 25 + seed] = 1
    predicted = np.where(rng.random(truth.shape) < 0.1, 1 - truth, truth).astype(np.uint8)
    truth[:2] = 255
    return truth, predicted


def test_images_are_pooled_and_kept_apart() -> None:
    counted = CountedImages(2)
    for seed in range(3):
        counted.update(*_maps(seed), key=str(seed))
    counts, over = counted.units
    assert over == "images"
    assert counts.shape == (3, 3, 2)
    assert iou_of(counts.sum(axis=0)) == pytest.approx(counted.confusion.iou())


def test_the_parts_of_an_only_image_add_up_to_it() -> None:
    counted = CountedImages((0, 1))
    truth, predicted = _maps(0)
    counted.update(truth, predicted)
    parts, over = counted.units
    assert over == "parts"
    assert 2 < len(parts) <= 16
    assert (parts.sum(axis=0) == counted.per_image[0]).all()
    assert intervals(parts, over).miou is not None


def test_an_image_without_a_label_is_none_of_the_score() -> None:
    counted = CountedImages(2)
    truth, predicted = _maps(0)
    for unlabelled in (True, False, True):
        counted.update(np.full_like(truth, 255) if unlabelled else truth, predicted)
    alone = CountedImages(2)
    alone.update(truth, predicted)
    assert len(counted) == 1
    assert counted.units[1] == "parts"
    assert intervals(*counted.units) == intervals(*alone.units)


def test_an_image_that_cannot_be_counted_leaves_no_trace() -> None:
    counted = CountedImages(2)
    truth, predicted = _maps(0)
    truth[-1, -1] = 9
    with pytest.raises(ValueError, match="9"):
        counted.update(truth, predicted)
    counted.update(*_maps(1))
    assert len(counted) == 1
    assert (counted.units[0].sum(axis=0) == counted.per_image[0]).all()


# --- words ------------------------------------------------------------------------------------------------


def test_enough_images_that_agree_need_no_words() -> None:
    counts = _images(20, seed=1)
    assert trust(counts, ("background", "nerve"), interval=Interval(0.6, 0.7)).notes == ()


def test_few_images_few_pixels_and_absent_classes_are_said() -> None:
    counts = np.zeros((FEW_IMAGES - 1, 3, 3), np.int64)
    counts[:, :, 0] = 5000
    counts[0, :2, 1] = 40
    said = trust(counts, ("background", "nerve", "vessel"))
    assert any("5 images are few" in note for note in said.notes)
    assert any("not scored: vessel" in note for note in said.notes)
    assert any("nerve" in note for note in said.notes)
    assert said.class_notes["nerve"] == "rests on 40 pixels in 1 image"
    assert "no pixel" in said.class_notes["vessel"]
    assert "background" not in said.class_notes


def test_a_wide_interval_is_said() -> None:
    said = trust(_images(20, seed=1), ("background", "nerve"), interval=Interval(0.4, 0.7))
    assert any("differ a lot" in note for note in said.notes)
