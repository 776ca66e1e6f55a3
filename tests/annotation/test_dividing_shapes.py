"""Shapes that a line divides, and that the border of the image clips: one becomes several."""

from __future__ import annotations

import numpy as np
import pytest

from core.annotation import commands
from core.annotation.model import ShapeType
from tests.annotation.shape_table import SIZE_HW, Table, box, shape


def test_a_split_shape_becomes_two_beside_each_other_in_the_stack() -> None:
    table = Table(box(0, 0, 10, 10, "nerve"), box(40, 40, 50, 50, "vessel"))
    first = table.shapes[0]
    table.do(commands.splitting(table.document, [first.uid], [(4, -1), (4, 11)]))
    assert [s.label for s in table.shapes] == ["nerve", "nerve", "vessel"]
    assert table.areas()[:2] == [60, 40]
    assert table.shapes[0].uid == first.uid
    table.history.undo()
    assert table.shapes[0] is first


def test_the_shapes_under_a_line_are_found_from_the_top() -> None:
    table = Table(box(0, 0, 10, 10), box(2, 2, 8, 8), box(40, 40, 50, 50))
    assert list(commands.divided_by(table.document, [(5, -1), (5, 11)])) == table.uids(1, 0)
    assert list(commands.divided_by(table.document, [(5, 4), (5, 5)])) == []


def test_clipping_cuts_at_the_border_of_the_image() -> None:
    blob = shape(ShapeType.MASK, [(-2, 58), (1, 61)], mask=np.ones((4, 4), np.bool_))
    table = Table(
        box(-10, -10, 10, 10),
        shape(ShapeType.RECTANGLE, [(70, 50), (99, 99)]),
        shape(ShapeType.LINESTRIP, [(75, 5), (85, 5), (85, 15), (75, 15)]),
        shape(ShapeType.POINT, [(-1, 5)]),
        shape(ShapeType.POINTS, [(-1, 5), (5, 5)]),
        blob,
        box(-20, -20, -10, -10),
        shape(ShapeType.LINE, [(-9, -9), (-1, -1)]),
        shape(ShapeType.LINESTRIP, [(-5, 7), (0, 8), (-5, 9)]),  # touches the border in one point
        box(20, 20, 30, 30),
    )
    table.do(commands.clipping(table.document, table.uids(), SIZE_HW[::-1]))
    found = [(s.shape_type, s.points.tolist()) for s in table.shapes]
    assert table.areas()[0] == 100
    assert found[1] == (ShapeType.RECTANGLE, [[70, 50], [80, 60]])
    assert [kind for kind, _ in found[2:4]] == [ShapeType.LINESTRIP] * 2
    assert found[4] == (ShapeType.POINTS, [[5, 5]])
    assert found[5] == (ShapeType.MASK, [[0, 58], [1, 59]])
    assert len(found) == 7
    with pytest.raises(ValueError, match="inside the image"):
        table.do(commands.clipping(table.document, table.uids(), SIZE_HW[::-1]))


@pytest.mark.parametrize(
    ("points", "runs"),
    [
        (
            [(10, 10), (50, 10), (50, 30), (30, 30), (30, -9)],
            [[(10, 10), (50, 10), (50, 30), (30, 30), (30, 0)]],
        ),
        (
            [(30, -9), (30, 30), (10, 30), (10, 20), (90, 20)],
            [[(30, 0), (30, 30), (10, 30), (10, 20), (80, 20)]],
        ),
        ([(70, 5), (90, 5), (90, 9), (70, 9)], [[(70, 5), (80, 5)], [(80, 9), (70, 9)]]),
        ([(80, 5), (80, 5), (80, 9), (85, 9)], [[(80, 5), (80, 9)]]),
        ([(75, 0), (80, 5), (75, 10), (75, -5)], [[(75, 0), (80, 5), (75, 10), (75, 0)]]),
    ],
    ids=["end outside", "both outside", "two runs", "along the border", "touches"],
)
def test_a_clipped_line_strip_keeps_its_course_even_where_it_crosses_itself(points, runs) -> None:
    table = Table(shape(ShapeType.LINESTRIP, points))
    table.do(commands.clipping(table.document, table.uids(), SIZE_HW[::-1]))
    assert [[tuple(point) for point in s.points.tolist()] for s in table.shapes] == runs
