"""Theme, command palette, shortcuts, log, about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

from PySide6.QtCore import QObject, QStandardPaths, Qt, QUrl
from PySide6.QtGui import QAction, QDesktopServices, QKeySequence
from PySide6.QtWidgets import QApplication, QWidget

from app.actions import Actions
from app.settings import Settings
from app.theme import ThemeMode, apply_theme

THEMES: Final[dict[str, ThemeMode]] = {
    "view.theme_dark": "dark",
    "view.theme_light": "light",
    "view.theme_system": "system",
}


class HelpActions(QObject):
    """What concerns the program itself. Dialogs are imported when they are first needed.

    Args:
        actions: those of the table, whose keys can be changed.
        settings: remembers theme and keys.
        window: parent of dialogs.
        others: what the palette finds besides: digits that choose classes, panels. Their keys are taken.
    """

    def __init__(
        self, actions: Actions, settings: Settings, window: QWidget, others: Sequence[QAction]
    ) -> None:
        super().__init__(window)
        self._actions = actions
        self._settings = settings
        self._window = window
        self._others = others
        for name, mode in THEMES.items():
            actions[name].setChecked(mode == settings.theme)
            actions[name].triggered.connect(partial(self._set_theme, mode))

    def open_palette(self) -> None:
        """Find any action by its name."""
        from app.dialogs.command_palette import CommandPalette

        palette = CommandPalette(self._window)
        palette.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        usable = [*self._actions, *self._others]
        palette.open_with([a for a in usable if a.isVisible() and a.objectName() != "help.palette"])

    def open_shortcuts(self) -> None:
        """See and change the keys."""
        from app.dialogs.shortcuts import ShortcutsDialog

        # A digit has no text while there is no class for it; it will mean one as soon as there is.
        reserved = {_portable(a.shortcut().toString()): a.text() or "a class" for a in self._others}
        reserved.pop("", None)
        defaults = self._actions.defaults()
        dialog = ShortcutsDialog(list(self._actions), defaults, reserved, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.shortcuts_changed.connect(self._on_shortcuts_changed)
        dialog.open()

    def open_log(self) -> None:
        """Show the folder of the log file."""
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppLocalDataLocation)
        QDesktopServices.openUrl(QUrl.fromLocalFile(folder))

    def open_about(self) -> None:
        """Say what this program is."""
        from app.dialogs.message import MessageDialog

        text = (
            f"Version {version('maskloop')}. Draw, train, correct, export: image segmentation that learns "
            "while you label. Apache-2.0; the libraries it stands on have their own licences."
        )
        dialog = MessageDialog("info", "Maskloop", text, parent=self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _set_theme(self, mode: ThemeMode, _checked: bool = False) -> None:
        self._settings.theme = mode
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        apply_theme(app, mode)

    def _on_shortcuts_changed(self, keys: dict[str, str]) -> None:
        """Keep only what differs from the keys as shipped, so that later versions can change those."""
        defaults = {name: _portable(key) for name, key in self._actions.defaults().items()}
        self._settings.shortcuts = {
            name: key for name, key in keys.items() if name in defaults and key != defaults[name]
        }
        self._actions.apply_shortcuts(self._settings.shortcuts)


def _portable(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)
