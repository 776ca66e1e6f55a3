"""Shapes as rings, what lies under a point, and the index that follows a document."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.canvas.outlines import contains, edge_distance, mask_rings, middle_of, outline_of
from app.canvas.shape_index import ShapeIndex
from app.canvas.shape_layer import cut_line, cut_ring
from core import geometry
from core.annotation.commands import AddShapes, RemoveShapes, Reorder, TranslateShapes
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import Annotation, Shape, ShapeType, frozen_points


def inside(rings, height, width):
    """Even-odd at the centre of every pixel."""
    found = np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            hits = sum(geometry.encloses([ring], (column + 0.5, row + 0.5)) for ring in rings)
            found[row, column] = hits % 2 == 1
    return found


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_the_rings_of_a_bitmap_enclose_exactly_its_pixels(mask):
    rings = mask_rings(mask)
    assert (inside(rings, *mask.shape) == mask).all()
    for ring in rings:
        steps = np.diff(ring, axis=0, append=ring[:1])
        assert ((steps == 0).sum(axis=1) == 1).all(), "rings run along pixel edges, without idle points"


@pytest.mark.parametrize(
    ("shape_type", "points", "within", "outside"),
    [
        (ShapeType.RECTANGLE, [(50, 60), (10, 20)], (15, 55), (5, 30)),
        (ShapeType.CIRCLE, [(50, 50), (50, 70)], (36, 50), (65, 65)),
        (ShapeType.ORIENTED_RECTANGLE, [(50, 0), (100, 50), (50, 100), (0, 50)], (50, 50), (10, 10)),
        (ShapeType.POLYGON, [(0, 0), (100, 0), (0, 100)], (20, 20), (80, 80)),
    ],
)
def test_closed_shapes_have_an_inside(shape_type, points, within, outside):
    outline = outline_of(Shape("a", shape_type, frozen_points(points)))
    assert contains(outline, *within)
    assert not contains(outline, *outside)


@pytest.mark.parametrize("shape_type", list(ShapeType))
@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_hand_edited_shape_breaks_the_canvas(shape_type, count):
    outline = outline_of(Shape("a", shape_type, frozen_points([(3, 4)] * count)))
    contains(outline, 3, 4)
    assert all(len(ring) for ring in outline.rings)


def boxes_under(document, x, y):
    shapes = [shape for shape in document.shapes if contains(outline_of(shape), x, y)]
    return [shape.uid for shape in reversed(shapes)]


def square_at(x, y, side):
    return Shape("a", ShapeType.RECTANGLE, frozen_points([(x, y), (x + side, y + side)]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("amrtu"), st.integers(0, 10**6)), max_size=25))
def test_the_index_answers_like_a_walk_over_all_shapes_after_any_edits(edits):
    document = AnnotationDocument(Annotation("a.png", (100, 100), (square_at(0, 0, 60),)))
    history = History(document)
    index = ShapeIndex()
    index.load(document)
    document.subscribe(index.follow)
    for kind, number in edits:
        uids = [shape.uid for shape in document.shapes]
        if kind == "a":
            place = number % (len(uids) + 1)
            history.push(AddShapes((square_at(number % 70, number % 53, 10 + number % 40),), place))
        elif kind == "u":
            history.undo()
        elif uids:
            uid = uids[number % len(uids)]
            if kind == "m":
                history.push(TranslateShapes.of(document, [uid], number % 9 - 4, 3))
            elif kind == "r":
                history.push(RemoveShapes.of(document, [uid]))
            else:
                history.push(Reorder.of(document, [uid], number % (len(uids) + 1)))
        for x, y in ((20.5, 20.5), (50.5, 40.5), (75.5, 60.5)):
            assert index.under(x, y, 0.0) == boxes_under(document, x, y)
        assert index.shown() == [shape.uid for shape in document.shapes]


def test_a_ring_far_out_of_the_view_is_cut_to_the_same_picture():
    ring = np.array([(-1e6, 40.0), (50.0, -1e6), (1e6, 60.0), (50.0, 1e6)])
    cut = cut_ring(ring, 100, 100)
    assert np.abs(cut).max() <= 164
    for x, y in ((1, 1), (50, 50), (99, 99), (1, 99)):
        assert geometry.encloses([cut], (x, y)) == geometry.encloses([ring], (x, y))


def test_a_line_far_out_of_the_view_is_cut_into_its_pieces():
    zigzag = np.array([(-1e6, 50.0), (1e6, 50.0), (1e6, 80.0), (-1e6, 80.0)])
    pieces = cut_line(zigzag, 100, 100, closed=False)
    assert sorted(float(piece[0, 1]) for piece in pieces) == [50.0, 80.0]
    assert cut_line(zigzag + 1e4, 100, 100, closed=True) == []


RING = Shape(
    "ring",
    ShapeType.POLYGON,
    frozen_points([(0, 0), (100, 0), (100, 100), (0, 100)]),
    holes=(frozen_points([(20, 20), (80, 20), (80, 80), (20, 80)]),),
)
CRESCENT = RING.with_(
    points=frozen_points([(0, 0), (90, 0), (90, 20), (20, 20), (20, 90), (0, 90)]), holes=()
)
TWO_BARS = np.zeros((50, 40), bool)
TWO_BARS[:12] = TWO_BARS[38:] = True


@pytest.mark.parametrize(
    "shape",
    [RING, CRESCENT, Shape("m", ShapeType.MASK, frozen_points([(0, 0), (39, 49)]), mask=TWO_BARS)],
    ids=["ring", "crescent", "mask"],
)
def test_the_middle_of_a_shape_is_inside_it_and_off_its_border(shape) -> None:
    outline = outline_of(shape)
    middle = middle_of(outline)
    assert contains(outline, *middle)
    assert edge_distance(outline, *middle) > 4


def test_the_middle_of_a_box_is_its_middle() -> None:
    assert middle_of(outline_of(RING.with_(holes=()))) == (50, 50)
