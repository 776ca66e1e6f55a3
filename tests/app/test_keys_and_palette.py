"""Keys and the palette in the window: everything is found, nothing is taken twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QMenu

from app.dialogs.command_palette import CommandPalette
from app.dialogs.shortcuts import ShortcutsDialog

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
