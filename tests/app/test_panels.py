"""Class list, shape list and welcome page, with mouse and keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, QRect, Qt, QUrl
from PySide6.QtGui import QAction, QColor, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QColorDialog, QLineEdit, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.panels.class_list import ClassPanel, class_hotkeys
from app.panels.class_rows import ClassDelegate
from app.panels.headings import PanelHeading, TabbedPanels
from app.panels.history_list import HistoryPanel
from app.panels.parts import sentence
from app.panels.shape_list import ShapePanel
from app.panels.shape_rows import ShapeDelegate, size_text
from app.panels.welcome import WelcomePage
from core.annotation.model import IGNORE_LABEL, ClassList, LabelClass, Shape, ShapeType

pytestmark = pytest.mark.usefixtures("dressed")
LEFT = Qt.MouseButton.LeftButton
CLASSES = ClassList(
    (
        LabelClass(0, "background", "#101010"),
        LabelClass(1, "nerve", "#ffcc00"),
        LabelClass(4, "vessel", "#ee4422"),
    ),
    background=0,
)


# --- classes --------------------------------------------------------------------------------------------


@pytest.fixture
def classes(shown: Callable[..., QWidget]) -> ClassPanel:
    panel = ClassPanel()
    panel.set_classes(CLASSES)
    return shown(panel, 260, 300)


def row_rect(panel: ClassPanel | ShapePanel, row: int) -> QRect:
    return panel.view.visualRect(panel.model.index(row))


def click(qtbot: QtBot, panel: ClassPanel | ShapePanel, where: QPoint, keys: object = None) -> None:
    modifier = Qt.KeyboardModifier.NoModifier if keys is None else keys
    qtbot.mouseClick(panel.view.viewport(), LEFT, modifier, where)


def double_click(qtbot: QtBot, panel: ClassPanel | ShapePanel, where: QPoint) -> None:
    click(qtbot, panel, where)
    qtbot.mouseDClick(panel.view.viewport(), LEFT, pos=where)


def entry(menu: QMenu, text: str) -> QAction:
    return next(action for action in menu.actions() if action.text().startswith(text))


def test_digits_choose_drawn_classes_and_zero_the_background() -> None:
    assert class_hotkeys(CLASSES) == {0: 0, 1: 1, 2: 4}
    many = ClassList(tuple(LabelClass(i, str(i), "#000000") for i in range(20)), None)
    assert class_hotkeys(many) == {digit: digit - 1 for digit in range(1, 10)}


def test_a_click_on_a_row_chooses_the_class_and_leaves_the_keyboard_alone(
    qtbot: QtBot, classes: ClassPanel
) -> None:
    with qtbot.waitSignal(classes.class_activated) as chosen:
        click(qtbot, classes, row_rect(classes, 2).center())
    assert chosen.args == [4]
    assert not classes.view.hasFocus()


def test_the_active_class_survives_a_new_list(classes: ClassPanel) -> None:
    classes.set_active(4)
    classes.set_classes(ClassList(CLASSES.classes[::-1], 0))
    assert classes.view.currentIndex().data() == "vessel"
    assert classes.view.selectionModel().isSelected(classes.model.index(0))


def test_a_click_on_the_eye_hides_the_class_without_choosing_it(qtbot: QtBot, classes: ClassPanel) -> None:
    eye = ClassDelegate.eye_rect(row_rect(classes, 1)).center()
    with qtbot.assertNotEmitted(classes.class_activated):
        with qtbot.waitSignal(classes.class_visibility_changed) as hidden:
            click(qtbot, classes, eye)
        with qtbot.waitSignal(classes.class_visibility_changed) as shown:
            click(qtbot, classes, eye)
    assert hidden.args == [1, False]
    assert shown.args == [1, True]


def test_a_click_on_the_swatch_recolours(qtbot: QtBot, classes: ClassPanel) -> None:
    click(qtbot, classes, ClassDelegate.swatch_rect(row_rect(classes, 2)).center())
    dialog = classes.findChild(QColorDialog)
    assert dialog is not None
    assert dialog.testOption(QColorDialog.ColorDialogOption.DontUseNativeDialog)
    assert dialog.currentColor() == QColor("#ee4422")
    dialog.setCurrentColor(QColor("#00aa55"))
    with qtbot.waitSignal(classes.class_recolored) as recolored:
        dialog.accept()
    assert recolored.args == [4, "#00aa55"]


def test_a_double_click_renames_in_place(qtbot: QtBot, classes: ClassPanel) -> None:
    name = ClassDelegate.name_rect(row_rect(classes, 1)).center()
    double_click(qtbot, classes, name)
    editor = classes.view.findChild(QLineEdit)
    assert editor is not None
    editor.selectAll()
    qtbot.keyClicks(editor, "median nerve")
    with qtbot.waitSignal(classes.class_renamed) as renamed:
        qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert renamed.args == [1, "median nerve"]


@pytest.mark.parametrize(
    ("name", "word"), [("vessel", "Merge into"), ("  ", "name"), (IGNORE_LABEL, "meaning")]
)
def test_a_name_that_cannot_be_is_refused_with_a_sentence(
    qtbot: QtBot, classes: ClassPanel, name: str, word: str
) -> None:
    with qtbot.assertNotEmitted(classes.class_renamed):
        classes.model.setData(classes.model.index(1), name)
    assert word in classes.message
    assert classes.model.index(1).data() == "nerve"


def test_plus_adds_a_class_by_name(qtbot: QtBot, classes: ClassPanel) -> None:
    qtbot.mouseClick(classes.add_button, LEFT)
    qtbot.keyClicks(classes.name_field, "nerve")
    with qtbot.assertNotEmitted(classes.class_added):
        qtbot.keyClick(classes.name_field, Qt.Key.Key_Return)
    assert "nerve" in classes.message
    classes.name_field.clear()
    qtbot.keyClicks(classes.name_field, "bone")
    with qtbot.waitSignal(classes.class_added) as added:
        qtbot.keyClick(classes.name_field, Qt.Key.Key_Return)
    assert added.args == ["bone"]
    assert not classes.name_field.isVisible()
    assert classes.message == ""


def test_escape_leaves_adding(qtbot: QtBot, classes: ClassPanel) -> None:
    qtbot.mouseClick(classes.add_button, LEFT)
    with qtbot.assertNotEmitted(classes.class_added):
        qtbot.keyClick(classes.name_field, Qt.Key.Key_Escape)
    assert not classes.name_field.isVisible()


def test_an_empty_list_says_what_to_do(classes: ClassPanel) -> None:
    classes.set_classes(ClassList())
    assert classes.empty_note == "No classes yet: press + or draw a shape and name it."


def test_the_menu_merges_and_deletes_but_not_the_background(qtbot: QtBot, classes: ClassPanel) -> None:
    menu = classes.context_menu(1)
    into = entry(menu, "Merge into").menu()
    assert isinstance(into, QMenu)
    assert [action.text() for action in into.actions()] == ["background", "vessel"]
    with qtbot.waitSignal(classes.class_merged) as merged:
        entry(into, "vessel").trigger()
    assert merged.args == [1, 4]
    with qtbot.waitSignal(classes.class_deleted) as deleted:
        entry(menu, "Delete").trigger()
    assert deleted.args == [1]
    background = classes.context_menu(0)
    assert not entry(background, "Delete").isEnabled()
    assert not entry(background, "Merge into").isEnabled()
    assert "not drawn" in background.actions()[0].text()


def drop(panel: ClassPanel | ShapePanel, source: int, where: QPoint) -> None:
    """What Qt sends when a drag from row `source` ends; the offscreen platform has no drags of its own."""
    view = panel.view
    view.setCurrentIndex(panel.model.index(source))
    data = panel.model.mimeData([panel.model.index(source)])

    class Drop(QDropEvent):
        def source(self) -> object:
            return view

    event = Drop(QPointF(where), Qt.DropAction.MoveAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    view.dropEvent(event)


def test_dragging_a_class_reorders(qtbot: QtBot, classes: ClassPanel) -> None:
    first = row_rect(classes, 0)
    with qtbot.waitSignal(classes.classes_reordered) as moved:
        drop(classes, 2, QPoint(first.center().x(), first.top() + 2))
    assert moved.args == [(4, 0, 1)]
    assert classes.model.rowCount() == 3
    with qtbot.assertNotEmitted(classes.classes_reordered):
        drop(classes, 0, QPoint(first.center().x(), first.bottom() - 2))


def test_alt_and_arrows_reorder_too(qtbot: QtBot, classes: ClassPanel) -> None:
    classes.set_active(0)
    with qtbot.waitSignal(classes.classes_reordered) as down:
        qtbot.keyClick(classes.view, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert down.args == [(1, 0, 4)]
    with qtbot.assertNotEmitted(classes.classes_reordered):
        qtbot.keyClick(classes.view, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)


def test_shares_are_told_to_screen_readers_and_painted(classes: ClassPanel) -> None:
    before = classes.view.grab().toImage()
    classes.set_shares({1: 0.052})
    role = Qt.ItemDataRole.AccessibleTextRole
    assert classes.model.index(1).data(role) == "nerve, 5.2 % of the labelled pixels"
    assert classes.view.grab().toImage() != before


# --- shapes ---------------------------------------------------------------------------------------------


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


def test_an_ignored_shape_is_called_so(shapes: ShapePanel) -> None:
    shapes.set_shapes([polygon(IGNORE_LABEL)])
    assert labels(shapes) == ["ignored area"]


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
    tabs.add(HistoryPanel(), PanelHeading("History"))
    qtbot.addWidget(tabs)
    with qtbot.waitExposed(tabs):
        tabs.show()
    panel.set_shapes([polygon(), polygon()])
    for width, said in ((400, "2 shapes"), (220, "2")):
        tabs.resize(width, 300)
        qtbot.waitUntil(lambda said=said: panel._count.text() == said)
    assert panel._count.toolTip() == "2 shapes"


# --- welcome --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("nothing is labelled yet", "Nothing is labelled yet."),
        ("a.png: cannot be read", "a.png: cannot be read."),
        ("Saved.", "Saved."),
        ("", ""),
    ],
)
def test_messages_are_sentences_and_file_names_stay_as_they_are(said: str, shown: str) -> None:
    assert sentence(said) == shown


@pytest.fixture
def page(shown: Callable[..., QWidget]) -> WelcomePage:
    page = WelcomePage()
    return shown(page, 900, 640)


def test_the_two_doors_open(qtbot: QtBot, page: WelcomePage) -> None:
    with qtbot.waitSignal(page.open_folder_requested):
        qtbot.mouseClick(page.open_door, LEFT)
    page.sample_door.setFocus()
    with qtbot.waitSignal(page.open_sample_requested):
        qtbot.keyClick(page.sample_door, Qt.Key.Key_Space)
    with qtbot.waitSignal(page.open_sample_requested):
        qtbot.keyClick(page.sample_door, Qt.Key.Key_Return)


def test_recent_projects_open_and_missing_ones_are_grey(
    qtbot: QtBot, page: WelcomePage, tmp_path: Path
) -> None:
    here = str(tmp_path)
    page.set_recent([here, str(tmp_path / "gone")])
    there, gone = page.recent_rows
    assert there.isEnabled()
    assert not gone.isEnabled()
    assert "not there any more" in gone.toolTip()
    with qtbot.waitSignal(page.recent_requested) as asked:
        qtbot.mouseClick(there, LEFT)
    assert asked.args == [here]


def test_without_recent_projects_the_page_says_so(page: WelcomePage) -> None:
    page.set_recent([])
    assert page.recent_rows == ()
    assert page._recent_title.text() == "Recent projects appear here."


def test_a_dropped_folder_is_told(qtbot: QtBot, page: WelcomePage, tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    arguments = (Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(5, 5), *arguments)
    page.dragEnterEvent(enter)
    assert enter.isAccepted()
    with qtbot.waitSignal(page.path_dropped) as dropped:
        page.dropEvent(QDropEvent(QPointF(5, 5), *arguments))
    assert dropped.args == [str(tmp_path)]


def test_something_that_is_no_file_is_not_taken(page: WelcomePage) -> None:
    data = QMimeData()
    data.setText("hello")
    enter = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    enter.ignore()
    page.dragEnterEvent(enter)
    assert not enter.isAccepted()
