"""Blob proposals: round things and steady regions, apart from each other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.interactive.blobs import blob_candidates

CENTERS = ((30, 30), (90, 40), (60, 90), (130, 95))


@pytest.fixture
def dots() -> np.ndarray:
    image = np.full((120, 160, 3), 60, np.uint8)
    for center in CENTERS:
        cv2.circle(image, center, 9, (190, 190, 190), -1)
    noise = np.random.default_rng(0).normal(0, 3, image.shape[:2])[..., None]
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["log", "mser"])
@pytest.mark.parametrize("inverted", [False, True])
def test_every_dot_is_found_with_its_size(dots, kind, inverted) -> None:
    image = 255 - dots if inverted else dots
    found = blob_candidates(image, min_radius=5, max_radius=15, kind=kind)
    assert len(found) == len(CENTERS)
    for center in CENTERS:
        nearest = min(found, key=lambda blob: np.hypot(*np.subtract(blob.center, center)))
        assert np.hypot(*np.subtract(nearest.center, center)) < 2
        assert nearest.radius == pytest.approx(9, abs=1.5)
        assert nearest.patch.contains(center)


@pytest.mark.parametrize("kind", ["log", "mser"])
def test_candidates_are_apart_best_first_and_limited(nuclei_images, kind) -> None:
    for image, _ in nuclei_images[:3]:
        found = blob_candidates(image, min_radius=3, max_radius=20, kind=kind)
        covered = np.zeros(image.shape[:2], int)
        for blob in found:
            covered += blob.patch.on(image.shape[:2])
        assert covered.max(initial=0) <= 1
        assert [b.score for b in found] == sorted((b.score for b in found), reverse=True)
        assert len(blob_candidates(image, min_radius=3, max_radius=20, kind=kind, limit=2)) <= 2


def test_a_person_can_ask_for_the_dark_ones(dots) -> None:
    dark = blob_candidates(dots, min_radius=5, max_radius=15, dark=True)
    assert not any(blob.patch.contains(center) for blob in dark for center in CENTERS)
    assert len(blob_candidates(dots, min_radius=5, max_radius=15, dark=False)) == 4


def test_sizes_out_of_range_are_left_out(dots) -> None:
    assert blob_candidates(dots, min_radius=20, max_radius=30) == ()


def test_a_box_limits_the_search_and_places_stay_those_of_the_image(dots) -> None:
    (only,) = blob_candidates(dots, min_radius=5, max_radius=15, box=(100, 60, 160, 120))
    assert only.patch.contains((130, 95))


def test_an_image_of_one_colour_has_none() -> None:
    flat = np.full((50, 50, 3), 80, np.uint8)
    assert blob_candidates(flat, min_radius=3, max_radius=9) == ()
    assert blob_candidates(flat, min_radius=3, max_radius=9, kind="mser") == ()


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (1, 40)])
@pytest.mark.parametrize("kind", ["log", "mser"])
def test_tiny_images_have_none(size, kind) -> None:
    assert blob_candidates(np.zeros((*size, 3), np.uint8), min_radius=1, max_radius=4, kind=kind) == ()


@pytest.mark.parametrize("radii", [(0.5, 4), (9, 4)])
def test_senseless_radii_are_refused(dots, radii) -> None:
    with pytest.raises(ValueError, match="radii must be"):
        blob_candidates(dots, min_radius=radii[0], max_radius=radii[1])


def test_a_box_outside_is_refused(dots) -> None:
    with pytest.raises(ValueError, match="no pixel"):
        blob_candidates(dots, min_radius=3, max_radius=9, box=(500, 0, 600, 50))


def test_most_nuclei_are_proposed_and_few_others(nuclei_images) -> None:
    recall, precision = [], []
    for image, truth in nuclei_images:
        sizes = np.bincount(truth.ravel())[1:]
        radius = float(np.sqrt(np.median(sizes[sizes > 0]) / np.pi))
        found = blob_candidates(image, min_radius=max(1, 0.6 * radius), max_radius=1.8 * radius)
        hits = set()
        for blob in found:
            inside = blob.patch.on(truth.shape)
            name = int(np.bincount(truth[inside]).argmax())
            if name and (inside & (truth == name)).sum() / (inside | (truth == name)).sum() > 0.5:
                hits.add(name)
        recall.append(len(hits) / np.count_nonzero(sizes))
        precision.append(len(hits) / max(1, len(found)))
    assert np.mean(recall) > 0.5
    assert np.mean(precision) > 0.7
