"""A canvas with a hand on the mouse: a session in a few lines, and events as a person sends them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.canvas.view import CanvasView
from core.annotation.commands import Command
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.model import Annotation, ClassList, LabelClass, Shape, ShapeType, frozen_points
from core.annotation.rasterize import shape_mask
from tests.patience import PATIENCE_MS

NO_KEY = Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton
CLASSES = ClassList(
    (
        LabelClass(0, "background", "#000000"),
        LabelClass(1, "nerve", "#ff0000"),
        LabelClass(2, "vessel", "#00ff00"),
    ),
    background=0,
)


class Desk:
    """A view, the document it shows, a history that executes its commands, and a mouse."""

    def __init__(self, view: CanvasView, shapes: Sequence[Shape], size_wh: tuple[int, int]) -> None:
        self.view = view
        self.document = AnnotationDocument(Annotation("a.png", size_wh[::-1], tuple(shapes)))
        self.history = History(self.document)
        self.selection: frozenset[int] = frozenset()
        self.unlabelled: list[Shape] = []
        self.refused: list[str] = []
        view.set_classes(CLASSES)
        view.set_active_class(CLASSES[1])
        view.set_document(self.document)
        view.command_issued.connect(self._execute)
        view.drag_ended.connect(self.history.break_merge)
        view.selection_requested.connect(self.select)
        view.label_needed.connect(self.unlabelled.extend)

    def _execute(self, command: Command) -> None:
        try:
            self.history.push(command)
        except ValueError as error:
            self.refused.append(str(error))

    def select(self, uids: frozenset[int]) -> None:
        self.selection = frozenset(uids)
        self.view.set_selection(self.selection)

    # --- what is there ---

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.document.shapes

    def covered(self) -> np.ndarray:
        """The pixels of all shapes, (H, W), bool."""
        size_hw = self.document.snapshot().size_hw
        covered = np.zeros(size_hw, dtype=bool)
        for shape in self.shapes:
            covered |= shape_mask(shape, size_hw)
        return covered

    def settle(self) -> None:
        """Wait until no worker computes for a tool any more."""
        while self.view.context.runner.busy:
            assert self.view.context.runner.wait(PATIENCE_MS)

    def points(self, place: int = -1) -> list[list[float]]:
        """Points of a shape, rounded: a view is accurate to its pixels."""
        return np.round(self.shapes[place].points).tolist()

    # --- the mouse, in image pixels ---

    def at(self, x: float, y: float) -> QPoint:
        return self.view.to_viewport(QPointF(x, y)).toPoint()

    def move(self, x: float, y: float, keys: Qt.KeyboardModifier = NO_KEY, held: object = None) -> None:
        self.move_to(self.at(x, y), keys, held)

    def move_to(self, where: QPoint, keys: Qt.KeyboardModifier = NO_KEY, held: object = None) -> None:
        """To a place in the viewport: while the image itself is being moved."""
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(where),
            QPointF(self.view.viewport().mapToGlobal(where)),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.NoButton if held is None else held,
            keys,
        )
        QApplication.sendEvent(self.view.viewport(), event)

    def press(self, x: float, y: float, keys: Qt.KeyboardModifier = NO_KEY, button: object = LEFT) -> None:
        self.move(x, y, keys)
        QTest.mousePress(self.view.viewport(), button, keys, self.at(x, y))

    def release(self, x: float, y: float, keys: Qt.KeyboardModifier = NO_KEY, button: object = LEFT) -> None:
        QTest.mouseRelease(self.view.viewport(), button, keys, self.at(x, y))

    def click(self, x: float, y: float, keys: Qt.KeyboardModifier = NO_KEY, button: object = LEFT) -> None:
        self.press(x, y, keys, button)
        self.release(x, y, keys, button)

    def double_click(self, x: float, y: float) -> None:
        """As a window system reports it: press, release, double-click, release."""
        self.click(x, y)
        QTest.mouseDClick(self.view.viewport(), LEFT, NO_KEY, self.at(x, y))

    def drag(
        self, *stops: tuple[float, float], keys: Qt.KeyboardModifier = NO_KEY, button: object = LEFT
    ) -> None:
        """Press at the first stop, pass through all, release at the last."""
        self.press(*stops[0], keys, button)
        for before, after in itertools.pairwise(stops):
            middle = ((before[0] + after[0]) / 2, (before[1] + after[1]) / 2)
            self.move(*middle, keys, held=button)
            self.move(*after, keys, held=button)
        self.release(*stops[-1], keys, button)

    def wheel(self, notches: int, x: float, y: float, keys: Qt.KeyboardModifier = NO_KEY) -> None:
        where = QPointF(self.at(x, y))
        event = QWheelEvent(
            where,
            QPointF(self.view.viewport().mapToGlobal(where.toPoint())),
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            keys,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.view.viewport(), event)

    # --- keys and looks ---

    def key(self, key: Qt.Key, keys: Qt.KeyboardModifier = NO_KEY) -> None:
        QTest.keyClick(self.view, key, keys)

    def color(self, x: float, y: float) -> QColor:
        """What is painted at a point of the image."""
        return self.view.viewport().grab().toImage().pixelColor(self.at(x, y))


DeskMaker = Callable[..., Desk]


@pytest.fixture
def make_desk(qtbot: QtBot) -> Iterator[DeskMaker]:
    """Build a canvas of 640 x 480 with a grey image (400 x 300 by default) fitted into it, and shapes."""

    def build(
        *shapes: Shape,
        size_wh: tuple[int, int] = (400, 300),
        view_wh: tuple[int, int] = (640, 480),
        image: QImage | None = None,
    ) -> Desk:
        view = CanvasView()
        qtbot.addWidget(view)
        view.resize(QSize(*view_wh))
        view.show()
        qtbot.waitExposed(view)
        if image is None:
            image = QImage(*size_wh, QImage.Format.Format_RGB888)
            image.fill(QColor(128, 128, 128))
        view.set_image(image)
        desk = Desk(view, shapes, size_wh)
        view.setFocus()
        return desk

    return build


@pytest.fixture
def make_shape() -> Callable[..., Shape]:
    """A shape from points; polygon of class nerve unless told otherwise."""

    def build(
        points: Sequence[tuple[float, float]],
        label: str = "nerve",
        shape_type: ShapeType = ShapeType.POLYGON,
        holes: Sequence[Sequence[tuple[float, float]]] = (),
    ) -> Shape:
        return Shape(
            label, shape_type, frozen_points(points), holes=tuple(frozen_points(hole) for hole in holes)
        )

    return build


@pytest.fixture
def square(make_shape: Callable[..., Shape]) -> Shape:
    """A polygon from (100, 100) to (200, 200)."""
    return make_shape([(100, 100), (200, 100), (200, 200), (100, 200)])
