"""Shapes of any kind, and a document with its history to try commands on."""

from __future__ import annotations

from core.annotation import commands
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType, frozen_points
from core.geometry import polygon_area

SIZE_HW = (60, 80)


def box(x0: float, y0: float, x1: float, y1: float, label: str = "cell", **more) -> Shape:
    points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return Shape(label, ShapeType.POLYGON, frozen_points(points), **more)


def shape(shape_type: ShapeType, points, label: str = "cell", **more) -> Shape:
    return Shape(label, shape_type, frozen_points(points), **more)


class Table:
    """A document with its history."""

    def __init__(self, *shapes: Shape) -> None:
        self.document = AnnotationDocument(Annotation("x.png", SIZE_HW, shapes, AnnotationState.IN_PROGRESS))
        self.history = History(self.document)

    def do(self, command: commands.Command) -> None:
        self.history.push(command)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.document.shapes

    def uids(self, *places: int) -> list[int]:
        return [self.shapes[place].uid for place in places or range(len(self.shapes))]

    def areas(self) -> list[float]:
        return [polygon_area(s.points, s.holes) for s in self.shapes]
