"""Random hands on the canvas: no tool may fail, leave an invalid shape, or do what undo cannot take back."""

from __future__ import annotations

import itertools
import logging
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.canvas.tools.registry import tool_names
from app.qt_pixels import paintable
from core.annotation.commands import Overlap, RemoveShapes
from core.annotation.document import AnnotationDocument
from core.annotation.history import History
from core.annotation.labelme_json import dumps, loads
from core.annotation.locking import is_locked, with_lock
from core.annotation.model import Annotation, Shape, ShapeType
from core.annotation.rasterize import rasterize
from core.geometry import rings_are_valid

EXAMPLES = int(os.environ.get("MASKLOOP_GESTURES", "25"))
"""More of them for a long run: `MASKLOOP_GESTURES=3000 pytest tests/app/canvas/test_any_gestures.py`."""
DOCUMENTS = itertools.count()
WIDTH, HEIGHT = 160, 120
KEYS = (
    "Return",
    "Escape",
    "Backspace",
    "Space",
    "Delete",
    "BracketLeft",
    "BracketRight",
    "Left",
    "Slash",
    "A",
)
MODIFIERS = ("No", "Shift", "Control", "Alt")

places = st.tuples(st.integers(-8, WIDTH + 8), st.integers(-8, HEIGHT + 8))
numbers = st.integers(0, 10)  # of the playground's shapes
held = st.sets(st.sampled_from(MODIFIERS[1:]), max_size=2).map(tuple)
gestures = st.one_of(
    st.tuples(st.just("tool"), st.sampled_from(tool_names())),
    st.tuples(st.just("drag"), st.lists(places, min_size=1, max_size=4), held),
    st.tuples(st.just("click"), places, held),
    st.tuples(st.just("click"), places, st.just(())),
    st.tuples(st.just("double"), places),
    st.tuples(st.just("right"), places),
    st.tuples(st.just("press"), places, held),
    st.tuples(st.just("move"), places, held),
    st.tuples(st.just("release"), places),
    st.tuples(st.just("key"), st.sampled_from(KEYS), held),
    st.tuples(st.just("class"), st.sampled_from((None, 1, 2))),
    st.tuples(st.just("overlap"), st.sampled_from(tuple(Overlap))),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
    st.tuples(st.just("remove"), numbers),
    st.tuples(st.just("remove selection")),
    st.tuples(st.just("choose"), st.sets(numbers, max_size=4).map(tuple)),
    st.tuples(st.just("hide"), st.sets(numbers, max_size=3).map(tuple)),
    st.tuples(st.just("labels"), st.booleans()),
    st.tuples(st.just("wander"), places),
    st.tuples(st.just("snapping"), st.booleans()),
    st.tuples(st.just("zoom"), st.sampled_from((0.4, 1.0, 7.0))),
    st.tuples(st.just("wait")),
)


