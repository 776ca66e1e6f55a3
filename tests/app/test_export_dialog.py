"""The export dialog: what can be exported, where to, and how it went."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.export import ExportDialog, ExportFormat, ExportRequest
from app.dialogs.message import MessageDialog
from app.panels.combos import ElidedComboBox
from app.panels.run_history import RunSummary
from app.wiring import exporting
from app.wiring.exporting import export_labels
from core.errors import MaskloopError
from core.learning.events import Exported
from core.learning.runs.run_folder import BestScore
from core.project.project import Project
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("dressed")
LEFT = Qt.MouseButton.LeftButton


RUNS = [
    RunSummary(
        path="/r/good",
        model="U-Net",
        started=datetime(2025, 1, 1),
        steps=10,
        best=BestScore(0.7, "validation", 3),
    ),
    RunSummary(
        path="/r/late",
        model="FCN-8s",
        started=datetime(2025, 1, 3),
        steps=10,
        best=BestScore(0.6, "validation", 3),
    ),
    RunSummary(
        path="/r/flattered", model="U-Net", started=datetime(2025, 1, 2), best=BestScore(0.9, "training", 2)
    ),
    RunSummary(path="/r/none", model="U-Net", started=datetime(2025, 1, 4), has_weights=False),
]


@pytest.fixture
def export(shown: Callable[..., QWidget], tmp_path: Path) -> Iterator[ExportDialog]:
    dialog = ExportDialog(str(tmp_path / "out"))
    shown(dialog)
    yield dialog
    dialog.finish()
    dialog.close()


def test_weights_of_the_best_run_are_offered_first(
    qtbot: QtBot, export: ExportDialog, tmp_path: Path
) -> None:
    export.set_runs(RUNS)
    assert [export.run_choice.itemData(row) for row in range(export.run_choice.count())] == [
        "/r/good",
        "/r/late",
        "/r/flattered",
    ]
    assert export.run_choice.itemText(0).endswith("best: mIoU 0.700 on 3 held-out images")
    assert export.run_choice.itemText(2).endswith("mIoU 0.900 on 2 training images")
    qtbot.mouseClick(export.boxes["onnx"], LEFT, pos=QPoint(8, 11))
    with qtbot.waitSignal(export.export_requested) as asked:
        qtbot.mouseClick(export.export_button, LEFT)
    assert asked.args == [ExportRequest(formats=("masks", "onnx"), out=str(tmp_path / "out"), run="/r/good")]


def test_a_run_whose_name_is_too_long_ends_in_an_ellipsis_and_is_told_in_full(export: ExportDialog) -> None:
    long = replace(RUNS[0], model="Both learners of a network whose title is longer than any window is wide")
    export.set_runs([long])
    assert isinstance(export.run_choice, ElidedComboBox)
    assert export.run_choice.toolTip() == export.run_choice.currentText()


def test_without_a_run_weights_cannot_be_chosen_and_the_dialog_says_why(export: ExportDialog) -> None:
    assert not export.boxes["weights"].isEnabled()
    assert not export.boxes["onnx"].isEnabled()
    assert "train first" in export._run_hint.text()
    request = export.request()
    assert request is not None
    assert request.run is None


def test_nothing_chosen_nothing_exported(export: ExportDialog) -> None:
    export.boxes["masks"].setChecked(False)
    assert not export.export_button.isEnabled()
    assert export._lead.text() == "Choose at least one thing to export."
    export.boxes["labelme"].setChecked(True)
    export.folder.clear()
    assert not export.export_button.isEnabled()


def test_a_file_is_no_target(export: ExportDialog, tmp_path: Path) -> None:
    taken = tmp_path / "file.txt"
    taken.write_text("x")
    export.folder.setText(str(taken))
    assert not export.export_button.isEnabled()
    assert "is a file" in export._lead.text()


def test_a_wave_is_the_home_folder(
    export: ExportDialog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    export.folder.setText("~/results")
    request = export.request()
    assert request is not None
    assert request.out == str(tmp_path / "results")


@pytest.mark.parametrize(
    "typed, said",
    [
        ("results", "could be anywhere"),
        ("~nobody-of-this-name/results", "could be anywhere"),
        ("{there}/" + "n" * 300, "too long"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused(
    qtbot: QtBot, export: ExportDialog, tmp_path: Path, typed: str, said: str
) -> None:
    export.folder.clear()
    qtbot.keyClicks(export.folder, typed.format(there=tmp_path))
    assert not export.export_button.isEnabled()
    assert said in export._lead.text()


def test_a_folder_that_cannot_be_read_is_refused(
    export: ExportDialog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def locked(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("app.dialogs.typed_folder.os.scandir", locked)
    export.folder.setText(str(tmp_path / "locked"))
    assert not export.export_button.isEnabled()
    assert export._lead.text() == f"{tmp_path / 'locked'}: Permission denied."


def test_browsing_fills_the_folder_in(
    qtbot: QtBot, export: ExportDialog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    qtbot.mouseClick(export._browse, LEFT)
    assert export.folder.text() == str(tmp_path)


def test_progress_results_and_errors_are_shown(export: ExportDialog) -> None:
    export.set_runs(RUNS)
    export.begin()
    assert not export.export_button.isEnabled()
    assert not export.folder.isEnabled()
    export.set_progress("masks: 3 of 6", 0.5)
    assert export._progress.isVisible()
    assert export._progress.value() == 500
    export.add_result("6 masks", "/out/masks")
    export.show_error("/out/model.onnx: the disk is full")
    export.finish()
    assert export.outcome == ["6 masks", "/out/model.onnx: the disk is full"]
    assert not export._progress.isVisible()
    assert export._open_folder.isVisible()
    export.begin()
    assert export.outcome == []


def test_cancel_while_running_and_close_afterwards(qtbot: QtBot, export: ExportDialog) -> None:
    export.begin()
    assert export._close.text() == "Cancel"
    with qtbot.waitSignal(export.cancel_requested):
        qtbot.mouseClick(export._close, LEFT)
    assert export.isVisible()
    export.set_progress("Writing ONNX", None)
    assert export._doing.whole_text.startswith("Cancelled")
    export.finish()
    with qtbot.assertNotEmitted(export.cancel_requested):
        qtbot.mouseClick(export._close, LEFT)
    assert not export.isVisible()


def test_escape_cancels_first_and_closes_a_second_time(qtbot: QtBot, export: ExportDialog) -> None:
    export.begin()
    with qtbot.waitSignal(export.cancel_requested):
        qtbot.keyClick(export, Qt.Key.Key_Escape)
    assert export.isVisible(), "it tells what was written"
    with qtbot.assertNotEmitted(export.cancel_requested):
        qtbot.keyClick(export, Qt.Key.Key_Escape)
    assert not export.isVisible()


def test_what_was_cancelled_and_what_goes_on_unseen_is_told(opened, qtbot: QtBot, tmp_path: Path) -> None:
    opened.window.actions_["file.export"].trigger()
    dialog = opened.dialog(ExportDialog)
    request = ExportRequest(formats=("weights", "onnx"), out=str(tmp_path), run="/r/good")
    dialog.export_requested.emit(request)
    dialog.reject()
    opened.window.controller.event_received.emit(Exported(format="weights", path="weights/good.safetensors"))
    assert dialog.outcome == ["Weights", "Not written: ONNX."]

    dialog.export_requested.emit(replace(request, formats=("onnx",)))
    dialog.reject()
    dialog.reject()
    assert not dialog.isVisible()
    with qtbot.waitSignal(opened.window.session.message) as told:
        opened.window.controller.event_received.emit(Exported(format="onnx", path="onnx/good.onnx"))
    assert told.args == ["ONNX: written to onnx/good.onnx", "info"]


def test_while_onnx_is_written_the_bar_does_not_stand_still(opened, tmp_path: Path) -> None:
    opened.window.actions_["file.export"].trigger()
    dialog = opened.dialog(ExportDialog)
    dialog.export_requested.emit(ExportRequest(formats=("onnx",), out=str(tmp_path), run="/r/good"))
    assert dialog._doing.whole_text == "Writing ONNX, which can take minutes"
    assert dialog._progress.maximum() == 0
    opened.window.controller.event_received.emit(Exported(format="onnx", path="onnx/good.onnx"))
    dialog.close()


@pytest.mark.parametrize("name", ["onnx", "masks", "labelme"])
def test_leaving_while_something_is_written_asks(
    opened, qtbot: QtBot, tmp_path: Path, monkeypatch, name: ExportFormat
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(exporting, "export_labels", lambda *_: go_on.wait(PATIENCE_S))
    opened.window.actions_["file.export"].trigger()
    dialog = opened.dialog(ExportDialog)
    dialog.export_requested.emit(ExportRequest(formats=(name,), out=str(tmp_path), run="/r/good"))
    dialog.reject()
    dialog.reject()
    opened.window.close()
    question = opened.dialog(MessageDialog)
    assert question.text == "What is not finished is lost if you leave now."
    qtbot.keyClick(question, Qt.Key.Key_Escape)
    assert opened.window.isVisible()
    opened.window.close()
    question = opened.dialog(MessageDialog)
    go_on.set()
    question.buttons["leave"].click()
    qtbot.waitUntil(lambda: opened.window.closed)


def test_leaving_after_everything_is_written_asks_nothing(opened, tmp_path: Path) -> None:
    opened.window.actions_["file.export"].trigger()
    dialog = opened.dialog(ExportDialog)
    dialog.export_requested.emit(ExportRequest(formats=("onnx",), out=str(tmp_path), run="/r/good"))
    opened.window.controller.event_received.emit(Exported(format="onnx", path="onnx/good.onnx"))
    dialog.close()
    opened.window.close()
    assert opened.window.closed


@pytest.mark.parametrize("name", ["masks", "labelme"])
def test_an_export_of_nothing_says_so(tmp_path: Path, name: ExportFormat) -> None:
    with (
        Project.create(tmp_path / "project") as project,
        pytest.raises(MaskloopError, match="nothing labelled to export yet"),
    ):
        export_labels(project, name, tmp_path / "out")
