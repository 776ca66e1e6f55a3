"""The instant learner follows the labels."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.annotation.model import UNLABELLED, AnnotationState
from core.errors import FileProblem
from core.images.reader import read_image
from core.learning.instant import asked
from core.learning.instant import features as features_module
from core.learning.instant.crossfit import cross_fit, folds
from core.learning.instant.features import FeatureCache
from core.learning.instant.head import FitStep, PointSet
from core.learning.instant.known_points import FRESH_FITS
from core.learning.instant.learner import FeaturesDone, InstantLearner
from core.learning.instant.pace import affordable_views
from core.models.instant import VIEWS, InstantNetwork

BACKGROUND, DISC, SQUARE = 0, 3, 7
CPU = torch.device("cpu")


def _update(learner: InstantLearner, steps: int | None = 150) -> list[object]:
    return list(learner.update(steps=steps))


def _iou(learner: InstantLearner, picture, value: int) -> float:
    found = learner.predict(learner.cache.compute(read_image(picture.path))).classes == value
    true = picture.mask == value
    return float((found & true).sum() / (found | true).sum())


def test_it_finds_discs_and_squares_after_one_fit(world, learner) -> None:
    world.put_done(1, 2, 3)
    assert learner.stale
    done = _update(learner)
    assert not learner.stale
    assert learner.version == 1
    assert [piece.done for piece in done if isinstance(piece, FeaturesDone)] == [1, 2, 3]
    assert sum(isinstance(piece, FitStep) for piece in done) == 150
    for value in (DISC, SQUARE):
        assert _iou(learner, world.picture(50), value) > 0.5


def test_only_the_image_that_changed_is_looked_at_again(world, learner) -> None:
    world.put_done(1, 2, 3)
    _update(learner)
    world.put_drawn(2, DISC, SQUARE, BACKGROUND)
    done = _update(learner)
    assert len([piece for piece in done if isinstance(piece, FeaturesDone)]) == 1
    assert learner.version == 2


def test_a_correction_changes_what_it_says_about_the_image(world, learner) -> None:
    world.put_done(1, 2, 3)
    _update(learner)
    picture = world.picture(1)
    swapped = picture.mask.copy()
    swapped[picture.mask == DISC] = SQUARE
    for number in (1, 2, 3):
        other = world.picture(number)
        mask = np.where(other.mask == DISC, SQUARE, other.mask).astype(np.uint8)
        world.store.put(other.key, other.path, mask, AnnotationState.DONE)
    _update(learner)
    found = learner.predict_labelled(picture.key).classes[picture.mask == DISC]
    assert (found == SQUARE).mean() > 0.8


def _corrected(world, number: int) -> tuple[str, np.ndarray]:
    """A patch of the background of a picture becomes a square's; its key and the patch."""
    picture = world.picture(number)
    mask = picture.mask.copy()
    patch = np.zeros(mask.shape, np.bool_)
    patch[2:12, 40:52] = True
    patch &= mask == BACKGROUND
    mask[patch] = SQUARE
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    return picture.key, patch


def test_a_correction_weighs_more_than_its_share_until_it_is_learned(world, learner) -> None:
    world.put_done(1, 2, 3)
    _update(learner)
    assert not learner.points("1.png").fresh.any()
    key, patch = _corrected(world, 1)
    _update(learner, steps=1)
    points = learner.points(key)
    share = float(points.fresh.float().mean())
    assert 1.5 * patch.mean() < share <= 0.25
    assert (points.targets[points.fresh] == 2).all()  # the channel of squares
    for _ in range(FRESH_FITS):
        _update(learner, steps=60)
        if not learner.points(key).fresh.any():
            break
    assert not learner.points(key).fresh.any()
    assert (learner.predict_labelled(key).classes[patch] == SQUARE).mean() > 0.5


