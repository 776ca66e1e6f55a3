"""A predicted region becomes an editable polygon; what a person has drawn is never painted over."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from app.learning.prediction_shapes import (
    SMALLEST_PX,
    NothingToAcceptError,
    accepting,
    shapes_of_all,
    shapes_of_region,
)
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import (
    BACKGROUND_LABEL,
    UNLABELLED,
    Annotation,
    AnnotationState,
    ClassList,
    LabelClass,
    Shape,
    ShapeType,
    frozen_points,
)
from core.annotation.rasterize import rasterize

CLASSES = ClassList(
    (
        LabelClass(0, "background", "#000000"),
        LabelClass(1, "nerve", "#ff0000"),
        LabelClass(4, "vessel", "#00ff00"),
    ),
    background=0,
)
SIZE = (80, 100)
EMPTY = Annotation("a.png", SIZE)


@pytest.fixture
def predicted() -> NDArray[np.uint8]:
    """Background, a nerve with a hole, a vessel at the right edge, a speck."""
    classes = np.zeros(SIZE, np.uint8)
    classes[10:50, 10:50] = 1
    classes[25:35, 25:35] = 0
    classes[40:70, 70:100] = 4
    classes[5:8, 80:83] = 4
    return classes


def box(label: str, x0: int, y0: int, x1: int, y1: int) -> Shape:
    return Shape(label, ShapeType.RECTANGLE, frozen_points([(x0, y0), (x1, y1)]))


def drawn(shapes: tuple[Shape, ...], below: Annotation = EMPTY) -> NDArray[np.uint8]:
    state = below.state if below.state is AnnotationState.DONE else AnnotationState.IN_PROGRESS
    return rasterize(Annotation("a.png", SIZE, (*shapes, *below.shapes), state), CLASSES)


def agreement(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """Intersection over union: outlines are simplified within a pixel."""
    return float((ours & theirs).sum() / (ours | theirs).sum())


def test_a_clicked_region_becomes_one_polygon_with_its_hole(predicted: NDArray[np.uint8]) -> None:
    (shape,) = shapes_of_region(predicted, EMPTY, CLASSES, 12, 12)
    assert (shape.label, shape.shape_type, len(shape.holes)) == ("nerve", ShapeType.POLYGON, 1)
    assert agreement(drawn((shape,)) == 1, predicted == 1) > 0.99


def test_a_clicked_region_can_be_given_another_label(predicted: NDArray[np.uint8]) -> None:
    (shape,) = shapes_of_region(predicted, EMPTY, CLASSES, 12, 12, "vessel")
    assert shape.label == "vessel"


def test_predicted_background_is_accepted_only_when_asked_for(predicted: NDArray[np.uint8]) -> None:
    with pytest.raises(NothingToAcceptError, match="Only background is predicted here"):
        shapes_of_region(predicted, EMPTY, CLASSES, 0, 0)
    shapes = shapes_of_region(predicted, EMPTY, CLASSES, 0, 0, "background")
    assert {shape.label for shape in shapes} == {BACKGROUND_LABEL}


def test_a_region_whose_rest_is_still_predicted_is_not_accepted(predicted: NDArray[np.uint8]) -> None:
    predicted[:, 30:] = UNLABELLED
    with pytest.raises(NothingToAcceptError, match="still being predicted"):
        shapes_of_region(predicted, EMPTY, CLASSES, 15, 15, partly=True)
    predicted[:, 25:30] = 0
    (whole,) = shapes_of_region(predicted, EMPTY, CLASSES, 15, 15, partly=True)
    assert whole.label == "nerve"


@pytest.mark.parametrize("x, y", [(100, 0), (0, 80), (-1, 0)])
def test_outside_the_image_there_is_nothing_to_accept(predicted: NDArray[np.uint8], x: int, y: int) -> None:
    with pytest.raises(NothingToAcceptError, match="outside the image"):
        shapes_of_region(predicted, EMPTY, CLASSES, x, y)


def test_a_class_that_was_deleted_meanwhile_is_not_accepted(predicted: NDArray[np.uint8]) -> None:
    fewer = ClassList(CLASSES.classes[:2], background=0)
    with pytest.raises(NothingToAcceptError, match="not in the project any more"):
        shapes_of_region(predicted, EMPTY, fewer, 90, 60)
    assert {shape.label for shape in shapes_of_all(predicted, EMPTY, fewer)} == {"nerve"}


def test_a_region_keeps_clear_of_what_a_person_has_drawn(predicted: NDArray[np.uint8]) -> None:
    person = Annotation("a.png", SIZE, (box("vessel", 0, 0, 29, 79),), AnnotationState.IN_PROGRESS)
    shapes = shapes_of_region(predicted, person, CLASSES, 40, 12)
    mask = drawn(shapes, person)
    assert (mask[:, :30] == 4).all()
    assert np.array_equal(mask[:, 30:] == 1, predicted[:, 30:] == 1)


def test_a_region_that_is_labelled_already_gives_nothing_but_a_sentence(
    predicted: NDArray[np.uint8],
) -> None:
    person = Annotation("a.png", SIZE, (box("nerve", 8, 8, 52, 52),), AnnotationState.IN_PROGRESS)
    with pytest.raises(NothingToAcceptError, match="labelled already"):
        shapes_of_region(predicted, person, CLASSES, 12, 12)


def test_accept_all_takes_every_region_but_specks_and_background(predicted: NDArray[np.uint8]) -> None:
    assert np.count_nonzero(predicted[:10] == 4) < SMALLEST_PX
    shapes = shapes_of_all(predicted, EMPTY, CLASSES)
    assert sorted(shape.label for shape in shapes) == ["nerve", "vessel"]
    expected = np.where(predicted == 0, UNLABELLED, predicted)
    expected[:10] = UNLABELLED
    for value in (1, 4):
        assert agreement(drawn(shapes) == value, expected == value) > 0.99


def test_accept_all_leaves_no_slivers_around_a_person_s_outline(predicted: NDArray[np.uint8]) -> None:
    # Drawn by hand two pixels tighter than predicted: the rim is no finding of its own.
    person = Annotation("a.png", SIZE, (box("nerve", 12, 12, 47, 47),), AnnotationState.IN_PROGRESS)
    shapes = shapes_of_all(predicted, person, CLASSES)
    assert [shape.label for shape in shapes] == ["vessel"]


def test_accept_all_on_a_done_image_changes_nothing(predicted: NDArray[np.uint8]) -> None:
    done = Annotation("a.png", SIZE, (), AnnotationState.DONE)
    with pytest.raises(NothingToAcceptError, match="marked as done"):
        shapes_of_all(predicted, done, CLASSES)


def test_accepted_shapes_lie_below_the_person_s_and_undo_in_one_step(predicted: NDArray[np.uint8]) -> None:
    document = AnnotationDocument(EMPTY)
    history = History(document)
    start = document.snapshot()
    mine = box("vessel", 60, 0, 69, 9)
    document.insert(0, mine)
    history.push(accepting(document, shapes_of_all(predicted, document.snapshot(), CLASSES)))
    assert [shape.label for shape in document.shapes] == ["nerve", "vessel", "vessel"]
    assert document.shapes[-1].uid == mine.uid
    assert document.state is AnnotationState.IN_PROGRESS
    assert history.undo_name == "Accept 2 predicted regions"
    history.undo()
    document.remove(mine.uid)
    assert document.snapshot() == start
