"""Small regions, holes and touching objects."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from core.annotation.vectorize import connected_region
from core.learning import predict_onnx
from core.postprocess import watershed
from core.postprocess.pipeline import Watershed
from core.postprocess.regions import fill_holes, regions, remove_small_regions
from core.postprocess.watershed import objects_of, part_touching


def drawn(*rows: str) -> NDArray[np.uint8]:
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


def test_a_small_region_becomes_what_most_of_it_touches() -> None:
    classes = drawn(
        ".......",
        ".22...3",
        "....111",
        "....121",
        "....111",
    )
    assert remove_small_regions(classes, 4, background=0).tolist() == drawn(
        ".......",
        ".......",
        "....111",
        "....111",
        "....111",
    ).tolist()  # fmt: skip


@pytest.mark.parametrize("remove", [remove_small_regions, predict_onnx.remove_small_regions])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1111222 1133222 1111222", "1111222 1111222 1111222"),  # five neighbours of 1, one of 2
        ("111522 111522", "111122 111122"),  # as much of both
        ("35666 57666 66666", "66666 66666 66666"),  # 3 has small ones around it, and follows them
    ],
)
def test_a_small_region_becomes_the_class_of_its_longest_border(
    remove: Callable[..., NDArray[np.uint8]], before: str, after: str
) -> None:
    found = remove(drawn(*before.split()), 3, None)
    assert found.tolist() == drawn(*after.split()).tolist()


def test_background_is_no_small_region_and_diagonal_neighbours_are_one_region() -> None:
    classes = drawn("1111.1", "1.1.1.", "11111.")
    assert remove_small_regions(classes, 8, background=0).tolist() == classes.tolist()
    assert remove_small_regions(drawn("1...", ".1..", "....", "...."), 2, background=0).sum() == 2


def test_without_a_background_class_every_class_is_cleaned() -> None:
    assert remove_small_regions(drawn("0000", "0110", "0000"), 3).sum() == 0


def test_a_map_of_small_regions_alone_stays() -> None:
    classes = drawn("11", "22")
    assert remove_small_regions(classes, 100).tolist() == classes.tolist()


def test_holes_are_filled_with_what_is_around_them() -> None:
    classes = drawn(
        "1111.222.1",
        "1..1.2.211",
        "1111.222.1",
        "..........",
    )
    filled = drawn(
        "1111.222.1",
        "1111.22211",
        "1111.222.1",
        "..........",
    )
    assert fill_holes(classes, 2, background=0).tolist() == filled.tolist()
    assert fill_holes(classes, 1, background=0)[1].tolist() == drawn("1..1.22211")[0].tolist()


def test_what_lies_between_two_classes_or_reaches_the_edge_is_no_hole() -> None:
    classes = drawn("1122", "1..2", "1122", "1...")
    assert fill_holes(classes, 50, background=0).tolist() == classes.tolist()


@pytest.mark.parametrize("fill", [fill_holes, predict_onnx.fill_holes], ids=["program", "script"])
def test_without_a_background_a_hole_with_a_hole_is_filled_too(
    fill: Callable[..., NDArray[np.uint8]],
) -> None:
    classes = np.ones((20, 20), np.uint8)
    classes[5:15, 5:15] = 2
    classes[8:12, 8:12] = 3
    assert (fill(classes, 100, None) == 1).all()
    smaller = fill(classes, 99, None)
    assert (smaller[5:15, 5:15] == 2).all()
    assert (smaller == 1).sum() == 300


@given(arrays.arrays(np.uint8, (9, 11), elements=st.integers(0, 2)), st.integers(1, 12))
def test_no_region_is_small_afterwards(classes: NDArray[np.uint8], pixels: int) -> None:
    found = remove_small_regions(classes, pixels, background=0)
    _, sizes = regions(classes, [1, 2])
    if (sizes[1:] >= pixels).all():
        assert found.tolist() == classes.tolist()
    # What was large enough is still there.
    marked, _ = regions(classes, [1, 2])
    for number in np.flatnonzero(sizes >= pixels)[1:]:
        assert (found == classes)[marked == number].all()


def discs(*middles: tuple[int, int, int], size: tuple[int, int] = (60, 120)) -> NDArray[np.uint8]:
    """Discs of class 1 at (x, y, radius)."""
    classes = np.zeros(size, np.uint8)
    for x, y, radius in middles:
        cv2.circle(classes, (x, y), radius, 1, -1)
    return classes


def count(classes: NDArray[np.uint8]) -> int:
    return int(cv2.connectedComponents((classes == 1).astype(np.uint8), connectivity=8)[0]) - 1


def test_touching_discs_are_parted_at_their_neck_and_lose_only_a_line() -> None:
    classes = discs((30, 30, 15), (56, 30, 15), (80, 34, 12))
    assert count(classes) == 1
    parted = part_touching(classes, Watershed(), background=0)
    assert count(parted) == 3
    lost = (classes == 1) & (parted == 0)
    assert 0 < lost.sum() < 60
    assert not ((classes == 0) & (parted != 0)).any()
    # A click takes one of them, as the window does.
    first = connected_region(parted, 30, 30)
    assert not first[30, 56]
    columns = np.flatnonzero(lost.any(axis=0))
    assert 40 <= columns.min() <= 45


def test_a_long_or_ragged_object_stays_whole() -> None:
    bar = np.zeros((40, 200), np.uint8)
    bar[14:26, 10:190] = 1
    random = np.random.default_rng(0)
    bar[13, 10:190] = random.integers(0, 2, 180)
    bar[26, 10:190] = random.integers(0, 2, 180)
    assert part_touching(bar, Watershed(), background=0).tolist() == bar.tolist()


def test_the_neck_decides_what_is_parted() -> None:
    classes = discs((30, 30, 15), (46, 30, 15))  # the neck is 0.84 of a disc's width
    assert count(part_touching(classes, Watershed(neck=0.7), background=0)) == 1
    assert count(part_touching(classes, Watershed(neck=0.95), background=0)) == 2


def test_an_object_that_the_image_cuts_or_that_fills_it_is_whole() -> None:
    cut = discs((0, 30, 20), (119, 59, 18))
    assert part_touching(cut, Watershed(), background=0).tolist() == cut.tolist()
    assert objects_of(np.ones((5, 7), bool), Watershed()).tolist() == np.ones((5, 7)).tolist()


def test_a_flood_is_what_levels_and_steps_make_of_it() -> None:
    """Against the definition, pixel by pixel of the whole map at every step."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(90, 110)).astype(np.float32), (0, 0), 4)
    for number in range(1, cv2.connectedComponents((noise > -0.02).astype(np.uint8))[0]):
        mask = cv2.connectedComponents((noise > -0.02).astype(np.uint8))[1] == number
        height = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        summits = watershed._summits(height, 4)
        expected, top = summits.astype(np.float32), float(height.max())
        for level in np.linspace(top, 0.0, min(64, int(np.ceil(top))) + 1)[1:]:
            while True:
                rising = cv2.dilate(expected, np.ones((3, 3), np.uint8))
                fresh = (height > level) & (expected == 0) & (rising > 0)
                if not fresh.any():
                    break
                expected[fresh] = rising[fresh]
        assert watershed._flooded(height, summits, lambda: None).tolist() == expected.tolist()


def test_the_parting_of_a_large_region_can_be_given_up() -> None:
    class GivenUpError(Exception):
        pass

    asked = 0

    def between() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        part_touching(discs((30, 30, 15), (56, 30, 15)), Watershed(), background=0, between=between)


def test_classes_are_parted_each_by_itself() -> None:
    classes = discs((30, 30, 15), (56, 30, 15))
    classes[40:, 100:] = 2
    parted = part_touching(classes, Watershed(), background=0)
    assert (parted == 2).sum() == (classes == 2).sum()
    assert count(parted) == 2


def test_nuclei_that_touch_are_counted_better(shared_data: object) -> None:
    from pathlib import Path

    from PIL import Image

    folder = Path(str(shared_data)) / "nuclei" / "instances"
    if not folder.is_dir():
        pytest.skip("needs the nuclei")
    before = after = 0
    for file in sorted(folder.iterdir())[:20]:
        instances = np.array(Image.open(file)).astype(np.int32)
        true = len(np.unique(instances)) - 1
        mask = (instances > 0).astype(np.uint8)
        before += abs(count(mask) - true)
        after += abs(count(part_touching(mask, Watershed(), background=0)) - true)
    assert after < 0.7 * before
