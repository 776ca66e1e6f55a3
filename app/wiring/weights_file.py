"""Predictions of another network than this project's: a file of weights is chosen, with a way back."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.dialogs.open import choose_weights
from app.wiring.part import Common, Wiring
from app.wiring.questions import ends_with_project


class WeightsFileWiring(Wiring):
    """Asks for the file; what cannot be used the engine answers in a sentence.

    Args:
        common: of its actions `train.use_weights` and `train.use_runs`. A run shows its own weights, so that
            neither can be wanted while one goes on.
        window: parent of the file dialog.
    """

    def __init__(self, common: Common, window: QWidget) -> None:
        super().__init__(common, window)
        self._window = window
        self._actions["train.use_weights"].triggered.connect(self.choose)
        self._actions["train.use_runs"].triggered.connect(self._on_runs_wanted)
        self._session.project_changed.connect(self._refresh)
        self._controller.training_state_changed.connect(self._refresh)
        self._refresh()

    def choose(self) -> None:
        """Ask which weights shall predict."""
        project = self._session.project
        if project is not None:
            start = next(folder for folder in (project.layout.exports, project.root) if folder.is_dir())
            title = "Predict with a weights file"
            dialog = choose_weights(self._window, title, start, self._controller.use_weights)
            ends_with_project(self._session, dialog)

    def _on_runs_wanted(self) -> None:
        self._controller.use_weights(None)

    def _refresh(self, _changed: object = None) -> None:
        able = self._session.project is not None and self._controller.training_state == "idle"
        for name in ("train.use_weights", "train.use_runs"):
            self._actions[name].setEnabled(able)
