"""The shape list, with mouse and keys."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyleOptionViewItem, QWidget
from pytestqt.qtbot import QtBot

from app.panels.headings import TabbedPanels
from app.panels.history_list import HistoryPanel
from app.panels.reorder import ReorderListView
from app.panels.shape_list import ShapePanel
from app.panels.shape_rows import ShapeDelegate, size_text
from core.annotation.model import BACKGROUND_LABEL, IGNORE_LABEL, Shape, ShapeType
from tests.app.panel_hands import CLASSES, LEFT, click, double_click, drop, entry, row_rect, shaky_click

pytestmark = pytest.mark.usefixtures("dressed")


def polygon(label: str = "nerve", vertices: int = 4) -> Shape:
    angle = np.linspace(0, 6, vertices)
    return Shape(label, ShapeType.POLYGON, np.stack([np.cos(angle), np.sin(angle)], 1))


@pytest.fixture
def shapes(shown: Callable[..., QWidget]) -> ShapePanel:
    panel = ShapePanel()
    panel.set_classes(CLASSES)
    return shown(panel, 260, 300)


def labels(panel: ShapePanel) -> list[str]:
    return [panel.model.index(row).data() for row in range(panel.model.rowCount())]


def test_the_topmost_shape_comes_first(shapes: ShapePanel) -> None:
    shapes.set_shapes([polygon("nerve"), polygon("vessel")])
    assert labels(shapes) == ["vessel", "nerve"]


def test_each_kind_tells_its_size() -> None:
    holed = polygon(vertices=5).with_(holes=(polygon(vertices=3).points,))
    mask = Shape("m", ShapeType.MASK, [(0, 0), (7, 3)], mask=np.ones((4, 8), bool))
    assert [size_text(s) for s in (polygon(), holed, mask)] == ["4 pt", "8 pt, 1 hole", "8 x 4 px"]


def test_clicks_choose_and_choosing_from_outside_is_silent(qtbot: QtBot, shapes: ShapePanel) -> None:
    low, middle, high = drawn = [polygon("a"), polygon("b"), polygon("c")]
    shapes.set_shapes(drawn)
    with qtbot.waitSignal(shapes.selection_changed) as chosen:
        click(qtbot, shapes, row_rect(shapes, 0).center())
    assert chosen.args == [frozenset({high.uid})]
    with qtbot.waitSignal(shapes.selection_changed) as more:
        click(qtbot, shapes, row_rect(shapes, 2).center(), Qt.KeyboardModifier.ControlModifier)
    assert more.args == [frozenset({high.uid, low.uid})]
    with qtbot.assertNotEmitted(shapes.selection_changed):
        shapes.set_selection(frozenset({middle.uid}))
    assert shapes.selection == {middle.uid}


def test_the_selection_survives_edits_around_it(qtbot: QtBot, shapes: ShapePanel) -> None:
    a, b, c = polygon("a"), polygon("b"), polygon("c")
    shapes.set_shapes([a, b, c])
    shapes.set_selection(frozenset({b.uid}))
    with qtbot.assertNotEmitted(shapes.selection_changed):
        shapes.set_shapes([a, b.with_(label="bb"), c, polygon("d")])
        assert labels(shapes) == ["d", "c", "bb", "a"]
        assert shapes.selection == {b.uid}
        shapes.set_shapes([b, a])
        assert labels(shapes) == ["a", "b"]
        assert shapes.selection == {b.uid}
        shapes.set_shapes([a])
        assert shapes.selection == set()


def test_a_changed_shape_repaints_its_row_only(qtbot: QtBot, shapes: ShapePanel) -> None:
    drawn = [polygon(str(n)) for n in range(6)]
    shapes.set_shapes(drawn)
    changed: list[tuple[int, int]] = []
    shapes.model.dataChanged.connect(lambda top, bottom, _roles: changed.append((top.row(), bottom.row())))
    with qtbot.assertNotEmitted(shapes.model.modelReset), qtbot.assertNotEmitted(shapes.model.rowsInserted):
        shapes.set_shapes([*drawn[:4], drawn[4].with_(label="new"), drawn[5]])
    assert changed == [(1, 1)]


def test_the_box_hides_without_choosing(qtbot: QtBot, shapes: ShapePanel) -> None:
    a, b = polygon("a"), polygon("b")
    shapes.set_shapes([a, b])
    box = ShapeDelegate.box_rect(row_rect(shapes, 1)).center()
    with qtbot.assertNotEmitted(shapes.selection_changed):
        with qtbot.waitSignal(shapes.visibility_changed) as hidden:
            click(qtbot, shapes, box)
        with qtbot.waitSignal(shapes.visibility_changed) as shown:
            click(qtbot, shapes, box)
    assert hidden.args == [frozenset({a.uid})]
    assert shown.args == [frozenset()]


def test_a_click_on_the_box_with_a_moving_mouse_drags_no_shape(
    qtbot: QtBot, shapes: ShapePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    drags: list[object] = []
    monkeypatch.setattr(ReorderListView, "startDrag", lambda *_: drags.append(1))
    a, b = polygon("a"), polygon("b")
    shapes.set_shapes([a, b])
    click(qtbot, shapes, row_rect(shapes, 0).center())
    with qtbot.waitSignal(shapes.visibility_changed) as hidden:
        shaky_click(shapes, ShapeDelegate.box_rect(row_rect(shapes, 1)).center())
    assert hidden.args == [frozenset({a.uid})]
    assert drags == []


def test_an_edit_paints_the_row_of_its_shape_alone(qtbot: QtBot, shapes: ShapePanel) -> None:
    painted: list[str] = []

    class Watched(ShapeDelegate):
        def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
            painted.append(index.data())
            super().paint(painter, option, index)

    shapes.view.setItemDelegate(Watched(shapes.view))
    drawn = [polygon(str(n)) for n in range(6)]
    shapes.set_shapes(drawn)
    qtbot.waitUntil(lambda: "0" in painted)
    painted.clear()
    shapes.set_shapes([*drawn[:4], drawn[4].with_(label="new"), drawn[5]])
    qtbot.waitUntil(lambda: "new" in painted)
    assert painted == ["new"]
    shapes.set_hidden(frozenset(shape.uid for shape in drawn))
    qtbot.waitUntil(lambda: {"5", "new", "0"} < set(painted))


def test_what_is_hidden_is_told_as_a_frozen_set_also_after_an_edit(qtbot: QtBot, shapes: ShapePanel) -> None:
    a, b, c = polygon("a"), polygon("b"), polygon("c")
    shapes.set_shapes([a, b, c])
    shapes.set_hidden(frozenset({a.uid, c.uid}))
    shapes.set_shapes([a, b])
    assert shapes.model.hidden == {a.uid}
    assert isinstance(shapes.model.hidden, frozenset)


def test_space_and_the_eye_hide_and_show(qtbot: QtBot, shapes: ShapePanel) -> None:
    a, b = polygon("a"), polygon("b")
    shapes.set_shapes([a, b])
    shapes.set_selection(frozenset({b.uid}))
    with qtbot.waitSignal(shapes.visibility_changed) as one:
        qtbot.keyClick(shapes.view, Qt.Key.Key_Space)
    assert one.args == [frozenset({b.uid})]
    with qtbot.waitSignal(shapes.visibility_changed) as none:
        qtbot.mouseClick(shapes.eye_button, LEFT)
    assert none.args == [frozenset()]
    with qtbot.waitSignal(shapes.visibility_changed) as every:
        qtbot.mouseClick(shapes.eye_button, LEFT)
    assert every.args == [frozenset({a.uid, b.uid})]


def test_a_click_chooses_the_whole_group_and_another_one_the_shape_alone(
    qtbot: QtBot, shapes: ShapePanel
) -> None:
    a, b, c = polygon("a").with_(group_id=4), polygon("b"), polygon("c").with_(group_id=4)
    shapes.set_shapes([a, b, c])
    chosen: list[frozenset[int]] = []
    shapes.selection_changed.connect(chosen.append)
    top = row_rect(shapes, 0).center()
    click(qtbot, shapes, top)
    assert shapes.selection == chosen[-1] == {a.uid, c.uid}
    click(qtbot, shapes, top)
    assert shapes.selection == chosen[-1] == {c.uid}
    click(qtbot, shapes, top)
    assert shapes.selection == chosen[-1] == {a.uid, c.uid}
    click(qtbot, shapes, row_rect(shapes, 1).center())
    assert shapes.selection == chosen[-1] == {b.uid}
    click(qtbot, shapes, top, Qt.KeyboardModifier.ControlModifier)
    assert shapes.selection == chosen[-1] == {b.uid, c.uid}


def test_rows_show_their_groups_and_join_neighbours(qtbot: QtBot, shapes: ShapePanel) -> None:
    drawn = [polygon("a"), polygon("b"), polygon("c")]
    shapes.set_shapes(drawn)
    plain = shapes.view.grab().toImage()
    low, middle, high = (shape.with_(group_id=4) for shape in drawn)
    shapes.set_shapes([low, drawn[1], high])
    apart = shapes.view.grab().toImage()
    shapes.set_shapes([low, middle, high])
    joined = shapes.view.grab().toImage()
    assert plain != apart != joined
    assert shapes.model.index(0).data(Qt.ItemDataRole.ToolTipRole) == "c, polygon, 4 pt, group 4 of 3 shapes"
    shapes.set_shapes(drawn)
    assert shapes.view.grab().toImage() == plain


def test_ignored_shapes_and_finished_areas_are_called_so(shapes: ShapePanel) -> None:
    shapes.set_shapes([polygon(IGNORE_LABEL), polygon(BACKGROUND_LABEL)])
    assert labels(shapes) == ["background", "ignored area"]


def test_a_double_click_asks_for_the_label(qtbot: QtBot, shapes: ShapePanel) -> None:
    a, b = polygon("a"), polygon("b")
    shapes.set_shapes([a, b])
    with qtbot.waitSignal(shapes.label_edit_requested) as asked:
        double_click(qtbot, shapes, row_rect(shapes, 1).center())
    assert asked.args == [a.uid]


def test_dragging_a_shape_moves_it_in_the_document(qtbot: QtBot, shapes: ShapePanel) -> None:
    a, b, c = polygon("a"), polygon("b"), polygon("c")
    shapes.set_shapes([a, b, c])
    top = row_rect(shapes, 0)
    with qtbot.waitSignal(shapes.shape_moved) as moved:
        drop(shapes, 2, QPoint(top.center().x(), top.top() + 1))
    assert moved.args == [a.uid, 2]
    with qtbot.waitSignal(shapes.shape_moved) as back:
        entry(shapes.context_menu(0), "Send to back").trigger()
    assert back.args == [c.uid, 0]


def test_ten_thousand_shapes_are_listed_edited_and_chosen(qtbot: QtBot, shapes: ShapePanel) -> None:
    drawn = [polygon() for _ in range(10_000)]
    shapes.set_shapes(drawn)
    inserted: list[int] = []
    shapes.model.rowsInserted.connect(lambda _parent, first, last: inserted.append(last - first + 1))
    shapes.set_shapes([*drawn, polygon("vessel")])
    assert inserted == [1]
    every = frozenset(shape.uid for shape in drawn)
    shapes.set_selection(every)
    assert shapes.selection == every
    assert len(shapes.view.selectionModel().selection()) == 1
    assert shapes._count.longest == "10,001 shapes"


def test_a_narrow_list_says_how_many_shapes_there_are_in_fewer_words(qtbot: QtBot) -> None:
    panel, tabs = ShapePanel(), TabbedPanels()
    tabs.add(panel, panel.heading)
    history = HistoryPanel()
    tabs.add(history, history.heading)
    qtbot.addWidget(tabs)
    with qtbot.waitExposed(tabs):
        tabs.show()
    panel.set_shapes([polygon(), polygon()])
    for width, said in ((400, "2 shapes"), (220, "2")):
        tabs.resize(width, 300)
        qtbot.waitUntil(lambda said=said: panel._count.text() == said)
    assert panel._count.toolTip() == "2 shapes"
