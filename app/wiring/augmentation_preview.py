"""The augmentation preview: the image on show and the settings go to the engine, its crops to the dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from app.panels.training_panel import TrainingPanel
from app.wiring.part import Common, Wiring
from core.learning.answers import CropsPreviewed
from core.learning.commands import PreviewCrops
from core.learning.events import Event, Failed

if TYPE_CHECKING:
    from app.dialogs.augmentation_preview import AugmentationPreviewDialog


class PreviewWiring(Wiring):
    """Follows image and settings while the dialog is open.

    Args:
        common: of its actions `train.preview_crops`, which opens the dialog.
        panel: its settings, and its wish for a preview.
        window: parent of the dialog.
    """

    def __init__(self, common: Common, *, panel: TrainingPanel, window: QWidget) -> None:
        super().__init__(common, window)
        session = self._session
        self._panel = panel
        self._action = self._actions["train.preview_crops"]
        self._window = window
        self._dialog: AugmentationPreviewDialog | None = None
        self._seed = 0
        self._awaited: str | None = None  # key of the image whose crops were asked for
        self._action.triggered.connect(self.open_dialog)
        panel.setup.preview_requested.connect(self.open_dialog)
        panel.setup.config_changed.connect(self._on_changed)
        session.current_changed.connect(self._on_changed)
        session.project_changed.connect(self._on_project_changed)
        session.classes_changed.connect(self._on_classes_changed)
        self._controller.event_received.connect(self._on_event)
        self._controller.engine_state_changed.connect(self._on_engine_state)
        self._on_project_changed()

    def open_dialog(self) -> AugmentationPreviewDialog | None:
        """Show crops of the image on show; None without a project."""
        from app.dialogs.augmentation_preview import AugmentationPreviewDialog

        if self._session.project is None:
            return None
        if self._dialog is None:
            self._dialog = AugmentationPreviewDialog(self._window)
            self._dialog.wanted.connect(self._on_again)
            self._on_classes_changed()
        self._dialog.show()
        self._dialog.raise_()
        self._ask()
        return self._dialog

    def _on_again(self) -> None:
        self._seed += 1
        self._ask()

    def _on_changed(self) -> None:
        """The same random numbers, so that only the change is seen."""
        if self._dialog is not None and self._dialog.isVisible():
            self._ask()

    def _ask(self) -> None:
        current = self._session.current
        if self._dialog is None:
            return
        if current is None:
            self._awaited = None
            self._dialog.clear("Open an image first: the crops are cut out of it.")
            return
        self._dialog.set_waiting()
        self._awaited = current.entry.key
        self._trainer.start_engine()
        self._trainer.send(PreviewCrops(key=current.entry.key, config=self._panel.config(), seed=self._seed))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, CropsPreviewed):
            current = self._session.current
            if current is not None and current.entry.key == event.key:
                self._show(event)
        elif isinstance(event, Failed) and event.during == "PreviewCrops":
            self._give_up(event.text)

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        if state in ("crashed", "stopped"):
            self._give_up("The engine has ended; Again makes the crops.")

    def _give_up(self, problem: str) -> None:
        """Nobody will answer any more what was asked."""
        if self._awaited is not None:
            self._show(CropsPreviewed(key=self._awaited, problem=problem))

    def _show(self, crops: CropsPreviewed) -> None:
        self._awaited = None
        if self._dialog is not None:
            self._dialog.set_crops(crops, varied=self._panel.config().augment)

    def _on_classes_changed(self) -> None:
        if self._dialog is not None:
            self._dialog.set_classes(self._session.classes)

    def _on_project_changed(self) -> None:
        self._action.setEnabled(self._session.project is not None)
        self._awaited = None
        if self._dialog is not None:
            self._dialog.clear()
            if self._session.project is None:
                self._dialog.close()