def test_a_correction_is_fresh_for_eight_fits_whatever_is_corrected_after_it(
    world, learner, monkeypatch
) -> None:
    world.put_done(1, 2, 3)
    _update(learner)
    monkeypatch.setattr(learner, "_loss", lambda points: float(points.fresh.all()))  # it is never learned
    picture = world.picture(1)
    mask = picture.mask.copy()
    fresh = []
    for fit in range(5 + FRESH_FITS):
        if fit in (0, 5):
            mask[2 + fit : 7 + fit, 2:12] = {0: SQUARE, 5: DISC}[fit]
            world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
        _update(learner, steps=1)
        points = learner.points(picture.key)
        fresh.append(set(points.targets[points.fresh].tolist()))
    disc, square = 0, 2  # their channels
    assert fresh == [{square}] * 5 + [{square, disc}] * 2 + [{disc}] * 5 + [set()]


def test_what_only_stands_in_for_background_is_no_measure_of_what_is_learned(
    world, learner, monkeypatch
) -> None:
    world.put_drawn(1, DISC)
    _update(learner)
    asked = []
    monkeypatch.setattr(learner, "_loss", lambda points: asked.append(points) or 1.0)
    world.put_drawn(2, DISC)
    _update(learner, steps=1)
    assert (learner.points("1.png").weights < 1).any()
    usual, fresh = asked
    assert len(usual) > len(fresh) > 0
    assert (usual.weights == 1).all()


def test_a_share_of_every_draw_is_fresh(world, learner) -> None:
    world.put_done(1, 2, 3)
    _update(learner)
    _corrected(world, 1)
    _update(learner, steps=1)
    parts = [learner.points(name) for name in learner.keys]
    numbered = [
        replace(part, features=torch.full((len(part), 1), float(number)) + part.fresh[:, None] * 10.0)
        for number, part in enumerate(parts)
    ]
    points = PointSet(numbered, device=CPU)
    assert 0.24 <= float((points.features[points.draw(1000)] >= 10).float().mean()) < 0.4
    settled = [part.settled() for part in numbered]
    assert not any(part.fresh.any() for part in settled)


def test_a_fit_ends_when_its_time_is_up(world, learner) -> None:
    world.put_done(1, 2)
    readings = itertools.count()
    learner.clock = lambda: 0.001 * next(readings)
    steps = [piece for piece in learner.update(steps=100_000, seconds=0.2) if isinstance(piece, FitStep)]
    assert 180 < len(steps) <= 200
    assert steps[-1].step == steps[-1].steps
    assert steps[-1].rate < 0.01 * max(step.rate for step in steps)


def test_one_drawn_disc_is_enough_for_an_overlay(world, learner) -> None:
    world.put_drawn(1, DISC)
    assert learner.weak_background
    _update(learner)
    picture = world.picture(1)
    found = learner.predict_labelled(picture.key).classes
    assert (found[picture.mask == DISC] == DISC).mean() > 0.9
    assert (found[picture.mask == BACKGROUND] == BACKGROUND).mean() > 0.8


def test_drawn_background_ends_the_weak_one(world, learner) -> None:
    world.put_drawn(1, DISC)
    _update(learner)
    world.put_drawn(1, DISC, BACKGROUND)
    assert not learner.weak_background
    _update(learner)
    points = learner.points(world.picture(1).key)
    assert points is not None
    assert (points.weights == 1).all()


def test_an_image_with_objects_only_still_has_undrawn_background(world, learner) -> None:
    world.put_done(1)  # all background that is known is in another image
    world.put_drawn(2, DISC)
    _update(learner)
    assert not learner.weak_background
    learned, strokes = learner.points("1.png"), learner.points("2.png")
    assert learned is not None
    assert strokes is not None
    assert (learned.weights == 1).all()
    assert (strokes.weights < 1).any()
    world.put_drawn(2, DISC, BACKGROUND)
    _update(learner)
    strokes = learner.points("2.png")
    assert strokes is not None
    assert (strokes.weights == 1).all()


def test_images_without_labels_leave_it_as_it_was(world, learner) -> None:
    assert _update(learner) == []
    assert learner.version == 0


def test_an_image_that_vanished_is_left_out_and_told(world, learner) -> None:
    world.put_done(1, 2)
    world.picture(1).path.unlink()
    (Path(world.folder) / "1.png").unlink(missing_ok=True)
    _update(learner)
    assert [isinstance(problem, FileProblem) for problem in learner.problems] == [True]
    assert learner.keys == ("2.png",)
    assert learner.version == 1


