"""What is asked about a project ends with it: opening another takes a while, and goes on meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PySide6.QtWidgets import QColorDialog, QDialog, QFileDialog, QMenu

from app.dialogs.amount import AmountPopover
from app.dialogs.delete_class import DeleteClassDialog
from app.dialogs.export import ExportDialog, ExportRequest
from app.dialogs.label import LabelDialog
from app.dialogs.message import MessageDialog
from app.wiring import exporting
from core.learning.events import Exported

NERVE, VESSEL = 1, 2


@pytest.fixture
def drawn(opened):
    """A window on a project with a nerve drawn on its first image."""
    opened.draw_square(10, 8)
    opened.wait_saved()
    return opened


@pytest.fixture
def other(drawn, qtbot, image_folder):
    """Opens a second project, whose images and class indices are the same, in the window."""

    def open_it() -> None:
        drawn.window.open_path(image_folder(3, name="other"))
        qtbot.waitUntil(lambda: drawn.session.project.root.name == "other" and not drawn.session.busy)
        drawn.wait_for_image("scan000.png")

    return open_it


def ask_to_delete(bench):
    bench.window.classes.class_deleted.emit(NERVE)
    return bench.dialog(DeleteClassDialog)


def ask_to_merge(bench):
    bench.window.classes.class_merged.emit(NERVE, VESSEL)
    return bench.dialog(MessageDialog)


def ask_for_color(bench):
    bench.window.classes._on_color_clicked(NERVE)
    return bench.dialog(QColorDialog)


def asking(action: str, kind: type[QDialog]):
    def ask(bench):
        bench.window.actions_[action].trigger()
        return bench.dialog(kind)

    return ask


@pytest.mark.parametrize(
    "ask",
    [
        ask_to_delete,
        ask_to_merge,
        ask_for_color,
        asking("file.export", ExportDialog),
        asking("file.add_images", QFileDialog),
        asking("file.delete_annotation", MessageDialog),
        asking("train.use_weights", QFileDialog),
    ],
)
def test_a_question_about_a_project_cannot_be_answered_in_another(drawn, other, ask):
    kind = type(ask(drawn))
    other()
    assert not [each for each in drawn.window.findChildren(kind) if each.isVisible()]


def test_nothing_is_asked_about_a_class_whose_shapes_are_counted_while_its_project_closes(drawn):
    drawn.draw_square(30, 8)
    worker = drawn.session._opened.worker
    drawn.window.classes.class_deleted.emit(NERVE)
    for job in list(worker._tasks):
        job.over.wait(20)
    assert drawn.session.close()  # waits for the label file, and so hears of the count
    assert not [each for each in drawn.window.findChildren(DeleteClassDialog) if each.isVisible()]


@pytest.mark.parametrize("action", ["edit.label", "shape.simplify"])
def test_a_popup_about_shapes_goes_with_their_project(drawn, other, action):
    drawn.window.actions_["edit.select_all"].trigger()
    drawn.window.actions_[action].trigger()
    drawn.dialog(LabelDialog if action == "edit.label" else AmountPopover)
    other()
    popups = drawn.window.findChildren(LabelDialog) + drawn.window.findChildren(AmountPopover)
    assert not any(popup.isVisible() for popup in popups)


def test_a_menu_about_a_class_goes_with_its_project(drawn, other):
    menu = drawn.window.classes.context_menu(NERVE)
    assert isinstance(menu, QMenu)
    menu.popup(drawn.window.pos())
    other()
    assert not menu.isVisible()


def test_an_export_that_is_under_way_ends_with_what_is_being_written(
    drawn, qtbot, other, tmp_path: Path, monkeypatch
):
    writing, write = threading.Event(), exporting.export_labels

    def slow(*arguments):
        writing.wait(20)
        return write(*arguments)

    monkeypatch.setattr(exporting, "export_labels", slow)
    told: list[str] = []
    drawn.session.message.connect(lambda text, _level: told.append(text))
    drawn.window.actions_["file.export"].trigger()
    dialog = drawn.dialog(ExportDialog)
    dialog.export_requested.emit(ExportRequest(formats=("masks", "labelme"), out=str(tmp_path / "out")))
    other()
    assert "Not written: labelme files." in told
    writing.set()
    qtbot.waitUntil(lambda: any(text.startswith("The export is done") for text in told))
    assert "nerve" in (tmp_path / "out" / "masks" / "classes.json").read_text()
    assert not (tmp_path / "out" / "labelme").exists()


def test_what_the_engine_still_exports_of_the_project_before_is_told(drawn, qtbot, other, tmp_path: Path):
    drawn.window.actions_["file.export"].trigger()
    drawn.dialog(ExportDialog).export_requested.emit(
        ExportRequest(formats=("weights",), out=str(tmp_path), run="/r/good")
    )
    other()
    with qtbot.waitSignal(drawn.session.message) as told:
        drawn.window.controller.event_received.emit(
            Exported(format="weights", path="weights/good.safetensors")
        )
    assert told.args == ["Weights: written to weights/good.safetensors", "info"]


def test_a_copy_is_of_the_image_it_was_asked_for(drawn, qtbot, tmp_path: Path):
    drawn.window.actions_["file.save_as"].trigger()
    dialog = drawn.dialog(QFileDialog)
    drawn.session.open_image("scan001.png")
    drawn.wait_for_image("scan001.png")
    with qtbot.waitSignal(drawn.session.message):
        dialog.fileSelected.emit(str(tmp_path / "copy.json"))
    dialog.close()
    assert "scan000.png" in (tmp_path / "copy.json").read_text()
