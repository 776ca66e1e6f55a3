"""Behind Advanced: the options of the network that is chosen, on the encoder that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QSpinBox
from pytestqt.qtbot import QtBot

from app.dialogs.encoder_picker import EncoderPicker
from app.dialogs.training_settings import TrainingSettingsDialog
from app.learning.kept_training import USUAL, kept, restored
from app.panels.training_panel import TrainingPanel
from core.learning.commands import ExplainModel
from core.models.registry import model_specs

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def advanced(panel: TrainingPanel, qtbot: QtBot) -> TrainingSettingsDialog:
    qtbot.mouseClick(panel.setup.advanced, LEFT)
    return panel.setup.open_advanced()


def choose_network(panel: TrainingPanel, name: str) -> None:
    panel.setup.model.setCurrentIndex(panel.setup.model.findData(name))


def choose_encoder(panel: TrainingPanel, name: str) -> None:
    panel.setup.encoder.setCurrentIndex(panel.setup.encoder.findData(name))


def number(advanced: TrainingSettingsDialog, name: str) -> QSpinBox:
    editor = advanced.option_rows[name].editor
    assert isinstance(editor, QSpinBox)
    return editor


def words(advanced: TrainingSettingsDialog, name: str) -> QComboBox:
    editor = advanced.option_rows[name].editor
    assert isinstance(editor, QComboBox)
    return editor


def test_every_option_of_every_network_can_be_reached(
    panel: TrainingPanel, advanced: TrainingSettingsDialog
) -> None:
    for spec in (spec for spec in model_specs() if spec.trained_by == "person"):
        choose_network(panel, spec.name)
        offered = {option.name: option for option in spec.options if option.name != "stage"}
        assert set(advanced.option_rows) == set(offered), spec.name
        for name, option in offered.items():
            row = advanced.option_rows[name]
            assert row.spec.default == option.default
            assert row.editor.accessibleDescription().startswith(option.help[0].upper())
            if isinstance(row.editor, QSpinBox):
                limits = row.editor.minimum(), row.editor.value(), row.editor.maximum()
                assert limits == (option.minimum, option.default, option.maximum)
            else:
                values = [words(advanced, name).itemData(i) for i in range(words(advanced, name).count())]
                assert tuple(values) == (option.choices or option.numbers)


def test_options_are_trained_with_and_belong_to_their_network(
    panel: TrainingPanel, advanced: TrainingSettingsDialog, qtbot: QtBot
) -> None:
    choose_network(panel, "unet")
    number(advanced, "width").setValue(8)
    skips = words(advanced, "skips")
    skips.setCurrentIndex(skips.findData("add"))
    with qtbot.waitSignal(panel.train_requested) as asked:
        qtbot.mouseClick(panel.train_button, LEFT)
    assert asked.args[0].model_options == (("width", 8), ("skips", "add"))
    assert "2 settings of your own" in panel.setup.explanation
    choose_network(panel, "segnet")
    assert panel.config().model_options == ()
    assert "SegNet" in advanced.network_text
    choose_network(panel, "auto")
    assert panel.config().model_options == (("width", 8), ("skips", "add")), "its deep network is the U-Net"
    assert number(advanced, "width").value() == 8
    assert restored(kept(panel.config())) == panel.config()
    number(advanced, "width").setValue(16)
    assert panel.config().model_options == (("skips", "add"),), "as usual is not a person's own"
    qtbot.mouseClick(advanced.reset_button, LEFT)
    assert panel.config().model_options == ()
    assert words(advanced, "skips").currentData() == "concatenate"


def test_what_an_encoder_cannot_take_is_refused_in_one_sentence(
    panel: TrainingPanel, advanced: TrainingSettingsDialog
) -> None:
    choose_network(panel, "unet")
    upsampling = words(advanced, "upsampling")
    upsampling.setCurrentIndex(upsampling.findData("unpooling"))
    refusal = advanced.option_rows["upsampling"].problem
    assert refusal == (
        "Upsampling is 'unpooling', which needs an encoder with max pools to undo: choose the encoder plain"
        " instead of tf_efficientnet_lite0, or another upsampling."
    )
    assert panel.config().model_options == ()
    choose_encoder(panel, "plain")
    upsampling = words(advanced, "upsampling")
    upsampling.setCurrentIndex(upsampling.findData("unpooling"))
    assert advanced.option_rows["upsampling"].problem == ""
    assert panel.config().model_options == (("upsampling", "unpooling"),)
    choose_encoder(panel, "resnet18")
    assert "instead of resnet18" in advanced.option_rows["upsampling"].problem
    assert "instead of resnet18" in panel.setup.explanation
    advanced.option_rows["upsampling"].back.click()
    assert panel.config().model_options == ()
    assert "resnet18" not in panel.setup.explanation


def test_settings_are_found_by_their_words(advanced: TrainingSettingsDialog, qtbot: QtBot) -> None:
    qtbot.keyClicks(advanced.search, "batch norm")
    shown = {name for name, row in advanced.option_rows.items() if row.isVisible()}
    assert shown == {"norm"}
    assert not any(row.isVisible() for row in advanced.rows.values())
    advanced.search.setText("no such thing")
    assert not any(row.isVisible() for row in (*advanced.rows.values(), *advanced.option_rows.values()))
    advanced.search.clear()
    assert all(not row.isHidden() for row in (*advanced.rows.values(), *advanced.option_rows.values()))


def test_the_wheel_scrolls_past_what_nobody_has_clicked(advanced: TrainingSettingsDialog) -> None:
    editor = number(advanced, "width")
    middle = QPointF(editor.rect().center())
    wheel = QWheelEvent(
        middle, editor.mapToGlobal(middle), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(editor, wheel)
    assert editor.value() == 16


def test_the_model_page_explains_the_network_with_its_options(bench, image_folder) -> None:
    bench.open(image_folder(1))
    bench.window.actions_["train.explain"].trigger()
    setup = bench.window.training.setup
    setup.set_config(replace(USUAL, model="unet"))
    number(setup.open_advanced(), "width").setValue(4)
    asked = [command for command in bench.trainer.sent if isinstance(command, ExplainModel)]
    assert asked[-1].options == (("width", 4),)


# --- encoders -----------------------------------------------------------------------------------------------


def test_an_encoder_is_found_among_dozens(
    panel: TrainingPanel, qtbot: QtBot, shown: Callable[..., object]
) -> None:
    choose_network(panel, "unet")
    qtbot.mouseClick(panel.setup.encoder, LEFT)
    picker = panel.findChild(EncoderPicker)
    assert picker is not None
    assert len(picker.names) == panel.setup.encoder.count() > 70
    assert picker.names[picker.list.currentIndex().row()] == "tf_efficientnet_lite0", "the one in use"
    qtbot.keyClicks(picker.field, "resnext101 CC-BY-NC")
    assert picker.names == [
        "smp:resnext101_32x4d",
        "smp:resnext101_32x16d",
        "smp:resnext101_32x32d",
        "smp:resnext101_32x48d",
    ]
    qtbot.keyClick(picker.field, Qt.Key.Key_Down)
    qtbot.keyClick(picker.field, Qt.Key.Key_Return)
    assert panel.config().encoder == "smp:resnext101_32x16d"
    assert "downloaded" in panel.setup.explanation
    assert "CC-BY-NC-4.0" in panel.setup.encoder.itemData(
        panel.setup.encoder.currentIndex(), Qt.ItemDataRole.ToolTipRole
    )
