"""Which windows training sees."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.labels.corrections import LATE, MOST_DRAWN, REPLAY, STAND_IN, Corrections, regions
from core.learning.labels.data import ChannelMap
from core.learning.labels.weak_background import undrawn
from core.learning.training.sampler import RARE, CropSampler, Windows

DISC, BACKGROUND, SQUARE = 0, 1, 2
"""Channels of the test world's classes."""


def _sampler(world, crop: int = 48, margin: float = 1.5, seed: int = 0, **settings) -> CropSampler:
    return CropSampler(
        world.store,
        ChannelMap(world.store.classes),
        world.store.labelled_keys(),
        **{"scale": 1.0, "crop": crop, "margin": margin, "seed": seed, "weak_background": True} | settings,
    )


def _at_seeds(windows: Windows) -> list[int]:
    """The targets found where the seeds are said to be."""
    middle = windows.targets.shape[1] / 2
    return [
        int(targets[int(middle + y), int(middle + x)])
        for targets, (x, y) in zip(windows.targets, windows.seeds, strict=True)
    ]


@pytest.mark.parametrize("crop", [32, 64, 128])
def test_every_seed_is_a_labelled_pixel_inside_its_crop(world, crop) -> None:
    world.put_done(1)
    world.put_drawn(2, 3)
    sampler = _sampler(world, crop=crop, weak_background=False)
    for _ in range(20):
        windows = sampler.draw(4)
        assert windows.pixels.shape[:3] == windows.targets.shape
        assert _at_seeds(windows) == windows.seed_targets.tolist()
        assert UNLABELLED not in windows.seed_targets
        assert np.abs(windows.seeds).max() < max(crop / 2, 48)  # an image has 96 x 72 pixels


def test_beyond_a_small_image_there_are_mirrored_pixels_and_no_targets(world) -> None:
    picture = world.picture(1, size_hw=(20, 30))
    world.store.put(picture.key, picture.path, picture.mask, AnnotationState.DONE)
    windows = _sampler(world, crop=64).draw(2)
    assert windows.targets.shape == (2, 64, 64)
    assert (windows.targets != UNLABELLED).sum() == 2 * 20 * 30
    outside = windows.pixels[windows.targets == UNLABELLED]
    assert outside.min() >= 10
    assert outside.std() > 1


def test_half_of_the_seeds_go_to_rare_classes(world) -> None:
    world.put_done(1, 2, 3)
    counts = Counter(
        np.concatenate([_sampler(world, seed=s).draw(40).seed_targets for s in range(5)]).tolist()
    )
    pixels = _sampler(world).class_pixels.sum(axis=0)
    for rare in (DISC, SQUARE):
        assert counts[rare] / 200 > 2 * pixels[rare] / pixels.sum()
    assert counts[BACKGROUND] > 60


@pytest.mark.parametrize(("share", "batch"), [(0.5, 1), (0.5, 3), (0.3, 2), (0.2, 4)])
def test_small_batches_have_their_share_of_rare_crops(world, share: float, batch: int) -> None:
    world.put_done(1, 2)
    sampler = _sampler(world, rare_crops=share)
    drawn_for = [number for _ in range(60) for number in sampler.draw(batch).drawn_for]
    assert sum(number == RARE for number in drawn_for) == pytest.approx(share * len(drawn_for), abs=1)


def _learn(sampler: CropSampler, steps: int, *, usual: float, fresh: float, batch: int = 4) -> Counter[str]:
    """Draw and tell losses, as training does; how often each image was drawn."""
    drawn: Counter[str] = Counter()
    for _ in range(steps):
        windows = sampler.draw(batch)
        drawn.update(windows.keys)
        losses = [fresh if number >= 0 else usual for number in windows.drawn_for]
        sampler.hear(windows, np.array(losses))
    return drawn


def test_an_image_that_was_just_labelled_is_drawn_more_until_its_loss_has_fallen(world) -> None:
    world.put_done(*range(1, 11))
    sampler = _sampler(world)
    before = _learn(sampler, 50, usual=0.5, fresh=9.0)
    assert "11.png" not in before
    world.put_done(11)
    unlearned = _learn(sampler, 100, usual=0.5, fresh=2.0)
    assert unlearned["11.png"] > 2 * 400 / 11
    assert len(unlearned) == 11, "the others are replayed meanwhile"
    _learn(sampler, 40, usual=0.5, fresh=0.2)
    assert len(sampler.corrections) == 0
    learned = _learn(sampler, 100, usual=0.5, fresh=9.0)
    assert learned["11.png"] < 1.7 * 400 / 11


