"""The training panel: what can be chosen, and what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.panels.training_panel import TrainingPanel
from core.learning.config import TrainConfig

LEFT = Qt.MouseButton.LeftButton


def test_train_asks_for_what_is_chosen(qtbot: QtBot, panel: TrainingPanel) -> None:
    setup = panel.setup
    setup.model.setCurrentIndex(setup.model.findData("fcn8s"))
    setup.preset.setCurrentIndex(setup.preset.findData("fast"))
    setup.budget.setCurrentIndex(setup.budget.findData(900.0))
    setup.device.setCurrentIndex(setup.device.findData("cpu"))
    with qtbot.waitSignal(panel.train_requested) as asked:
        qtbot.mouseClick(panel.train_button, LEFT)
    config = asked.args[0]
    assert isinstance(config, TrainConfig)
    assert (config.model, config.encoder, config.preset) == ("fcn8s", "vgg16", "fast")
    assert (config.seconds, config.steps, config.device) == (900.0, None, "cpu")


def test_until_stopped_means_no_budget(panel: TrainingPanel) -> None:
    panel.setup.budget.setCurrentIndex(0)
    assert panel.config().seconds is None
    assert panel.config().steps is None


def test_an_earlier_choice_comes_back_with_what_cannot_be_chosen_here(panel: TrainingPanel) -> None:
    config = TrainConfig(
        model="unet", encoder="resnet18", preset="best", seconds=60.0, device="cuda", seed=7, turns=True
    )
    panel.set_config(config)
    assert panel.config() == config


def test_each_network_offers_its_encoders(panel: TrainingPanel) -> None:
    setup = panel.setup
    setup.model.setCurrentIndex(setup.model.findData("unet"))
    assert setup.encoder.currentData() == "tf_efficientnet_lite0"
    assert setup.encoder.findData("vgg16") == -1
    setup.model.setCurrentIndex(setup.model.findData("fcn8s"))
    assert setup.encoder.currentData() == "vgg16"
    assert "downloaded" in setup.explanation
    assert setup.title_of("unet", None) == "U-Net / EfficientNet-Lite0"


def test_each_preset_says_what_it_means(panel: TrainingPanel) -> None:
    setup = panel.setup
    lines = set()
    for position in range(setup.preset.count()):
        setup.preset.setCurrentIndex(position)
        lines.add(setup.explanation)
    assert len(lines) == 3
    assert all(line.partition(":")[2].strip() for line in lines)


def test_a_weights_file_is_taken_for_its_encoder_only(
    panel: TrainingPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "vgg16.safetensors")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
    setup = panel.setup
    setup.model.setCurrentIndex(setup.model.findData("fcn8s"))
    file_action = setup.weights.menu().actions()[-1]
    file_action.trigger()
    assert panel.config().encoder_weights == path
    assert "vgg16.safetensors" in setup.explanation
    assert file_action.isChecked()
    setup.encoder.setCurrentIndex(setup.encoder.findData("vgg19"))
    assert panel.config().encoder_weights == "default"


def test_weights_can_be_random(panel: TrainingPanel) -> None:
    panel.setup.weights.menu().actions()[1].trigger()
    assert panel.config().encoder_weights == "none"
    assert "No pretraining" in panel.setup.explanation


@pytest.mark.parametrize(
    ("state", "train", "pause", "stop", "choices"),
    [
        ("idle", True, False, False, True),
        ("starting", False, False, True, False),
        ("training", False, True, True, False),
        ("paused", True, False, True, False),
        ("stopping", False, False, False, False),
    ],
)
def test_buttons_follow_the_state(
    panel: TrainingPanel, state: str, train: bool, pause: bool, stop: bool, choices: bool
) -> None:
    panel.set_training_state(state)  # type: ignore[arg-type]
    found = [
        panel.train_button.isEnabled(),
        panel.pause_button.isEnabled(),
        panel.stop_button.isEnabled(),
        panel.setup.model.isEnabled(),
    ]
    assert found == [train, pause, stop, choices]
    assert panel.setup.explain.isEnabled()
    assert panel.setup.advanced.isEnabled()


def test_an_unknown_state_is_refused(panel: TrainingPanel) -> None:
    with pytest.raises(ValueError, match="resting"):
        panel.set_training_state("resting")  # type: ignore[arg-type]


def test_pause_resume_and_stop_are_asked_for(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.set_training_state("training")
    with qtbot.waitSignal(panel.pause_requested):
        qtbot.mouseClick(panel.pause_button, LEFT)
    panel.set_training_state("paused")
    assert panel.train_button.text() == "Resume"
    with qtbot.waitSignal(panel.resume_requested), qtbot.assertNotEmitted(panel.train_requested):
        qtbot.mouseClick(panel.train_button, LEFT)
    with qtbot.waitSignal(panel.stop_requested):
        qtbot.mouseClick(panel.stop_button, LEFT)
