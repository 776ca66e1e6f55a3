"""Edits: each is undone to the last bit, a drag is one entry, what would be invalid is refused."""

from __future__ import annotations

import numpy as np
import pytest

from core.annotation import commands
from core.annotation.commands import (
    AddShapes,
    Composite,
    CutHole,
    InsertVertex,
    MoveVertex,
    Relabel,
    RemoveShapes,
    RemoveVertex,
    Reorder,
    ReplaceShapes,
    SetState,
    TranslateShapes,
)
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points
from core.geometry import rings_are_valid

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]
HOLE = [(2, 2), (4, 2), (4, 4), (2, 4)]
BOWTIE = [(0, 0), (10, 10), (10, 0), (0, 10)]


def shape(shape_type: ShapeType = ShapeType.POLYGON, points=SQUARE, label: str = "cell", **more) -> Shape:
    return Shape(label, shape_type, frozen_points(points), **more)


@pytest.fixture
def square() -> Shape:
    return shape()


@pytest.fixture
def document(square) -> AnnotationDocument:
    others = shape(ShapeType.CIRCLE, [(50, 50), (53, 54)]), shape(ShapeType.POINT, [(7, 7)])
    return AnnotationDocument(Annotation("x.png", (99, 99), (square, *others), AnnotationState.IN_PROGRESS))


@pytest.fixture
def history(document) -> History:
    return History(document)


def points_of(document: AnnotationDocument, shape: Shape) -> list[tuple[float, float]]:
    return [tuple(point) for point in document.get(shape.uid).points.tolist()]


# --- single edits -----------------------------------------------------------------------------------------


def test_undo_names_what_it_takes_back(document, history, square) -> None:
    assert (history.undo_name, history.redo_name) == (None, None)
    history.push(MoveVertex.of(document, square.uid, 0, (1, 1)))
    history.push(RemoveShapes.of(document, [s.uid for s in document.shapes[:2]]))
    assert history.undo_name == "Delete 2 shapes (cell)"
    history.undo()
    assert (history.undo_name, history.redo_name) == ("Move vertex", "Delete 2 shapes (cell)")
    assert [command.name for command in history.entries] == ["Move vertex", "Delete 2 shapes (cell)"]
    assert history.position == 1


def test_undo_and_redo_with_nothing_to_do_do_nothing(document, history) -> None:
    assert history.undo() is None
    assert history.redo() is None
    assert document.revision == 0


def test_a_moved_vertex_goes_where_it_was_put(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 1, (12.5, -3)))
    assert points_of(document, square)[1] == (12.5, -3)
    history.undo()
    assert document.get(square.uid).points is square.points


def test_a_vertex_is_added_on_an_edge_and_removed_again(document, history, square) -> None:
    history.push(InsertVertex.of(document, square.uid, 4, (-2, 5)))
    assert points_of(document, square)[3:] == [(0, 10), (-2, 5)]
    history.push(RemoveVertex.of(document, square.uid, 0))
    assert points_of(document, square) == [(10, 0), (10, 10), (0, 10), (-2, 5)]


def test_holes_have_vertices_of_their_own(document, history, square) -> None:
    history.push(CutHole.of(document, square.uid, HOLE))
    history.push(MoveVertex.of(document, square.uid, 2, (5, 5), ring=1))
    history.push(InsertVertex.of(document, square.uid, 1, (3, 1), ring=1))
    assert document.get(square.uid).holes[0].tolist() == [[2, 2], [3, 1], [4, 2], [5, 5], [2, 4]]
    assert points_of(document, square) == SQUARE


def test_a_circle_moves_with_its_centre_and_grows_with_its_rim(document, history) -> None:
    circle = document.shapes[1]
    history.push(MoveVertex.of(document, circle.uid, 0, (60, 50)))
    assert points_of(document, circle) == [(60, 50), (63, 54)]
    history.break_merge()
    history.push(MoveVertex.of(document, circle.uid, 1, (60, 40)))
    assert points_of(document, circle) == [(60, 50), (60, 40)]


