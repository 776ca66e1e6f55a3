"""A class that got another name, colour or place can have its old one back: by key, menu and button."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from app.dialogs.message import MessageDialog

CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def named(opened):
    """A window on three images with the classes nerve and vessel, and a nerve drawn on the first."""
    opened.session.set_active_class(opened.session.classes.by_name("nerve"))
    opened.draw_square(10, 10)
    return opened


def rename(bench, qtbot, old: str, new: str) -> None:
    """As a person does: a double click on the row, the name, Enter."""
    panel = bench.window.classes
    with qtbot.waitSignal(bench.session.class_editor.stepped):
        panel.model.setData(panel.model.index(panel.model.classes.names.index(old)), new)


def step(bench, qtbot, key: Qt.Key) -> None:
    with qtbot.waitSignal(bench.session.class_editor.stepped):
        bench.key(key, CTRL)


def test_undo_right_after_a_rename_gives_the_old_name_back_everywhere(named, qtbot):
    rename(named, qtbot, "nerve", "median nerve")
    assert named.labels() == ["median nerve"]
    assert named.window.actions_["edit.undo"].text() == "&Undo Rename nerve to median nerve"
    step(named, qtbot, Qt.Key.Key_Z)
    assert named.labels() == ["nerve"]
    assert "nerve" in named.session.classes.names
    named.key(Qt.Key.Key_Z, CTRL)  # what came before it
    assert named.labels() == []


def test_what_was_undone_of_the_classes_can_be_done_again(named, qtbot):
    rename(named, qtbot, "nerve", "median nerve")
    rename(named, qtbot, "vessel", "vein")
    step(named, qtbot, Qt.Key.Key_Z)
    step(named, qtbot, Qt.Key.Key_Z)
    assert named.session.classes.names == ("background", "nerve", "vessel")
    step(named, qtbot, Qt.Key.Key_Y)
    assert named.session.classes.names == ("background", "median nerve", "vessel")
    assert named.labels() == ["median nerve"]
    assert named.window.actions_["edit.redo"].text() == "&Redo Rename vessel to vein"


def test_an_edit_of_the_image_comes_before_a_rename_in_undo(named, qtbot):
    rename(named, qtbot, "nerve", "median nerve")
    named.draw_square(30, 10)
    named.key(Qt.Key.Key_Z, CTRL)
    assert named.labels() == ["median nerve"]
    named.key(Qt.Key.Key_Z, CTRL)  # nor does the next one rename anything: that was long ago
    assert named.labels() == []
    assert "median nerve" in named.session.classes.names


def test_with_the_keyboard_in_the_class_list_undo_is_for_the_classes(named, qtbot):
    rename(named, qtbot, "nerve", "median nerve")
    named.draw_square(30, 10)
    undo = named.window.actions_["edit.undo"]
    assert undo.text() == "&Undo Add median nerve"
    named.window.activateWindow()
    named.window.classes.view.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(lambda: QApplication.focusWidget() is named.window.classes.view)
    assert undo.text() == "&Undo Rename nerve to median nerve"
    with qtbot.waitSignal(named.session.class_editor.stepped):
        qtbot.keyClick(named.window.classes.view, Qt.Key.Key_Z, CTRL)
    assert named.labels() == ["nerve", "nerve"]


def test_a_line_says_that_a_rename_can_be_undone_and_does_it(named, qtbot):
    toast = named.window.toast
    rename(named, qtbot, "nerve", "median nerve")
    assert toast.isVisible()
    assert toast.text == "“nerve” is called “median nerve” now."
    with qtbot.waitSignal(named.session.class_editor.stepped):
        toast.action_clicked.emit()
    assert named.labels() == ["nerve"]
    assert toast.text == "“median nerve” is called “nerve” again."
    with qtbot.waitSignal(named.session.class_editor.stepped):
        toast.action_clicked.emit()
    assert named.labels() == ["median nerve"]
    named.draw_square(30, 10)
    assert not toast.isVisible()  # its button would undo something else now


def test_colour_and_order_of_classes_can_be_undone(named, qtbot):
    editor, before = named.session.class_editor, named.session.classes
    nerve = before.by_name("nerve")
    with qtbot.waitSignal(editor.stepped):
        editor.recolor(nerve.index, "#123456")
    with qtbot.waitSignal(editor.stepped):
        editor.reorder(tuple(reversed(before.indices)))
    assert named.session.classes != before
    step(named, qtbot, Qt.Key.Key_Z)
    assert named.session.classes.indices == before.indices
    step(named, qtbot, Qt.Key.Key_Z)
    assert named.session.classes == before


def test_a_name_that_is_taken_by_now_does_not_block_undo(named, qtbot):
    rename(named, qtbot, "nerve", "median nerve")
    with qtbot.waitSignal(named.session.classes_changed):
        named.session.add_class("nerve")
    named.session.class_editor.set_in_hand(True)
    with qtbot.waitSignal(named.session.message) as said:
        named.session.undo()
    assert "there is a class 'nerve' already" in said.args[0]
    named.session.undo()
    assert named.labels() == []


def test_merging_a_class_in_use_says_that_undo_does_not_bring_it_back(named, qtbot):
    classes = named.session.classes
    nerve, vessel = (classes.by_name(name).index for name in ("nerve", "vessel"))

    def ask() -> MessageDialog:
        named.window.classes.class_merged.emit(nerve, vessel)
        qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), MessageDialog))
        return QApplication.activeModalWidget()

    dialog = ask()
    assert "1 shape becomes “vessel”" in dialog.text
    dialog.buttons["keep"].click()
    assert named.labels() == ["nerve"]
    dialog = ask()
    with qtbot.waitSignal(named.session.classes_changed):
        dialog.buttons["merge"].click()
    assert named.labels() == ["vessel"]
    assert named.session.undo_order.undo_name == "Add vessel"
