"""A huge image's mask in strips is the mask, as PNG and in numbers, after any edit."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.annotation.model import (
    Annotation,
    AnnotationState,
    ClassList,
    LabelClass,
    Shape,
    ShapeType,
    frozen_points,
)
from core.annotation.rasterize import rasterize
from core.learning.labels.packed_mask import PackedMask
from core.project.mask_file import encode_index_mask, value_counts
from core.project.strip_mask import STRIP_ROWS, StripMask, StripMasks

SIZE = HEIGHT, WIDTH = 3 * STRIP_ROWS + 17, 90
CLASSES = ClassList(tuple(LabelClass(k, f"c{k}", f"#{20 * k:02x}80ff") for k in range(4)), 0)


def box(label: str, x0: float, y0: float, x1: float, y1: float) -> Shape:
    corners = frozen_points([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return Shape(label, ShapeType.POLYGON, corners)


@pytest.fixture
def annotation() -> Annotation:
    shapes = (box("c1", 5, 10, 60, 300), box("c2", 30, 200, 80, 260), box("c3", 2, 350, 9, 380))
    return Annotation("a.png", SIZE, shapes)


def test_the_png_is_the_one_of_a_whole_mask(annotation: Annotation) -> None:
    whole = rasterize(annotation, CLASSES)
    strips = StripMask.draw(annotation, CLASSES, SIZE)

    ours = Image.open(io.BytesIO(strips.png(CLASSES)))
    theirs = Image.open(io.BytesIO(encode_index_mask(whole, CLASSES)))

    assert np.array_equal(np.array(ours), whole)
    assert (ours.mode, ours.size, ours.info) == (theirs.mode, theirs.size, theirs.info)
    assert ours.getpalette() == theirs.getpalette()


def test_counts_and_rows_are_those_of_the_mask(annotation: Annotation) -> None:
    whole = rasterize(annotation, CLASSES)
    strips = StripMask.draw(annotation, CLASSES, SIZE)

    assert np.array_equal(strips.counts, value_counts(whole))
    assert np.array_equal(strips.rows(3), whole[3 * STRIP_ROWS :])
    assert np.array_equal(strips.array(), whole)


def test_the_engine_unpacks_the_same_mask(annotation: Annotation) -> None:
    strips = StripMask.draw(annotation, CLASSES, SIZE)

    packed = PackedMask(SIZE, strips.deflated, deflated=True)

    assert np.array_equal(packed.unpack(), rasterize(annotation, CLASSES))


def test_an_edit_draws_only_the_strips_it_touches(annotation: Annotation) -> None:
    before = StripMask.draw(annotation, CLASSES, SIZE)
    moved = box("c3", 2, 353, 12, 380)

    edited = replace(annotation, shapes=(*annotation.shapes[:2], moved))
    after = before.redrawn(edited, CLASSES)

    same = [old is new for old, new in zip(before._strips, after._strips, strict=True)]
    assert same == [True, True, False, True]
    assert np.array_equal(after.array(), rasterize(edited, CLASSES))


def test_state_and_classes_redraw_all(annotation: Annotation) -> None:
    masks = StripMasks()
    masks.drawn("a", annotation, CLASSES, SIZE)

    done = replace(annotation, state=AnnotationState.DONE)
    fewer = ClassList(CLASSES.classes[:2], 0)

    assert np.array_equal(masks.drawn("a", done, CLASSES, SIZE).array(), rasterize(done, CLASSES))
    assert np.array_equal(masks.drawn("a", done, fewer, SIZE).array(), rasterize(done, fewer))


corners = st.tuples(st.floats(-20, WIDTH + 20), st.floats(-20, HEIGHT + 20))
boxes = st.builds(
    lambda label, a, b: box(label, a[0], a[1], b[0] + 1, b[1] + 1),
    st.sampled_from(["c0", "c1", "c2", "c3"]),
    corners,
    corners,
)


@settings(max_examples=40, deadline=None)
@given(start=st.lists(boxes, max_size=5), data=st.data())
def test_any_edits_give_the_mask_of_the_result(start: list[Shape], data: st.DataObject) -> None:
    annotation = Annotation("a.png", SIZE, tuple(start))
    mask = StripMask.draw(annotation, CLASSES, SIZE)
    for _ in range(3):
        shapes = list(annotation.shapes)
        match data.draw(st.sampled_from(["add", "remove", "move", "order"])):
            case "add":
                shapes.insert(data.draw(st.integers(0, len(shapes))), data.draw(boxes))
            case "remove" if shapes:
                shapes.pop(data.draw(st.integers(0, len(shapes) - 1)))
            case "move" if shapes:
                number = data.draw(st.integers(0, len(shapes) - 1))
                shapes[number] = shapes[number].with_(points=data.draw(boxes).points)
            case _:
                shapes = list(data.draw(st.permutations(shapes)))
        annotation = replace(annotation, shapes=tuple(shapes))
        mask = mask.redrawn(annotation, CLASSES)

    assert np.array_equal(mask.array(), rasterize(annotation, CLASSES))