def test_an_oriented_rectangle_keeps_its_right_angles(history, document) -> None:
    tilted = shape(ShapeType.ORIENTED_RECTANGLE, [(10, 0), (20, 10), (15, 15), (5, 5)])
    history.push(AddShapes((tilted,)))
    history.push(MoveVertex.of(document, tilted.uid, 1, (30, 12)))
    a, b, c, d = document.get(tilted.uid).points
    assert b.tolist() == [30, 12]
    assert d.tolist() == [5, 5]
    for corner, before, after in ((a, d, b), (b, a, c), (c, b, d), (d, c, a)):
        assert abs((before - corner) @ (after - corner)) < 1e-9


def test_moving_shapes_takes_their_holes_along_and_keeps_masks_on_pixels(document, history, square) -> None:
    history.push(CutHole.of(document, square.uid, HOLE))
    mask = shape(ShapeType.MASK, [(3, 4), (4, 4)], mask=np.array([[True, False]]))
    history.push(AddShapes((mask,)))
    history.push(TranslateShapes.of(document, [square.uid, mask.uid], 1.25, -0.75))
    assert points_of(document, square)[0] == (1.25, -0.75)
    assert document.get(square.uid).holes[0][0].tolist() == [3.25, 1.25]
    assert points_of(document, mask) == [(4, 3), (5, 3)]


def test_relabelling_changes_the_label_alone(document, history, square) -> None:
    history.push(Relabel.of(document, [s.uid for s in document.shapes], "nerve"))
    assert {s.label for s in document.shapes} == {"nerve"}
    assert document.get(square.uid) == square.with_(label="nerve")


def test_reordering_gathers_shapes_and_keeps_their_order(document, history) -> None:
    history.push(AddShapes(tuple(shape(label=str(k)) for k in range(5))))
    names = {s.uid: k for k, s in enumerate(document.shapes)}
    chosen = [document.shapes[k].uid for k in (6, 1, 4)]

    def order() -> list[int]:
        return [names[s.uid] for s in document.shapes]

    history.push(Reorder.of(document, chosen, 3))
    assert order() == [0, 2, 3, 1, 4, 6, 5, 7]
    history.undo()
    assert order() == list(range(8))
    history.push(Reorder.of(document, chosen, len(document)))
    assert order() == [0, 2, 3, 5, 7, 1, 4, 6]
    history.undo()
    history.push(Reorder.of(document, chosen, 0))
    assert order() == [1, 4, 6, 0, 2, 3, 5, 7]


def test_names_of_edits_tell_classes_and_call_an_ignored_area_so(document, history, square) -> None:
    first, second = document.shapes[0].with_(label="__ignore__"), document.shapes[1]
    assert AddShapes((first,)).name == "Add ignored area"
    assert AddShapes((first, second)).name == "Add 2 shapes"
    assert Relabel.of(document, [square.uid], "__ignore__").name == "Relabel cell as ignored area"
    image = AnnotationDocument(Annotation("x.png"))
    drawn = History(image)
    drawn.push(commands.drawing(image, [square]))
    drawn.relabel({"cell": "nucleus"})
    assert drawn.undo_name == "Add nucleus"


def test_drawing_on_an_unlabelled_image_puts_it_in_progress_in_one_step(square) -> None:
    document = AnnotationDocument(Annotation("x.png"))
    history = History(document)
    history.push(commands.drawing(document, [square]))
    assert document.state is AnnotationState.IN_PROGRESS
    assert history.undo_name == "Add cell"
    history.undo()
    assert (document.state, document.shapes) == (AnnotationState.UNLABELLED, ())


def test_a_drawn_outline_that_crosses_itself_becomes_valid_polygons() -> None:
    document = AnnotationDocument(Annotation("x.png", state=AnnotationState.DONE))
    drawn = shape(points=BOWTIE, label="leaf")
    History(document).push(commands.drawing(document, [drawn]))
    assert len(document) == 2
    assert document.shapes[0].uid == drawn.uid
    assert {s.label for s in document.shapes} == {"leaf"}
    assert all(rings_are_valid(s.points, s.holes) for s in document.shapes)


