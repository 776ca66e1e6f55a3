"""Advanced settings and presets: every setting with its default, wrong ones refused in place, crops shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit
from pytestqt.qtbot import QtBot

from app.dialogs.augmentation_preview import WAITING, AugmentationPreviewDialog
from app.dialogs.training_settings import TrainingSettingsDialog
from app.learning.kept_training import USUAL, restored
from app.panels.training_fields import FIELDS, changed
from app.panels.training_panel import TrainingPanel
from core.learning.answers import CropsPreviewed
from core.learning.commands import PreviewCrops
from core.learning.config import TrainConfig
from core.learning.events import Failed
from core.learning.settings.preset import promise
from core.project.project import Project

LEFT = Qt.MouseButton.LeftButton
IN_THE_PANEL = {"model", "encoder", "encoder_weights", "preset", "device", "seconds"}
IN_ROWS_OF_THEIR_OWN = {"model_options"}
NOT_A_PERSONS = {
    "join_instant",  # is what the network "Both learners" means
    "held_out",  # is how the runs of folds differ
}


@pytest.fixture
def panel(shown: Callable[..., TrainingPanel], dressed: None) -> TrainingPanel:
    return shown(TrainingPanel(), 1200, 220)


@pytest.fixture
def advanced(panel: TrainingPanel, qtbot: QtBot) -> TrainingSettingsDialog:
    qtbot.mouseClick(panel.setup.advanced, LEFT)
    return panel.setup.open_advanced()


def write(advanced: TrainingSettingsDialog, name: str, text: str) -> None:
    editor = advanced.rows[name].editor
    assert isinstance(editor, QLineEdit)
    editor.setText(text)


def test_every_setting_can_be_reached() -> None:
    reached = {*FIELDS, *IN_THE_PANEL, *IN_ROWS_OF_THEIR_OWN}
    assert {field.name for field in fields(TrainConfig)} == reached | NOT_A_PERSONS


def test_each_setting_shows_its_default(advanced: TrainingSettingsDialog, panel: TrainingPanel) -> None:
    shown = {
        name: row.editor.placeholderText()
        for name, row in advanced.rows.items()
        if isinstance(row.editor, QLineEdit)
    }
    assert shown["ema"] == "0.99"
    assert shown["crop"] == "256, by preset"
    assert shown["patience"] == "only the time does"
    panel.setup.preset.setCurrentIndex(panel.setup.preset.findData("best"))
    editor = advanced.rows["crop"].editor
    assert isinstance(editor, QLineEdit)
    assert editor.placeholderText() == "320, by preset"
    assert "Best" in advanced.lead_text
    assert changed(panel.config()) == {}


def test_what_is_set_is_trained_with(
    advanced: TrainingSettingsDialog, panel: TrainingPanel, qtbot: QtBot
) -> None:
    write(advanced, "crop", "320")
    write(advanced, "lr", "0,0005")
    switch = advanced.rows["turns"].editor
    assert isinstance(switch, QCheckBox)
    switch.setChecked(True)
    choice = advanced.rows["class_weights"].editor
    assert isinstance(choice, QComboBox)
    choice.setCurrentIndex(choice.findData("median_frequency"))
    with qtbot.waitSignal(panel.train_requested) as asked:
        qtbot.mouseClick(panel.train_button, LEFT)
    config = asked.args[0]
    assert (config.crop, config.lr, config.turns) == (320, 0.0005, True)
    assert config.class_weights == "median_frequency"
    assert "4 settings of your own" in panel.setup.explanation
    assert advanced.lead_text.partition("\n")[2].startswith("4 settings differ from the preset Balanced.")


@pytest.mark.parametrize(
    "name, typed, value",
    [
        ("lr", "0,0005", 0.0005),
        ("lr", "1e-3", 0.001),
        ("freeze", "0.25", 0.25),
        ("weight_decay", "0.05", 0.05),
        ("clip_norm", "2.05", 2.05),
        ("image_scale", "1.25", 1.25),
        ("ema", "0.990", 0.99),
        ("crop", "512", 512),
        ("seed", "10", 10),
    ],
)
def test_a_number_can_be_typed_key_by_key(
    advanced: TrainingSettingsDialog, panel: TrainingPanel, qtbot: QtBot, name: str, typed: str, value: float
) -> None:
    row = advanced.rows[name]
    assert isinstance(row.editor, QLineEdit)
    qtbot.keyClicks(row.editor, typed)
    assert row.editor.text() == typed
    assert (getattr(panel.config(), name), row.problem) == (value, "")


def test_a_number_of_another_configuration_takes_the_place_of_what_was_typed(
    advanced: TrainingSettingsDialog, panel: TrainingPanel, qtbot: QtBot
) -> None:
    editor = advanced.rows["freeze"].editor
    assert isinstance(editor, QLineEdit)
    qtbot.keyClicks(editor, "0.25")
    panel.set_config(replace(panel.config(), freeze=0.5))
    assert editor.text() == "0.5"
    panel.set_config(TrainConfig())
    assert editor.text() == ""


def test_what_is_refused_stands_until_a_configuration_brings_another_value(
    advanced: TrainingSettingsDialog, panel: TrainingPanel, qtbot: QtBot
) -> None:
    row = advanced.rows["lr"]
    assert isinstance(row.editor, QLineEdit)
    qtbot.keyClicks(row.editor, "0.5x")
    panel.set_config(replace(panel.config(), freeze=0.5))
    assert (row.editor.text(), bool(row.problem)) == ("0.5x", True), "the rate is still 0.5"
    panel.set_config(replace(panel.config(), lr=0.02))
    assert (row.editor.text(), row.problem) == ("0.02", "")


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("crop", "100", "Crop is 100; it must be a multiple of 32, such as 96 or 128."),
        ("ema", "2", "Averaging is 2; it must be at most 0.99999."),
        ("threads", "2000", "Threads is 2000; it must be at most 1024."),
        ("batch", "many", "Crops a step is many; it must be a whole number."),
        ("lr", "0", "Learning rate is 0; it must be above 0."),
        ("lr", "inf", "Learning rate is inf; it must be at most 1."),
        ("weight_decay", "inf", "Weight decay is inf; it must be finite."),
        ("weight_decay", "nan", "Weight decay is nan; it must be at least 0."),
    ],
)
def test_values_that_make_no_sense_are_refused_in_place(
    advanced: TrainingSettingsDialog, panel: TrainingPanel, name: str, text: str, words: str
) -> None:
    before = panel.config()
    write(advanced, name, text)
    assert advanced.rows[name].problem == words
    assert panel.config() == before
    advanced.rows[name].back.click()
    assert advanced.rows[name].problem == ""


def test_back_to_preset_takes_everything_back(
    advanced: TrainingSettingsDialog, panel: TrainingPanel, qtbot: QtBot
) -> None:
    before = panel.config()
    write(advanced, "ema", "0.9")
    write(advanced, "freeze", "0.5")
    write(advanced, "crop", "100")
    qtbot.mouseClick(advanced.reset_button, LEFT)
    assert panel.config() == before
    assert all(not row.problem for row in advanced.rows.values())
    editors = [row.editor for row in advanced.rows.values()]
    assert all(not editor.text() for editor in editors if isinstance(editor, QLineEdit))


def test_a_choice_in_the_panel_survives_a_setting(
    advanced: TrainingSettingsDialog, panel: TrainingPanel
) -> None:
    write(advanced, "ema", "0.9")
    panel.setup.budget.setCurrentIndex(panel.setup.budget.findData(60.0))
    write(advanced, "freeze", "0.5")
    assert panel.config().seconds == 60.0


def test_presets_say_what_they_cost_here() -> None:
    fast, best = (promise(TrainConfig(preset=name), "cpu") for name in ("fast", "best"))
    assert "4 crops of 192 pixels a step" in fast
    assert "56% of the time of Balanced" in fast
    assert "2.3 times as long as with Balanced" in best
    assert "GB of memory" in best
    assert "GB of GPU memory" in promise(TrainConfig(), "cuda")


def test_a_preset_says_what_the_chosen_options_take() -> None:
    narrow, wide = (TrainConfig(model="unet", model_options=(("width", width),)) for width in (16, 64))
    assert "4 crops of 256 pixels a step, about 1.0 GB of memory." in promise(narrow, "cpu")
    assert "2 crops of 160 pixels a step, about 0.9 GB of memory." in promise(wide, "cpu")


# --- crops ------------------------------------------------------------------------------------------------


def crops(**changes: object) -> CropsPreviewed:
    values: dict[str, object] = {
        "key": "scan000.png", "count": 3, "side": 8, "scale": 0.5,
        "pixels": np.full((3, 8, 8, 3), 200, np.uint8).tobytes(),
        "labels": np.full((3, 8, 8), 255, np.uint8).tobytes(),
    }  # fmt: skip
    return CropsPreviewed(**(values | changes))  # type: ignore[arg-type]


def test_crops_of_the_last_project_are_not_shown_in_the_next(bench, image_folder) -> None:
    bench.open(image_folder(2))
    window = bench.window
    window.actions_["train.preview_crops"].trigger()
    dialog = window.findChild(AugmentationPreviewDialog)
    bench.trainer.event_received.emit(crops())
    window.actions_["file.close"].trigger()
    assert not dialog.isVisible()
    bench.open(image_folder(2, "others"))
    window.actions_["train.preview_crops"].trigger()
    assert dialog.lead_text == "The engine makes the crops…"
    assert all(tile.isHidden() for tile in dialog.tiles)


def test_without_an_image_no_crops_are_waited_for(bench, image_folder, tmp_path, qtbot: QtBot) -> None:
    (tmp_path / "empty").mkdir()
    Project.create(tmp_path / "empty", classes=("background", "disc")).close()
    bench.session.open_project(tmp_path / "empty")
    qtbot.waitUntil(lambda: bench.session.project is not None and not bench.session.busy)
    bench.window.actions_["train.preview_crops"].trigger()
    dialog = bench.window.findChild(AugmentationPreviewDialog)
    assert "Open an image first" in dialog.lead_text
    bench.open(image_folder(1))
    bench.window.actions_["train.preview_crops"].trigger()
    assert dialog.lead_text == WAITING


def test_crops_are_asked_for_shown_and_follow_the_settings(bench, image_folder, qtbot: QtBot) -> None:
    bench.open(image_folder(2))
    window = bench.window
    window.actions_["train.preview_crops"].trigger()
    dialog = window.findChild(AugmentationPreviewDialog)
    bench.trainer.event_received.emit(crops())
    assert "Crops of 8 pixels at 0.5 of the image's size" in dialog.lead_text
    assert sum(not tile.isHidden() for tile in dialog.tiles) == 3
    qtbot.waitUntil(lambda: dialog.tiles[2].width() > 96)
    assert max(tile.width() for tile in dialog.tiles) - min(tile.width() for tile in dialog.tiles) <= 1
    color = dialog.tiles[0].pixmap().toImage().pixelColor(4, 4)
    assert color.red() < 100  # nobody has labelled it
    dialog.labels_box.click()
    assert dialog.tiles[0].pixmap().toImage().pixelColor(4, 4).red() == 200
    qtbot.mouseClick(dialog.again_button, LEFT)
    advanced = window.training.setup.open_advanced()
    write(advanced, "crop", "64")
    sent = [command for command in bench.trainer.sent if isinstance(command, PreviewCrops)]
    assert [(command.seed, command.config.crop) for command in sent] == [(0, None), (1, None), (1, 64)]
    bench.trainer.event_received.emit(crops(count=0, problem="Draw something first."))
    assert dialog.lead_text == "Draw something first."
    assert all(tile.isHidden() for tile in dialog.tiles)
    middle = dialog.height() / 2
    qtbot.waitUntil(lambda: abs(dialog._lead.geometry().center().y() - middle) < middle / 4)
    assert not dialog.labels_box.isEnabled()
    bench.trainer.event_received.emit(crops())
    assert dialog.labels_box.isEnabled()


@pytest.mark.parametrize("ends", ["crashed", "stopped"])
def test_an_engine_that_ends_is_not_waited_for_and_crops_can_be_asked_for_again(
    bench, image_folder, qtbot: QtBot, ends: str
) -> None:
    bench.open(image_folder(1))
    bench.window.actions_["train.preview_crops"].trigger()
    dialog = bench.window.findChild(AugmentationPreviewDialog)
    bench.trainer.engine_state_changed.emit(ends, "The engine was killed.")
    assert dialog.lead_text == "The engine has ended; Again makes the crops."
    qtbot.mouseClick(dialog.again_button, LEFT)
    bench.trainer.event_received.emit(crops())
    bench.trainer.engine_state_changed.emit(ends, "The engine was killed.")
    assert "Crops of 8 pixels" in dialog.lead_text, "these are whole, and nothing is asked for"


def test_why_the_engine_could_not_make_crops_is_told(bench, image_folder) -> None:
    bench.open(image_folder(1))
    bench.window.actions_["train.preview_crops"].trigger()
    dialog = bench.window.findChild(AugmentationPreviewDialog)
    bench.trainer.event_received.emit(Failed(during="ExplainModel", text="This is about another page."))
    assert dialog.lead_text == "The engine makes the crops…"
    bench.trainer.event_received.emit(Failed(during="PreviewCrops", text="The image has vanished."))
    assert dialog.lead_text == "The image has vanished."


# --- kept ---------------------------------------------------------------------------------------------------


def test_what_is_chosen_for_training_is_there_at_the_next_start(make_window, image_folder, qtbot) -> None:
    first, folder = make_window(), image_folder(1)
    first.open(folder)
    setup = first.window.training.setup
    setup.preset.setCurrentIndex(setup.preset.findData("best"))
    setup.budget.setCurrentIndex(setup.budget.findData(900.0))
    setup.device.setCurrentIndex(setup.device.findData("cpu"))
    write(setup.open_advanced(), "patience", "7")
    chosen = first.window.training.config()
    assert chosen.patience == 7
    qtbot.waitUntil(lambda: first.session.project.settings.get("training", {}).get("patience") == 7)
    first.session.open_project(image_folder(1, name="other"))
    qtbot.waitUntil(lambda: first.session.project is not None and first.session.project.root.name == "other")
    usual = replace(USUAL, device="cpu", encoder=chosen.encoder)
    assert first.window.training.config() == usual, "another project has its own"
    first.session.close()
    second = make_window()
    second.open(folder)
    assert second.window.training.config() == chosen


def test_a_setting_that_nobody_understands_costs_no_other() -> None:
    values = {"patience": 3, "ema": "a lot", "of_a_newer_program": 1, "device": "cuda", "seconds": None}
    assert restored(values) == replace(USUAL, patience=3, seconds=None)
    assert restored("no table") == USUAL
    options = {"model_options": [["width", 4], ["depth", 50], ["growth", 12]]}
    assert restored(options) == replace(USUAL, model_options=(("width", 4),))
