"""Class masks: what counts as known, who paints over whom, and which pixels a shape covers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

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
    frozen_points,
)
from core.annotation.rasterize import changed_box, painted_box, rasterize, shape_mask, touching
from core.geometry import seam_holes

CLASSES = ClassList(
    (
        LabelClass(0, "tissue", "#000000"),
        LabelClass(1, "nerve", "#ff0000"),
        LabelClass(7, "vessel", "#0000ff"),
    ),
    background=0,
)
NO_BACKGROUND = ClassList(CLASSES.classes[1:])
SIZE = (12, 16)
ALL = [(-1, -1), (99, -1), (99, 99), (-1, 99)]


def polygon(label: str, points, holes=()) -> Shape:
    rings = tuple(frozen_points(hole) for hole in holes)
    return Shape(label, ShapeType.POLYGON, frozen_points(points), rings)


def box(label: str, x0: float, y0: float, x1: float, y1: float) -> Shape:
    return Shape(label, ShapeType.RECTANGLE, frozen_points([(x0, y0), (x1, y1)]))


def draw(*shapes: Shape, state: AnnotationState = AnnotationState.IN_PROGRESS, classes=CLASSES):
    return rasterize(Annotation("a.png", SIZE, shapes, state), classes)


def picture(mask) -> list[str]:
    return ["".join("#" if inside else "." for inside in row) for row in mask]


# --- what is known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "classes", "undrawn"),
    [
        (AnnotationState.UNLABELLED, CLASSES, UNLABELLED),
        (AnnotationState.IN_PROGRESS, CLASSES, UNLABELLED),
        (AnnotationState.DONE, CLASSES, 0),
        (AnnotationState.DONE, NO_BACKGROUND, UNLABELLED),
    ],
)
def test_what_is_not_drawn_is_background_only_in_a_done_image(state, classes, undrawn) -> None:
    mask = draw(box("nerve", 2, 2, 4, 4), state=state, classes=classes)
    assert mask.dtype == np.uint8
    assert mask.shape == SIZE
    assert (mask[2:5, 2:5] == 1).all()
    mask[2:5, 2:5] = undrawn
    assert (mask == undrawn).all()


def test_a_finished_area_is_background_at_the_bottom_of_an_image_in_progress() -> None:
    mask = draw(box(BACKGROUND_LABEL, 0, 0, 9, 9), box("vessel", 3, 3, 5, 5))
    assert (mask[0, 0], mask[4, 4], mask[11, 11]) == (0, 7, UNLABELLED)


def test_the_background_class_can_be_drawn_by_its_own_name_too() -> None:
    assert (draw(box("tissue", 0, 0, 1, 1)) == draw(box(BACKGROUND_LABEL, 0, 0, 1, 1))).all()


def test_ignored_pixels_are_unknown_even_in_a_done_image() -> None:
    done = AnnotationState.DONE
    mask = draw(box("nerve", 0, 0, 8, 8), box(IGNORE_LABEL, 4, 0, 10, 2), state=done)
    assert (mask[0, 3], mask[0, 5], mask[0, 10], mask[11, 11]) == (1, UNLABELLED, UNLABELLED, 0)


def test_a_label_that_is_no_class_paints_nothing() -> None:
    assert (draw(box("nerve", 0, 0, 3, 3), box("typo", 0, 0, 9, 9)) == draw(box("nerve", 0, 0, 3, 3))).all()
    background = draw(box(BACKGROUND_LABEL, 0, 0, 9, 9), classes=NO_BACKGROUND)
    assert (background == UNLABELLED).all()


def test_later_shapes_paint_over_earlier_ones() -> None:
    below, above = box("nerve", 0, 0, 5, 5), box("vessel", 3, 3, 8, 8)
    assert draw(below, above)[4, 4] == 7
    assert draw(above, below)[4, 4] == 1


def test_the_size_must_be_known_from_somewhere() -> None:
    with pytest.raises(ValueError, match=r"a\.png is not known"):
        rasterize(Annotation("a.png"), CLASSES)
    assert rasterize(Annotation("a.png"), CLASSES, (3, 4)).shape == (3, 4)
    assert rasterize(Annotation("a.png", (9, 9)), CLASSES, (3, 4)).shape == (3, 4)


# --- which pixels -----------------------------------------------------------------------------------------


def test_a_polygon_covers_its_boundary() -> None:
    assert picture(shape_mask(polygon("a", [(1, 1), (5, 1), (1, 5)]), (7, 7))) == [
        ".......",
        ".#####.",
        ".####..",
        ".###...",
        ".##....",
        ".#.....",
        ".......",
    ]


def test_any_point_of_a_pixel_stands_for_it() -> None:
    exact = shape_mask(polygon("a", [(1, 1), (5, 1), (5, 4), (1, 4)]), (7, 7))
    assert (exact == shape_mask(polygon("a", [(1.9, 1.5), (5.2, 1.1), (5.99, 4.5), (1, 4.9)]), (7, 7))).all()


def test_a_hole_shows_what_is_below_and_its_outline_belongs_to_the_polygon() -> None:
    ring = polygon("nerve", [(1, 1), (9, 1), (9, 9), (1, 9)], [[(3, 3), (7, 3), (7, 7), (3, 7)]])
    mask = draw(box("vessel", 0, 5, 15, 11), ring)
    assert mask[5, 3] == mask[3, 5] == mask[7, 7] == mask[1, 1] == 1
    assert (mask[4, 4:7] == UNLABELLED).all()
    assert (mask[5:7, 4:7] == 7).all()
    done = draw(ring, state=AnnotationState.DONE)
    assert (done[4:7, 4:7] == 0).all()


def test_holes_and_outlines_may_meet_at_a_pixel() -> None:
    left = [(2, 5), (4, 3), (6, 5), (4, 7)]
    right = [(6, 5), (8, 3), (10, 5), (8, 7)]
    mask = shape_mask(polygon("a", [(0, 0), (12, 0), (12, 10), (0, 10)], [left, right]), (11, 13))
    assert mask[5, 6]
    assert not mask[5, 5]
    assert not mask[5, 7]
    assert mask[0].all()


def test_holes_are_cut_off_with_the_polygon_at_the_edge() -> None:
    ring = polygon("a", [(-9, -9), (9, -9), (9, 9), (-9, 9)], [[(-4, -4), (4, -4), (4, 4), (-4, 4)]])
    mask = shape_mask(ring, (12, 12))
    assert not mask[:4, :4].any()
    assert mask[4, :5].all()
    assert mask[9, 9]
    assert not mask[10].any()
    assert not shape_mask(
        polygon("a", np.add(ring.points, 500), [np.add(ring.holes[0], 500)]), (12, 12)
    ).any()


def test_rectangles_are_drawn_from_any_two_corners() -> None:
    assert (draw(box("nerve", 5, 6, 2, 1)) == draw(box("nerve", 2, 1, 5, 6))).all()
    assert (draw(box("nerve", 2, 1, 5, 6)) == 1).sum() == 4 * 6


def test_an_oriented_rectangle_is_its_polygon() -> None:
    corners = [(4, 1), (8, 5), (5, 8), (1, 4)]
    turned = Shape("a", ShapeType.ORIENTED_RECTANGLE, frozen_points(corners))
    assert (shape_mask(turned, SIZE) == shape_mask(polygon("a", corners), SIZE)).all()


def test_a_circle_reaches_its_rim_all_around() -> None:
    mask = shape_mask(Shape("a", ShapeType.CIRCLE, frozen_points([(7, 6), (10, 6)])), SIZE)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 9, 4, 10)
    assert not mask[3, 4]


def test_lines_are_ten_pixels_wide_and_points_have_a_radius_of_five() -> None:
    line = Shape("a", ShapeType.LINE, frozen_points([(-20, 30), (80, 30)]))
    assert shape_mask(line, (60, 60)).sum(axis=0).tolist() == [10] * 60
    strip = Shape("a", ShapeType.LINESTRIP, frozen_points([(20, -9), (20, 40), (99, 40)]))
    assert shape_mask(strip, (60, 60))[10].sum() == shape_mask(strip, (60, 60))[:, 50].sum() == 10
    dot = shape_mask(Shape("a", ShapeType.POINT, frozen_points([(30, 20)])), (60, 60))
    assert (dot.any(axis=0).sum(), dot.any(axis=1).sum()) == (11, 11)
    dots = Shape("a", ShapeType.POINTS, frozen_points([(30, 20), (10, 50)]))
    assert shape_mask(dots, (60, 60)).sum() == 2 * dot.sum()


@pytest.mark.parametrize("corner", [(3, 4), (-1, -2), (14, 10), (50, 50)])
def test_a_mask_is_pasted_and_cut_off_at_the_edges(corner) -> None:
    patch = np.random.default_rng(0).random((4, 5)) > 0.4
    x, y = corner
    shape = Shape("a", ShapeType.MASK, frozen_points([(x, y), (x + 4, y + 3)]), mask=patch)
    large = np.zeros((100, 100), dtype=bool)
    large[40 + y : 44 + y, 40 + x : 45 + x] = patch
    assert (shape_mask(shape, SIZE) == large[40 : 40 + SIZE[0], 40 : 40 + SIZE[1]]).all()


def test_a_mask_leaves_what_is_below_its_zeros() -> None:
    patch = Shape("nerve", ShapeType.MASK, frozen_points([(0, 0), (1, 0)]), mask=np.array([[True, False]]))
    assert draw(box("vessel", 0, 0, 5, 5), patch)[0, :3].tolist() == [1, 7, 7]


def test_coordinates_far_away_are_drawn_as_far_as_the_image_goes() -> None:
    far = 1e300
    assert shape_mask(polygon("a", [(-far, -far), (far, -far), (far, far), (-far, far)]), SIZE).all()
    assert shape_mask(box("a", -far, 3, far, 3), SIZE).sum() == SIZE[1]
    assert shape_mask(Shape("a", ShapeType.CIRCLE, frozen_points([(5, 5), (5e6, 5e6)])), SIZE).all()
    assert not shape_mask(Shape("a", ShapeType.POINT, frozen_points([(far, far)])), SIZE).any()
    for place in (far, -far, 2.0**31):
        patch = Shape("a", ShapeType.MASK, frozen_points([(place, 3)] * 2), mask=np.ones((1, 1), bool))
        assert not shape_mask(patch, SIZE).any()


# --- as other readers draw it -----------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.floats(-20, 60), st.floats(-20, 60)), min_size=3, max_size=9, unique_by=lambda p: p[0]
    )
)
@settings(max_examples=100, deadline=None)
def test_a_polygon_is_what_pillow_draws_crossing_or_not(points) -> None:
    canvas = Image.new("L", (50, 40))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in points], fill=1, outline=1)
    assert (shape_mask(polygon("a", points), (40, 50)) == (np.asarray(canvas) == 1)).all()


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_seamed_ring_draws_the_same_holes_in_another_program(seed) -> None:
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    star = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outer = 100 + star * rng.uniform(70, 95, (12, 1))
    centres = [(80, 80), (120, 80), (80, 120), (120, 120)]
    holes = [centre + star * rng.uniform(4, 17, (12, 1)) for centre in centres[: rng.integers(1, 5)]]
    shape = polygon("a", outer, holes)
    ring, _ = seam_holes(outer, holes)
    ours, theirs = shape_mask(shape, (200, 200)), shape_mask(polygon("a", ring), (200, 200))
    # Slanted edges of hole and seam may be rounded to different pixels where they meet.
    assert (ours != theirs).sum() <= 0.005 * ours.sum()


# --- a part of the mask -----------------------------------------------------------------------------------

coordinates = st.floats(-15, 55)
labels = st.sampled_from(["nerve", "vessel", BACKGROUND_LABEL, IGNORE_LABEL, "typo"])


@st.composite
def drawn_shapes(draw) -> Shape:
    kind = draw(st.sampled_from([t for t in ShapeType if t is not ShapeType.MASK] + ["mask", "ring"]))
    if kind == "mask":
        x, y = draw(st.integers(-9, 45)), draw(st.integers(-9, 45))
        pixels = np.random.default_rng(draw(st.integers(0, 99))).random((7, 9)) > 0.5
        return Shape(draw(labels), ShapeType.MASK, frozen_points([(x, y), (x + 8, y + 6)]), mask=pixels)
    if kind == "ring":
        x, y = draw(coordinates), draw(coordinates)
        square = np.array([(0, 0), (20, 1), (21, 19), (2, 22)])
        return polygon(draw(labels), np.add(square, (x, y)), [np.add(square / 2, (x + 4, y + 5))])
    count = {"polygon": 5, "linestrip": 5, "oriented_rectangle": 4, "point": 1}.get(kind, 2)
    points = draw(st.lists(st.tuples(coordinates, coordinates), min_size=count, max_size=count))
    return Shape(draw(labels), kind, frozen_points(points))


@given(
    st.lists(drawn_shapes(), max_size=8), st.lists(st.integers(0, 40), min_size=4, max_size=4), st.booleans()
)
@settings(max_examples=200, deadline=None)
def test_a_part_is_cut_out_of_the_whole(shapes, corners, done) -> None:
    state = AnnotationState.DONE if done else AnnotationState.IN_PROGRESS
    annotation = Annotation("a.png", (40, 40), tuple(shapes), state)
    (x0, x1), (y0, y1) = sorted(corners[:2]), sorted(corners[2:])
    part = rasterize(annotation, CLASSES, box=(x0, y0, x1, y1))
    assert np.array_equal(part, rasterize(annotation, CLASSES)[y0:y1, x0:x1])


def test_of_a_line_through_many_rows_a_part_draws_and_holds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    corners: list[int] = []
    new, line = Image.new, ImageDraw.ImageDraw.line
    zigzag = [(20.3 + 9 * (k % 2), 10.7 * k) for k in range(99)]
    annotation = Annotation("a.png", (1000, 40), (Shape("nerve", "linestrip", frozen_points(zigzag)),))
    whole = rasterize(annotation, CLASSES)
    monkeypatch.setattr(Image, "new", lambda mode, size, *a: rows.append(size[1]) or new(mode, size, *a))
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "line",
        lambda pen, xy, *a, **n: corners.append(len(xy)) or line(pen, xy, *a, **n),
    )
    part = rasterize(annotation, CLASSES, box=(0, 900, 40, 930))
    assert np.array_equal(part, whole[900:930])
    assert max(rows) == 30
    assert max(corners) < 20


@given(st.lists(drawn_shapes(), min_size=1, max_size=6), drawn_shapes())
@settings(max_examples=150, deadline=None)
def test_an_edit_changes_nothing_outside_its_box(shapes, after) -> None:
    before = Annotation("a.png", (40, 40), tuple(shapes), AnnotationState.DONE)
    edited = Annotation("a.png", (40, 40), (after, *shapes[1:]), AnnotationState.DONE)
    mask = rasterize(before, CLASSES)
    touched = changed_box([shapes[0], after], (40, 40))
    if touched is not None:
        x0, y0, x1, y1 = touched
        mask[y0:y1, x0:x1] = rasterize(edited, CLASSES, box=touched)
    assert np.array_equal(mask, rasterize(edited, CLASSES))


@given(drawn_shapes())
@settings(max_examples=200, deadline=None)
def test_a_shape_paints_inside_its_box_only(shape) -> None:
    mask = shape_mask(shape, (40, 40))
    bounds = painted_box(shape, (40, 40))
    if bounds is None:
        assert not mask.any()
    else:
        x0, y0, x1, y1 = bounds
        mask[y0:y1, x0:x1] = False
        assert not mask.any()
        assert touching([shape], bounds)


@pytest.mark.parametrize("wrong", [(-1, 0, 3, 3), (0, 0, 17, 3), (3, 0, 2, 3)])
def test_a_part_outside_the_mask_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="does not lie inside a mask of 16 x 12 pixels"):
        rasterize(Annotation("a.png", SIZE), CLASSES, box=wrong)