def test_a_drawn_outline_that_encloses_nothing_is_refused() -> None:
    document = AnnotationDocument(Annotation("x.png"))
    with pytest.raises(ValueError, match="encloses nothing"):
        commands.drawing(document, [shape(points=[(0, 0), (5, 5), (9, 9)])])


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d, u: MoveVertex.of(d, u, 0, (20, 5)), "cross itself"),
        (lambda d, u: MoveVertex.of(d, u, 9, (0, 0)), "no vertex 9"),
        (lambda d, u: MoveVertex.of(d, u, 0, (0, 0), ring=3), "no ring 3"),
        (lambda d, u: MoveVertex.of(d, u, 0, (float("nan"), 0)), "not a number"),
        (lambda d, u: InsertVertex.of(d, u, 1, (5, 50)), "cross itself"),
        (lambda d, u: InsertVertex.of(d, d.shapes[1].uid, 1, (5, 50)), "circle takes no further"),
        (lambda d, u: RemoveVertex.of(d, d.shapes[2].uid, 0), "point needs at least 1 point"),
        (lambda d, u: RemoveVertex.of(d, d.shapes[1].uid, 0), "circle needs at least 2 points"),
        (lambda d, u: TranslateShapes.of(d, [u], float("inf"), 0), "not a number"),
        (lambda d, u: Relabel.of(d, [u], ""), "at least one character"),
        (lambda d, u: CutHole.of(d, u, BOWTIE), "crosses itself"),
        (lambda d, u: CutHole.of(d, u, [(8, 8), (12, 8), (8, 12)]), "inside its polygon"),
        (lambda d, u: CutHole.of(d, d.shapes[2].uid, HOLE), "only a polygon, a box or a circle"),
        (lambda d, u: AddShapes((shape(), d.get(u))), "already"),
        (lambda d, u: AddShapes((shape(points=SQUARE[:2]),)), "at least 3 points, not 2"),
        (lambda d, u: AddShapes((shape(ShapeType.MASK, SQUARE[:2]),)), "needs its mask"),
        (lambda d, u: ReplaceShapes.of(d, [d.get(u).with_(points=frozen_points(BOWTIE))]), "cross itself"),
        (
            lambda d, u: Composite(
                "Both", (RemoveShapes.of(d, [d.shapes[1].uid]), MoveVertex.of(d, u, 0, (20, 5)))
            ),
            "cross itself",
        ),
    ],
)
def test_an_edit_that_would_be_invalid_is_refused_and_changes_nothing(
    document, history, square, make, message
) -> None:
    before = document.snapshot()
    with pytest.raises(ValueError, match=message):
        history.push(make(document, square.uid))
    assert document.snapshot() == before
    assert not history.can_undo


def test_a_triangle_and_a_triangular_hole_keep_their_last_three_vertices(document, history, square) -> None:
    history.push(CutHole.of(document, square.uid, HOLE[:3]))
    with pytest.raises(ValueError, match="hole needs at least 3 points"):
        history.push(RemoveVertex.of(document, square.uid, 0, ring=1))
    triangle = shape(points=SQUARE[:3])
    history.push(AddShapes((triangle,)))
    with pytest.raises(ValueError, match="polygon needs at least 3 points, not 2"):
        history.push(RemoveVertex.of(document, triangle.uid, 0))


def test_a_foreign_polygon_that_crosses_itself_can_still_be_mended(history, document) -> None:
    foreign = shape(points=BOWTIE)
    history.push(AddShapes((foreign,)))
    history.push(MoveVertex.of(document, foreign.uid, 0, (-1, 1)))  # still crossing, but it was before
    with pytest.raises(ValueError, match="mend its outline"):
        history.push(CutHole.of(document, foreign.uid, [(9, 8), (9.5, 8), (9, 8.5)]))
    history.push(ReplaceShapes.of(document, [foreign.with_(points=frozen_points(SQUARE))]))
    with pytest.raises(ValueError, match="cross itself"):
        history.push(MoveVertex.of(document, foreign.uid, 0, (20, 5)))


