"""Predicting with a file of weights: found by the palette, chosen, and gone back from."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.dialogs.command_palette import CommandPalette
from core.learning.commands import UseWeights
from core.learning.events import Failed
from tests.app.engine_events import finished, started


def asked(bench) -> list[str | None]:
    return [command.path for command in bench.trainer.sent if isinstance(command, UseWeights)]


@pytest.mark.parametrize("typed", ["weights file", "safetensors"])
def test_a_weights_file_is_found_by_the_palette_and_predicts(
    opened, qtbot: QtBot, tmp_path: Path, typed: str
) -> None:
    opened.key(Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    palette = opened.dialog(CommandPalette)
    qtbot.keyClicks(palette.field, typed)
    assert palette.titles[0] == "Predict with a weights file"
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    dialog = opened.dialog(QFileDialog)
    assert dialog.nameFilters()[0] == "Weights (*.safetensors)"
    dialog.fileSelected.emit(str(tmp_path / "other.safetensors"))
    dialog.close()
    assert asked(opened) == [str(tmp_path / "other.safetensors")]


def test_there_is_a_way_back_to_the_projects_runs(opened) -> None:
    opened.window.actions_["train.use_runs"].trigger()
    assert asked(opened) == [None]


def test_weights_that_do_not_fit_are_told_in_a_sentence(opened) -> None:
    text = "other.safetensors: the classes of these weights are not this project's"
    opened.trainer.event_received.emit(Failed(during="UseWeights", text=text))
    assert opened.window.toast.text == f"{text}."


def test_while_a_run_shows_its_own_weights_no_file_can_be_chosen(opened) -> None:
    actions = [opened.window.actions_[name] for name in ("train.use_weights", "train.use_runs")]
    assert all(action.isEnabled() for action in actions)
    opened.window.controller.train(opened.window.training.config())
    opened.trainer.event_received.emit(started())
    assert not any(action.isEnabled() for action in actions)
    opened.trainer.event_received.emit(finished())
    assert all(action.isEnabled() for action in actions)
    opened.window.actions_["file.close"].trigger()
    assert not any(action.isEnabled() for action in actions)
