"""The dialogs, with mouse and keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.delete_class import DeleteClassDialog
from app.dialogs.message import Choice, MessageDialog, Toast, show_error
from core.annotation.model import ClassList, LabelClass

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


# --- delete a class -------------------------------------------------------------------------------------


def ask_delete(
    shown: Callable[..., QWidget], shapes: int, others: tuple[LabelClass, ...] = CLASSES.classes
) -> DeleteClassDialog:
    dialog = DeleteClassDialog(CLASSES.classes[1], shapes, others, CLASSES.background)
    return shown(dialog)


def test_shapes_of_a_deleted_class_move_are_ignored_or_go(
    qtbot: QtBot, shown: Callable[..., QWidget]
) -> None:
    dialog = ask_delete(shown, 34)
    offered = [dialog.target.itemText(row) for row in range(dialog.target.count())]
    assert offered == ["blood vessel", "vessel wall", "", "background"]  # a line before the background
    assert dialog.answer == 2
    dialog.target.setCurrentIndex(3)
    assert dialog.answer == 0
    assert [c.text() for c in (dialog.delete_choice, dialog.move_choice)] == [
        "Delete the 34 shapes too",
        "Move the 34 shapes to",
    ]
    assert dialog.delete_choice.y() < dialog.move_choice.y() < dialog.ignore_choice.y()
    qtbot.mouseClick(dialog.ignore_choice, LEFT, pos=QPoint(8, 11))
    assert dialog.answer == "ignore"
    assert not dialog.target.isEnabled()
    qtbot.mouseClick(dialog.delete_choice, LEFT, pos=QPoint(8, 11))
    assert dialog.answer == "delete"
    with qtbot.waitSignal(dialog.accepted):
        qtbot.mouseClick(dialog.confirm, LEFT)


def test_enter_does_not_delete(qtbot: QtBot, shown: Callable[..., QWidget]) -> None:
    dialog = ask_delete(shown, 34)
    with qtbot.waitSignal(dialog.rejected), qtbot.assertNotEmitted(dialog.accepted):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)


def test_without_another_class_shapes_cannot_move(shown: Callable[..., QWidget]) -> None:
    dialog = ask_delete(shown, 1, (CLASSES.classes[1],))
    assert not dialog.move_choice.isEnabled()
    assert dialog.answer == "ignore"
    only_background = ask_delete(shown, 1, CLASSES.classes[:2])
    assert only_background.move_choice.isEnabled()
    assert only_background.answer == "ignore"


# --- messages -------------------------------------------------------------------------------------------


def test_a_question_tells_the_button(qtbot: QtBot) -> None:
    dialog = MessageDialog(
        "question",
        "Changed outside",
        "scan.json was changed by another program.",
        choices=[
            Choice("both", "Keep both"),
            Choice("mine", "Keep mine"),
            Choice("reload", "Reload", "primary"),
        ],
    )
    qtbot.addWidget(dialog)
    dialog.open()
    with qtbot.waitSignal(dialog.chosen) as chosen:
        qtbot.mouseClick(dialog.buttons["mine"], LEFT)
    assert chosen.args == ["mine"]


def test_enter_takes_the_primary_choice_and_escape_none(qtbot: QtBot) -> None:
    for key, answer in ((Qt.Key.Key_Return, "reload"), (Qt.Key.Key_Escape, "")):
        dialog = MessageDialog(
            "question", "?", "?", choices=[Choice("mine", "Mine"), Choice("reload", "Reload", "primary")]
        )
        qtbot.addWidget(dialog)
        with qtbot.waitExposed(dialog):
            dialog.open()
        with qtbot.waitSignal(dialog.chosen) as chosen:
            qtbot.keyClick(dialog, key)
        assert chosen.args == [answer]


def test_an_error_shows_its_sentence_and_unfolds_its_detail(qtbot: QtBot) -> None:
    dialog = show_error(None, "Cannot open", "a.png: the file is truncated; copy it again.", "Traceback")
    qtbot.waitUntil(dialog.isVisible)
    assert dialog.text == "a.png: the file is truncated; copy it again."
    assert not dialog.detail.isVisible()
    height = dialog.height()
    qtbot.mouseClick(dialog._unfold, LEFT)
    assert dialog.detail.isVisible()
    assert dialog.height() > height
    with qtbot.waitSignal(dialog.destroyed):
        dialog.close()


@pytest.fixture
def host(shown: Callable[..., QWidget]) -> QWidget:
    host = QWidget()
    return shown(host, 700, 300)


def test_a_toast_floats_at_the_lower_edge_and_follows_it(qtbot: QtBot, host: QWidget) -> None:
    toast = Toast(host)
    toast.show_message("info", "Saved.", action="Undo")
    assert toast.isVisible()
    assert toast.geometry().bottom() < host.height()
    assert abs(toast.geometry().center().x() - host.width() // 2) <= 1
    host.resize(500, 200)
    qtbot.waitUntil(lambda: toast.geometry().bottom() < 200)
    with qtbot.waitSignal(toast.action_clicked):
        qtbot.mouseClick(toast._action, LEFT)


def test_a_toast_leaves_by_itself_but_an_error_stays(qtbot: QtBot, host: QWidget) -> None:
    toast = Toast(host)
    toast.show_message("info", "Saved.")
    toast._leave.start(1)
    qtbot.waitUntil(lambda: not toast.isVisible())
    toast.show_message("error", "The disk is full; free some space.")
    assert not toast._leave.isActive()
    qtbot.mouseClick(toast._close, LEFT)
    assert not toast.isVisible()


def test_a_long_toast_wraps_inside_its_host(host: QWidget) -> None:
    toast = Toast(host)
    host.resize(320, 300)
    toast.show_message("warning", "A sentence that is far too long for one line of a narrow window. " * 3)
    assert toast.width() <= 320
    assert toast.height() > 60
    assert host.rect().contains(toast.geometry())
