"""What the program remembers between starts: window layout, recent projects, keys, view choices.

One INI or registry entry per thing, behind typed properties; a damaged value gives its default. A `Settings`
made from a path keeps everything in that file (tests, portable use).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, get_args

from PySide6.QtCore import QByteArray, QSettings

from app.theme import ThemeMode
from core.learning.config import DeviceChoice
from core.learning.prediction.uncertainty import UncertaintySource

MAX_RECENT: Final = 8
LAYOUT_VERSION: Final = 1
"""Raised when docks change, so that an old layout is not forced on new docks."""


class Settings:
    """Typed access to QSettings."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._store = QSettings("Maskloop", "Maskloop")
        else:
            self._store = QSettings(str(path), QSettings.Format.IniFormat)

    def sync(self) -> None:
        """Write now."""
        self._store.sync()

    # --- window -------------------------------------------------------------------------------------------

    @property
    def geometry(self) -> QByteArray | None:
        """Size and place of the window."""
        return self._bytes("window/geometry")

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("window/geometry", value)

    @property
    def layout(self) -> QByteArray | None:
        """Docks and tool bars."""
        return self._bytes(f"window/layout{LAYOUT_VERSION}")

    @layout.setter
    def layout(self, value: QByteArray) -> None:
        self._store.setValue(f"window/layout{LAYOUT_VERSION}", value)

    @property
    def theme(self) -> ThemeMode:
        """Dark, light, or what the desktop has."""
        value = self._store.value("view/theme", "system")
        return next((mode for mode in get_args(ThemeMode) if mode == value), "system")

    @theme.setter
    def theme(self, value: ThemeMode) -> None:
        self._store.setValue("view/theme", value)

    @property
    def prediction_opacity(self) -> float:
        """0..1."""
        return self._share("view/prediction_opacity", 0.5)

    @prediction_opacity.setter
    def prediction_opacity(self, value: float) -> None:
        self._store.setValue("view/prediction_opacity", value)

    @property
    def uncertainty_opacity(self) -> float:
        """0..1."""
        return self._share("view/uncertainty_opacity", 0.7)

    @uncertainty_opacity.setter
    def uncertainty_opacity(self, value: float) -> None:
        self._store.setValue("view/uncertainty_opacity", value)

    @property
    def uncertainty_source(self) -> UncertaintySource:
        """What uncertainty is taken from."""
        value = self._store.value("view/uncertainty_source", "tta")
        return next((source for source in get_args(UncertaintySource) if source == value), "tta")

    @uncertainty_source.setter
    def uncertainty_source(self, value: UncertaintySource) -> None:
        self._store.setValue("view/uncertainty_source", value)

    @property
    def view_aids(self) -> dict[str, str]:
        """Which aids of the canvas are on, by name ("on" or "off"), and the grid's spacing."""
        return self._json_dict("view/aids")

    @view_aids.setter
    def view_aids(self, value: dict[str, str]) -> None:
        self._store.setValue("view/aids", json.dumps(value))

    @property
    def snapping(self) -> bool:
        """Whether points snap to neighbours."""
        return str(self._store.value("edit/snapping", "on")) != "off"

    @snapping.setter
    def snapping(self, value: bool) -> None:
        self._store.setValue("edit/snapping", "on" if value else "off")

    @property
    def learn_live(self) -> bool:
        """Whether the instant learner follows what is drawn."""
        return str(self._store.value("train/live", "on")) != "off"

    @learn_live.setter
    def learn_live(self, value: bool) -> None:
        self._store.setValue("train/live", "on" if value else "off")

    @property
    def training_device(self) -> DeviceChoice:
        """What this machine trains on."""
        value = self._store.value("train/device", "auto")
        return next((choice for choice in get_args(DeviceChoice) if choice == value), "auto")

    @training_device.setter
    def training_device(self, value: DeviceChoice) -> None:
        self._store.setValue("train/device", value)

    @property
    def image_order(self) -> str:
        """How the list of images is sorted: a name of `ImageOrder`."""
        return str(self._store.value("view/image_order", ""))

    @image_order.setter
    def image_order(self, value: str) -> None:
        self._store.setValue("view/image_order", value)

    # --- keys ---------------------------------------------------------------------------------------------

    @property
    def shortcuts(self) -> dict[str, str]:
        """Keys the person changed: action name to portable text, "" for none."""
        return self._json_dict("keys/shortcuts")

    @shortcuts.setter
    def shortcuts(self, value: dict[str, str]) -> None:
        self._store.setValue("keys/shortcuts", json.dumps(value))

    # --- projects -----------------------------------------------------------------------------------------

    @property
    def recent(self) -> list[str]:
        """Project folders, the latest first; some may not be there now: on a drive that is not plugged in."""
        try:
            paths = json.loads(str(self._store.value("projects/recent", "[]")))
        except ValueError:
            return []
        return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []

    def add_recent(self, root: Path) -> None:
        """This project was opened."""
        path = str(root)
        recent = [path, *(other for other in self.recent if other != path)]
        self._store.setValue("projects/recent", json.dumps(recent[:MAX_RECENT]))

    def last_image(self, root: Path) -> str | None:
        """The image of this project that was shown last."""
        return self._json_dict("projects/last_images").get(str(root))

    def set_last_image(self, root: Path, key: str) -> None:
        """Show this image of the project first next time."""
        images = self._json_dict("projects/last_images")
        images.pop(str(root), None)
        images[str(root)] = key
        kept = dict(list(images.items())[-50:])
        self._store.setValue("projects/last_images", json.dumps(kept))

    def post_processing(self, root: Path) -> str:
        """What is done to predictions of this project, as text."""
        return self._json_dict("projects/post_processing").get(str(root), "")

    def set_post_processing(self, root: Path, steps: str) -> None:
        """Do this to predictions of the project from now on; "" for nothing."""
        known = self._json_dict("projects/post_processing")
        known.pop(str(root), None)
        if steps:
            known[str(root)] = steps
        self._store.setValue("projects/post_processing", json.dumps(dict(list(known.items())[-50:])))

    # --- inside -------------------------------------------------------------------------------------------

    def _bytes(self, name: str) -> QByteArray | None:
        value = self._store.value(name)
        return value if isinstance(value, QByteArray) else None

    def _share(self, name: str, default: float) -> float:
        try:
            return min(1.0, max(0.0, float(str(self._store.value(name, default)))))
        except ValueError:
            return default

    def _json_dict(self, name: str) -> dict[str, str]:
        try:
            value = json.loads(str(self._store.value(name, "{}")))
        except ValueError:
            return {}
        if not isinstance(value, dict):
            return {}
        return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}
