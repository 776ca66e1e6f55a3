"""What a run is told, chosen by hand: network, encoder, weights, preset, time, device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QStandardItemModel
from PySide6.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.learning.kept_training import USUAL
from app.panels.combos import ElidedComboBox, EncoderCombo, dressed
from app.panels.network_words import about_network, provenance, short_title
from app.panels.option_fields import own_options, problem_of, title_of
from app.panels.parts import ElidedLabel, IconButton
from app.panels.training_fields import FIELDS, back_to_preset, changed
from app.panels.training_footer import COUNTED
from app.theme import SPACE
from core.learning.config import AUTO_MODEL, DEFAULT_MODEL, Preset, TrainConfig
from core.learning.settings.preset import PROMISES, promise, without_images
from core.models.specs import EncoderSpec, ModelSpec, Option

if TYPE_CHECKING:
    from app.dialogs.training_settings import TrainingSettingsDialog

PRESETS: Final[tuple[tuple[Preset, str], ...]] = (
    ("fast", "Fast"),
    ("balanced", "Balanced"),
    ("best", "Best"),
)
AUTO_TITLE: Final = "Both learners"
AUTO_EXPLANATION: Final = "The instant learner and a U-Net; what scores best is kept, alone or as their blend"
TIME_BUDGETS: Final = (
    (None, "Until stopped"),
    (60.0, "1 minute"),
    (300.0, "5 minutes"),
    (900.0, "15 minutes"),
    (3600.0, "60 minutes"),
)
DEVICES: Final = (("auto", "Auto device"), ("cpu", "CPU"), ("cuda", "CUDA GPU"))
_TOOLTIP: Final = Qt.ItemDataRole.ToolTipRole
_SUFFIXES: Final = "Weights (*.safetensors *.pth *.pt *.bin);;All files (*)"


class TrainingSetup(QWidget):
    """The choices of the training panel.

    Signals:
        config_changed: something else was chosen.
        preview_requested: show what augmentation does.
        explain_requested: show what the chosen network is made of.
    """

    config_changed = Signal()
    preview_requested = Signal()
    explain_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._base = USUAL
        self._specs: dict[str, ModelSpec] = {}
        self._encoders: dict[str, EncoderSpec] = {}
        self._weights = "default"
        self._options: dict[str, tuple[tuple[str, Option], ...]] = {}
        """What has been chosen of networks, so that it is there again when one is chosen again."""

        self.model = dressed(ElidedComboBox(), "Network")
        self.encoder = dressed(EncoderCombo(), "Encoder: what the network sees with")
        self.preset = dressed(ElidedComboBox(), "Preset")
        self.budget = dressed(ElidedComboBox(), "Training time")
        self.budget.setToolTip(f"Training time. {COUNTED.partition('. ')[2]}")
        self.device = dressed(ElidedComboBox(), "Device")
        for preset, title in PRESETS:
            self.preset.addItem(title, preset)
        for seconds, title in TIME_BUDGETS:
            self.budget.addItem(title, seconds)
        for name, title in DEVICES:
            self.device.addItem(title, name)
        self.weights = IconButton("layers", "Encoder weights")
        self.weights.setProperty("kind", "outline")
        self.weights.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.weights.setMenu(self._weights_menu())
        self.explain = IconButton("network", "Explain this model: its layers, costs, and what it sees")
        self.explain.setProperty("kind", "outline")
        self.advanced = IconButton("settings", "Advanced training settings")
        self._dialog: TrainingSettingsDialog | None = None
        self._gpu = False
        self._explanation = ElidedLabel("", "small")

        networks = QHBoxLayout()
        networks.setSpacing(SPACE)
        networks.addWidget(self.model, 3)
        networks.addWidget(self.explain)
        networks.addWidget(self.encoder, 3)
        networks.addWidget(self.weights)
        choices = QGridLayout()
        choices.setSpacing(SPACE)
        for column, (combo, stretch) in enumerate(((self.preset, 5), (self.budget, 6), (self.device, 6))):
            choices.addWidget(combo, 0, column)
            choices.setColumnStretch(column, stretch)
        words = QHBoxLayout()
        words.setSpacing(SPACE)
        words.addWidget(self._explanation, 1)
        words.addWidget(self.advanced)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE)
        layout.addLayout(networks)
        layout.addLayout(choices)
        layout.addLayout(words)

        self.model.currentIndexChanged.connect(self._on_model_changed)
        self.encoder.currentIndexChanged.connect(self._on_encoder_changed)
        self.preset.currentIndexChanged.connect(self._on_choice_changed)
        self.budget.currentIndexChanged.connect(self._on_choice_changed)
        self.device.currentIndexChanged.connect(self._on_choice_changed)
        self.advanced.clicked.connect(self.open_advanced)
        self.explain.clicked.connect(self.explain_requested)
        self.set_config(self._base)

    @property
    def explanation(self) -> str:
        """The line under the choices."""
        return self._explanation.whole_text

    def set_models(self, specs: Sequence[ModelSpec], encoders: Mapping[str, EncoderSpec]) -> None:
        """Offer these networks; `encoders` by name must hold every encoder they name."""
        chosen = self.config()
        self._specs = {spec.name: spec for spec in specs}
        self._encoders = dict(encoders)
        with QSignalBlocker(self.model):
            self.model.clear()
            self.model.addItem(AUTO_TITLE, AUTO_MODEL)
            self.model.setItemData(0, AUTO_EXPLANATION, _TOOLTIP)
            family: str | None = None
            for spec in specs:
                if spec.family != family and family is not None:
                    self.model.insertSeparator(self.model.count())
                family = spec.family
                self.model.addItem(spec.title, spec.name)
                self.model.setItemData(self.model.count() - 1, about_network(spec), _TOOLTIP)
        self.set_config(chosen)

    def title_of(self, model: str, encoder: str | None) -> str:
        """How people call a network: "U-Net / EfficientNet-Lite0"."""
        spec = self._spec(model)
        if spec is None:
            return model
        title = AUTO_TITLE if model == AUTO_MODEL else spec.title
        found = self._encoders.get(encoder or spec.default_encoder)
        return title if found is None else f"{title} / {short_title(found)}"

    def config(self) -> TrainConfig:
        """The run as it is chosen now."""
        return replace(
            self._base,
            model=self.model.currentData() or self._base.model,
            encoder=self.encoder.currentData(),
            encoder_weights=self._weights,
            model_options=self._chosen_options(),
            preset=self.preset.currentData(),
            seconds=self.budget.currentData(),
            device=self.device.currentData(),
        )

    def set_config(self, config: TrainConfig) -> None:
        """Choose what a configuration says; what cannot be chosen here is kept for `config`."""
        self._base = config
        self._weights = config.encoder_weights
        self._options = {config.network: config.model_options}
        for combo, value in (
            (self.model, config.model),
            (self.preset, config.preset),
            (self.budget, config.seconds),
            (self.device, config.device),
        ):
            with QSignalBlocker(combo):
                combo.choose(value)
        self._fill_encoders(config.encoder)
        self._describe()

    def open_advanced(self) -> TrainingSettingsDialog:
        """Show every setting, in a window that stays open beside the panel."""
        from app.dialogs.training_settings import TrainingSettingsDialog

        if self._dialog is None:
            self._dialog = TrainingSettingsDialog(self)
            self._dialog.config_changed.connect(self._on_settings_changed)
            self._dialog.preview_requested.connect(self.preview_requested)
        self._describe()
        self._dialog.show()
        self._dialog.raise_()
        return self._dialog

    def set_gpu_available(self, available: bool) -> None:
        """Grey the CUDA entry out on a machine that has none."""
        self._gpu = available
        items = self.device.model()
        position = self.device.findData("cuda")
        if isinstance(items, QStandardItemModel):
            items.item(position).setEnabled(available)
        tip = "" if available else "No CUDA GPU was found on this machine"
        self.device.setItemData(position, tip, _TOOLTIP)
        if not available and self.device.currentIndex() == position:
            self.device.setCurrentIndex(0)
        self._describe()

    def set_choosing(self, possible: bool) -> None:
        """During a run its choices stay; what it is made of, and settings of the next, can be seen."""
        for part in (self.model, self.encoder, self.weights, self.preset, self.budget, self.device):
            part.setEnabled(possible)

    def use_weights_file(self, path: str) -> None:
        """Start the encoder from this file."""
        self._weights = path
        self._on_choice_changed()

    def _spec(self, model: str) -> ModelSpec | None:
        """What a choice stands for; of both learners it is the deep one that has an encoder to choose."""
        return self._specs.get(DEFAULT_MODEL if model == AUTO_MODEL else model)

    def _chosen_options(self) -> tuple[tuple[str, Option], ...]:
        network = replace(USUAL, model=self.model.currentData() or self._base.model).network
        return self._options.get(network, ())

    def _fill_encoders(self, wanted: str | None) -> None:
        spec = self._spec(self.model.currentData() or "")
        with QSignalBlocker(self.encoder):
            offered = [self._encoders[name] for name in (spec.encoders if spec else ())]
            self.encoder.set_encoders(offered, wanted)
        self.encoder.setVisible(self.encoder.count() > 1)

    def _on_model_changed(self) -> None:
        self._fill_encoders(None)
        self._on_encoder_changed()

    def _on_encoder_changed(self) -> None:
        # A file belongs to one architecture: with another encoder it would be refused.
        if self._weights not in ("default", "none"):
            self._weights = "default"
        self._on_choice_changed()

    def _on_settings_changed(self, config: TrainConfig) -> None:
        """Only the settings behind Advanced: a choice made in the panel meanwhile stays."""
        own = {name: getattr(config, name) for name in FIELDS}
        self._base = replace(self._base, **own)
        self._options[self.config().network] = config.model_options
        self._on_choice_changed()

    def _on_choice_changed(self) -> None:
        self._describe()
        self.config_changed.emit()

    def _describe(self) -> None:
        """Say in one line what the choice means: about the weights if they need saying, else the preset."""
        config = self.config()
        promises = {name: promise(replace(config, preset=name), self.device_kind) for name, _ in PRESETS}
        for position, (name, _) in enumerate(PRESETS):
            self.preset.setItemData(position, promises[name], _TOOLTIP)
        spec, encoder = self._spec(config.model), self._encoders.get(config.encoder or "")
        options = dict(config.model_options)
        own = [FIELDS[name].title for name in changed(config)]
        own += [title_of(name) for name in (own_options(spec, options) if spec else ())]
        self._tell_advanced(config, own)
        problem = problem_of(spec, encoder.name, options) if spec and encoder else ""
        for action in self._weights_actions.actions():
            action.setChecked(action.data() == self._weights)
        if self._weights not in ("default", "none"):
            self._file_action.setChecked(True)
        if problem:
            text, detail = problem, f"{problem}\nThe options of the network are behind Advanced."
        elif self._weights not in ("default", "none"):
            text = f"Encoder weights from {Path(self._weights).name}"
            detail = self._weights
        elif self._weights == "none":
            text = "No pretraining: learns slower and needs more labels"
            detail = ""
        elif encoder is not None and encoder.source in ("timm", "torchvision", "smp"):
            text = f"{short_title(encoder)} weights are downloaded on first use"
            detail = provenance(encoder)
        else:
            title = dict(PRESETS)[config.preset]
            text = f"{title}: {PROMISES[config.preset]}"
            if own:
                text = f"{title}, with {len(own)} setting{'s' if len(own) > 1 else ''} of your own"
            detail = promises[config.preset]
        self._explanation.set_text(text, detail)
        self.weights.setToolTip(f"Encoder weights: {self._weights_words()}")

    def _tell_advanced(self, config: TrainConfig, own: Sequence[str]) -> None:
        words = f"Your own: {', '.join(own)}" if own else "All by preset"
        self.advanced.setToolTip(f"Advanced training settings\n{words}")
        if self._dialog is not None:
            spec = self._spec(config.model)
            if spec is not None:
                self._dialog.set_network(spec, config.encoder or spec.default_encoder)
            usual, _ = without_images(back_to_preset(config), self.device_kind)
            by_preset = {name: getattr(usual, name) for name in ("crop", "batch", "lr", "coarse_share")}
            title = dict(PRESETS)[config.preset]
            self._dialog.set_config(config, by_preset, title, promise(config, self.device_kind))

    @property
    def device_kind(self) -> Literal["cpu", "cuda"]:
        """What a run would be computed on, as far as the engine has told."""
        return "cuda" if self._gpu and self.device.currentData() != "cpu" else "cpu"

    def _weights_words(self) -> str:
        words = {"default": "pretrained on ImageNet", "none": "random"}
        return words.get(self._weights, f"file {self._weights}")

    def _weights_menu(self) -> QMenu:
        menu = QMenu(self)
        self._weights_actions = QActionGroup(menu)
        for value, text in (("default", "Pretrained encoder"), ("none", "No pretraining")):
            self._add_weights_action(menu, text, value).triggered.connect(self._on_weights_chosen)
        menu.addSeparator()
        self._file_action = self._add_weights_action(menu, "From a weights file…", None)
        self._file_action.triggered.connect(self._on_file_wanted)
        return menu

    def _add_weights_action(self, menu: QMenu, text: str, value: str | None) -> QAction:
        action = menu.addAction(text)
        action.setCheckable(True)
        action.setData(value)
        self._weights_actions.addAction(action)
        return action

    def _on_weights_chosen(self) -> None:
        action = self._weights_actions.checkedAction()
        if action is not None:
            self._weights = action.data()
            self._on_choice_changed()

    def _on_file_wanted(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Weights for the encoder", "", _SUFFIXES)
        if path:
            self._weights = path
        self._on_choice_changed()