@pytest.fixture
def playground(make_desk, make_shape):
    """An image with something to find, a prediction, and shapes of every kind to run into."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.hypot(columns - 110, rows - 60) < 30
    pixels = np.where(disc, 190, 60)[..., None].repeat(3, axis=2).astype(np.uint8)
    desk = make_desk(size_wh=(WIDTH, HEIGHT), image=paintable(pixels))
    desk.view.set_prediction(np.where(disc, 2, 0).astype(np.uint8))
    mask = np.ones((14, 20), bool)
    mask[4:8, 4:8] = False
    shapes = (
        make_shape(
            [(10, 10), (50, 10), (50, 50), (10, 50)], holes=[[(20, 20), (40, 20), (40, 40), (20, 40)]]
        ),
        make_shape([(50, 10), (80, 10), (80, 50), (50, 50)], label="vessel"),
        make_shape([(20, 70), (50, 100)], shape_type=ShapeType.RECTANGLE),
        make_shape([(70, 80), (80, 80)], shape_type=ShapeType.CIRCLE),
        make_shape([(100, 10), (130, 20), (125, 40), (95, 30)], shape_type=ShapeType.ORIENTED_RECTANGLE),
        make_shape([(5, 60), (60, 65), (90, 60)], shape_type=ShapeType.LINESTRIP),
        make_shape([(90, 60), (110, 100)], shape_type=ShapeType.LINE),
        make_shape([(80, 30)], shape_type=ShapeType.POINT),
        make_shape([(10, 105), (30, 105), (50, 100)], shape_type=ShapeType.POINTS),
        Shape("nerve", ShapeType.MASK, np.array([(60.0, 60.0), (79.0, 73.0)]), mask=mask),
        with_lock(make_shape([(120, 80), (150, 80), (150, 110)]), locked=True),
    )
    return desk, Annotation("a.png", (HEIGHT, WIDTH), shapes)


def modifiers(names: tuple[str, ...]) -> Qt.KeyboardModifier:
    found = Qt.KeyboardModifier.NoModifier
    for name in names:
        found |= Qt.KeyboardModifier[f"{name}Modifier"]
    return found


def perform(desk, gesture: tuple) -> None:
    """One gesture, as the window system tells it."""
    viewport = desk.view.viewport()
    match gesture:
        case ("tool", name):
            desk.view.set_tool(name)
        case ("drag", stops, keys):
            desk.drag(*stops, keys=modifiers(keys))
        case ("click", place, keys):
            desk.click(*place, modifiers(keys))
        case ("double", place):
            desk.double_click(*place)
        case ("right", place):
            desk.click(*place, button=Qt.MouseButton.RightButton)
        case ("press", place, keys):
            desk.press(*place, modifiers(keys))
        case ("move", place, keys):
            desk.move(*place, modifiers(keys), held=Qt.MouseButton.LeftButton)
        case ("release", place):
            desk.release(*place)
        case ("key", name, keys):
            QTest.keyClick(desk.view, Qt.Key[f"Key_{name}"], modifiers(keys))
        case ("class", index):
            desk.view.set_active_class(None if index is None else desk.view.classes.by_index(index))
        case ("overlap", overlap):
            desk.view.context.overlap = overlap
        case ("undo",):
            desk.history.undo() if desk.history.can_undo else None
        case ("redo",):
            desk.history.redo() if desk.history.can_redo else None
        case ("remove", place):  # as a list beside the canvas does, whatever the tool is in the middle of
            free = [shape.uid for shape in desk.shapes if not is_locked(shape)]
            if place < len(free):
                desk.history.push(RemoveShapes.of(desk.document, [free[place]]))
        case ("remove selection",):
            chosen = [uid for uid in desk.view.context.selection if not is_locked(desk.document.get(uid))]
            desk.history.push(RemoveShapes.of(desk.document, chosen)) if chosen else None
        case ("choose", places):
            uids = [shape.uid for shape in desk.shapes]
            desk.view.set_selection(frozenset(uids[n] for n in places if n < len(uids)))
        case ("hide", places):
            uids = [shape.uid for shape in desk.shapes]
            desk.view.set_hidden(frozenset(uids[n] for n in places if n < len(uids)))
        case ("labels", visible):
            desk.view.set_labels_visible(visible)
        case ("wander", place):  # with no button held: a dialog may have got the release
            desk.move(*place)
        case ("snapping", enabled):
            desk.view.context.snapper.enabled = enabled
        case ("zoom", zoom):
            desk.view.set_zoom(zoom)
        case ("wait",):
            desk.settle()
    assert viewport.isVisible()


def start_over(desk, annotation: Annotation) -> None:
    """The same canvas with another document: to make a widget for each example would take longer."""
    perform(desk, ("release", (0, 0)))
    desk.view.set_document(None)
    desk.document = AnnotationDocument(annotation)
    desk.history = History(desk.document)
    desk.refused.clear()
    desk.selection = frozenset()
    desk.view.set_document(desk.document, f"document {next(DOCUMENTS)}")
    desk.view.set_tool("select")
    desk.view.set_active_class(desk.view.classes[1])
    desk.view.set_labels_visible(True)
    desk.view.context.overlap = Overlap.STACK
    desk.view.context.snapper.enabled = True
    desk.view.zoom_fit()


@pytest.mark.timeout(0)
def test_no_sequence_of_gestures_does_harm(playground, qtbot, caplog) -> None:
    desk, annotation = playground
    desk.view.drag_ended.disconnect()
    desk.view.drag_ended.connect(lambda: desk.history.break_merge())

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.lists(gestures, min_size=1, max_size=24))
    def play(sequence: list[tuple]) -> None:
        start_over(desk, annotation)
        caplog.clear()
        with qtbot.captureExceptions() as raised:
            for gesture in sequence:
                perform(desk, gesture)
                assert raised == []
                # What observers of the document do wrong is caught and logged.
                assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
            perform(desk, ("wait",))
            desk.view.viewport().grab()
            QApplication.processEvents()
        assert raised == []
        after = desk.document.snapshot()
        for shape in after.shapes:
            if shape.shape_type is ShapeType.POLYGON:
                assert rings_are_valid(shape.points, shape.holes)
            assert np.isfinite(shape.points).all()
        assert annotation.shapes[-1] in after.shapes, "it is locked"
        assert loads(dumps(after), "a.json").shapes == after.shapes
        rasterize(after, desk.view.classes)
        while desk.history.can_undo:
            desk.history.undo()
        assert desk.document.snapshot() == annotation

    play()