def test_what_was_corrected_in_an_image_is_drawn_more_not_its_other_pixels(world) -> None:
    world.put_done(*range(1, 11))
    sampler = _sampler(world)
    sampler.draw(4)
    picture = world.picture(5)
    mask = picture.mask.copy()
    mask[2:10, 3:15] = 7
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    at = []
    for _ in range(100):
        windows = sampler.draw(4)
        side = windows.targets.shape[1]
        fresh = [n for n, number in enumerate(windows.drawn_for) if number >= 0]
        assert all(windows.keys[n] == picture.key for n in fresh)
        assert all(windows.seed_targets[n] == SQUARE for n in fresh)
        at += [windows.targets[n, int(side / 2 + y), int(side / 2 + x)] for n, (x, y) in
               ((n, windows.seeds[n]) for n in fresh)]  # fmt: skip
    assert 60 < len(at) < 140  # a quarter of all
    assert set(at) == {SQUARE}


def test_a_correction_that_other_labels_contradict_is_dropped_in_the_end(world) -> None:
    world.put_done(1, 2, 3)
    sampler = _sampler(world)
    sampler.draw(1)
    world.put_done(4)
    _learn(sampler, MOST_DRAWN, usual=0.5, fresh=5.0, batch=8)
    assert len(sampler.corrections) == 0


def test_a_change_corrected_again_starts_anew_and_erased_labels_are_nothing_to_learn() -> None:
    corrections = Corrections()
    clean = np.zeros((40, 40), np.uint8)
    once, twice, erased = clean.copy(), clean.copy(), clean.copy()
    once[5:15, 5:15] = 1
    twice[10:20, 10:20] = 2
    erased[30:, 30:] = UNLABELLED
    corrections.add_changes("a", clean, once)
    corrections.add_changes("a", once, twice)
    assert [correction.number for correction in corrections] == [1]
    corrections.add_changes("a", clean, erased)
    assert len(corrections) == 1


def test_changes_far_apart_are_corrections_of_their_own() -> None:
    changed = np.zeros((60, 80), np.bool_)
    changed[3:8, 3:8] = changed[40:50, 60:70] = True
    changed[55, 3] = True  # rounding
    found = regions(changed)
    assert [where.sum() for _, _, where in found] == [25, 100]
    covered = np.zeros_like(changed)
    for top, left, where in found:
        covered[top : top + where.shape[0], left : left + where.shape[1]] |= where
    changed[55, 3] = False
    np.testing.assert_array_equal(covered, changed)


def test_losses_are_read_late_and_those_that_are_no_numbers_do_not_count() -> None:
    corrections = Corrections()
    corrections.add_image("a")
    for _ in range(LATE):
        corrections.hear([0] * 12 + [REPLAY] * 12, np.array([0.01] * 12 + [1.0] * 12))
    corrections.take_in()
    assert len(corrections) == 1
    corrections.hear([0], np.array([np.nan]))
    corrections.take_in()
    assert len(corrections) == 0


def test_changed_labels_are_in_the_next_batch(world) -> None:
    world.put_drawn(1, 3)
    sampler = _sampler(world, weak_background=False)
    assert set(sampler.draw(8).seed_targets.tolist()) == {DISC}
    world.put_drawn(1, 7)
    assert set(sampler.draw(8).seed_targets.tolist()) == {SQUARE}
    world.store.remove("1.png")
    assert sampler.draw(8) is None


def test_held_out_images_are_never_drawn(world) -> None:
    world.put_done(1, 2, 3)
    sampler = _sampler(world)
    sampler.hold_out(["2.png"])
    assert set(sampler.draw(60).keys) == {"1.png", "3.png"}


