"""Ctrl+Z and Ctrl+Y while a mouse button is held: no edit lands on another state than it was begun on."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

CTRL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton
CORNER, AWAY = (20.0, 18.0), (40.0, 36.0)


@pytest.fixture
def drawn(opened):
    """Two squares; the last edit can be undone, and none redone."""
    opened.draw_square(2, 2)
    opened.draw_square(10, 8)
    return opened


@pytest.fixture
def dragging(drawn, qtbot):
    """Press a tool at a corner of the last square and drag it away; the button stays down."""
    viewport = drawn.canvas.viewport()

    def drag(tool: str) -> None:
        drawn.window.actions_[f"shape.{tool}"].trigger()
        qtbot.mouseMove(viewport, drawn.at(*CORNER))
        qtbot.mousePress(viewport, LEFT, pos=drawn.at(*CORNER))
        qtbot.mouseMove(viewport, drawn.at(30, 27))
        qtbot.mouseMove(viewport, drawn.at(*AWAY))
        assert drawn.canvas.dragging

    yield drag
    qtbot.mouseRelease(viewport, LEFT, pos=drawn.at(*AWAY))


def state(bench):
    document = bench.session.document
    return [(shape.label, np.round(shape.points, 3).tolist()) for shape in document.shapes]


@pytest.mark.parametrize("tool", ["brush", "eraser", "freehand", "select", "rectangle", "blobs"])
def test_ctrl_z_during_a_drag_drops_the_drag_and_takes_nothing_else_back(drawn, dragging, qtbot, tool):
    before = state(drawn)
    dragging(tool)
    drawn.key(Qt.Key.Key_Z, CTRL)
    assert not drawn.canvas.busy
    qtbot.mouseRelease(drawn.canvas.viewport(), LEFT, pos=drawn.at(*AWAY))
    assert state(drawn) == before


def test_ctrl_z_drops_a_stroke_where_there_is_nothing_to_undo(opened, qtbot):
    opened.window.actions_["shape.brush"].trigger()
    viewport = opened.canvas.viewport()
    qtbot.mousePress(viewport, LEFT, pos=opened.at(*CORNER))
    opened.key(Qt.Key.Key_Z, CTRL)
    qtbot.mouseRelease(viewport, LEFT, pos=opened.at(*AWAY))
    assert opened.labels() == []


@pytest.mark.parametrize("tool", ["brush", "select", "superpixel", "wand"])
def test_an_undo_by_a_key_of_ones_own_waits_while_a_button_is_held(drawn, dragging, tool):
    before = state(drawn)
    dragging(tool)
    drawn.window.actions_["edit.undo"].trigger()
    assert drawn.canvas.busy
    assert state(drawn) == before


def test_a_redo_waits_while_a_button_is_held(drawn, dragging):
    drawn.key(Qt.Key.Key_Z, CTRL)
    before = state(drawn)
    dragging("brush")
    drawn.key(Qt.Key.Key_Y, CTRL)
    assert state(drawn) == before
