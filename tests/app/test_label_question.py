"""Asking for the label of a shape just drawn: the outline is neither hidden nor lost."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt

from app.canvas.tools.half_drawn import ASKING_HINT
from app.dialogs.label import LabelDialog

CORNERS = ((10, 8), (30, 8), (30, 28), (20, 34), (10, 28))


@pytest.fixture
def asked(bench, qtbot, image_folder) -> LabelDialog:
    """A new project, a polygon of five points drawn and finished, and the question on show."""
    bench.open(image_folder(1))
    bench.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    for corner in CORNERS:
        bench.click(*corner)
    bench.key(Qt.Key.Key_Return)
    return question(bench, qtbot)


def question(bench, qtbot) -> LabelDialog:
    qtbot.waitUntil(lambda: any(d.isVisible() for d in bench.window.findChildren(LabelDialog)))
    return next(d for d in bench.window.findChildren(LabelDialog) if d.isVisible())


def pixel(bench, x: float, y: float) -> tuple[int, int, int]:
    view = bench.canvas.viewport()
    at: QPoint = bench.at(x, y)
    color = view.grab().toImage().pixelColor(at * view.devicePixelRatioF())
    return color.red(), color.green(), color.blue()


def test_the_outline_stays_in_sight_while_its_label_is_asked_for(asked, bench, qtbot):
    assert bench.window.status.text == ASKING_HINT
    last_edge = pixel(bench, 10, 18)
    qtbot.keyClick(asked.field, Qt.Key.Key_Escape)
    bench.key(Qt.Key.Key_Escape)
    assert not bench.canvas.busy
    assert pixel(bench, 10, 18) != last_edge


def test_escape_in_the_question_gives_the_points_back_to_the_tool(asked, bench, qtbot):
    qtbot.keyClick(asked.field, Qt.Key.Key_Escape)
    assert bench.labels() == []
    assert bench.canvas.busy
    bench.key(Qt.Key.Key_Backspace)
    bench.click(12, 24)
    bench.key(Qt.Key.Key_Return)
    again = question(bench, qtbot)
    qtbot.keyClicks(again.field, "nerve")
    qtbot.keyClick(again.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bench.labels() == ["nerve"])
    (shape,) = bench.session.current.document.shapes
    assert len(shape.points) == 5
    assert abs(shape.points[-1] - (12, 24)).max() < 0.2


def test_a_labelled_polygon_leaves_the_tool_free_for_the_next(asked, bench, qtbot):
    qtbot.keyClicks(asked.field, "nerve")
    qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bench.labels() == ["nerve"])
    assert not bench.canvas.busy
    assert bench.canvas.tool == "polygon"