def test_a_restored_sampler_draws_the_same_windows(world) -> None:
    world.put_done(1, 2, 3)
    sampler = _sampler(world)
    sampler.draw(7)
    world.put_done(4)
    picture = world.picture(2)
    mask = np.where(picture.mask == 3, 7, picture.mask).astype(np.uint8)
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    _learn(sampler, 20, usual=1.0, fresh=1.2)
    assert len(sampler.corrections) == 2
    state = sampler.state()
    other = _sampler(world, seed=99)
    other.restore(state)
    for _ in range(60):  # until both corrections are learned, after the same number of steps
        expected, found = sampler.draw(6), other.draw(6)
        assert found.keys == expected.keys
        assert found.drawn_for == expected.drawn_for
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        np.testing.assert_array_equal(found.targets, expected.targets)
        for each, windows in ((sampler, expected), (other, found)):
            each.hear(windows, np.full(6, 0.3))
    assert len(sampler.corrections) == len(other.corrections) == 0


def test_labels_that_changed_while_a_run_was_down_count_as_fresh(world) -> None:
    world.put_done(*range(1, 11))
    state = _sampler(world).state()
    world.put_drawn(5, 3, 7)
    sampler = _sampler(world)
    sampler.restore(state)
    assert Counter(sampler.draw(200).keys)["5.png"] > 2 * 200 / 10


def test_undrawn_pixels_away_from_shapes_stand_in_for_background(world) -> None:
    world.put_drawn(1, 3)
    sampler = _sampler(world, crop=96)
    windows = sampler.draw(4)
    assert sampler.weak_background
    assert (windows.targets[windows.weak] == BACKGROUND).all()
    assert not windows.weak[windows.targets == DISC].any()
    near = undrawn(np.where(world.store.get("1.png").mask == 3, DISC, UNLABELLED).astype(np.uint8))
    assert 0.5 < near.mean() < 0.98


def test_what_stands_in_for_background_is_drawn_but_is_no_measure_of_what_is_learned(world) -> None:
    world.put_drawn(1, 3)
    windows = _sampler(world).draw(60)
    stand_in = [number == STAND_IN for number in windows.drawn_for]
    assert stand_in == [channel == BACKGROUND for channel in windows.seed_targets]
    assert 0 < sum(stand_in) < 60


def test_of_an_image_that_was_just_labelled_labels_are_what_is_to_be_learned(world) -> None:
    world.put_drawn(1, 3)
    sampler = _sampler(world)
    sampler.draw(1)
    world.put_drawn(2, 3, 7)
    windows = sampler.draw(100)
    assert sampler.weak_background
    new = [
        int(channel)
        for channel, number in zip(windows.seed_targets, windows.drawn_for, strict=True)
        if number >= 0
    ]
    assert len(new) > 10
    assert set(new) == {DISC, SQUARE}


def test_weak_background_ends_with_the_first_real_background(world) -> None:
    world.put_drawn(1, 3)
    world.put_drawn(2, 7)
    sampler = _sampler(world)
    assert sampler.draw(2).weak is not None
    world.put_drawn(2, 7, 0)
    windows = sampler.draw(20)
    assert windows.weak is None
    assert not sampler.weak_background
    for targets, key in zip(windows.targets, windows.keys, strict=True):
        if key == "1.png":
            assert BACKGROUND not in targets


def test_done_images_never_give_weak_background(world) -> None:
    picture = world.picture(1)
    mask = np.where(picture.mask == 3, picture.mask, UNLABELLED).astype(np.uint8)
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    windows = _sampler(world).draw(2)
    assert not windows.weak.any()
    assert BACKGROUND not in windows.targets


def test_a_project_without_a_background_class_has_no_weak_background(world) -> None:
    world.store.set_classes(type(world.store.classes)(world.store.classes.classes[::2]))
    world.put_drawn(1, 3)
    sampler = _sampler(world)
    assert sampler.draw(2).weak is None
    assert not sampler.weak_background


def test_an_image_that_cannot_be_read_is_left_out_and_told(world) -> None:
    world.put_done(1, 2)
    (world.folder / "1.png").write_bytes(b"not an image")
    sampler = _sampler(world)
    assert set(sampler.draw(30).keys) == {"2.png"}
    assert [problem.path.name for problem in sampler.problems] == ["1.png"]
    (world.folder / "2.png").unlink()
    fresh = _sampler(world, scale=0.5)
    assert fresh.draw(4) is None


def test_a_batch_falls_into_pieces(world) -> None:
    world.put_drawn(1, 3)
    windows = _sampler(world).draw(5)
    pieces = windows.pieces(2)
    assert [len(piece.keys) for piece in pieces] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([piece.weak for piece in pieces]), windows.weak)
    np.testing.assert_array_equal(np.concatenate([piece.pixels for piece in pieces]), windows.pixels)
