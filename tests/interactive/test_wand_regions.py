"""The magic wand, and the patches that all interactive tools answer with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.annotation.model import Annotation, ClassList, LabelClass
from core.annotation.rasterize import rasterize
from core.interactive.region_growing import RegionGrower
from core.interactive.window import Patch, window_around, without_specks

SMALL_IMAGES = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))
MASKS = arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def parts_of(mask, connectivity: int) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)[0] - 1


@given(SMALL_IMAGES, st.data(), st.sampled_from([4, 8]))
@settings(max_examples=60, deadline=None)
def test_a_region_is_one_part_has_its_seed_and_grows_with_the_tolerance(image, data, connectivity) -> None:
    height, width = image.shape[:2]
    seed = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    low, high = sorted(data.draw(st.tuples(st.integers(0, 255), st.integers(0, 255))))
    grower = RegionGrower(image, seed, smooth=0)
    smaller = grower.grow(low, connectivity=connectivity).on((height, width))
    larger = grower.grow(high, connectivity=connectivity).on((height, width))
    assert smaller[seed[1], seed[0]]
    assert parts_of(smaller, connectivity) == 1
    assert not (smaller & ~larger).any()


def test_a_click_on_a_disc_takes_the_disc(disc, iou) -> None:
    image, truth = disc()
    found = RegionGrower(image, (80.5, 60.2)).grow(40)
    assert iou(found.on(truth.shape), truth) > 0.95
    assert not found.on(truth.shape)[5, 5]


def test_smoothing_keeps_noise_from_fraying_the_region(disc, iou) -> None:
    image, truth = disc(noise=18)
    rough = RegionGrower(image, (80, 60), smooth=0).grow(35).on(truth.shape)
    smooth = RegionGrower(image, (80, 60), smooth=1.5).grow(35).on(truth.shape)
    assert iou(smooth, truth) > 0.9
    assert iou(smooth, truth) > iou(rough, truth)


def test_an_image_of_one_colour_is_one_region() -> None:
    image = np.full((30, 40, 3), 90, dtype=np.uint8)
    assert RegionGrower(image, (3, 4)).grow(0).on((30, 40)).all()


def test_a_huge_image_is_searched_in_a_window_around_the_seed() -> None:
    image = np.zeros((3000, 3000, 3), dtype=np.uint8)
    found = RegionGrower(image, (1500, 2990), max_pixels=10_000).grow(5)
    assert found.area <= 10_000
    assert found.contains((1500, 2990))
    assert not found.contains((1400, 2990))


@pytest.mark.parametrize("seed", [(-1, 3), (40, 3), (3, 30), (3, -0.5)])
def test_a_seed_outside_the_image_is_refused(seed) -> None:
    with pytest.raises(ValueError, match="outside the image of 40 x 30"):
        RegionGrower(np.zeros((30, 40, 3), np.uint8), seed).grow(5)


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 3))]
)
def test_what_is_no_image_is_refused(image) -> None:
    with pytest.raises(ValueError, match="uint8 with pixels"):
        RegionGrower(image, (0, 0)).grow(5)


def test_some_tolerance_finds_most_nuclei(nuclei, iou) -> None:
    best = []
    for image, truth in nuclei:
        depth = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5)
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        grower = RegionGrower(image, (int(x), int(y)))
        best.append(max(iou(grower.grow(level).on(truth.shape), truth) for level in range(4, 80, 4)))
    assert np.median(best) > 0.75


@given(MASKS, MASKS, st.tuples(st.integers(-5, 9), st.integers(-5, 9)))
@settings(max_examples=60, deadline=None)
def test_patches_add_and_subtract_as_sets_of_pixels(a, b, offset) -> None:
    first, second = Patch(a, 6, 6), Patch(b, 6 + offset[0], 6 + offset[1])
    size = (40, 40)
    assert np.array_equal(first.plus(second).on(size), first.on(size) | second.on(size))
    assert np.array_equal(first.minus(second).on(size), first.on(size) & ~second.on(size))
    assert np.array_equal(first.trimmed().on(size), first.on(size))
    assert first.plus(second).area == int((first.on(size) | second.on(size)).sum())


@given(MASKS, st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_shapes_of_a_patch_draw_its_pixels(mask, x, y) -> None:
    classes = ClassList((LabelClass(0, "background", "#000000"), LabelClass(1, "cell", "#ff0000")), 0)
    size = (30, 30)
    patch = Patch(mask, x, y)
    drawn = rasterize(Annotation("a.png", size, patch.shapes("cell")), classes, size)
    assert np.array_equal(drawn == 1, patch.on(size))


def test_shapes_with_a_tolerance_have_few_vertices(disc) -> None:
    _, truth = disc()
    exact, simple = Patch(truth).shapes("cell"), Patch(truth).shapes("cell", 1.0)
    assert len(simple) == 1
    assert len(simple[0].points) < len(exact[0].points) / 2


@given(MASKS, st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_no_speck_and_no_pinhole_is_left(mask, smallest) -> None:
    tidy = without_specks(mask, smallest)
    _, _, parts, _ = cv2.connectedComponentsWithStats(tidy.astype(np.uint8), connectivity=8)
    assert (parts[1:, cv2.CC_STAT_AREA] >= smallest).all()
    ground = np.pad(~tidy, 1, constant_values=True).astype(np.uint8)
    _, names, holes, _ = cv2.connectedComponentsWithStats(ground, connectivity=4)
    inner = [k for k in range(1, len(holes)) if k != names[0, 0]]
    assert all(holes[k, cv2.CC_STAT_AREA] >= smallest for k in inner)


def test_windows_stay_within_the_image_and_the_limit() -> None:
    x0, y0, x1, y1 = window_around((2, 990), (1000, 1000), 2500)
    assert (x1 - x0) * (y1 - y0) <= 2500
    assert x0 == 0
    assert y1 == 1000
    assert window_around((2, 3), (10, 10), 2500) == (0, 0, 10, 10)
