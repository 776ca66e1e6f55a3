"""Recent projects: on the welcome page, in the File menu, and as the place where file dialogs start.

Looking for a folder takes seconds where it is on a network share that is off. So they are named at once and
looked for in a worker; those that are not there are greyed when that is known.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu

from app.panels.welcome import WelcomePage
from app.wiring.part import Common, Wiring
from core.files import is_folder


class RecentProjects(Wiring):
    """Names them, looks for them, and opens the one that is chosen, whether or not it was looked for yet.

    Args:
        common: whose settings remember them.
        welcome: the page that lists them.
    """

    def __init__(self, common: Common, welcome: WelcomePage) -> None:
        super().__init__(common, welcome)
        self._welcome = welcome
        self._listed: dict[str, QAction] = {}
        self._there: dict[str, bool] = {}
        self._looked_for: set[str] = set()
        welcome.recent_requested.connect(self._session.open_project)
        welcome.shown.connect(self._on_welcome_shown)

    def fill(self, menu: QMenu) -> None:
        """Keep this menu filled."""
        menu.aboutToShow.connect(partial(self._on_menu_opening, menu))

    def latest(self) -> Path | None:
        """The latest that was there when it was looked for last; None where none is known to be."""
        return next((Path(path) for path in self._settings.recent if self._there.get(path)), None)

    def _on_welcome_shown(self) -> None:
        missing = {path for path, there in self._there.items() if not there}
        self._welcome.set_recent(self._settings.recent, missing)
        self._look()

    def _on_menu_opening(self, menu: QMenu) -> None:
        menu.clear()
        self._listed = {}
        for path in self._settings.recent:
            action = self._listed[path] = menu.addAction(path)
            action.setEnabled(self._there.get(path, True))
            action.triggered.connect(partial(self._open, path))
        if menu.isEmpty():
            menu.addAction("Nothing was opened yet").setEnabled(False)
        self._look()

    def _open(self, path: str, _checked: bool = False) -> None:
        self._session.open_project(path)

    def _look(self) -> None:
        """Look for all of them, after those that are looked for already."""
        for path in self._settings.recent:
            if path not in self._looked_for:
                self._looked_for.add(path)
                task = self._runner.run(is_folder, Path(path), doing=f"looking for {path}")
                task.done.connect(partial(self._on_looked, path))

    def _on_looked(self, path: str, there: bool) -> None:
        self._looked_for.discard(path)
        self._there[path] = there
        self._welcome.set_missing(path, missing=not there)
        if path in self._listed:
            self._listed[path].setEnabled(there)
