"""Masks that follow edits: whatever is edited, the mask is the one that would be drawn anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.annotation import rasterize as rasterizer
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
from core.project import drawn_masks
from core.project.drawn_masks import DrawnMasks

SIZE_HW = (40, 60)
CLASSES = ClassList(tuple(LabelClass(k, f"c{k}", f"#0000{k:02x}") for k in range(3)), 0)

corners = st.tuples(st.floats(-5, 65), st.floats(-5, 45))
shapes = st.builds(
    lambda label, points: Shape(label, ShapeType.POLYGON, frozen_points(points)),
    st.sampled_from(["c0", "c1", "c2", "unknown"]),
    st.lists(corners, min_size=3, max_size=5),
)


@given(data=st.data())
def test_a_mask_after_any_edits_is_the_one_drawn_anew(data: st.DataObject) -> None:
    masks = DrawnMasks()
    drawn = data.draw(st.lists(shapes, max_size=6))
    state = AnnotationState.IN_PROGRESS
    for _ in range(4):
        kind = data.draw(st.sampled_from(["add", "change", "remove", "shuffle", "state", "nothing"]))
        if kind == "add":
            drawn.insert(data.draw(st.integers(0, len(drawn))), data.draw(shapes))
        elif kind == "change" and drawn:
            place = data.draw(st.integers(0, len(drawn) - 1))
            drawn[place] = drawn[place].with_(points=data.draw(shapes).points)
        elif kind == "remove" and drawn:
            drawn.pop(data.draw(st.integers(0, len(drawn) - 1)))
        elif kind == "shuffle":
            drawn = data.draw(st.permutations(drawn))
        elif kind == "state":
            state = data.draw(st.sampled_from(AnnotationState))
        annotation = Annotation("a.png", SIZE_HW, tuple(drawn), state)
        mask = masks.drawn("a", annotation, CLASSES, SIZE_HW)
        assert (mask == rasterize(annotation, CLASSES)).all()
        assert not mask.flags.writeable


def test_an_edit_draws_only_what_it_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = DrawnMasks()
    far = Shape("c1", ShapeType.RECTANGLE, frozen_points([(2, 2), (8, 8)]))
    near = Shape("c2", ShapeType.RECTANGLE, frozen_points([(40, 20), (50, 30)]))
    before = Annotation("a.png", SIZE_HW, (far, near), AnnotationState.IN_PROGRESS)
    first = masks.drawn("a", before, CLASSES, SIZE_HW)
    boxes: list[object] = []

    def noted(*args, box=None, **others):
        boxes.append(box)
        return rasterizer.rasterize(*args, box=box, **others)

    monkeypatch.setattr(drawn_masks, "rasterize", noted)
    after = replace(before, shapes=(far, near.with_(label="c1")))
    second = masks.drawn("a", after, CLASSES, SIZE_HW)
    assert len(boxes) == 1
    (x0, y0, *_) = boxes[0]
    assert x0 >= 38
    assert y0 >= 18
    assert masks.drawn("a", replace(after, flags={"x": True}), CLASSES, SIZE_HW) is second
    assert first[25, 45] == 2
    assert second[25, 45] == 1


def test_another_meaning_of_labels_draws_all_anew() -> None:
    masks = DrawnMasks()
    shape = Shape("c1", ShapeType.RECTANGLE, frozen_points([(2, 2), (8, 8)]))
    annotation = Annotation("a.png", SIZE_HW, (shape,), AnnotationState.DONE)
    masks.drawn("a", annotation, CLASSES, SIZE_HW)
    renamed = ClassList((LabelClass(0, "c0", "#000000"), LabelClass(7, "c1", "#000001")), 0)
    assert set(np.unique(masks.drawn("a", annotation, renamed, SIZE_HW))) == {0, 7}
