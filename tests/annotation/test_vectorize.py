"""A class mask becomes shapes that draw it again, pixel for pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import (
    BACKGROUND_LABEL,
    IGNORE_LABEL,
    UNLABELLED,
    Annotation,
    AnnotationState,
    ClassList,
    LabelClass,
    Shape,
    ShapeType,
)
from core.annotation.rasterize import rasterize, shape_mask
from core.annotation.vectorize import MOST_HOLES, connected_region, region_shapes, vectorize
from core.geometry import rings_are_valid

CLASSES = ClassList(tuple(LabelClass(k, f"class {k}", "#000000") for k in range(4)), background=0)
NO_BACKGROUND = ClassList(CLASSES.classes[1:])


def region(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def drawn(shapes: tuple[Shape, ...], mask, classes=CLASSES, *, done: bool = False):
    state = AnnotationState.DONE if done else AnnotationState.IN_PROGRESS
    annotation = Annotation("a.png", mask.shape, shapes, state)
    # By way of the file, because that is what becomes of shapes.
    return rasterize(loads(dumps(annotation), "a.json"), classes)


def assert_valid(shapes: tuple[Shape, ...]) -> None:
    for shape in shapes:
        if shape.shape_type is ShapeType.POLYGON:
            assert rings_are_valid(shape.points, shape.holes)
        else:
            assert shape.shape_type is ShapeType.MASK


sizes = st.tuples(st.integers(1, 16), st.integers(1, 16))
values = st.sampled_from([0, 1, 2, UNLABELLED])
speckled = arrays.arrays(np.uint8, sizes, elements=values)
sparse = arrays.arrays(np.uint8, sizes, elements=values, fill=st.sampled_from([0, 1]))


@st.composite
def blobs(draw) -> np.ndarray:
    """Rectangles over one another: regions in regions, walls and gaps of one pixel."""
    mask = np.full(draw(sizes), draw(values), dtype=np.uint8)
    height, width = mask.shape
    for _ in range(draw(st.integers(1, 9))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        mask[y : y + draw(st.integers(1, 9)), x : x + draw(st.integers(1, 9))] = draw(values)
    return mask


@given(speckled | sparse | blobs(), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_mask_is_drawn_again_exactly(mask, ignore) -> None:
    shapes = vectorize(mask, CLASSES, ignore=ignore)
    assert np.array_equal(drawn(shapes, mask, done=ignore), mask)
    assert_valid(shapes)


@given((blobs() | sparse).filter(lambda mask: 0 not in mask), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_project_without_background_gets_its_masks_back_too(mask, ignore) -> None:
    shapes = vectorize(mask, NO_BACKGROUND, ignore=ignore)
    assert np.array_equal(drawn(shapes, mask, NO_BACKGROUND, done=ignore), mask)


@given(speckled | sparse | blobs(), st.floats(0.1, 5))
@settings(max_examples=200, deadline=None)
def test_simplified_shapes_are_valid_and_one_for_each_region(mask, tolerance) -> None:
    exact, simpler = vectorize(mask, CLASSES), vectorize(mask, CLASSES, tolerance)
    assert_valid(simpler)
    assert len(simpler) == len(exact)
    assert sum(len(s.points) for s in simpler) <= sum(len(s.points) for s in exact)


@given(arrays.arrays(np.bool_, sizes))
@settings(max_examples=200, deadline=None)
def test_one_region_comes_back_from_its_shapes(pixels) -> None:
    shapes = region_shapes(pixels, "leaf")
    together = np.zeros(pixels.shape, dtype=bool)
    for shape in shapes:
        own = shape_mask(shape, pixels.shape)
        assert not (together & own).any()
        together |= own
    assert np.array_equal(together, pixels)
    assert {shape.label for shape in shapes} <= {"leaf"}
    assert_valid(shapes)


def test_a_plain_region_is_one_polygon_through_its_boundary_pixels() -> None:
    [shape] = region_shapes(region("......", ".####.", ".####.", ".####.", "......"), "leaf")
    assert shape.shape_type is ShapeType.POLYGON
    assert sorted(map(tuple, shape.points)) == [(1.5, 1.5), (1.5, 3.5), (4.5, 1.5), (4.5, 3.5)]


def test_a_region_with_a_hole_in_a_hole_is_two_polygons() -> None:
    pixels = region("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######")
    outer, inner = region_shapes(pixels, "ring")
    assert (len(outer.holes), len(inner.holes)) == (1, 1)
    assert (outer.shape_type, inner.shape_type) == (ShapeType.POLYGON, ShapeType.POLYGON)
    assert np.array_equal(shape_mask(outer, pixels.shape) | shape_mask(inner, pixels.shape), pixels)


@pytest.mark.parametrize(
    "pixels",
    [
        region("#"),
        region("#####"),
        region("#....", ".#...", "..#..", "...#.", "....#"),
        region("#.#", ".#.", "#.#"),
        region(".....", ".###.", ".###.", "....#", "....#"),
        region("###.", "#.#.", "####", "...#"),
        region("##.", "##.", "..#"),
    ],
)
def test_details_one_pixel_wide_are_part_of_a_single_valid_polygon(pixels) -> None:
    [shape] = region_shapes(pixels, "crack")
    assert shape.shape_type is ShapeType.POLYGON
    assert rings_are_valid(shape.points, shape.holes)
    assert np.array_equal(shape_mask(shape, pixels.shape), pixels)


def test_a_region_full_of_holes_is_kept_as_a_mask() -> None:
    pixels = np.ones((60, 60), dtype=bool)
    pixels[1::3, 1::3] = False
    assert (~pixels).sum() > MOST_HOLES
    [shape] = region_shapes(pixels, "sieve")
    assert shape.shape_type is ShapeType.MASK
    assert np.array_equal(shape_mask(shape, pixels.shape), pixels)


def test_an_image_in_progress_draws_its_background_and_leaves_the_unknown_alone() -> None:
    mask = np.full((20, 20), UNLABELLED, dtype=np.uint8)
    mask[:10] = 0
    mask[2:5, 2:5] = 2
    shapes = vectorize(mask, CLASSES)
    assert [shape.label for shape in shapes] == [BACKGROUND_LABEL, "class 2"]
    assert len(shapes[0].holes) == 1


def test_a_done_image_draws_the_unknown_and_leaves_its_background_alone() -> None:
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[2:5, 2:5] = 2
    mask[12:, 12:] = UNLABELLED
    shapes = vectorize(mask, CLASSES, ignore=True)
    assert [shape.label for shape in shapes] == [IGNORE_LABEL, "class 2"]


def test_nothing_drawn_is_no_shapes() -> None:
    assert vectorize(np.full((5, 5), UNLABELLED, dtype=np.uint8), CLASSES) == ()
    assert vectorize(np.zeros((5, 5), dtype=np.uint8), CLASSES, ignore=True) == ()
    assert region_shapes(np.zeros((5, 5), dtype=bool), "a") == ()


def test_an_index_without_a_class_is_refused_with_its_place() -> None:
    mask = np.zeros((5, 6), dtype=np.uint8)
    mask[3, 4] = 9
    with pytest.raises(ValueError, match="value 9 at x 4, y 3"):
        vectorize(mask, CLASSES)


def test_only_class_masks_are_taken() -> None:
    with pytest.raises(ValueError, match="uint8"):
        vectorize(np.zeros((5, 5), dtype=np.int64), CLASSES)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="uint8"):
        vectorize(np.zeros((5, 5, 3), dtype=np.uint8), CLASSES)
    with pytest.raises(ValueError, match="a region is"):
        region_shapes(np.zeros(5, dtype=bool), "a")


def test_simplifying_saves_most_vertices_of_a_round_region() -> None:
    rows, columns = np.mgrid[:200, :200]
    disc = (rows - 100) ** 2 + (columns - 100) ** 2 < 80**2
    [exact], [simpler] = region_shapes(disc, "cell"), region_shapes(disc, "cell", 1.0)
    assert len(simpler.points) < len(exact.points) / 3
    overlap = shape_mask(simpler, disc.shape)
    assert (overlap & disc).sum() / (overlap | disc).sum() > 0.98


# --- the region under a click -----------------------------------------------------------------------------


@given(speckled, st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_clicked_region_is_all_that_is_connected_to_it(class_map, x, y) -> None:
    x, y = x % class_map.shape[1], y % class_map.shape[0]
    found = connected_region(class_map, x, y)
    expected = np.zeros(class_map.shape, dtype=bool)
    waiting = [(y, x)]
    while waiting:
        row, column = waiting.pop()
        inside = 0 <= row < class_map.shape[0] and 0 <= column < class_map.shape[1]
        if inside and not expected[row, column] and class_map[row, column] == class_map[y, x]:
            expected[row, column] = True
            waiting += [(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    assert found.dtype == np.bool_
    assert np.array_equal(found, expected)
    assert len(region_shapes(found, "a")) == 1


def test_neighbouring_indices_are_not_mixed_up() -> None:
    assert connected_region(np.array([[1, 2, 3]], dtype=np.uint8), 1, 0).tolist() == [[False, True, False]]


def test_a_click_changes_nothing_and_outside_the_image_is_refused() -> None:
    class_map = np.zeros((4, 6), dtype=np.uint8)
    class_map.flags.writeable = False
    assert connected_region(class_map, 5, 3).all()
    assert not class_map.any()
    with pytest.raises(ValueError, match=r"\(6, 0\) is outside the image of 6 x 4 pixels"):
        connected_region(class_map, 6, 0)


# --- real masks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["nerve/masks/0000.png", "camvid/train/masks/0001TP_006690.png", "membrane/masks/00.png"]
)
@pytest.mark.parametrize("ignore", [False, True])
def test_real_masks_become_polygons_without_a_single_mask_shape(shared_data: Path, name, ignore) -> None:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{name} is not at hand")
    mask = np.asarray(Image.open(path))
    known = [int(value) for value in np.unique(mask) if value != UNLABELLED]
    classes = ClassList(tuple(LabelClass(k, f"class {k}", "#000000") for k in known), background=0)
    shapes = vectorize(mask, classes, ignore=ignore)
    assert np.array_equal(drawn(shapes, mask, classes, done=ignore), mask)
    assert {shape.shape_type for shape in shapes} == {ShapeType.POLYGON}
    assert_valid(shapes)
