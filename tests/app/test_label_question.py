"""Asking for the label of a shape just drawn: the outline is neither hidden nor lost."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QPoint, Qt

from app.canvas.tools.half_drawn import ASKING_HINT
from app.dialogs.label import LabelDialog
from core.errors import StorageError

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


def test_a_name_that_begins_with_underscores_makes_a_class(asked, bench, qtbot):
    qtbot.keyClicks(asked.field, "__bone")
    qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bench.labels() == ["__bone"])
    assert bench.session.classes.names == ("background", "__bone")


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


def test_a_shape_whose_class_is_still_being_made_goes_to_the_image_it_was_drawn_on(
    bench, qtbot, image_folder
):
    bench.open(image_folder(2))
    bench.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    for corner in CORNERS:
        bench.click(*corner)
    bench.key(Qt.Key.Key_Return)
    asked = question(bench, qtbot)
    writing = threading.Event()
    bench.session._opened.worker.run(writing.wait, 20)
    qtbot.keyClicks(asked.field, "nerve")
    qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    bench.key(Qt.Key.Key_D)
    bench.wait_for_image("scan001.png")
    writing.set()
    qtbot.waitUntil(lambda: bench.session.classes.by_name("nerve") is not None)
    assert bench.labels() == []
    bench.session.open_image("scan000.png")
    bench.wait_for_image("scan000.png")
    assert bench.labels() == ["nerve"]


def test_shapes_are_relabelled_that_were_selected_when_the_question_came(bench, qtbot, image_folder):
    bench.open(image_folder(2))
    bench.add_class("nerve")
    bench.draw_square(10, 8)
    bench.window.actions_["edit.select_all"].trigger()
    bench.key(Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    asked = question(bench, qtbot)
    writing = threading.Event()
    bench.session._opened.worker.run(writing.wait, 20)
    asked.field.selectAll()
    qtbot.keyClicks(asked.field, "vessel")
    qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    bench.session.set_selection(())
    writing.set()
    qtbot.waitUntil(lambda: bench.labels() == ["vessel"])


def test_a_shape_whose_class_could_not_be_made_is_not_drawn_when_another_makes_it_later(
    asked, bench, qtbot, monkeypatch
):
    def refuse(*_arguments, **_options):
        raise StorageError("project.json", "the disk is full")

    project = bench.session.project
    with monkeypatch.context() as full:
        full.setattr(project, "add_class", refuse)
        qtbot.keyClicks(asked.field, "nerve")
        with qtbot.waitSignal(bench.session.message):
            qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    bench.key(Qt.Key.Key_Escape)
    bench.add_class("nerve")
    assert bench.labels() == []