def test_a_command_for_a_shape_that_is_gone_is_refused_whole(document, history, square) -> None:
    stale = TranslateShapes.of(document, [document.shapes[1].uid, square.uid], 1, 1)
    document.remove(square.uid)
    before = document.snapshot()
    with pytest.raises(KeyError):
        history.push(stale)
    assert document.snapshot() == before


# --- merging ----------------------------------------------------------------------------------------------


def test_dragging_a_vertex_is_one_entry(document, history, square) -> None:
    for step in range(1, 9):
        history.push(MoveVertex.of(document, square.uid, 2, (10 + step, 10 + step / 3)))
    history.break_merge()
    assert len(history.entries) == 1
    history.undo()
    assert document.get(square.uid) == square
    history.redo()
    assert points_of(document, square)[2] == (18, 10 + 8 / 3)


def test_the_release_of_the_mouse_ends_the_drag(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 2, (11, 11)))
    history.break_merge()
    history.push(MoveVertex.of(document, square.uid, 2, (12, 12)))
    assert len(history.entries) == 2
    history.undo()
    assert points_of(document, square)[2] == (11, 11)


def test_another_vertex_is_another_entry(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 2, (11, 11)))
    history.push(MoveVertex.of(document, square.uid, 1, (12, 0)))
    assert len(history.entries) == 2


def test_undo_ends_a_drag(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 1, (11, 0)))
    history.break_merge()
    history.push(MoveVertex.of(document, square.uid, 2, (11, 11)))
    history.undo()
    history.push(MoveVertex.of(document, square.uid, 1, (12, 0)))
    assert len(history.entries) == 2
    assert not history.can_redo


def test_adding_a_vertex_and_dragging_it_is_one_entry(document, history, square) -> None:
    history.push(InsertVertex.of(document, square.uid, 1, (5, 0)))
    for y in (-1, -2, -3):
        history.push(MoveVertex.of(document, square.uid, 1, (5, y)))
    assert [command.name for command in history.entries] == ["Add vertex"]
    assert points_of(document, square)[1] == (5, -3)
    history.undo()
    assert document.get(square.uid) == square


def test_dragging_shapes_adds_up_without_rounding(document, history, square) -> None:
    mask = shape(ShapeType.MASK, [(3, 4), (4, 4)], mask=np.array([[True, True]]))
    history.push(AddShapes((mask,)))
    for _ in range(10):
        history.push(TranslateShapes.of(document, [square.uid, mask.uid], 0.3, 0.1))
    assert len(history.entries) == 2
    assert points_of(document, mask) == [(6, 5), (7, 5)]  # ten steps of 0.3, each of which rounds to none
    history.undo()
    assert document.get(square.uid) == square


def test_a_step_refused_in_a_drag_leaves_the_drag_where_it_was(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 0, (1, 1)))
    with pytest.raises(ValueError, match="cross itself"):
        history.push(MoveVertex.of(document, square.uid, 0, (30, 5)))
    history.push(MoveVertex.of(document, square.uid, 0, (2, 2)))
    assert len(history.entries) == 1
    assert points_of(document, square)[0] == (2, 2)


def test_a_shared_corner_of_two_shapes_drags_as_one(document, history, square) -> None:
    neighbour = shape(points=[(10, 0), (20, 0), (20, 10), (10, 10)])
    history.push(AddShapes((neighbour,)))
    for step in (1, 2, 3):
        both = (
            MoveVertex.of(document, square.uid, 2, (10, 10 + step)),
            MoveVertex.of(document, neighbour.uid, 3, (10, 10 + step)),
        )
        history.push(Composite("Move shared vertex", both))
    assert [command.name for command in history.entries] == ["Add cell", "Move shared vertex"]
    before = document.snapshot()
    # The second shape cannot follow: neither moves.
    with pytest.raises(ValueError, match="cross itself"):
        history.push(
            Composite(
                "Move shared vertex",
                (
                    MoveVertex.of(document, square.uid, 2, (30, 40)),
                    MoveVertex.of(document, neighbour.uid, 3, (30, 5)),
                ),
            )
        )
    assert document.snapshot() == before
    history.undo()
    assert document.get(square.uid) == square


