"""Every action is found by its words, and its keys can be changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.command_palette import CommandPalette, fuzzy, matches
from app.dialogs.shortcuts import ShortcutsDialog

pytestmark = pytest.mark.usefixtures("dressed")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(shown: Callable[..., QWidget]) -> QMainWindow:
    window = QMainWindow()
    menus = {title: window.menuBar().addMenu(title) for title in ("&File", "&View")}
    for menu, name, text, keys in (
        ("&File", "file.open", "&Open folder…", "Ctrl+U"),
        ("&File", "file.export", "&Export…", "Ctrl+Shift+E"),
        ("&View", "view.zoom_in", "Zoom &in", "Ctrl++"),
        ("&View", "view.opacity", "More opacity", ""),
    ):
        action = menus[menu].addAction(text)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(keys))
    menus["&File"].addSeparator()
    return shown(window, 900, 600)


def actions_of(window: QMainWindow) -> list[QAction]:
    menus = window.menuBar().findChildren(QMenu)
    return [action for menu in menus for action in menu.actions()]


def test_letters_in_order_are_found_and_word_beginnings_win() -> None:
    assert fuzzy("Zoom in", "zi") is not None
    assert fuzzy("Zoom in", "iz") is None
    whole = fuzzy("Open folder", "of")
    assert whole is not None
    assert whole[1] == (0, 5)
    better, worse = fuzzy("Open folder", "op"), fuzzy("More opacity to come", "op")
    assert better is not None
    assert worse is not None
    assert better[0] > worse[0]


def test_actions_are_found_by_their_menu_too(window: QMainWindow) -> None:
    titles = [match.title for match in matches(actions_of(window), "file op")]
    assert titles[0] == "Open folder"


def test_the_palette_runs_what_is_found(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.waitUntil(palette.isVisible)
    assert palette.titles == ["Open folder", "Export", "Zoom in", "More opacity"]
    qtbot.keyClicks(palette.field, "zoo")
    assert palette.titles == ["Zoom in"]
    zoom = next(action for action in actions_of(window) if action.objectName() == "view.zoom_in")
    with qtbot.waitSignal(zoom.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()


def test_arrows_choose_another_action(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    export = next(action for action in actions_of(window) if action.objectName() == "file.export")
    with qtbot.waitSignal(export.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)


def test_what_cannot_run_now_comes_last_and_does_not_run(qtbot: QtBot, window: QMainWindow) -> None:
    found = next(action for action in actions_of(window) if action.objectName() == "file.open")
    found.setEnabled(False)
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    assert palette.titles[-1] == "Open folder"
    qtbot.keyClicks(palette.field, "open f")
    with qtbot.assertNotEmitted(found.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    palette.close()


@pytest.mark.parametrize(
    "key, wanted",
    [
        (Qt.Key.Key_Down, ["Zany odd ones", "Zoom in", "Zany odd ones"]),
        (Qt.Key.Key_Up, ["Zany odd ones", "Zoom in", "Zany odd ones"]),
        (Qt.Key.Key_PageDown, ["Zany odd ones"] * 3),
        (Qt.Key.Key_PageUp, ["Zoom in"] * 3),
    ],
)
def test_arrows_pass_over_what_cannot_run_now(
    qtbot: QtBot, window: QMainWindow, key: Qt.Key, wanted: list[str]
) -> None:
    menu = next(menu for menu in window.menuBar().findChildren(QMenu) if menu.title() == "&View")
    menu.addAction("Zoom back").setEnabled(False)
    menu.addAction("Zany odd ones")
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.keyClicks(palette.field, "zoo")
    assert palette.titles == ["Zoom in", "Zoom back", "Zany odd ones"]
    marked = []
    for _ in wanted:
        qtbot.keyClick(palette.field, key)
        marked.append(palette.list.currentIndex().data())
    assert marked == wanted
    palette.close()


def test_words_of_the_tip_find_an_action_after_those_that_are_called_so(window: QMainWindow) -> None:
    actions = actions_of(window)
    actions[0].setStatusTip("Choose where the images are, to zoom in on them later")
    assert [match.title for match in matches(actions, "images where")] == ["Open folder"]
    assert [match.title for match in matches(actions, "zoom")] == ["Zoom in", "Open folder"]


def test_words_of_the_tip_count_more_than_letters_of_the_title(window: QMainWindow) -> None:
    actions = actions_of(window)
    actions[1].setStatusTip("Masks, as files")
    assert [match.title for match in matches(actions, "as")] == ["Export"]
    actions[1].setStatusTip("Masks, zoi")
    assert [match.title for match in matches(actions, "zoi")] == ["Export", "Zoom in"]


def test_what_is_called_so_comes_first_even_if_it_cannot_run_now(window: QMainWindow) -> None:
    actions = actions_of(window)
    next(action for action in actions if action.objectName() == "view.zoom_in").setEnabled(False)
    assert matches(actions, "in")[0].title == "Zoom in"
    assert matches(actions, "")[-1].title == "Zoom in"


def test_the_palette_is_only_as_tall_as_what_it_found(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    whole = palette.height()
    row = palette.list.height() // len(palette.titles)
    qtbot.keyClicks(palette.field, "zoo")
    assert palette.height() <= whole - 2 * row
    palette.field.clear()
    assert palette.height() == whole
    palette.close()


def test_no_match_says_so(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.keyClicks(palette.field, "qqq")
    assert palette.titles == []
    assert palette._nothing.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()


DEFAULTS = {
    "file.open": "Ctrl+U",
    "file.export": "Ctrl+Shift+E",
    "view.zoom_in": "Ctrl++",
    "view.opacity": "",
}


@pytest.fixture
def shortcuts(shown: Callable[..., QWidget], window: QMainWindow) -> ShortcutsDialog:
    real = [action for action in actions_of(window) if action.objectName() in DEFAULTS]
    dialog = ShortcutsDialog(real, DEFAULTS, {"1": "Class 1"}, window)
    return shown(dialog)


def press(qtbot: QtBot, dialog: ShortcutsDialog, name: str, key: Qt.Key, control: bool = True) -> None:
    edit = dialog.editor(name)
    modifier = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
    with qtbot.waitSignal(edit.editingFinished):
        qtbot.keyClick(edit, key, modifier)


def test_new_keys_are_told_after_save(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_K)
    with qtbot.waitSignal(shortcuts.shortcuts_changed) as changed:
        qtbot.mouseClick(shortcuts.save_button, LEFT)
    assert changed.args == [DEFAULTS | {"view.opacity": "Ctrl+K"}]


def test_keys_of_another_action_are_refused_with_its_name(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_U)
    assert shortcuts.keys() == DEFAULTS
    assert shortcuts.editor("view.opacity").keySequence().isEmpty()
    assert "Ctrl+U belongs to “Open folder” already" in shortcuts.message


def test_keys_that_choose_a_class_are_not_given_away(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_1, control=False)
    assert shortcuts.keys() == DEFAULTS
    assert "1 chooses Class 1" in shortcuts.message


def test_keys_that_were_cleared_are_free(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    shortcuts.editor("file.open").clear()
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_U)
    assert shortcuts.keys()["file.open"] == ""
    assert shortcuts.keys()["view.opacity"] == "Ctrl+U"
    shortcuts.reset("file.open")
    assert shortcuts.keys() == DEFAULTS
    assert "“More opacity” has no keys now" in shortcuts.message


def test_reset_all_gives_every_default_back(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "file.open", Qt.Key.Key_F9, control=False)
    assert shortcuts.keys()["file.open"] == "F9"
    reset = next(b for b in shortcuts.findChildren(QPushButton) if b.text() == "Reset all")
    qtbot.mouseClick(reset, LEFT)
    assert shortcuts.keys() == DEFAULTS


def test_cancel_changes_nothing(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "file.open", Qt.Key.Key_F9, control=False)
    with qtbot.assertNotEmitted(shortcuts.shortcuts_changed):
        qtbot.keyClick(shortcuts.search, Qt.Key.Key_Escape)
    assert not shortcuts.isVisible()


def test_search_finds_titles_and_keys(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    qtbot.keyClicks(shortcuts.search, "zoom")
    hidden = [shortcuts.table.isRowHidden(row) for row in range(4)]
    assert hidden == [True, True, False, True]
    shortcuts.search.clear()
    qtbot.keyClicks(shortcuts.search, "shift")
    assert [shortcuts.table.isRowHidden(row) for row in range(4)] == [True, False, True, True]
    shortcuts.search.clear()
    qtbot.keyClicks(shortcuts.search, "view")
    assert [shortcuts.table.isRowHidden(row) for row in range(4)] == [True, True, False, False]
