"""The popup that asks for a label: names complete, Enter takes the last one again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from app.dialogs.label import LabelDialog, matching_names
from core.annotation.model import ClassList, LabelClass, spoken_label

pytestmark = pytest.mark.usefixtures("dressed")
LEFT = Qt.MouseButton.LeftButton
CLASSES = ClassList(
    (
        LabelClass(0, "background", "#101010"),
        LabelClass(1, "nerve", "#ffcc00"),
        LabelClass(2, "blood vessel", "#ee4422"),
        LabelClass(3, "vessel wall", "#2244ee"),
    ),
    background=0,
)


@pytest.fixture
def popup(qtbot: QtBot) -> Iterator[LabelDialog]:
    dialog = LabelDialog(CLASSES, "nerve")
    qtbot.addWidget(dialog)
    dialog.popup_at(QPoint(100, 100))
    qtbot.waitUntil(dialog.isVisible)
    yield dialog
    dialog.close()


def test_names_complete_by_any_part_of_them_beginnings_first() -> None:
    assert matching_names(CLASSES.names, "VESS") == ["vessel wall", "blood vessel"]
    assert matching_names(CLASSES.names, "") == list(CLASSES.names)


def test_enter_takes_the_last_label_again(qtbot: QtBot, popup: LabelDialog) -> None:
    with qtbot.waitSignal(popup.label_chosen) as chosen, qtbot.assertNotEmitted(popup.cancelled):
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["nerve"]
    assert not popup.isVisible()


def test_typing_narrows_and_enter_completes(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "ood")
    assert popup.rows() == ["blood vessel", "New class “ood”"]
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["blood vessel"]


def test_a_new_name_makes_a_class(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, " bone ")
    assert popup.rows() == ["New class “bone”"]
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["bone"]


def test_labels_with_a_meaning_of_their_own_are_no_new_classes(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "__ignore__")
    assert popup.rows() == [spoken_label("__ignore__")]
    popup.field.clear()
    qtbot.keyClicks(popup.field, "__bone")
    assert popup.rows() == ["New class “__bone”"]


def test_a_new_name_inside_an_old_one_is_one_key_down(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "wall")
    qtbot.keyClick(popup.field, Qt.Key.Key_Down)
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["wall"]


def test_tab_fills_the_marked_name_in(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "ves")
    qtbot.keyClick(popup.field, Qt.Key.Key_Tab)
    assert popup.field.text() == "vessel wall"


def test_escape_cancels_once(qtbot: QtBot, popup: LabelDialog) -> None:
    told: list[int] = []
    popup.cancelled.connect(lambda: told.append(1))
    with qtbot.assertNotEmitted(popup.label_chosen):
        qtbot.keyClick(popup.field, Qt.Key.Key_Escape)
        popup.close()
    assert told == [1]


def test_a_click_on_a_row_takes_it(qtbot: QtBot, popup: LabelDialog) -> None:
    row = popup.list.visualItemRect(popup.list.item(2)).center()
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.mouseClick(popup.list.viewport(), LEFT, pos=row)
    assert chosen.args == ["blood vessel"]


def test_the_popup_stays_on_the_screen(qtbot: QtBot) -> None:
    dialog = LabelDialog(CLASSES)
    qtbot.addWidget(dialog)
    screen = dialog.screen().availableGeometry()
    dialog.popup_at(screen.bottomRight())
    assert screen.contains(dialog.geometry())


def test_with_no_class_nothing_is_taken_before_a_name_is_typed(qtbot: QtBot) -> None:
    dialog = LabelDialog(ClassList())
    qtbot.addWidget(dialog)
    dialog.popup_at(QPoint(10, 10))
    with qtbot.assertNotEmitted(dialog.label_chosen):
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert dialog.isVisible()
    dialog.close()


def test_the_first_class_is_named_and_not_taken_for_background_by_mistake(qtbot: QtBot) -> None:
    dialog = LabelDialog(ClassList((LabelClass(0, "background", "#101010"),), background=0))
    qtbot.addWidget(dialog)
    dialog.popup_at(QPoint(10, 10))
    with qtbot.assertNotEmitted(dialog.label_chosen):
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.keyClicks(dialog.field, "nerve")
    with qtbot.waitSignal(dialog.label_chosen) as chosen:
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert chosen.args == ["nerve"]
