"""Shapes that make, cut and become other shapes: what a person sees afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation import commands, rasterize
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.labelme_json import dumps, loads
from core.annotation.locking import is_locked, with_lock
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points
from core.annotation.rasterize import shape_mask
from core.geometry import polygon_area
from core.polygons.snapping import VertexRef
from tests.annotation.shape_table import SIZE_HW, Table, box, shape

# --- several become one -----------------------------------------------------------------------------------


def test_united_shapes_are_one_with_label_and_place_of_the_lowest() -> None:
    low, high = box(0, 0, 10, 10, "nerve", group_id=4, description="left"), box(5, 0, 20, 10, "vessel")
    table = Table(box(40, 40, 50, 50), low, box(30, 30, 35, 35), high)
    table.do(commands.uniting(table.document, [high.uid, low.uid]))
    assert [s.uid for s in table.shapes][1] == low.uid
    assert len(table.shapes) == 3
    one = table.document.get(low.uid)
    assert (one.label, one.group_id, one.description) == ("nerve", 4, "left")
    assert polygon_area(one.points) == 200
    table.history.undo()
    assert table.shapes[1] is low
    assert table.shapes[3] is high


def test_boxes_circles_and_masks_join_in() -> None:
    blob = shape(ShapeType.MASK, [(10, 2), (13, 5)], mask=np.ones((4, 4), np.bool_))
    ring = shape(ShapeType.CIRCLE, [(5, 12), (5, 15)])
    table = Table(box(0, 0, 10, 10), shape(ShapeType.RECTANGLE, [(9, 9), (0, 12)]), blob, ring)
    table.do(commands.uniting(table.document, table.uids()))
    assert len(table.shapes) == 1
    assert table.areas()[0] == pytest.approx(118 + 16 + 9 * np.pi / 2, abs=0.5)


def test_a_mask_takes_the_others_pixel_by_pixel() -> None:
    blob = shape(ShapeType.MASK, [(10, 2), (13, 5)], mask=np.ones((4, 4), np.bool_))
    other = box(0, 0, 10.7, 10)
    expected = shape_mask(blob, SIZE_HW) | shape_mask(other, SIZE_HW)
    table = Table(blob, other)
    table.do(commands.uniting(table.document, table.uids()))
    assert table.shapes[0].shape_type is ShapeType.MASK
    assert np.array_equal(shape_mask(table.shapes[0], SIZE_HW), expected)


def test_the_upper_shape_is_cut_out_of_the_lowest() -> None:
    table = Table(box(0, 0, 30, 10), box(10, -5, 20, 15), box(2, 2, 4, 4))
    table.do(commands.subtracting(table.document, table.uids()))
    assert table.areas() == [100, 96]
    assert [len(s.holes) for s in table.shapes] == [0, 1]


def test_intersecting_leaves_what_all_cover() -> None:
    table = Table(box(0, 0, 30, 10), box(10, -5, 20, 15))
    table.do(commands.intersecting(table.document, table.uids()))
    assert table.areas() == [100]


# --- polygon and mask -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drawn",
    [
        box(3.2, 4.7, 20.1, 30.6, holes=(frozen_points([(8, 8), (12, 8), (12, 13)]),)),
        shape(ShapeType.CIRCLE, [(30, 30), (41, 33)]),
        shape(ShapeType.ORIENTED_RECTANGLE, [(20, 10), (30, 20), (25, 25), (15, 15)]),
    ],
    ids=lambda s: s.shape_type.value,
)
def test_polygon_to_mask_to_polygon_draws_the_same_pixels(drawn) -> None:
    expected = shape_mask(drawn, SIZE_HW)
    table = Table(drawn)
    table.do(commands.to_masks(table.document, [drawn.uid], SIZE_HW[::-1]))
    assert table.shapes[0].shape_type is ShapeType.MASK
    assert np.array_equal(shape_mask(table.shapes[0], SIZE_HW), expected)
    table.do(commands.to_polygons(table.document, [drawn.uid]))
    assert {s.shape_type for s in table.shapes} == {ShapeType.POLYGON}
    assert np.array_equal(np.any([shape_mask(s, SIZE_HW) for s in table.shapes], axis=0), expected)
    assert table.shapes[0].uid == drawn.uid


corner = st.tuples(st.floats(-20, 100), st.floats(-20, 80))


@given(
    st.sampled_from(
        [ShapeType.POLYGON, ShapeType.RECTANGLE, ShapeType.CIRCLE, ShapeType.LINE, ShapeType.POINT]
    ),
    st.lists(corner, min_size=5, max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_a_mask_has_exactly_the_pixels_the_shape_draws(shape_type, corners) -> None:
    count = {ShapeType.POLYGON: 5, ShapeType.POINT: 1}.get(shape_type, 2)
    drawn = shape(shape_type, corners[:count])
    expected = shape_mask(drawn, SIZE_HW)
    document = Table(drawn).document
    if expected.any():
        History(document).push(commands.to_masks(document, [drawn.uid], SIZE_HW[::-1]))
        assert np.array_equal(shape_mask(document.shapes[0], SIZE_HW), expected)
    else:
        with pytest.raises(ValueError, match="outside the image"):
            commands.to_masks(document, [drawn.uid], SIZE_HW[::-1])


def test_boxes_and_circles_become_polygons_that_cover_the_same() -> None:
    table = Table(
        shape(ShapeType.RECTANGLE, [(10, 10), (2, 4)]), shape(ShapeType.CIRCLE, [(30, 30), (40, 30)])
    )
    table.do(commands.to_polygons(table.document, table.uids()))
    assert table.areas() == [48, pytest.approx(100 * np.pi, rel=0.01)]


# --- who gives way ----------------------------------------------------------------------------------------


def test_a_shape_drawn_under_takes_only_free_pixels() -> None:
    backdrop = box(0, 0, 70, 50, "_background_")
    table = Table(backdrop, box(0, 0, 10, 10), box(40, 40, 50, 50))
    before = np.any([shape_mask(s, SIZE_HW) for s in table.shapes[1:]], axis=0)
    table.do(commands.drawing_under(table.document, [box(5, 0, 20, 10, "new")]))
    assert [s.label for s in table.shapes] == ["_background_", "new", "cell", "cell"]
    assert table.areas()[1] == 100
    assert table.shapes[0] is backdrop
    upper = np.any([shape_mask(s, SIZE_HW) for s in table.shapes[2:]], axis=0)
    assert np.array_equal(upper, before)
    with pytest.raises(ValueError, match="belongs to other shapes"):
        commands.drawing_under(table.document, [box(1, 1, 9, 9)])


@pytest.mark.parametrize(
    "nerve",
    [box(10, 10, 40, 40), shape(ShapeType.POLYGON, [(5, 10), (60, 10), (60, 12), (8, 12), (8, 50), (5, 50)])],
    ids=["overlaps", "surrounds"],
)
def test_a_shape_drawn_under_is_seen_on_background_above_another(nerve: Shape) -> None:
    elsewhere = box(70, 0, 75, 5, "_background_")
    table = Table(nerve, box(35, 35, 60, 55, "_background_"), elsewhere)
    table.do(commands.drawing_under(table.document, [box(30, 30, 50, 50, "new")]))
    assert [s.label for s in table.shapes] == ["cell", "_background_", "new", "_background_"]
    assert [s.label for s in table.shapes if shape_mask(s, SIZE_HW)[45, 45]][-1] == "new"


def test_others_give_way_to_a_shape_drawn_over_them() -> None:
    backdrop, hidden = box(0, 0, 70, 50, "_background_"), box(6, 4, 8, 6)
    table = Table(backdrop, box(0, 0, 10, 10), hidden, box(40, 40, 50, 50))
    table.do(commands.drawing_over(table.document, [box(5, 2, 20, 8, "new")]))
    assert [s.label for s in table.shapes] == ["_background_", "cell", "cell", "new"]
    assert table.areas() == [3500, 70, 100, 90]
    table.history.undo()
    assert table.shapes[2] is hidden


def test_locked_shapes_keep_their_pixels() -> None:
    table = Table(box(0, 0, 10, 10))
    table.do(commands.SetLocked.of(table.document, table.uids(), locked=True))
    table.do(commands.drawing_over(table.document, [box(5, 0, 20, 10, "new")]))
    assert table.areas() == [100, 100]


def test_the_first_shape_of_an_image_puts_it_in_progress_in_either_way() -> None:
    for draw in (commands.drawing_under, commands.drawing_over):
        document = AnnotationDocument(Annotation("x.png", SIZE_HW))
        History(document).push(draw(document, [box(0, 0, 5, 5)]))
        assert (document.state, len(document)) == (AnnotationState.IN_PROGRESS, 1)


def test_a_shape_gives_way_or_pushes_others_away_afterwards() -> None:
    table = Table(box(0, 0, 10, 10), box(5, 0, 20, 10))
    table.do(commands.giving_way(table.document, table.uids(1)))
    assert table.areas() == [100, 100]
    table.history.undo()
    table.do(commands.pushing_away(table.document, table.uids(1)))
    assert table.areas() == [50, 150]
    with pytest.raises(ValueError, match="overlaps no other"):
        table.do(commands.pushing_away(table.document, table.uids(1)))


# --- shared vertices --------------------------------------------------------------------------------------


def test_a_shared_vertex_moves_in_all_shapes_that_can_follow() -> None:
    rectangle, locked = shape(ShapeType.RECTANGLE, [(10, 10), (20, 20)]), box(10, 10, 30, 30)
    table = Table(box(0, 0, 10, 10), box(10, 0, 20, 10), rectangle, locked)
    table.do(commands.SetLocked.of(table.document, [locked.uid], locked=True))
    uids = table.uids()
    places = [
        VertexRef(uids[0], 0, 2),
        VertexRef(uids[1], 0, 3),
        VertexRef(uids[2], 0, 0),
        VertexRef(uids[3], 0, 0),
    ]
    for step in (1, 2):
        table.do(commands.MoveSharedVertex.of(table.document, places, (10 + step, 10 + step)))
    assert len(table.history.entries) == 2  # the lock, and one drag
    assert table.shapes[0].points[2].tolist() == table.shapes[1].points[3].tolist() == [12, 12]
    assert table.shapes[2] is rectangle
    assert table.history.undo_name == "Move shared vertex"
    with pytest.raises(ValueError, match="cross itself"):  # the second cannot follow: neither moves
        table.do(commands.MoveSharedVertex.of(table.document, places, (15, -5)))


# --- outlines ---------------------------------------------------------------------------------------------


def test_simplifying_and_smoothing_change_outlines_and_keep_the_rest() -> None:
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * 20 + 30
    round_one = shape(ShapeType.POLYGON, ring, "nerve", description="x")
    table = Table(round_one, shape(ShapeType.LINESTRIP, [(0, 0), (5, 0.1), (10, 0)]))
    table.do(commands.SimplifyShapes.of(table.document, table.uids(), 1.0))
    assert len(table.shapes[0].points) < 30
    assert table.shapes[1].points.tolist() == [[0, 0], [10, 0]]
    assert (table.shapes[0].label, table.shapes[0].description) == ("nerve", "x")
    table.do(commands.SmoothShapes.of(table.document, table.uids(), 2.0))
    assert table.history.undo_name == "Smooth 2 shapes"
    table.history.go_to(0)
    assert table.shapes[0] is round_one


def test_holes_are_filled_all_or_one() -> None:
    holes = tuple(frozen_points([(2 + k, 2), (4 + k, 2), (4 + k, 4)]) for k in (0, 3))
    table = Table(box(0, 0, 10, 10, holes=holes), box(20, 20, 30, 30))
    table.do(commands.FillHoles.of(table.document, table.uids(0), hole=0))
    assert table.shapes[0].holes == (holes[1],)
    table.do(commands.FillHoles.of(table.document, table.uids()))
    assert table.areas() == [100, 100]
    with pytest.raises(ValueError, match="no hole"):
        table.do(commands.FillHoles.of(table.document, table.uids()))


# --- groups, copies, locks --------------------------------------------------------------------------------


OUTER = {
    "polygon": box(10, 10, 50, 50),
    "rectangle": shape(ShapeType.RECTANGLE, [(10, 10), (50, 50)]),
    "circle": shape(ShapeType.CIRCLE, [(30, 30), (30, 55)]),
}
INNER = {
    "polygon": box(25, 25, 35, 35, "vessel"),
    "rectangle": shape(ShapeType.RECTANGLE, [(35, 35), (25, 25)], "vessel"),
    "oriented": shape(ShapeType.ORIENTED_RECTANGLE, [(30, 22), (38, 30), (30, 38), (22, 30)], "vessel"),
    "circle": shape(ShapeType.CIRCLE, [(30, 30), (34, 30)], "vessel"),
}


@pytest.mark.parametrize("outer", OUTER.values(), ids=OUTER)
@pytest.mark.parametrize("inner", INNER.values(), ids=INNER)
def test_a_shape_inside_another_becomes_its_hole(inner: Shape, outer: Shape) -> None:
    table = Table(outer, inner)
    before = shape_mask(outer, SIZE_HW), shape_mask(inner, SIZE_HW)
    table.do(commands.making_hole(table.document, inner.uid))

    (perforated,) = table.shapes
    assert (perforated.uid, perforated.label, len(perforated.holes)) == (outer.uid, "cell", 1)
    covered = shape_mask(perforated, SIZE_HW)
    assert not covered[30, 30]
    # The border of a hole belongs to the shape around it, and circles become polygons within a pixel.
    assert abs(int(covered.sum()) - int(before[0].sum() - before[1].sum())) < 60
    table.history.undo()
    assert table.shapes == (outer, inner)


def test_a_hole_goes_into_the_uppermost_free_shape_around_it() -> None:
    low, middle, locked = box(0, 0, 60, 50), box(5, 5, 40, 40), with_lock(box(8, 8, 39, 39), locked=True)
    inner = box(10, 10, 20, 20)
    table = Table(low, middle, locked, inner, box(50, 5, 55, 9))
    table.do(commands.making_hole(table.document, inner.uid))
    assert [len(each.holes) for each in table.shapes] == [0, 1, 0, 0]


def test_groups_get_numbers_of_their_own_and_copies_of_a_group_too() -> None:
    table = Table(box(0, 0, 10, 10, group_id=3), box(20, 0, 30, 10), box(40, 0, 50, 10))
    table.do(commands.Group.of(table.document, table.uids(1, 2)))
    assert [s.group_id for s in table.shapes] == [3, 4, 4]
    paste, copies = commands.pasting(table.document, table.shapes, offset=(2, 5))
    table.do(paste)
    assert [s.group_id for s in copies] == [5, 6, 6]
    assert copies[0].points[0].tolist() == [2, 5]
    assert table.shapes[3:] == copies
    table.do(commands.Group.dissolving(table.document, table.uids()))
    assert {s.group_id for s in table.shapes} == {None}


def test_copies_on_another_image_keep_the_numbers_of_groups_that_are_free_there() -> None:
    shapes = [box(0, 0, 10, 10, group_id=number) for number in (7, 7, 3, None)]
    there = Table(box(0, 0, 10, 10, group_id=3))
    _, copies = commands.pasting(there.document, shapes)
    assert [s.group_id for s in copies] == [7, 7, 8, None]


def test_a_lock_survives_the_file_and_refuses_every_edit() -> None:
    shape_with_keys = box(0, 0, 10, 10, extra={"maskloop": {"note": 1}, "other": [1]})
    table = Table(shape_with_keys, box(5, 5, 15, 15))
    uid = shape_with_keys.uid
    table.do(commands.SetLocked.of(table.document, [uid], locked=True))
    [again, free] = loads(dumps(table.document.snapshot()), "x.json").shapes
    assert (is_locked(again), is_locked(free)) == (True, False)
    assert again.extra == {"maskloop": {"note": 1}, "other": [1], "locked": True}
    document, both = table.document, table.uids()
    for make in (
        lambda: commands.MoveVertex.of(document, uid, 0, (1, 1)),
        lambda: commands.TranslateShapes.of(document, both, 1, 1),
        lambda: commands.Relabel.of(document, [uid], "other"),
        lambda: commands.RemoveShapes.of(document, both),
        lambda: commands.CutHole.of(document, uid, [(2, 2), (4, 2), (4, 4)]),
        lambda: commands.SimplifyShapes.of(document, [uid], 1),
        lambda: commands.Group.of(document, both),
        lambda: commands.uniting(document, both),
        lambda: commands.splitting(document, [uid], [(5, -1), (5, 11)]),
        lambda: commands.to_masks(document, [uid], (80, 60)),
    ):
        before = document.snapshot()
        with pytest.raises(ValueError, match="locked; unlock it"):
            table.do(make())
        assert document.snapshot() == before
    [copy] = commands.pasting(document, [document.get(uid)])[1]
    assert not is_locked(copy)
    table.do(commands.SetLocked.of(document, both, locked=False))
    assert document.get(uid) == shape_with_keys


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d, u: commands.uniting(d, u[:1]), "two or more"),
        (lambda d, u: commands.uniting(d, [u[0], u[2]]), "do not touch"),
        (lambda d, u: commands.uniting(d, [u[0], u[3]]), "line has no area"),
        (lambda d, u: commands.subtracting(d, [u[0], u[2]]), "do not overlap"),
        (lambda d, u: commands.subtracting(d, [u[0], u[1]]), "nothing would be left"),
        (lambda d, u: commands.intersecting(d, [u[0], u[2]]), "nothing in common"),
        (lambda d, u: commands.splitting(d, u[:1], [(2, 2), (3, 3)]), "does not divide"),
        (lambda d, u: commands.to_polygons(d, u[:2]), "polygons already"),
        (lambda d, u: commands.giving_way(d, u[2:3]), "overlaps no other"),
        (lambda d, u: commands.giving_way(d, u[:1]), "nothing would be left"),
        (lambda d, u: commands.SmoothShapes.of(d, u[3:4], 2).pairs(), "only polygons"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(make, message) -> None:
    line = shape(ShapeType.LINE, [(0, 0), (9, 9)])
    table = Table(box(2, 2, 8, 8), box(0, 0, 10, 10), box(40, 40, 50, 50), line)
    with pytest.raises(ValueError, match=message):
        make(table.document, table.uids())


@pytest.mark.parametrize("draw", [commands.drawing_under, commands.drawing_over])
def test_many_shapes_drawn_at_once_look_over_those_that_are_there_a_few_times(monkeypatch, draw) -> None:
    looked_at: list[int] = []
    bounds_of = rasterize._painted_bounds
    monkeypatch.setattr(
        rasterize, "_painted_bounds", lambda shapes: looked_at.append(len(shapes)) or bounds_of(shapes)
    )
    there = [box(x, y, x + 4, y + 4) for x in range(0, 80, 5) for y in range(0, 60, 5)]
    new = [box(x + 2, y + 2, x + 6, y + 6, "new") for x in range(0, 70, 10) for y in range(0, 50, 10)]
    table = Table(*there)
    table.do(draw(table.document, new))
    assert sum(looked_at) <= 4 * len(there)
