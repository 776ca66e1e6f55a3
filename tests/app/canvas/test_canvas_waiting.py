"""What is drawn while no class is active waits for its label: Esc in the question loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from app.dialogs.label import LabelDialog
from app.dialogs.message import MessageDialog
from app.session import open_documents
from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState, Shape, ShapeType

CTRL = Qt.KeyboardModifier.ControlModifier
GESTURES = {
    "rectangle": ShapeType.RECTANGLE,
    "circle": ShapeType.CIRCLE,
    "line": ShapeType.LINE,
    "freehand": ShapeType.POLYGON,
    "brush": ShapeType.POLYGON,
    "oriented_rectangle": ShapeType.ORIENTED_RECTANGLE,
    "point": ShapeType.POINT,
}


@pytest.fixture
def fresh(bench, image_folder):
    """A new project of two images, no class chosen."""
    bench.open(image_folder(2))
    return bench


def question(bench, qtbot) -> LabelDialog:
    qtbot.waitUntil(lambda: any(d.isVisible() for d in bench.window.findChildren(LabelDialog)))
    return next(d for d in bench.window.findChildren(LabelDialog) if d.isVisible())


def draw(bench, tool: str) -> None:
    bench.canvas.set_tool(tool)
    bench.canvas.setFocus()
    if tool == "point":
        bench.click(20, 20)
    elif tool == "freehand":
        view = bench.canvas.viewport()
        bench._qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=bench.at(12, 10))
        for place in ((30, 10), (30, 28), (14, 28)):
            bench._qtbot.mouseMove(view, bench.at(*place))
        bench._qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=bench.at(14, 28))
    else:
        bench.drag((12, 10), (30, 24))
        if tool == "oriented_rectangle":
            bench.click(20, 34)


@pytest.mark.parametrize("tool", GESTURES)
def test_escape_in_the_question_keeps_what_was_drawn_until_a_class_is_chosen(fresh, qtbot, tool) -> None:
    draw(fresh, tool)
    qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    assert fresh.labels() == []
    assert "waits for its label" in fresh.window.status.text
    fresh.add_class("nerve")
    fresh.session.set_active_class(fresh.session.classes.by_name("nerve"))
    (shape,) = fresh.session.current.document.shapes
    assert (shape.label, shape.shape_type) == ("nerve", GESTURES[tool])
    assert "waits" not in fresh.window.status.text
    fresh.session.undo()
    assert fresh.labels() == []


def test_enter_asks_again_and_one_answer_labels_all_that_waits(fresh, qtbot) -> None:
    for place in ((5, 5), (30, 20)):
        fresh.canvas.set_tool("rectangle")
        fresh.drag(place, (place[0] + 12, place[1] + 12))
        qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    assert fresh.window.status.text.startswith("2 shapes wait")
    fresh.key(Qt.Key.Key_Return)
    again = question(fresh, qtbot)
    qtbot.keyClicks(again.field, "nerve")
    qtbot.keyClick(again.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: fresh.labels() == ["nerve", "nerve"])
    assert fresh.canvas.context.waiting.shapes == ()


def test_answering_the_second_question_labels_the_first_shape_too(fresh, qtbot) -> None:
    fresh.canvas.set_tool("circle")
    fresh.drag((20, 20), (26, 20))
    qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    fresh.drag((45, 30), (50, 30))
    dialog = question(fresh, qtbot)
    qtbot.keyClicks(dialog.field, "nerve")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: fresh.labels() == ["nerve", "nerve"])


def test_only_escape_on_the_canvas_drops_it_and_ctrl_z_the_last_one(fresh, qtbot) -> None:
    for left in (5, 25, 45):
        fresh.canvas.set_tool("rectangle")
        fresh.drag((left, 5), (left + 10, 15))
        qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    waiting = fresh.canvas.context.waiting
    fresh.key(Qt.Key.Key_Z, CTRL)
    assert [shape.points[0][0] for shape in waiting.shapes] == pytest.approx([5, 25], abs=0.2)
    fresh.key(Qt.Key.Key_Escape)
    assert waiting.shapes == ()
    assert "wait" not in fresh.window.status.text


def test_what_waits_is_seen_and_goes_with_its_image(fresh, qtbot) -> None:
    def color():
        return fresh.canvas.viewport().grab().toImage().pixelColor(fresh.at(12, 20))

    before = color()
    draw(fresh, "rectangle")
    qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    fresh.canvas.set_tool("select")
    assert color() != before
    fresh.session.next_image()
    fresh.wait_for_image("scan001.png")
    assert fresh.canvas.context.waiting.shapes == ()


def test_what_waits_on_an_image_still_waits_there_after_another_was_shown(fresh, qtbot) -> None:
    draw(fresh, "rectangle")
    qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    fresh.session.next_image()
    fresh.wait_for_image("scan001.png")
    fresh.add_class("nerve")
    fresh.session.set_active_class(fresh.session.classes.by_name("nerve"))
    assert fresh.labels() == []
    fresh.session.previous_image()
    fresh.wait_for_image("scan000.png")
    assert "waits for its label" in fresh.window.status.text
    fresh.window.parts.classes.digit_actions[1].trigger()  # it is the active class already
    assert fresh.labels() == ["nerve"]


def test_a_class_that_another_program_brings_labels_nothing_that_waits(fresh, qtbot) -> None:
    draw(fresh, "rectangle")
    qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    left = fresh.session.document
    entry = fresh.session.entry("scan001.png")
    points = np.array([[5.0, 5.0], [20.0, 5.0], [20.0, 20.0]])
    vessel = Shape("vessel", ShapeType.POLYGON, points)
    drawn = Annotation(entry.image_path.name, (48, 64), (vessel,), state=AnnotationState.IN_PROGRESS)
    entry.annotation_path.write_bytes(dumps(drawn))
    fresh.session.next_image()
    fresh.wait_for_image("scan001.png")
    assert (fresh.labels(), left.shapes) == (["vessel"], ())
    fresh.session.previous_image()
    fresh.wait_for_image("scan000.png")
    assert len(fresh.canvas.context.waiting.shapes) == 1
    fresh.window.parts.classes.digit_actions[1].trigger()
    assert fresh.labels() == ["vessel"]
    assert fresh.canvas.context.waiting.shapes == ()


def test_what_got_its_label_after_its_image_was_left_waits_there_no_longer(fresh, qtbot) -> None:
    draw(fresh, "rectangle")
    asked = question(fresh, qtbot)
    left = fresh.session.document
    fresh.session.next_image()
    fresh.wait_for_image("scan001.png")
    qtbot.keyClicks(asked.field, "nerve")
    qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(left.shapes) == 1)
    fresh.session.previous_image()
    fresh.wait_for_image("scan000.png")
    assert fresh.labels() == ["nerve"]
    assert fresh.canvas.context.waiting.shapes == ()


def test_what_waits_outlives_the_document_of_its_image_and_the_project(
    fresh, qtbot, image_folder, monkeypatch
) -> None:
    monkeypatch.setattr(open_documents, "KEPT_UNTOUCHED", 0)
    draw(fresh, "rectangle")
    qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    left = fresh.session.document
    for key in ("scan001.png", "scan000.png"):
        fresh.session.open_image(key)
        fresh.wait_for_image(key)
    assert fresh.session.document is not left
    assert len(fresh.canvas.context.waiting.shapes) == 1
    root, told = fresh.session.project.root, []
    fresh.session.message.connect(lambda text, _level: told.append(text))
    fresh.open(image_folder(1, name="other"))
    assert fresh.canvas.context.waiting.shapes == (), "an image of the same name"
    assert "A shape waits for its label where drawn, until the program ends." in told
    fresh.open(root)
    assert len(fresh.canvas.context.waiting.shapes) == 1
    fresh.add_class("nerve")
    fresh.window.parts.classes.digit_actions[1].trigger()
    assert fresh.labels() == ["nerve"]


def test_a_question_that_another_project_closes_loses_nothing(fresh, qtbot, image_folder) -> None:
    draw(fresh, "rectangle")
    question(fresh, qtbot)
    root = fresh.session.project.root
    fresh.open(image_folder(1, name="other"))
    assert not any(dialog.isVisible() for dialog in fresh.window.findChildren(LabelDialog))
    fresh.open(root)
    fresh.key(Qt.Key.Key_Return)
    dialog = question(fresh, qtbot)
    qtbot.keyClicks(dialog.field, "nerve")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: fresh.labels() == ["nerve"])


def test_leaving_asks_while_shapes_wait_for_their_label(fresh, qtbot, image_folder) -> None:
    for _ in range(2):
        draw(fresh, "rectangle")
        qtbot.keyClick(question(fresh, qtbot).field, Qt.Key.Key_Escape)
    fresh.open(image_folder(1, name="other"))
    fresh.window.close()
    dialog = fresh.dialog(MessageDialog)
    assert dialog.windowTitle() == "2 shapes wait for their label"
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert fresh.window.isVisible()
    fresh.window.close()
    fresh.dialog(MessageDialog).buttons["leave"].click()
    qtbot.waitUntil(lambda: fresh.window.closed)


def test_leaving_asks_nothing_once_what_waited_has_its_label(fresh, qtbot) -> None:
    draw(fresh, "rectangle")
    asked = question(fresh, qtbot)
    fresh.session.next_image()
    fresh.wait_for_image("scan001.png")
    qtbot.keyClicks(asked.field, "nerve")
    qtbot.keyClick(asked.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: fresh.canvas.context.waiting.count == 0)
    fresh.window.close()
    assert fresh.window.closed


def test_a_finished_area_takes_nothing_along_that_waits(opened, qtbot) -> None:
    opened.session.set_active_class(None)
    draw(opened, "rectangle")
    qtbot.keyClick(question(opened, qtbot).field, Qt.Key.Key_Escape)
    opened.window.actions_["shape.finished_area"].trigger()
    opened.drag((2, 2), (60, 45))
    assert opened.labels() == ["_background_"]
    assert len(opened.canvas.context.waiting.shapes) == 1


@pytest.fixture
def one_waits(opened, qtbot):
    """A circle that waits for its label, and then the tool for finished areas."""
    opened.session.set_active_class(None)
    draw(opened, "circle")
    qtbot.keyClick(question(opened, qtbot).field, Qt.Key.Key_Escape)
    opened.window.actions_["shape.finished_area"].trigger()
    return opened


def test_enter_asks_for_the_label_of_what_waits_while_a_finished_area_is_begun(one_waits, qtbot) -> None:
    one_waits.key(Qt.Key.Key_Return)
    dialog = question(one_waits, qtbot)
    assert one_waits.labels() == []
    qtbot.keyClicks(dialog.field, "nerve")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: one_waits.labels() == ["nerve"])


def test_a_class_chosen_while_a_finished_area_is_begun_labels_what_waits_and_not_the_area(one_waits) -> None:
    one_waits.session.set_active_class(one_waits.session.classes.by_name("vessel"))
    assert one_waits.labels() == ["vessel"]
    one_waits.drag((2, 2), (60, 45))
    assert one_waits.labels() == ["_background_", "vessel"]
    draw(one_waits, "circle")
    assert one_waits.labels()[-1] == "vessel"
