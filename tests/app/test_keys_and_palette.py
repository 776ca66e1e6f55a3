"""Keys and the palette in the window: everything is found, nothing is taken twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit, QMenu, QWidget

from app.dialogs.command_palette import CommandPalette
from app.dialogs.shortcuts import ShortcutsDialog
from app.dialogs.training_settings import TrainingSettingsDialog

PORTABLE = QKeySequence.SequenceFormat.PortableText


@pytest.fixture
def open_dialog(opened, qtbot) -> Callable[[str, type[QDialog]], QDialog]:
    """Trigger an action and wait for the dialog it opens."""

    def open_by(action: str, kind: type[QDialog]) -> QDialog:
        opened.window.actions_[action].trigger()
        qtbot.waitUntil(lambda: any(d.isVisible() for d in opened.window.findChildren(kind)))
        return next(d for d in opened.window.findChildren(kind) if d.isVisible())

    return open_by


def in_menus(menu: QMenu) -> list[QAction]:
    found = []
    for action in menu.actions():
        submenu = action.menu()
        if isinstance(submenu, QMenu):
            found += in_menus(submenu)
        elif not action.isSeparator():
            found.append(action)
    return found


def test_the_palette_finds_all_that_is_in_the_menus(opened, open_dialog):
    palette = open_dialog("help.palette", CommandPalette)
    missing = []
    for name, menu in opened.window.menus.items():
        for action in in_menus(menu) if name != "recent" else ():
            title = action.text().replace("&", "").rstrip(" .…")
            if not action.isVisible() or action.objectName() in ("help.palette", ""):
                continue
            palette.field.setText(title)
            if title not in [found.rstrip(" ") for found in palette.titles]:
                missing.append(title)
    assert missing == []
    palette.field.setText("training panel")
    assert palette.titles[0] == "Training panel"
    palette.close()


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("advanced", "Training settings"),
        ("post-processing", "Clean up predictions"),
        ("post", "Clean up predictions"),
    ],
)
def test_the_palette_knows_other_words_for_it(opened, open_dialog, typed, title):
    palette = open_dialog("help.palette", CommandPalette)
    palette.field.setText(typed)
    assert palette.titles[0].rstrip(" …") == title
    palette.close()


def test_the_training_settings_open_from_the_menu(opened):
    opened.window.actions_["train.settings"].trigger()
    (dialog,) = opened.window.findChildren(TrainingSettingsDialog)
    assert dialog.isVisible()


def test_every_action_is_in_the_shortcuts_dialog_and_none_can_take_the_keys_of_another(opened, open_dialog):
    dialog = open_dialog("help.shortcuts", ShortcutsDialog)
    keys = {name: key for name, key in dialog.keys().items() if key}
    assert set(dialog.keys()) == {action.objectName() for action in opened.window.actions_}
    for name, key in keys.items():
        other = "file.open_sample" if name != "file.open_sample" else "help.about"
        dialog.editor(other).setKeySequence(QKeySequence(key))
        assert dialog.keys()[other] == "", f"{key} of {name} was given away"
        assert "belongs to" in dialog.message
    dialog.editor("help.about").setKeySequence(QKeySequence("3"))
    assert dialog.keys()["help.about"] == ""
    assert "3 chooses a class" in dialog.message
    dialog.close()


def test_changed_keys_go_back_to_the_default_one_by_one(opened, open_dialog):
    dialog = open_dialog("help.shortcuts", ShortcutsDialog)
    dialog.editor("view.fit").setKeySequence(QKeySequence("F9"))
    dialog.save_button.click()
    fit = opened.window.actions_["view.fit"]
    assert fit.shortcut().toString(PORTABLE) == "F9"
    again = open_dialog("help.shortcuts", ShortcutsDialog)
    again.reset("view.fit")
    again.save_button.click()
    assert fit.shortcut().toString(PORTABLE) == "Ctrl+F"
    assert opened.window.settings.shortcuts == {}


# --- drawing while a panel has the keyboard -----------------------------------------------------------------


def begin_polygon(bench, *points: tuple[float, float]) -> None:
    bench.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    for point in points:
        bench.click(*point)


def give_keyboard(widget: QWidget, qtbot) -> None:
    widget.window().activateWindow()
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(widget.hasFocus)


CORNERS = ((10, 10), (30, 10), (30, 30), (10, 30))


def test_keys_of_a_half_drawn_polygon_work_while_a_list_or_a_button_has_the_keyboard(opened, qtbot):
    window = opened.window
    for panel in (window.classes.view, window.classes.add_button, window.images.view):
        begin_polygon(opened, *CORNERS)
        give_keyboard(panel, qtbot)
        qtbot.keyClick(panel, Qt.Key.Key_Backspace)
        qtbot.keyClick(panel, Qt.Key.Key_Return)
        assert [len(shape.points) for shape in opened.session.current.document.shapes] == [3]
        opened.session.undo()
    begin_polygon(opened, *CORNERS)
    give_keyboard(window.images.view, qtbot)
    qtbot.keyClick(window.images.view, Qt.Key.Key_Escape)
    assert not opened.canvas.busy


def test_text_fields_keep_their_keys_while_something_is_half_drawn(opened, qtbot):
    field = opened.window.images.findChild(QLineEdit)
    begin_polygon(opened, *CORNERS)
    give_keyboard(field, qtbot)
    qtbot.keyClicks(field, "scan")
    qtbot.keyClick(field, Qt.Key.Key_Backspace)
    qtbot.keyClick(field, Qt.Key.Key_Space)
    assert field.text() == "sca "
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert opened.canvas.busy
    assert len(opened.canvas._tool.points) == 4


def test_lists_have_their_keys_for_themselves_when_nothing_is_half_drawn(opened, qtbot):
    opened.draw_square(10, 10)
    view = opened.window.shapes.view
    qtbot.waitUntil(lambda: view.model().rowCount() == 1)
    opened.session.set_selection([opened.session.current.document.shapes[0].uid])
    give_keyboard(view, qtbot)
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert opened.window.shapes.model.hidden


def test_a_held_key_is_told_from_single_presses(bench):
    held = []
    kind = QEvent.Type.ShortcutOverride
    for repeats in (False, True, False):
        event = QKeyEvent(kind, Qt.Key.Key_D, Qt.KeyboardModifier.NoModifier, "d", repeats)
        QApplication.sendEvent(bench.canvas, event)
        held.append(bench.window.actions_.held)
    assert held == [False, True, False]
