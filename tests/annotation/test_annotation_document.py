"""The live document: what observers are told, and that nothing they do harms it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.annotation.document import AnnotationDocument, Change
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points


def point(label: str = "a") -> Shape:
    return Shape(label, ShapeType.POINT, frozen_points([(1, 2)]))


@pytest.fixture
def shapes() -> tuple[Shape, ...]:
    return point("a"), point("b"), point("c")


@pytest.fixture
def document(shapes) -> AnnotationDocument:
    return AnnotationDocument(Annotation("x.png", (4, 5), shapes, AnnotationState.IN_PROGRESS))


@pytest.fixture
def heard(document) -> list[Change]:
    changes: list[Change] = []
    document.subscribe(changes.append)
    return changes


def labels(document: AnnotationDocument) -> str:
    return "".join(shape.label for shape in document.shapes)


def test_every_mutation_is_told_once_with_the_new_revision(document, shapes, heard) -> None:
    a, b, c = shapes
    d = point("d")
    document.insert(1, d)
    document.replace(b.with_(label="B"))
    document.move(c.uid, 0)
    document.remove(a.uid)
    document.set_state(AnnotationState.DONE)
    assert [change.revision for change in heard] == [1, 2, 3, 4, 5] == list(range(1, document.revision + 1))
    assert [change.kind for change in heard] == ["inserted", "replaced", "moved", "removed", "state"]
    inserted, replaced, moved, removed, state = heard
    assert (inserted.uid, inserted.before, inserted.after, inserted.index) == (d.uid, None, d, 1)
    assert (replaced.uid, replaced.before, replaced.index) == (b.uid, b, 2)
    assert replaced.after is document.get(b.uid)
    assert (moved.uid, moved.old_index, moved.index) == (c.uid, 3, 0)
    assert (removed.uid, removed.before, removed.after, removed.index) == (a.uid, a, None, 1)
    assert state.uid is None
    assert document.state is AnnotationState.DONE
    assert labels(document) == "cdB"


def test_a_snapshot_is_the_whole_annotation_and_does_not_change(document, shapes) -> None:
    before = document.snapshot()
    document.remove(shapes[0].uid)
    assert before == Annotation("x.png", (4, 5), shapes, AnnotationState.IN_PROGRESS)
    assert document.snapshot().shapes == shapes[1:]


def test_reset_takes_another_annotation_and_says_so(document, shapes, heard) -> None:
    other = Annotation("y.png", None, (point("z"),), AnnotationState.DONE, flags={"good": True})
    document.reset(other)
    assert document.snapshot() == other
    assert [change.kind for change in heard] == ["reset"]
    assert shapes[0].uid not in document


@pytest.mark.parametrize(
    ("mutate", "error"),
    [
        (lambda d, s: d.insert(0, s[0]), ValueError),
        (lambda d, s: d.insert(4, point()), IndexError),
        (lambda d, s: d.insert(-1, point()), IndexError),
        (lambda d, s: d.remove(10**9), KeyError),
        (lambda d, s: d.replace(point()), KeyError),
        (lambda d, s: d.move(s[0].uid, 3), IndexError),
        (lambda d, s: d.get(10**9), KeyError),
        (lambda d, s: d.index_of(10**9), KeyError),
    ],
)
def test_a_refused_mutation_changes_nothing(document, shapes, heard, mutate, error) -> None:
    with pytest.raises(error):
        mutate(document, shapes)
    assert document.shapes == shapes
    assert heard == []
    assert document.revision == 0


def test_a_shape_cannot_be_in_a_document_twice(shapes) -> None:
    with pytest.raises(ValueError, match="copies"):
        AnnotationDocument(Annotation("x.png", shapes=(shapes[0], shapes[0])))


def test_a_failing_observer_is_logged_and_the_others_hear_all(document, shapes, caplog) -> None:
    def broken(change: Change) -> None:
        raise ZeroDivisionError("in the canvas")

    heard: list[int] = []
    document.subscribe(broken)
    document.subscribe(lambda change: heard.append(change.revision))
    with caplog.at_level(logging.ERROR):
        document.remove(shapes[0].uid)
        document.insert(0, shapes[0])
    assert heard == [1, 2]
    assert document.shapes == shapes
    assert "in the canvas" in caplog.text


def test_an_observer_cannot_mutate_what_it_is_told_about(document, shapes, caplog) -> None:
    document.subscribe(lambda change: document.set_state(AnnotationState.DONE))
    document.remove(shapes[0].uid)
    assert document.state is AnnotationState.IN_PROGRESS
    assert document.revision == 1
    assert "an observer tried to change the document" in caplog.text
    document_after = document.snapshot()
    assert document_after.shapes == shapes[1:]


def test_an_edit_of_many_shapes_is_told_at_once_to_those_who_take_it_so(document, shapes) -> None:
    singly: list[Change] = []
    told: list[tuple[Change, ...]] = []
    document.subscribe(singly.append)
    document.subscribe(
        lambda change: told.append((change,)), many=lambda changes: told.append(tuple(changes))
    )
    with document.atomic():
        document.replace(shapes[0].with_(label="a"))
        with document.atomic():
            document.replace(shapes[1].with_(label="b"))
        assert told == []
        assert [change.uid for change in singly] == [shapes[0].uid, shapes[1].uid]
    with document.atomic():
        document.set_state(AnnotationState.DONE)
    document.remove(shapes[0].uid)
    assert [[change.revision for change in changes] for changes in told] == [[1, 2], [3], [4]]


def test_who_takes_many_changes_hears_of_a_block_that_failed_and_of_its_undoing(document, shapes) -> None:
    labels: dict[int, str] = {}

    def follow(changes: Sequence[Change]) -> None:
        labels.update({change.uid: change.after.label for change in changes if change.uid and change.after})

    document.subscribe(lambda change: follow((change,)), many=follow)
    with contextlib.suppress(ZeroDivisionError), document.atomic():
        document.replace(shapes[0].with_(label="never"))
        raise ZeroDivisionError
    assert labels == {shapes[0].uid: shapes[0].label}


def test_an_unsubscribed_observer_hears_no_more(document, shapes) -> None:
    heard: list[Change] = []
    unsubscribe = document.subscribe(heard.append)
    unsubscribe()
    unsubscribe()  # twice does no harm
    document.remove(shapes[0].uid)
    assert heard == []


def test_an_atomic_block_that_fails_takes_everything_back(document, shapes, heard) -> None:
    start = document.snapshot()

    def fail_halfway() -> None:
        with document.atomic():
            document.remove(shapes[1].uid)
            document.move(shapes[2].uid, 0)
            with document.atomic():
                document.insert(0, point("n"))
                document.replace(shapes[0].with_(label="X"))
            document.set_state(AnnotationState.DONE)
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    assert document.snapshot() == start
    assert [shape.uid for shape in document.shapes] == [shape.uid for shape in shapes]
    assert len(heard) == 10  # observers saw it come and go


@given(st.lists(st.tuples(st.sampled_from("imrq"), st.integers(0, 50), st.integers(0, 50)), max_size=60))
def test_places_are_right_after_any_edits(edits) -> None:
    document = AnnotationDocument(Annotation("x.png"))
    order: list[int] = []
    for kind, first, second in edits:
        if kind == "i":
            shape = point()
            order.insert(first % (len(order) + 1), shape.uid)
            document.insert(order.index(shape.uid), shape)
        elif order:
            uid = order[first % len(order)]
            if kind == "m":
                order.remove(uid)
                order.insert(second % (len(order) + 1), uid)
                document.move(uid, order.index(uid))
            elif kind == "r":
                assert document.remove(uid)[0] == order.index(uid)
                order.remove(uid)
            else:
                assert document.index_of(uid) == order.index(uid)
    assert [shape.uid for shape in document.shapes] == order
    assert [document.index_of(uid) for uid in reversed(order)] == list(reversed(range(len(order))))
    assert len(document) == len(order)
