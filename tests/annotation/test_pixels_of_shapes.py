"""Masks with and against other shapes: what comes out is what the image showed before, pixel by pixel."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.areas import common, less, pixels, united
from core.annotation.model import Shape, ShapeType, frozen_points
from core.annotation.rasterize import shape_mask

SIZE_HW = (60, 80)


def blob(x: int, y: int, *, side: int = 40) -> Shape:
    corners = frozen_points([(x, y), (x + side - 1, y + side - 1)])
    return Shape("cell", ShapeType.MASK, corners, mask=np.ones((side, side), np.bool_))


def polygon(*points: tuple[float, float]) -> Shape:
    return Shape("nerve", ShapeType.POLYGON, frozen_points(points))


def drawn(*shapes: Shape) -> np.ndarray:
    return np.any([np.zeros(SIZE_HW, np.bool_), *(shape_mask(shape, SIZE_HW) for shape in shapes)], axis=0)


def test_a_shape_that_ends_in_the_pixel_before_a_mask_takes_nothing_from_it() -> None:
    mask = blob(30, 10)
    assert less(mask, [polygon((5, 12), (29.5, 12), (29.5, 30), (5, 30))]) == (mask,)


coordinate = st.tuples(st.floats(-30, 110), st.floats(-30, 90))
others = st.one_of(
    st.lists(coordinate, min_size=3, max_size=7).map(lambda points: polygon(*points)),
    st.lists(coordinate, min_size=2, max_size=2).map(
        lambda points: Shape("nerve", ShapeType.RECTANGLE, frozen_points(points))
    ),
    st.tuples(coordinate, st.floats(0, 30)).map(
        lambda found: Shape(
            "nerve", ShapeType.CIRCLE, frozen_points([found[0], (found[0][0] + found[1], found[0][1])])
        )
    ),
)


@given(others, st.integers(-20, 70), st.integers(-20, 50))
@settings(max_examples=300, deadline=None)
def test_what_masks_take_leave_and_share_is_what_is_drawn(other: Shape, x: int, y: int) -> None:
    mask = blob(x, y)
    before, there = drawn(mask), drawn(other)
    assert np.array_equal(drawn(*less(mask, [other])), before & ~there)
    assert np.array_equal(drawn(*common([mask, other])), before & there)
    assert np.array_equal(drawn(*united([mask, other])), before | there)


def test_pixels_left_of_the_image_stay_with_their_mask() -> None:
    mask = blob(-30, 2, side=9)
    [left] = less(mask, [polygon((-26, 0), (30, 0), (30, 20), (-26, 20))])
    assert left.mask is not None
    assert left.mask.tolist() == [[True] * 4] * 9


def test_a_mask_far_out_does_not_ask_for_all_the_columns_up_to_it() -> None:
    mask = blob(10**9, 2, side=9)
    assert pixels(mask, (10**9, 2, 10**9 + 9, 11)).all()
