"""The list of edits: what was done, where the image is now, and going back and forth by a click."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication

from app.panels.history_list import HistoryPanel
from core.annotation.model import AnnotationState

LEFT = Qt.MouseButton.LeftButton
NAMES = ("Add polygon", "Move vertex", "Relabel", "Delete shape")


@pytest.fixture
def panel(shown) -> HistoryPanel:
    panel = HistoryPanel()
    panel.set_history(NAMES, 3)
    return shown(panel, 240, 300)


def click(qtbot, panel: HistoryPanel, row: int) -> None:
    where = panel.view.visualRect(panel.model.index(row)).center()
    qtbot.mouseClick(panel.view.viewport(), LEFT, pos=where)


def test_the_edits_are_listed_oldest_first_below_the_start(panel):
    assert panel.names() == ["As it was opened", *NAMES]
    assert panel.view.currentIndex().row() == 3
    role = Qt.ItemDataRole.AccessibleTextRole
    assert [panel.model.index(row).data(role) for row in (3, 4)] == ["Relabel", "Delete shape, undone"]
    assert panel.model.index(1).data(Qt.ItemDataRole.ToolTipRole) == "Undo 2 edits"
    assert panel.model.index(4).data(Qt.ItemDataRole.ToolTipRole) == "Redo 1 edit"


def test_a_click_asks_for_that_place_and_a_click_on_the_present_one_for_nothing(qtbot, panel):
    with qtbot.waitSignal(panel.position_requested) as asked:
        click(qtbot, panel, 0)
    assert asked.args == [0]
    panel.set_history(NAMES, 0)
    with qtbot.assertNotEmitted(panel.position_requested):
        click(qtbot, panel, 0)


def test_a_new_edit_after_going_back_takes_the_place_of_what_was_undone(qtbot, panel):
    panel.set_history(NAMES, 1)
    with qtbot.assertNotEmitted(panel.position_requested):
        panel.set_history((NAMES[0], "Add circle"), 2)
    assert panel.names() == ["As it was opened", "Add polygon", "Add circle"]
    assert panel.position == 2


def test_ten_thousand_edits_grow_row_by_row(qtbot, panel):
    many = [f"Edit {n}" for n in range(10_000)]
    panel.set_history(many, 10_000)
    inserted: list[int] = []
    panel.model.rowsInserted.connect(lambda _parent, first, last: inserted.append(last - first + 1))
    panel.set_history([*many, "One more"], 10_001)
    assert inserted == [1]
    assert panel.view.currentIndex().data() == "One more"


# --- in the window --------------------------------------------------------------------------------------


class PaintCounter(QObject):
    """Counts how often a widget is painted."""

    def __init__(self, watched: QObject) -> None:
        super().__init__(watched)
        self.count = 0
        watched.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        self.count += event.type() == QEvent.Type.Paint
        return False


@pytest.fixture
def drawn(opened, qtbot):
    """Three squares drawn, the history in front."""
    for x in (4, 20, 36):
        opened.draw_square(x, 8)
    opened.window.actions_["edit.history"].trigger()
    assert opened.window.history.isVisible()
    qtbot.waitUntil(lambda: opened.window.history.position == 3)
    return opened


def test_a_click_in_the_history_undoes_many_edits_in_one_repaint(drawn, qtbot):
    drawn.wait_saved()
    QApplication.processEvents()
    painted = PaintCounter(drawn.canvas.viewport())
    drawn.window.history.position_requested.emit(0)
    QApplication.processEvents()
    assert painted.count == 1
    assert drawn.labels() == []
    assert drawn.window.history.position == 0
    click(qtbot, drawn.window.history, 2)
    assert drawn.labels() == ["nerve", "nerve"]
    assert drawn.window.actions_["edit.redo"].isEnabled()
    drawn.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: drawn.window.history.position == 1)


def test_each_image_has_its_own_history(drawn, qtbot):
    drawn.key(Qt.Key.Key_D)
    drawn.wait_for_image("scan001.png")
    qtbot.waitUntil(lambda: drawn.window.history.names() == ["As it was opened"])
    drawn.key(Qt.Key.Key_A)
    drawn.wait_for_image("scan000.png")
    qtbot.waitUntil(lambda: len(drawn.window.history.names()) == 4)


def test_the_history_of_another_image_is_shown_when_its_dock_opens_again(drawn, qtbot):
    dock = drawn.window.docks["labels"]
    dock.close()
    drawn.key(Qt.Key.Key_D)
    drawn.wait_for_image("scan001.png")
    dock.show()
    assert drawn.window.history.names() == ["As it was opened"]


def test_calling_an_image_done_can_be_taken_back_from_the_next_one_and_is_told(drawn, qtbot):
    left, toast = drawn.session.current, drawn.window.toast
    drawn.key(Qt.Key.Key_D)
    drawn.wait_for_image("scan001.png")
    toast.action_clicked.emit()
    assert left.document.state is AnnotationState.DONE
    with qtbot.waitSignal(drawn.session.history_changed):
        toast.action_clicked.emit()
    assert left.document.state is AnnotationState.IN_PROGRESS
