"""Controls of the prediction overlay, at the canvas' lower edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSlider, QWidget

from app.learning.overlay_words import ONLY_SHOWN
from app.panels.facts import FactsLabel
from app.panels.heat_legend import HeatLegend
from app.panels.parts import IconButton, IconPushButton
from app.panels.tips import with_key
from app.theme import SPACE

TRAIN: Final = "Train to see a prediction"
PICK: Final = "Click predicted regions to make them editable shapes"
ACCEPT_ALL: Final = "Turn every predicted region into editable shapes"
_BETWEEN: Final = "  ·  "
_SLIDER: Final = 80
_LEAST_SLIDER: Final = 28
"""Logical pixels, in the narrowest window with everything on show."""


@dataclass(frozen=True, slots=True)
class BarKeys:
    """Which keys do what the bar does, as this system writes them; "" for none. `accept`: one region."""

    labels: str = ""
    prediction: str = ""
    uncertainty: str = ""
    doubtful: str = ""
    accept: str = ""
    pick: str = ""
    accept_all: str = ""


class PredictionBar(QFrame):
    """Show labels, prediction, uncertainty, and how strongly; accept what is predicted.

    Signals:
        labels_toggled(bool), prediction_toggled(bool), uncertainty_toggled(bool), opacity_changed(float):
        0..1, heat_changed(float): opacity of the uncertainty, 0..1, accept_all_requested, pick_requested:
        accept regions by clicking them, doubtful_requested: go to the next doubtful region, room_changed: a
        control came or went.
    """

    labels_toggled = Signal(bool)
    prediction_toggled = Signal(bool)
    uncertainty_toggled = Signal(bool)
    opacity_changed = Signal(float)
    heat_changed = Signal(float)
    accept_all_requested = Signal()
    pick_requested = Signal()
    doubtful_requested = Signal()
    room_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "floating")
        self.labels = IconButton("labels", "Show labels", checkable=True)
        self.prediction = IconButton("prediction", "Show prediction", checkable=True)
        self.uncertainty = IconButton("uncertainty", "Show uncertainty", checkable=True)
        for button, text in (
            (self.labels, "Labels"),
            (self.prediction, "Prediction"),
            (self.uncertainty, "Uncertainty"),
        ):
            button.setText(text)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setChecked(button is not self.uncertainty)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setPageStep(10)
        self.opacity.setMinimumWidth(_LEAST_SLIDER)
        self.opacity.setMaximumWidth(_SLIDER)
        self.opacity.setAccessibleName("Opacity of the prediction")
        self.heat = HeatLegend()
        self.heat.setMinimumWidth(_LEAST_SLIDER)
        self.heat.setMaximumWidth(_SLIDER)
        self._facts = FactsLabel()
        self.doubtful = IconButton("doubtful", "Next doubtful region")
        self.pick = IconPushButton("region", "Pick regions", "ghost")
        self.accept_all = IconPushButton("accept-all", "Accept all", "ghost")
        for accepting in (self.pick, self.accept_all):
            accepting.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # the canvas keeps the keyboard
        self.heat.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._rule = QFrame()
        self._rule.setProperty("kind", "upright")

        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE // 2, SPACE // 2, SPACE // 2, SPACE // 2)
        layout.setSpacing(SPACE // 2)
        layout.addWidget(self.labels)
        layout.addWidget(self.prediction)
        layout.addWidget(self.opacity)
        layout.addWidget(self.uncertainty)
        layout.addWidget(self.heat)
        layout.addWidget(self._rule)
        layout.addSpacing(SPACE // 2)  # words have no margin of their own
        layout.addWidget(self._facts, 1)
        layout.addWidget(self.doubtful)
        layout.addWidget(self.pick)
        layout.addWidget(self.accept_all)

        self.labels.toggled.connect(self.labels_toggled)
        self.prediction.toggled.connect(self._on_prediction_toggled)
        self.uncertainty.toggled.connect(self._on_uncertainty_toggled)
        self.opacity.valueChanged.connect(self._on_opacity_changed)
        self.heat.valueChanged.connect(self._on_heat_changed)
        self.pick.clicked.connect(self.pick_requested)
        self.accept_all.clicked.connect(self.accept_all_requested)
        self.doubtful.clicked.connect(self.doubtful_requested)
        self._keys = BarKeys()
        self._available = self._acceptable = False
        self._absence = ""
        self._source = ""
        self._age = ""
        self._sureness = ""
        self._caveat = ("", "")
        self._detail = ""
        self.set_opacity(0.45)
        self.set_heat(0.7)
        self.set_uncertainty_visible(False)
        self.set_prediction_available(False)

    @property
    def hint(self) -> str:
        """All that the line says where there is room for it."""
        return self._facts.longest

    @property
    def shown_text(self) -> str:
        """What of it there is room for."""
        return self._facts.text()

    @property
    def detail(self) -> str:
        """What the line's tooltip tells in more words."""
        return self._facts.toolTip()

    @property
    def absence(self) -> str:
        """Why there is no prediction, or what helps; "" where there is one."""
        return "" if self._available else self._absence or TRAIN

    def set_keys(self, keys: BarKeys) -> None:
        """Say these keys."""
        self._keys = keys
        for button, key in (
            (self.labels, keys.labels),
            (self.prediction, keys.prediction),
            (self.uncertainty, keys.uncertainty),
            (self.doubtful, keys.doubtful),
        ):
            button.setToolTip(with_key(button.accessibleName(), key))
        self._enable()
        self._tell()

    def set_labels_visible(self, visible: bool) -> None:
        """Mirror the canvas."""
        with QSignalBlocker(self.labels):
            self.labels.setChecked(visible)

    def set_prediction_visible(self, visible: bool) -> None:
        """Mirror the canvas."""
        with QSignalBlocker(self.prediction):
            self.prediction.setChecked(visible)
        self._enable()

    def set_uncertainty_visible(self, visible: bool) -> None:
        """Mirror the canvas; the legend is there as long as there is something to explain."""
        with QSignalBlocker(self.uncertainty):
            self.uncertainty.setChecked(visible)
        self._show_heat(visible)

    def set_opacity(self, opacity: float) -> None:
        """Mirror the canvas; 0..1."""
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(100 * opacity))
        self._tell_opacity()

    def set_heat(self, opacity: float) -> None:
        """Mirror the canvas; 0..1."""
        with QSignalBlocker(self.heat):
            self.heat.setValue(round(100 * opacity))

    def set_prediction_available(
        self, available: bool, absence: str = "", *, acceptable: bool = True
    ) -> None:
        """Whether this image has a prediction that could be shown and accepted.

        Args:
            available: it has.
            absence: said where it has none, instead of the advice to train.
            acceptable: its regions can become shapes; of a huge image they are only shown.
        """
        self._available, self._acceptable = available, acceptable
        self._absence = absence
        self._enable()
        self.set_source("")

    def set_source(self, text: str) -> None:
        """Where the prediction comes from, and how good its source is."""
        self._source = text
        self._tell()

    def set_age(self, text: str) -> None:
        """How far the prediction is behind: "4 s old", "2 edits behind"; "" where it is up to date."""
        if text != self._age:
            self._age = text
            self._tell()

    def set_sureness(self, text: str, detail: str = "") -> None:
        """How sure it is: "87 % sure"; `detail` explains it in the tooltip."""
        if (text, detail) != (self._sureness, self._detail):
            self._sureness, self._detail = text, detail
            self._tell()

    def set_caveat(self, text: str, detail: str = "") -> None:
        """What else to know before it is believed: "background guessed"; `detail` for the tooltip."""
        if (text, detail) != self._caveat:
            self._caveat = text, detail
            self._tell()

    def _tell(self) -> None:
        """The facts first, for room is short: what to press is left out first, then how old it is."""
        if not self._available:
            # What to do stands before the colon: that is kept where room is short.
            short = self.absence.partition(":")[0]
            self._facts.set_texts(list(dict.fromkeys([self.absence, short])))
            return
        source, age, sure, (caveat, why) = self._source, self._age, self._sureness, self._caveat
        name = source.partition(",")[0]
        accept = self._keys.accept
        hint = f"Press {accept} over a region to accept it" if accept and self._acceptable else ""
        lines = [[source, age, sure, caveat, hint], [source, age, sure, caveat], [source, sure, caveat]]
        lines += [[name, sure, caveat], [name, sure], [sure or name]]
        texts = [_BETWEEN.join(part for part in line if part) for line in lines]
        detail = "\n\n".join(part for part in (self._detail, why) if part)
        self._facts.set_texts(list(dict.fromkeys(texts)), detail)

    def _enable(self) -> None:
        shown = self._available and self.prediction.isChecked()
        self.opacity.setEnabled(shown)
        only_shown = self._available and not self._acceptable
        keys = self._keys
        for accepting, does, key in (
            (self.pick, PICK, keys.pick),
            (self.accept_all, ACCEPT_ALL, keys.accept_all),
        ):
            accepting.setEnabled(shown and self._acceptable)
            accepting.setToolTip(ONLY_SHOWN if only_shown else with_key(does, key))
        self.doubtful.setEnabled(self._available)

    def _on_prediction_toggled(self, visible: bool) -> None:
        self._enable()
        self.prediction_toggled.emit(visible)

    def _on_uncertainty_toggled(self, visible: bool) -> None:
        self._show_heat(visible)
        self.uncertainty_toggled.emit(visible)

    def _show_heat(self, visible: bool) -> None:
        if visible == self.heat.isHidden():
            self.heat.setVisible(visible)
            self.room_changed.emit()

    def _on_opacity_changed(self, percent: int) -> None:
        self._tell_opacity()
        self.opacity_changed.emit(percent / 100)

    def _tell_opacity(self) -> None:
        self.opacity.setToolTip(f"Opacity of the prediction: {self.opacity.value()} %")

    def _on_heat_changed(self, percent: int) -> None:
        self.heat_changed.emit(percent / 100)