def test_images_held_out_teach_it_nothing(world, learner) -> None:
    world.put_done(1, 2, 3)
    learner.held_out = frozenset({"2.png"})
    _update(learner)
    assert learner.points("2.png") is None
    learner.held_out = frozenset()
    assert learner.stale


def test_the_same_seed_gives_the_same_head(world, learner) -> None:
    world.put_done(1, 2)
    _update(learner, steps=5)
    first = learner.network.head.weight.clone()
    learner.restart()
    learner._known.clear()
    torch.manual_seed(123)
    _update(learner, steps=5)
    learner.restart()
    _update(learner, steps=5)
    second = learner.network.head.weight.clone()
    learner.restart()
    _update(learner, steps=5)
    assert torch.equal(second, learner.network.head.weight)
    assert first.shape == second.shape


def test_large_images_are_predicted_in_bands_as_in_one(world, learner, monkeypatch) -> None:
    world.put_done(1, 2)
    _update(learner)
    image = np.random.default_rng(0).integers(0, 255, (330, 200, 3)).astype(np.uint8)
    features = learner.cache.compute(image)
    whole = learner.predict(features)
    monkeypatch.setattr(asked, "BAND_ROWS", 1)
    bands = learner.predict(features)
    assert (whole.classes == bands.classes).mean() > 0.9999
    assert np.abs(whole.confidence.astype(int) - bands.confidence).max() <= 1


def test_a_part_of_a_large_image_is_predicted_ahead_of_the_rest(world, learner, network, monkeypatch) -> None:
    world.put_done(1, 2)
    _update(learner)
    monkeypatch.setattr(features_module, "TILE", 128)
    image = np.random.default_rng(0).integers(0, 255, (700, 900, 3)).astype(np.uint8)
    whole = FeatureCache(network, CPU, scale=0.8).get("a", "1", lambda: image)
    cache = FeatureCache(network, CPU, scale=0.8)
    looked: list[int] = []
    look = FeatureCache._tile

    def counted(self: FeatureCache, pixels: np.ndarray) -> list[torch.Tensor]:
        looked.append(1)
        return look(self, pixels)

    monkeypatch.setattr(FeatureCache, "_tile", counted)
    box = (300, 30, 420, 130)
    said = learner.predict(whole, probabilities=True)
    part = learner.predict_part(cache.get_part("a", "1", lambda: image, box), box, probabilities=True)
    ahead = len(looked)
    assert part.probabilities is not None
    assert said.probabilities is not None
    np.testing.assert_allclose(part.probabilities, said.probabilities[:, 30:130, 300:420], atol=2e-3)

    rest = cache.get("a", "1", lambda: image)
    assert all(torch.equal(a, b) for a, b in zip(rest.groups, whole.groups, strict=True))
    assert 0 < ahead < len(looked) == 5 * 4, "none is looked at twice"
    cache.get_part("a", "1", lambda: image, box)
    assert len(looked) == 20


# --- features ---------------------------------------------------------------------------------------------


def test_features_are_computed_once_and_found_on_disk(world, network, tmp_path) -> None:
    image = read_image(world.picture(1).path)
    asked: list[int] = []

    def read():
        asked.append(1)
        return image

    folder = tmp_path / "features"
    first = FeatureCache(network, CPU, scale=0.5, folder=folder).get("a", "1", read)
    again = FeatureCache(network, CPU, scale=0.5, folder=folder).get("a", "1", read)
    assert len(asked) == 1
    assert (again.size_hw, again.scaled_hw) == (first.size_hw, first.scaled_hw) == ((72, 96), (36, 48))
    assert all(torch.equal(a, b) for a, b in zip(first.groups, again.groups, strict=True))
    FeatureCache(network, CPU, scale=0.5, folder=folder).get("a", "2", read)
    assert len(asked) == 2, "the file has changed"


