"""The model page: what is chosen in the training panel goes to the engine, its answers to the page."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QWidget

from app.canvas.view import CanvasView
from app.panels.training_panel import TrainingPanel
from app.wiring.part import Common, Wiring
from core.learning.answers import ModelExplained, ModelMaps
from core.learning.commands import ExplainModel, ShowMaps
from core.learning.config import AUTO_MODEL, INSTANT_MODEL, TrainConfig
from core.learning.events import Event, Failed
from core.learning.settings.preset import without_images
from core.models.registry import encoder_spec, model_spec

if TYPE_CHECKING:
    from app.dialogs.model_page import ModelPage


BLEND, DEEP, INSTANT = "blend", "deep", "instant"
"""Both learners together, and each of them."""


class ExplainWiring(Wiring):
    """Follows the chosen network and the image on show while the page is open.

    Args:
        common: of its actions `train.explain`, which opens the page.
        panel: its choices, and its wish for an explanation.
        canvas: shows the receptive field.
        window: parent of the page.
    """

    def __init__(self, common: Common, *, panel: TrainingPanel, canvas: CanvasView, window: QWidget) -> None:
        super().__init__(common, window)
        self._panel = panel
        self._canvas = canvas
        self._window = window
        self._page: ModelPage | None = None
        self._asked: ExplainModel | None = None
        self._maps: int | None = None  # those that are asked for, of what is asked about
        self._part = BLEND
        self._actions["train.explain"].triggered.connect(self.open_page)
        panel.setup.explain_requested.connect(self.open_page)
        panel.setup.config_changed.connect(self._on_changed)
        self._session.current_changed.connect(self._on_current_changed)
        self._session.project_changed.connect(self._on_current_changed)
        self._controller.event_received.connect(self._on_event)
        self._controller.engine_state_changed.connect(self._on_engine_state)

    def open_page(self) -> ModelPage:
        """Show the page of the network that is chosen."""
        from app.dialogs.model_page import ModelPage

        if self._page is None:
            self._page = ModelPage(self._window)
            self._page.explanation_needed.connect(self._on_explanation_needed)
            self._page.maps_needed.connect(self._on_maps_needed)
            self._page.field_shown.connect(self._show_field)
            self._page.part_chosen.connect(self._on_part_chosen)
            self._page.finished.connect(self._show_field)
        self._page.show()
        self._page.raise_()
        self._show_model(self._panel.config())
        return self._page

    def _on_changed(self) -> None:
        if self._page is None or not self._page.isVisible():
            return
        config, asked = self._panel.config(), self._asked
        wanted = self._question(config)
        if asked is None or replace(asked, tile=0) != wanted:
            self._show_model(config)

    def _on_part_chosen(self, part: str) -> None:
        self._part = part
        self._show_model(self._panel.config())

    def _question(self, config: TrainConfig) -> ExplainModel:
        """About the network that is chosen; of both learners, about the part that is."""
        scale = TrainConfig(
            preset=config.preset, device=config.device, crop=config.crop, image_scale=config.image_scale
        )
        asked = ExplainModel(name=config.network, tile=0, config=scale)
        if config.model == AUTO_MODEL and self._part == INSTANT:
            return replace(asked, name=INSTANT_MODEL)
        if config.model == AUTO_MODEL and self._part == BLEND:
            options = dict(config.model_options)
            deep = {"name": config.network, "encoder": config.encoder, "options": options}
            return replace(asked, name=BLEND, options=(("deep", json.dumps(deep)),))
        return replace(asked, encoder=config.encoder, options=config.model_options)

    def _show_model(self, config: TrainConfig) -> None:
        assert self._page is not None
        self._asked = asked = self._question(config)
        spec = model_spec(asked.name)
        usual, _ = without_images(config, self._panel.setup.device_kind)
        deep = model_spec(config.network).title
        parts = ((BLEND, "Both together"), (DEEP, deep), (INSTANT, "Instant learner"))
        self._page.set_parts(parts if config.model == AUTO_MODEL else (), self._part)
        encoder = None if asked.name == BLEND else encoder_spec(spec.checked_encoder(asked.encoder))
        self._page.set_model(spec, encoder, usual.crop or 0)

    def _on_explanation_needed(self, tile: int) -> None:
        asked = self._asked
        if asked is None:
            return
        self._asked, self._maps = replace(asked, tile=tile), None
        self._show_field()  # that of the network before is none of this one's
        self._trainer.start_engine()
        self._trainer.send(self._asked)

    def _on_maps_needed(self, maps: int) -> None:
        current, asked, page = self._session.current, self._asked, self._page
        if asked is None or page is None:
            return
        if current is None:
            page.set_maps(ModelMaps(name=asked.name, key="", maps=maps, problem="open an image first"))
            return
        page.set_waiting()
        self._maps = maps
        path = str(current.entry.image_path)
        self._trainer.start_engine()
        self._trainer.send(ShowMaps(model=asked, key=current.entry.key, image_path=path, maps=maps))

    def _on_event(self, event: Event) -> None:
        page, asked = self._page, self._asked
        if page is None or asked is None:
            return
        if isinstance(event, ModelExplained):
            if (event.name, event.encoder, event.tile) == (asked.name, asked.encoder, asked.tile):
                page.set_explained(event)
                self._show_field()
        elif isinstance(event, ModelMaps):
            current = self._session.current
            shown = None if current is None else current.entry.key
            if (event.name, event.key, event.maps) == (asked.name, shown, self._maps):
                page.set_maps(event)
        elif isinstance(event, Failed) and event.during in ("ExplainModel", "ShowMaps"):
            page.give_up(event.text)

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        if state in ("crashed", "stopped") and self._page is not None:
            self._page.give_up("the engine has ended")

    def _on_current_changed(self) -> None:
        if self._page is not None:
            self._page.clear_maps()

    def _show_field(self) -> None:
        """Draw what the pixel under the mouse depends on, while the page is open and wants it."""
        page = self._page
        wanted = page is not None and page.isVisible() and page.field_box.isChecked()
        if page is None or page.explanation is None or not wanted:
            self._canvas.aids.field = None
            return
        field, scale = page.explanation.field, page.scale
        self._canvas.aids.field = QRectF(
            -field.left / scale, -field.above / scale, field.width / scale, field.height / scale
        )
