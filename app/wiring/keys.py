"""Keys that the page in the middle names are those the actions have, whatever a person has made of them."""

from __future__ import annotations

from PySide6.QtCore import QObject

from app.actions import Actions
from app.canvas_page import CanvasPage
from app.panels.prediction_bar import BarKeys


class KeysWiring(QObject):
    """Tells the prediction bar and the welcome page."""

    def __init__(self, actions: Actions, page: CanvasPage) -> None:
        super().__init__(page)
        self._actions = actions
        self._page = page
        actions.keys_changed.connect(self._tell)
        self._tell()

    def _tell(self) -> None:
        key_of = self._actions.key_of
        self._page.prediction_bar.set_keys(
            BarKeys(
                labels=key_of("view.labels"),
                prediction=key_of("view.prediction"),
                uncertainty=key_of("view.uncertainty"),
                doubtful=key_of("train.next_doubtful"),
                accept=key_of("train.accept_region"),
                pick=key_of("shape.region"),
                accept_all=key_of("train.accept_all"),
            )
        )
        self._page.welcome.set_open_key(key_of("file.open_folder"))
