"""Whatever a person does, in whatever order: it can be undone, saved, drawn, and is valid throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation import commands
from core.annotation.commands import Command
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.labelme_json import dumps, loads
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
from core.geometry import rings_are_valid
from core.polygons.snapping import Outlines, SnapIndex

SIZE_HW = (40, 48)
SQUARE = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
HOLE = np.array([(2, 2), (4, 2), (4, 4), (2, 4)], float)
CLASSES = ClassList(tuple(LabelClass(k, str(k), f"#{k}{k}{k}{k}{k}{k}") for k in range(4)), background=0)
VERTEX_KINDS = ("move", "insert", "remove", "cut", "both", "shared")
STACK_KINDS = ("add", "under", "over", "state", "translate", "relabel", "reorder", "delete", "paste")
REGION_KINDS = (
    "unite",
    "subtract",
    "intersect",
    "split",
    "give",
    "push",
    "simplify",
    "smooth",
    "fill",
    "clip",
)
OTHER_KINDS = ("mask", "polygon", "group", "ungroup", "lock", "unlock")
KINDS = VERTEX_KINDS + STACK_KINDS + REGION_KINDS + OTHER_KINDS

coordinates = st.integers(-20, 50).map(float)
steps = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 10_000),
        st.integers(0, 10_000),
        coordinates,
        coordinates,
        st.booleans(),
    ),
    max_size=40,
)


def shape(points, shape_type: ShapeType = ShapeType.POLYGON, label: str = "1", **more) -> Shape:
    return Shape(label, shape_type, frozen_points(points), **more)


def start() -> Annotation:
    frame = shape(SQUARE * 3 + 5, holes=(frozen_points(SQUARE + 12), frozen_points(HOLE + 5)), label="2")
    blob = np.ones((5, 7), np.bool_)
    blob[2, 3] = blob[0, 0] = False
    return Annotation(
        "x.png",
        SIZE_HW,
        (
            shape(SQUARE),
            shape(SQUARE + np.array((10, 0)), label="2"),
            shape([(5, 5), (9, 9)], ShapeType.CIRCLE),
            shape([(30, 2), (41, 9)], ShapeType.RECTANGLE, label="3"),
            shape(SQUARE[:3], ShapeType.LINESTRIP),
            shape([(10, 10)], ShapeType.POINT),
            shape([(20, 20), (26, 24)], ShapeType.MASK, label="2", mask=blob),
            frame,
        ),
        AnnotationState.UNLABELLED,
    )


def drawn(first: int, x: float, y: float) -> Shape:
    """A star of the size of the others, sometimes one that crosses itself."""
    count = 3 + first % 6
    turn = np.arange(count) * (2 * np.pi * (2 if first % 5 == 0 else 1) / count)
    reach = 4 + 3 * (np.arange(count) * (1 + first % 3) % 3)
    return shape(
        np.column_stack([np.cos(turn), np.sin(turn)]) * reach[:, None] + (x, y), label=str(first % 4)
    )


def command_for(
    document: AnnotationDocument, kind: str, first: int, second: int, x: float, y: float
) -> Command | None:
    """Some command on the document as it is; None where there is nothing to act on."""
    match kind:
        case "add":
            return commands.drawing(document, [drawn(first, x, y)])
        case "under":
            return commands.drawing_under(document, [drawn(first, x, y)])
        case "over":
            return commands.drawing_over(document, [drawn(first, x, y)])
        case "state":
            return commands.SetState.of(document, list(AnnotationState)[first % 3])
    if not len(document):
        return None
    chosen = document.shapes[first % len(document)]
    some = [s.uid for k, s in enumerate(document.shapes) if (second >> k % 12) & 1] or [chosen.uid]
    return on_vertices(document, kind, chosen, second, x, y) or on_shapes(
        document, kind, chosen, some, second, x, y
    )


def on_vertices(
    document: AnnotationDocument, kind: str, chosen: Shape, second: int, x: float, y: float
) -> Command | None:
    ring = second % (1 + len(chosen.holes))
    vertex = second % len((chosen.points, *chosen.holes)[ring])
    match kind:
        case "move":
            return commands.MoveVertex.of(document, chosen.uid, vertex, (x, y), ring)
        case "insert":
            return commands.InsertVertex.of(document, chosen.uid, vertex, (x, y), ring)
        case "remove":
            return commands.RemoveVertex.of(document, chosen.uid, vertex, ring)
        case "cut":
            return commands.CutHole.of(document, chosen.uid, HOLE + np.array((x / 4, y / 4)))
        case "both":
            add = commands.AddShapes((shape(SQUARE),), second % (len(document) + 1))
            move = commands.MoveVertex.of(document, chosen.uid, vertex, (x, y), ring)
            return commands.Composite("Both", (add, move))
        case "shared":
            index = SnapIndex()
            index.load((s.uid, Outlines((s.points, *s.holes), closed=True)) for s in document.shapes)
            at = (chosen.points, *chosen.holes)[ring][vertex]
            places = sorted(index.vertices_at(*at), key=lambda place: place.uid != chosen.uid)
            return commands.MoveSharedVertex.of(document, places, (at[0] + x / 20, at[1] + y / 20))
    return None


def on_shapes(
    document: AnnotationDocument,
    kind: str,
    chosen: Shape,
    some: Sequence[int],
    second: int,
    x: float,
    y: float,
) -> Command | None:
    match kind:
        case "translate":
            return commands.TranslateShapes.of(document, some, x / 7, y / 3)
        case "relabel":
            return commands.Relabel.of(document, some, str(second % 4))
        case "reorder":
            return commands.Reorder.of(document, some, second % (len(document) + 1))
        case "delete":
            return commands.RemoveShapes.of(document, some[:2])
        case "unite":
            return commands.uniting(document, some)
        case "subtract":
            return commands.subtracting(document, some)
        case "intersect":
            return commands.intersecting(document, some[:2])
        case "split":
            return commands.splitting(document, some, [(x, -20), (x + 3, y), (y, 60)])
        case "give":
            return commands.giving_way(document, [chosen.uid])
        case "push":
            return commands.pushing_away(document, [chosen.uid])
        case "simplify":
            return commands.SimplifyShapes.of(document, some, abs(x) / 10)
        case "smooth":
            return commands.SmoothShapes.of(document, some, abs(y) / 10)
        case "fill":
            return commands.FillHoles.of(document, some, hole=0 if second % 2 else None)
        case "clip":
            return commands.clipping(document, some, (SIZE_HW[1] - second % 9, SIZE_HW[0]))
        case "mask":
            return commands.to_masks(document, some, SIZE_HW[::-1])
        case "polygon":
            return commands.to_polygons(document, some)
        case "group":
            return commands.Group.of(document, some)
        case "ungroup":
            return commands.Group.dissolving(document, some)
        case "paste":
            return commands.pasting(document, [document.get(uid) for uid in some[:3]], offset=(x, y))[0]
        case "lock":
            return commands.SetLocked.of(document, [chosen.uid], locked=True)
        case "unlock":
            return commands.SetLocked.of(document, [s.uid for s in document.shapes], locked=False)
    return None


def check_sound(annotation: Annotation) -> None:
    """No invalid polygon, and a file and a mask that say the same."""
    for each in annotation.shapes:
        if each.shape_type is ShapeType.POLYGON:
            assert rings_are_valid(each.points, each.holes), each
    again = loads(dumps(annotation), "x.json")
    assert again.shapes == annotation.shapes
    mask = rasterize(annotation, CLASSES)
    assert mask.shape == SIZE_HW
    assert set(np.unique(mask)) <= {*CLASSES.indices, UNLABELLED}
    assert np.array_equal(rasterize(again, CLASSES, SIZE_HW)[mask != UNLABELLED], mask[mask != UNLABELLED])


def attempt(history: History, kind: str, first: int, second: int, x: float, y: float) -> str | None:
    """Do a command; the sentence with which it was refused, if it was."""
    try:
        command = command_for(history.document, kind, first, second, x, y)
        if command is not None:
            history.push(command)
    except ValueError as error:
        return str(error)
    return None


def renamed(annotation: Annotation, names: dict[str, str]) -> Annotation:
    shapes = (shape.with_(label=names.get(shape.label, shape.label)) for shape in annotation.shapes)
    return replace(annotation, shapes=tuple(shapes))


@given(steps)
@settings(max_examples=200, deadline=None)
def test_any_edits_undone_give_the_start_and_redone_the_end(edits) -> None:
    first = start()
    document = AnnotationDocument(first)
    history = History(document)
    for kind, one, two, x, y, release in edits:
        before = document.snapshot()
        refusal = attempt(history, kind, one, two, x, y)
        if refusal is None:
            check_sound(document.snapshot())
        else:
            assert document.snapshot() == before
            assert len(refusal) > 10, "a refusal says why"
        if release:
            history.break_merge()
    end, uids = document.snapshot(), [s.uid for s in document.shapes]
    while history.undo() is not None:
        pass
    assert document.snapshot() == first
    assert [s.uid for s in document.shapes] == [s.uid for s in first.shapes]
    while history.redo() is not None:
        pass
    assert document.snapshot() == end
    assert [s.uid for s in document.shapes] == uids
    middle = len(history.entries) // 2
    history.go_to(middle)
    assert history.position == middle
    history.go_to(len(history.entries))
    assert document.snapshot() == end
    names = {"1": "one", "2": "1"}
    history.relabel(names)
    assert document.snapshot() == renamed(end, names)
    while history.undo() is not None:
        pass
    assert document.snapshot() == renamed(first, names)
    while history.redo() is not None:
        pass
    assert document.snapshot() == renamed(end, names)
