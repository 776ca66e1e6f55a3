"""Labels that are probably wrong are found among right ones, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.model import (
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
from core.learning.labels.suspects import Judged, fingerprint, judge, owners, view_around

CLASSES = ClassList(
    (
        LabelClass(3, "disc", "#ff0000"),
        LabelClass(0, "background", "#000000"),
        LabelClass(7, "square", "#00f"),
    ),
    background=0,
)
SIZE = (80, 100)
KNOWN = frozenset(CLASSES.indices)
EVERY_TYPE = [
    Shape("disc", ShapeType.CIRCLE, frozen_points([(20, 20), (30, 20)])),
    Shape("square", ShapeType.RECTANGLE, frozen_points([(50, 10), (70, 30)])),
    Shape(
        "disc",
        ShapeType.POLYGON,
        frozen_points([(5, 45), (45, 45), (45, 75), (5, 75)]),
        holes=(frozen_points([(15, 55), (30, 55), (30, 65), (15, 65)]),),
    ),
    Shape("square", ShapeType.LINESTRIP, frozen_points([(60, 45), (80, 60), (90, 50)])),
    Shape("disc", ShapeType.POINT, frozen_points([(90, 20)])),
    Shape("square", ShapeType.MASK, frozen_points([(60, 66), (69, 73)]), mask=np.ones((8, 10), np.bool_)),
]


def done(*shapes: Shape) -> Annotation:
    return Annotation("a.png", SIZE, shapes, AnnotationState.DONE)


def opinion(seen: NDArray[np.uint8], sure: float = 0.9) -> NDArray[np.float32]:
    """Probabilities (3, H, W) of a network that is `sure` of these class indices."""
    rest = (1.0 - sure) / (len(CLASSES) - 1)
    return np.stack([np.where(seen == index, sure, rest) for index in CLASSES.indices]).astype(np.float32)


def judged(annotation: Annotation, probabilities: NDArray[np.float32], known=KNOWN) -> Judged:
    mask = rasterize(annotation, CLASSES)
    image = np.zeros((*SIZE, 3), np.uint8)
    return judge("a.png", image, annotation, mask, probabilities, CLASSES, known)


def test_every_pixel_knows_the_shape_that_is_seen_there():
    annotation = done(*EVERY_TYPE)
    places = owners(annotation, SIZE)
    values = np.array([0] + [CLASSES.mask_value(shape.label) for shape in annotation.shapes])
    np.testing.assert_array_equal(values[places], rasterize(annotation, CLASSES))
    assert set(np.unique(places)) == set(range(7))


def test_a_network_of_the_same_opinion_suspects_nothing():
    annotation = done(*EVERY_TYPE)
    found = judged(annotation, opinion(rasterize(annotation, CLASSES)))
    assert (found.suspects, found.shapes, found.left_out) == ((), 6, 0)


@pytest.mark.parametrize("place", range(len(EVERY_TYPE)))
def test_the_one_shape_with_a_swapped_label_is_suspected(place: int):
    truth = rasterize(done(*EVERY_TYPE), CLASSES)
    swapped = list(EVERY_TYPE)
    other = "square" if swapped[place].label == "disc" else "disc"
    swapped[place] = swapped[place].with_(label=other)
    (suspect,) = judged(done(*swapped), opinion(truth)).suspects
    assert (suspect.kind, suspect.fingerprint) == ("label", fingerprint(swapped[place]))
    assert (suspect.drawn, suspect.seen) == ((3, 7) if other == "disc" else (7, 3))
    assert suspect.sure == pytest.approx(0.9, abs=0.01)
    assert suspect.loss == pytest.approx(-np.log(0.05), rel=0.02)


def test_of_a_shape_that_is_half_covered_what_is_seen_is_shown():
    """And what reaches beyond the image is not."""
    wrong = Shape("disc", ShapeType.RECTANGLE, frozen_points([(70, 20), (120, 59)]))
    above = Shape("square", ShapeType.RECTANGLE, frozen_points([(60, 10), (99, 39)]))
    annotation = done(wrong, above)
    drawn = rasterize(annotation, CLASSES)
    (suspect,) = judged(annotation, opinion(np.where(drawn == 3, np.uint8(7), drawn))).suspects
    assert suspect.fingerprint == fingerprint(wrong)
    assert suspect.box == (70, 40, 100, 60)
    x0, y0, x1, y1 = view_around(suspect.box, SIZE)
    np.testing.assert_array_equal(suspect.outline, owners(annotation, SIZE)[y0:y1, x0:x1] == 1)


def test_a_shape_where_nothing_is_should_go():
    truth = rasterize(done(EVERY_TYPE[0]), CLASSES)
    (suspect,) = judged(done(EVERY_TYPE[0], EVERY_TYPE[1]), opinion(truth)).suspects
    assert (suspect.drawn, suspect.seen) == (7, CLASSES.background)


def test_an_object_nobody_has_drawn_is_found_with_its_pixels():
    truth = rasterize(done(EVERY_TYPE[0], EVERY_TYPE[1]), CLASSES)
    (suspect,) = judged(done(EVERY_TYPE[0]), opinion(truth)).suspects
    assert (suspect.kind, suspect.drawn, suspect.seen) == ("missing", 0, 7)
    assert suspect.box == (50, 10, 71, 31)
    assert suspect.region is not None
    assert suspect.region.all()
    assert suspect.outline.shape == suspect.picture.shape[:2]


def test_what_is_not_drawn_on_an_image_in_progress_is_not_missing():
    truth = rasterize(done(EVERY_TYPE[0], EVERY_TYPE[1]), CLASSES)
    annotation = Annotation("a.png", SIZE, (EVERY_TYPE[0],), AnnotationState.IN_PROGRESS)
    assert (rasterize(annotation, CLASSES) == UNLABELLED).any()
    assert judged(annotation, opinion(truth)).suspects == ()


def test_a_finished_area_is_searched_for_missing_objects_and_is_no_suspect_itself():
    area = Shape("_background_", ShapeType.RECTANGLE, frozen_points([(40, 0), (99, 79)]))
    truth = rasterize(done(EVERY_TYPE[0], EVERY_TYPE[1]), CLASSES)
    annotation = Annotation("a.png", SIZE, (area, EVERY_TYPE[0]), AnnotationState.IN_PROGRESS)
    (suspect,) = judged(annotation, opinion(truth)).suspects
    assert (suspect.kind, suspect.seen) == ("missing", 7)


def test_a_picture_the_network_cannot_read_is_no_missing_object():
    truth = np.full(SIZE, 3, np.uint8)
    small = EVERY_TYPE[0].with_(points=frozen_points([(20, 20), (24, 20)]))
    assert [s for s in judged(done(small), opinion(truth)).suspects if s.kind == "missing"] == []


def test_an_unsure_network_misses_nothing():
    truth = rasterize(done(EVERY_TYPE[1]), CLASSES)
    assert judged(done(), opinion(truth, sure=0.7)).suspects == ()


def test_a_rim_around_a_drawn_shape_is_an_opinion_about_its_outline():
    wide = Shape("square", ShapeType.RECTANGLE, frozen_points([(46, 6), (74, 34)]))
    found = judged(done(EVERY_TYPE[1]), opinion(rasterize(done(wide), CLASSES)))
    assert found.suspects == ()


def test_a_class_the_network_was_not_taught_is_not_judged():
    truth = rasterize(done(EVERY_TYPE[0]), CLASSES)
    found = judged(done(EVERY_TYPE[0], EVERY_TYPE[1]), opinion(truth), known={0, 3})
    assert (found.suspects, found.shapes, found.left_out) == ((), 1, 1)


def test_ignored_pixels_and_unknown_labels_are_left_alone():
    ignored = EVERY_TYPE[1].with_(label="__ignore__")
    stranger = EVERY_TYPE[2].with_(label="unheard of")
    annotation = done(ignored, stranger)
    found = judged(annotation, opinion(rasterize(annotation, CLASSES)))
    assert (found.suspects, found.shapes) == ((), 0)


def test_a_fingerprint_changes_with_label_and_outline_and_with_nothing_else():
    shape = EVERY_TYPE[2]
    assert fingerprint(shape) == fingerprint(shape.copy().with_(description="seen twice", group_id=4))
    moved = shape.with_(points=frozen_points(shape.points + np.array([0, 1])))
    unholed = shape.with_(holes=())
    assert len({fingerprint(s) for s in (shape, moved, unholed, shape.with_(label="square"))}) == 4
