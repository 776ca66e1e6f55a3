"""The class list, with mouse and keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QLineEdit, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.panels.class_list import ClassPanel, class_hotkeys
from app.panels.class_rows import ClassDelegate
from app.panels.reorder import ReorderListView
from core.annotation.model import IGNORE_LABEL, MAX_CLASSES, ClassList, LabelClass
from tests.app.panel_hands import CLASSES, LEFT, click, double_click, drop, entry, row_rect, shaky_click

pytestmark = pytest.mark.usefixtures("dressed")


@pytest.fixture
def classes(shown: Callable[..., QWidget]) -> ClassPanel:
    panel = ClassPanel()
    panel.set_classes(CLASSES)
    return shown(panel, 260, 300)


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


def test_a_right_click_and_keys_leave_the_mark_on_the_active_class(qtbot: QtBot, classes: ClassPanel) -> None:
    classes.set_active(1)
    before = classes.view.grab().toImage()
    qtbot.mouseClick(classes.view.viewport(), Qt.MouseButton.RightButton, pos=row_rect(classes, 2).center())
    assert classes.view.grab().toImage() == before
    classes.view.setFocus()
    qtbot.waitUntil(classes.view.hasFocus)
    qtbot.keyClick(classes.view, Qt.Key.Key_Home)
    assert classes.view.grab().toImage() != before, "the row that keys are at has a ground of its own"
    classes.view.clearFocus()
    assert classes.view.grab().toImage() == before


def test_the_mark_follows_a_click(qtbot: QtBot, classes: ClassPanel) -> None:
    classes.set_active(1)
    before = classes.view.grab().toImage()
    click(qtbot, classes, row_rect(classes, 2).center())
    clicked = classes.view.grab().toImage()
    assert clicked != before
    classes.set_active(4)
    assert classes.view.grab().toImage() == clicked


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


def test_in_a_project_with_all_classes_one_can_be_renamed_but_none_added(
    qtbot: QtBot, classes: ClassPanel
) -> None:
    classes.set_classes(ClassList(tuple(LabelClass(i, f"c{i}", "#ff0000") for i in range(MAX_CLASSES)), 0))
    with qtbot.waitSignal(classes.class_renamed) as renamed:
        classes.model.setData(classes.model.index(3), "nerve")
    assert renamed.args == [3, "nerve"]
    qtbot.mouseClick(classes.add_button, LEFT)
    qtbot.keyClicks(classes.name_field, "one more")
    with qtbot.assertNotEmitted(classes.class_added):
        qtbot.keyClick(classes.name_field, Qt.Key.Key_Return)
    assert "has them all" in classes.message


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


def test_a_name_being_typed_stays_when_shares_and_the_active_class_change(
    qtbot: QtBot, classes: ClassPanel
) -> None:
    double_click(qtbot, classes, ClassDelegate.name_rect(row_rect(classes, 1)).center())
    editor = classes.view.findChild(QLineEdit)
    assert editor is not None
    editor.selectAll()
    qtbot.keyClicks(editor, "median")
    classes.set_shares({1: 0.5})
    classes.set_active(1)
    assert editor.text() == "median"


def test_alt_up_twice_moves_the_same_class_also_when_another_is_active(
    qtbot: QtBot, classes: ClassPanel
) -> None:
    def reorder(order: tuple[int, ...]) -> None:
        by_index = {each.index: each for each in CLASSES}
        classes.set_classes(ClassList(tuple(by_index[index] for index in order), 0))
        classes.set_active(1)

    orders: list[tuple[int, ...]] = []
    classes.classes_reordered.connect(orders.append)
    classes.classes_reordered.connect(reorder)
    classes.set_active(1)
    classes.view.setFocus()
    qtbot.keyClick(classes.view, Qt.Key.Key_End)
    for _ in range(2):
        qtbot.keyClick(classes.view, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert orders == [(0, 4, 1), (4, 0, 1)]


def test_keys_go_on_from_the_active_class_once_another_is_active_or_theirs_is_gone(
    classes: ClassPanel,
) -> None:
    classes.set_active(1)
    classes.set_active(4)
    assert classes.view.currentIndex().data() == "vessel"
    classes.set_active(1)
    classes.view.setCurrentIndex(classes.model.index(2))
    classes.set_classes(ClassList(CLASSES.classes[:2], 0))
    assert classes.view.currentIndex().data() == "nerve"
    classes.set_active(4)
    classes.set_classes(CLASSES)
    assert classes.view.currentIndex().data() == "vessel", "a class is chosen before it is listed"


def test_a_click_on_the_eye_with_a_moving_mouse_drags_no_class(
    qtbot: QtBot, classes: ClassPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    drags: list[object] = []
    monkeypatch.setattr(ReorderListView, "startDrag", lambda *_: drags.append(1))
    click(qtbot, classes, row_rect(classes, 1).center())
    with qtbot.waitSignal(classes.class_visibility_changed) as hidden:
        shaky_click(classes, ClassDelegate.eye_rect(row_rect(classes, 2)).center())
    assert hidden.args == [4, False]
    assert drags == []