def test_replacing_merges_only_when_both_are_steps_of_a_drag(document, history, square) -> None:
    def step(x: float, *, drag: bool) -> ReplaceShapes:
        moved = square.with_(points=frozen_points([(-x, 0), *SQUARE[1:]]))
        return ReplaceShapes.of(document, [moved], title="Resize", drag=drag)

    for x in (1, 2, 3):
        history.push(step(x, drag=True))
    assert len(history.entries) == 1
    history.push(step(4, drag=False))
    history.push(step(5, drag=False))
    assert len(history.entries) == 3


def test_pairs_of_different_shapes_cannot_be_replaced(square) -> None:
    with pytest.raises(ValueError, match="same ones"):
        ReplaceShapes((square,), (shape(),))


# --- history ----------------------------------------------------------------------------------------------


def test_a_new_edit_drops_what_was_undone(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 0, (1, 1)))
    history.undo()
    history.push(SetState.of(document, AnnotationState.DONE))
    assert not history.can_redo
    assert [command.name for command in history.entries] == ["Mark as done"]


def test_a_jump_in_the_history_goes_back_and_forth(document, history, square) -> None:
    for step in (1, 2, 3):
        history.push(MoveVertex.of(document, square.uid, 0, (step, step)))
        history.break_merge()
    names = history.entries
    history.go_to(1)
    assert points_of(document, square)[0] == (1, 1)
    assert (history.position, history.entries) == (1, names)
    history.go_to(3)
    assert points_of(document, square)[0] == (3, 3)
    with pytest.raises(IndexError, match="no place 4"):
        history.go_to(4)
    history.go_to(0)
    assert document.get(square.uid) is square


def test_a_jump_that_fails_half_way_leaves_document_and_history_as_they_were(
    document, history, square
) -> None:
    history.push(MoveVertex.of(document, square.uid, 0, (1, 1)))
    history.push(Relabel.of(document, [square.uid], "nerve"))
    history.go_to(0)
    document.remove(document.shapes[1].uid)
    document.remove(square.uid)  # behind the history's back
    before = document.snapshot()
    with pytest.raises(KeyError):
        history.go_to(2)
    assert document.snapshot() == before
    assert history.position == 0


def test_reloading_the_document_empties_the_history(document, history, square) -> None:
    history.push(MoveVertex.of(document, square.uid, 0, (1, 1)))
    history.undo()
    document.reset(Annotation("x.png"))
    assert (history.entries, history.can_undo, history.can_redo) == ((), False, False)


def test_a_failing_observer_does_not_break_undo(document, history, square, caplog) -> None:
    def broken(change: object) -> None:
        raise OSError("no screen")

    document.subscribe(broken)
    start = document.snapshot()
    history.push(RemoveShapes.of(document, [s.uid for s in document.shapes]))
    history.undo()
    assert document.snapshot() == start
    assert caplog.text.count("no screen") >= 6


def test_ten_thousand_shapes_are_deleted_and_restored_at_once() -> None:
    shapes = tuple(shape(ShapeType.POINT, [(k, k)]) for k in range(10_000))
    document = AnnotationDocument(Annotation("x.png", shapes=shapes, state=AnnotationState.DONE))
    history = History(document)
    chosen = [s.uid for s in shapes[::2]]
    history.push(RemoveShapes.of(document, reversed(chosen)))
    assert len(document) == 5000
    history.push(TranslateShapes.of(document, [s.uid for s in document.shapes], 1, 1))
    history.undo()
    history.undo()
    assert all(a is b for a, b in zip(document.shapes, shapes, strict=True))
