"""How useful labelling each image would be: asked of the engine, shown in the list, followed by a key.

The order that a person has chosen for the list is remembered here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.panels.image_list import ImageListPanel
from app.panels.image_model import ImageOrder
from app.wiring.part import Common, Wiring
from core.learning.commands import RateImages
from core.learning.events import EngineReady, Event, ImagesRated

if TYPE_CHECKING:
    from core.project.project import ScanChange


class UsefulnessWiring(Wiring):
    """Tells the engine which images there are, and the list what they are rated.

    Args:
        common: of its actions `window.next_useful`, which goes to the most useful image.
        panel: the list of images.
    """

    def __init__(self, common: Common, panel: ImageListPanel) -> None:
        super().__init__(common, panel)
        session, controller = self._session, self._controller
        self._panel = panel
        self._action = self._actions["window.next_useful"]
        self._ready = False
        self._rated = False
        self._visited: set[str] = set()
        controller.event_received.connect(self._on_event)
        controller.engine_state_changed.connect(self._on_engine_state)
        session.project_changed.connect(self._on_project_changed)
        session.images_changed.connect(self._on_images_changed)
        self._action.triggered.connect(self.go_to_next)
        order = next((each for each in ImageOrder if each.name == self._settings.image_order), None)
        if order is not None:
            panel.set_order(order)
        panel.order_chosen.connect(self._on_order_chosen)
        self._on_project_changed()

    def go_to_next(self) -> None:
        """Open the most useful image that was not gone to in this way before."""
        current = self._session.current
        here = set() if current is None else {current.entry.key}
        key = self._panel.model.most_useful(self._visited | here)
        if key is None:
            self._visited.clear()  # all were seen: once more from the top
            key = self._panel.model.most_useful(here)
        if key is None:
            self._session.message.emit(self._why_none(), "info")
            return
        self._visited.add(key)
        self._session.open_image(key)

    def _on_order_chosen(self, order: ImageOrder) -> None:
        self._settings.image_order = order.name

    def _why_none(self) -> str:
        if self._rated:
            return "No other image is left to label."
        return "No image is rated yet: draw on one or two, and the network says where it needs more."

    def _on_event(self, event: Event) -> None:
        match event:
            case EngineReady():
                self._ready = True
                self._ask()
            case ImagesRated():
                scores = {key: score for key, score in event.scores.items() if self._session.entry(key)}
                self._rated |= bool(scores)
                self._panel.set_usefulness(scores)
            case _:
                pass

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        if state != "ready":
            self._ready = False  # the next engine is asked again

    def _on_project_changed(self) -> None:
        self._rated = False
        self._visited.clear()
        self._panel.set_usefulness({})
        self._action.setEnabled(self._session.project is not None)

    def _on_images_changed(self, _change: ScanChange | None) -> None:
        self._ask()

    def _ask(self) -> None:
        """An engine that is not there yet is asked when it is."""
        if self._ready:
            images = {entry.key: str(entry.image_path) for entry in self._session.entries}
            self._trainer.send(RateImages(images=images))
