"""The confusion matrix: its cells in words, its place on the screen, and the run it is of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter
from pytestqt.qtbot import QtBot

from app.dialogs.confusion import ConfusionDialog
from app.panels.confusion import Confusion, ConfusionView
from app.theme import Tokens
from tests.app.engine_events import started, validated

pytestmark = pytest.mark.usefixtures("dressed")

COLORS = {"background": "#000000", "nerve": "#ffcc00"}
LEFT = Qt.MouseButton.LeftButton
SCORED = validated(
    40, 0.6, per_class_iou={"background": 0.9, "nerve": 0.4, "vessel": None},
    confusion=((900, 100, 0), (250, 750, 0), (0, 0, 0)),
)  # fmt: skip


def test_a_cell_tells_its_counts(qtbot: QtBot, shown) -> None:
    dialog = shown(ConfusionDialog(), 640, 600)
    dialog.show_validation(SCORED, COLORS)
    qtbot.mouseMove(dialog.view, dialog.view.cell_center(1, 0).toPoint())
    assert dialog.cell_text == "25 % of nerve (250 of 1,000 pixels) was taken for background."
    qtbot.mouseMove(dialog.view, dialog.view.cell_center(2, 1).toPoint())
    assert dialog.cell_text == "No pixel is labelled vessel in the images of the score."
    qtbot.keyClick(dialog.view, Qt.Key.Key_Up)
    assert dialog.cell_text == "75 % of nerve (750 of 1,000 pixels) was recognised."


def test_the_matrix_of_many_classes_fits_on_the_screen_and_keys_go_to_any_cell(qtbot: QtBot, shown) -> None:
    dialog = shown(ConfusionDialog())
    names = [f"class {number}" for number in range(80)]
    counts = tuple((1,) * 80 for _ in names)
    dialog.show_validation(
        validated(40, 0.5, per_class_iou=dict.fromkeys(names, 0.5), confusion=counts), COLORS
    )
    room = dialog.screen().availableSize()
    assert dialog.width() < room.width()
    assert dialog.height() < room.height()
    dialog.view.setFocus()
    for _ in range(60):
        qtbot.keyClick(dialog.view, Qt.Key.Key_Right)
    cell = dialog.view.cell_center(0, 59).toPoint()
    assert dialog.view.visibleRegion().contains(cell)


def test_another_cell_paints_no_more_than_what_changes(qtbot: QtBot, shown, monkeypatch) -> None:
    painted: set[tuple[int, int]] = set()
    paint = ConfusionView._paint_cell

    def watched(self: ConfusionView, painter: QPainter, theme: Tokens, row: int, column: int) -> None:
        painted.add((row, column))
        paint(self, painter, theme, row, column)

    monkeypatch.setattr(ConfusionView, "_paint_cell", watched)
    names = tuple(f"class {number}" for number in range(20))
    view = ConfusionView()
    view.set_confusion(Confusion(names, ("#ffcc00",) * 20, tuple((1,) * 20 for _ in names)))
    shown(view, 800, 800)
    qtbot.waitUntil(lambda: len(painted) == 400)
    qtbot.mouseMove(view, view.cell_center(2, 3).toPoint())
    painted.clear()
    qtbot.mouseMove(view, view.cell_center(12, 15).toPoint())
    qtbot.waitUntil(lambda: painted >= {(2, 3), (12, 15)})
    assert len(painted) <= 18, "the two, and what their edges touch"


def test_the_matrix_follows_validations_while_it_is_open(qtbot: QtBot, opened) -> None:
    window = opened.window
    window.actions_["train.confusion"].trigger()
    dialog = window.findChild(ConfusionDialog)
    assert dialog.isVisible()
    opened.trainer.event_received.emit(started())
    opened.trainer.event_received.emit(SCORED)
    assert "Step 40" in dialog.lead_text
    opened.trainer.event_received.emit(replace(SCORED, step=80))
    assert "Step 80" in dialog.lead_text
    opened.trainer.event_received.emit(started(resumed_step=80))
    assert "Step 80" in dialog.lead_text, "the same run goes on"
    opened.trainer.event_received.emit(started(run="another", resumed_step=80))
    assert "Step" not in dialog.lead_text
    opened.trainer.event_received.emit(SCORED)
    opened.trainer.event_received.emit(started())
    assert "Step" not in dialog.lead_text
    assert not dialog.view.isVisible()
    qtbot.mouseClick(window.training.scores.confusion_button, LEFT)
    assert dialog.isVisible()


def test_the_matrix_has_the_colours_of_today_also_of_a_class_renamed_since_the_run_began(
    qtbot: QtBot, opened
) -> None:
    def colors() -> dict[str, str]:
        shown = dialog.view.confusion
        return dict(zip(shown.names, shown.colors, strict=True))

    opened.window.actions_["train.confusion"].trigger()
    dialog = opened.window.findChild(ConfusionDialog)
    session, say = opened.session, opened.trainer.event_received.emit
    say(started(classes=session.classes))
    say(SCORED)
    nerve, vessel = (session.classes.by_name(name) for name in ("nerve", "vessel"))
    with qtbot.waitSignal(session.classes_changed):
        session.class_editor.recolor(vessel.index, "#123456")
    assert colors()["vessel"] == "#123456"
    with qtbot.waitSignal(session.classes_changed):
        session.class_editor.rename(nerve.index, "axon")
    assert colors()["nerve"] == nerve.color, "the score is of that name"
    say(replace(SCORED, per_class_iou={"background": 0.9, "axon": 0.4, "vessel": None}))
    assert colors()["axon"] == nerve.color