def test_a_damaged_cache_file_is_computed_again(world, network, tmp_path) -> None:
    image = read_image(world.picture(1).path)
    folder = tmp_path / "features"
    FeatureCache(network, CPU, scale=1.0, folder=folder).get("a", "1", lambda: image)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert FeatureCache(network, CPU, scale=1.0, folder=folder).get("a", "1", lambda: image).groups


def test_memory_and_disk_have_bounds(world, network, tmp_path) -> None:
    image = read_image(world.picture(1).path)
    one = FeatureCache(network, CPU, scale=1.0).compute(image).nbytes
    folder = tmp_path / "features"
    cache = FeatureCache(
        network, CPU, scale=1.0, memory_bytes=2 * one, folder=folder, disk_bytes=int(3.5 * one)
    )
    for number in range(6):
        cache.get(str(number), "1", lambda: image)
    assert "5" in cache
    assert "0" not in cache
    assert 1 <= len(list(folder.iterdir())) <= 4


def test_large_images_go_through_the_encoder_in_parts(network, monkeypatch) -> None:
    image = np.random.default_rng(0).integers(0, 255, (300, 500, 3)).astype(np.uint8)
    cache = FeatureCache(network, CPU, scale=1.0)
    whole = cache.compute(image)
    monkeypatch.setattr(features_module, "TILE", 128)
    parts = cache.compute(image)
    for one, other in zip(whole.groups, parts.groups, strict=True):
        assert one.shape == other.shape
    fine, fine_parts = whole.groups[0], parts.groups[0]
    torch.testing.assert_close(fine, fine_parts, rtol=0.02, atol=0.02)


def test_a_slow_machine_looks_less_closely(network) -> None:
    views = [affordable_views(network, CPU, pixels=10_000_000, seconds=seconds) for seconds in (1e6, 1e-6)]
    assert views == [VIEWS, "0.5"]


def test_features_of_other_views_are_kept_apart(world, network, tmp_path) -> None:
    image = read_image(world.picture(1).path)
    folder = tmp_path / "features"
    full = FeatureCache(network, CPU, scale=1.0, folder=folder)
    full.get("a", "1", lambda: image)
    quick = FeatureCache(InstantNetwork.with_encoder_of(network, "0.5"), CPU, scale=1.0, folder=folder)
    assert full.holds("a")
    assert not quick.holds("a")
    assert len(quick.get("a", "1", lambda: image).groups) == 5


# --- scores -----------------------------------------------------------------------------------------------


def test_every_image_is_judged_by_a_head_that_never_saw_it(world, learner) -> None:
    world.put_done(1, 2, 3, 4)
    _update(learner)
    before = learner.network.head.weight.clone()
    *pieces, score = cross_fit(learner, world.store)
    assert all(piece is None for piece in pieces)
    assert score.images == 4
    assert score.miou > 0.6
    assert set(score.per_class_iou) == {"background", "disc", "square"}
    assert torch.equal(before, learner.network.head.weight), "the head in use stays as it is"


def test_a_class_that_one_image_shows_is_not_scored_by_who_was_never_taught_it(world, learner) -> None:
    for number in (1, 2, 3):
        picture = world.picture(number)
        without = np.where(picture.mask == SQUARE, UNLABELLED, picture.mask).astype(np.uint8)
        world.store.put(picture.key, picture.path, without, AnnotationState.IN_PROGRESS)
    world.put_done(4)
    _update(learner)
    *_, score = cross_fit(learner, world.store)
    assert score.per_class_iou["square"] is None
    assert "nobody who judges them was taught it" in score.trust.class_notes["square"]
    scored = [score.per_class_iou[name] for name in ("background", "disc")]
    assert score.miou == pytest.approx(np.mean(scored))
    assert score.miou > 0.6


def test_one_image_cannot_be_judged(world, learner) -> None:
    world.put_done(1)
    _update(learner)
    assert list(cross_fit(learner, world.store)) == []


def test_neighbours_by_name_are_judged_together() -> None:
    assert folds([f"{number:02d}" for number in range(8)], 4) == [
        ("00", "01"),
        ("02", "03"),
        ("04", "05"),
        ("06", "07"),
    ]
    assert len(folds(["a", "b", "c"], 4)) == 3
