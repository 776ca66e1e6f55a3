"""The window with mouse and keys: open, draw, go on, label, correct, take back, close."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog

from app.dialogs.message import MessageDialog
from core.annotation.model import AnnotationState
from core.learning.events import Prediction
from core.learning.packed_mask import PackedMask
from core.project.project import Project

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def shapes_on_disk(folder: Path, stem: str) -> list[dict]:
    return json.loads((folder / f"{stem}.json").read_bytes())["shapes"]


def wait_saved(bench, qtbot) -> None:
    qtbot.waitUntil(lambda: bench.session.save_state.kind == "saved")


def dialog_of(bench, qtbot, kind: type[QDialog]) -> QDialog:
    qtbot.waitUntil(lambda: any(d.isVisible() for d in bench.window.findChildren(kind)))
    return next(d for d in bench.window.findChildren(kind) if d.isVisible())


# --- opening ----------------------------------------------------------------------------------------------


def test_the_first_start_shows_the_welcome_page_alone(bench):
    assert bench.window.page.welcome.isVisible()
    assert not bench.window.images.isVisible()
    assert bench.window.windowTitle() == "Maskloop"
    assert not bench.window.actions_["train.start"].isEnabled()


def test_an_opened_folder_shows_its_images_and_the_first_one(bench, qtbot, image_folder):
    bench.open(image_folder(3))
    assert bench.canvas.isVisible()
    assert bench.window.images.model.keys() == ("scan000.png", "scan001.png", "scan002.png")
    assert bench.canvas.content_size.width() == 64
    assert "scan000.png" in bench.window.windowTitle()
    assert bench.window.settings.recent == [str(bench.session.project.root)]


def test_a_folder_of_images_is_never_called_empty_while_the_first_is_read(bench, qtbot, image_folder):
    said: list[str] = []
    bench.session.images_changed.connect(lambda _change: said.append(bench.canvas._placeholder))
    bench.open(image_folder(2))
    assert said == ["Reading the image …"]


def test_a_dropped_folder_is_opened(bench, qtbot, image_folder):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(image_folder(2)))])
    actions, buttons = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(bench.window.rect().center(), actions, data, buttons, none)
    bench.window.dragEnterEvent(enter)
    assert enter.isAccepted()
    bench.window.dropEvent(QDropEvent(QPointF(9, 9), actions, data, buttons, none))
    qtbot.waitUntil(lambda: bench.session.current is not None)
    assert len(bench.session.keys()) == 2


def test_a_project_that_is_open_elsewhere_is_refused_by_name(bench, qtbot, image_folder):
    folder = image_folder(1)
    with Project.open(folder, holder="Ada's window"):
        bench.window.open_path(folder)
        dialog = dialog_of(bench, qtbot, MessageDialog)
    assert "Ada's window" in dialog.text
    dialog.close()
    assert bench.window.page.welcome.isVisible()


def test_an_image_with_a_corrupt_annotation_says_why_and_cannot_be_drawn_on(opened, qtbot):
    path = opened.session.project.root / "scan001.json"
    path.write_text("[")
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    assert "scan001.json" in opened.session.current.problem
    opened.draw_square(5, 5)
    assert path.read_text() == "["
    row = opened.window.images.model.index_of("scan001.png")
    assert "scan001.json" in row.data(Qt.ItemDataRole.ToolTipRole)


def test_the_next_start_opens_at_the_image_seen_last_with_the_same_layout(make_window, qtbot, image_folder):
    folder = image_folder(3)
    first = make_window()
    first.open(folder)
    first.key(Qt.Key.Key_D)
    first.wait_for_image("scan001.png")
    first.window.docks["training"].hide()
    first.window.close()
    qtbot.waitUntil(lambda: first.window.closed)
    second = make_window()
    second.open(folder)
    assert second.session.current.entry.key == "scan001.png"
    assert second.window.docks["images"].isVisible()
    assert not second.window.docks["training"].isVisible()


# --- drawing ----------------------------------------------------------------------------------------------


def test_a_polygon_drawn_with_the_mouse_is_saved_with_its_mask(opened, qtbot):
    opened.draw_square(10, 8)
    wait_saved(opened, qtbot)
    root = opened.session.project.root
    (shape,) = shapes_on_disk(root, "scan000")
    assert shape["label"] == "nerve"
    assert np.abs(np.array(shape["points"]) - [[10, 8], [20, 8], [20, 18], [10, 18]]).max() < 0.2
    mask = opened.session.project.read_mask(opened.session.current.entry)
    assert mask[13, 15] == opened.session.classes.by_name("nerve").index
    assert opened.window.status.save_text == "Saved"
    row = opened.window.images.model.index_of("scan000.png")
    assert "1 shape" in row.data(Qt.ItemDataRole.AccessibleTextRole)


def test_in_a_new_project_the_first_shape_asks_for_its_class(bench, qtbot, image_folder):
    from app.dialogs.label import LabelDialog

    bench.open(image_folder(1))
    bench.draw_square(10, 8)
    dialog = dialog_of(bench, qtbot, LabelDialog)
    qtbot.keyClicks(dialog.field, "nerve")
    qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bench.labels() == ["nerve"])
    assert bench.session.classes.names == ("background", "nerve")
    assert bench.session.active_class.name == "nerve"
    bench.draw_square(30, 8)
    assert bench.labels() == ["nerve", "nerve"]


def test_undo_and_redo_by_key_and_by_menu_name_what_they_do(opened, qtbot):
    opened.draw_square(10, 8)
    assert opened.window.actions_["edit.undo"].text().startswith("&Undo Add")
    opened.key(Qt.Key.Key_Z, CTRL)
    assert opened.labels() == []
    opened.key(Qt.Key.Key_Y, CTRL)
    opened.key(Qt.Key.Key_Z, CTRL)
    opened.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert opened.labels() == ["nerve"]
    assert not opened.window.actions_["edit.redo"].isEnabled()


def test_undo_while_drawing_takes_the_last_point_back(opened, qtbot):
    opened.draw_square(30, 8)
    opened.key(Qt.Key.Key_N, CTRL)
    for corner in ((10, 8), (20, 8), (20, 18), (10, 30)):
        opened.click(*corner)
    opened.key(Qt.Key.Key_Z, CTRL)
    opened.key(Qt.Key.Key_Return)
    assert len(opened.session.current.document.shapes[-1].points) == 3
    assert len(opened.labels()) == 2


def test_digits_choose_the_class_and_relabel_what_is_selected(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    assert len(opened.session.selection) == 1
    opened.key(Qt.Key.Key_2)
    assert opened.labels() == ["vessel"]
    assert opened.session.active_class.name == "vessel"
    opened.click(50, 40)
    opened.key(Qt.Key.Key_1)
    assert opened.labels() == ["vessel"]
    assert opened.session.active_class.name == "nerve"


def test_copies_lie_beside_on_the_same_image_and_in_place_on_another(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    opened.key(Qt.Key.Key_C, CTRL)
    opened.key(Qt.Key.Key_V, CTRL)
    first, second = opened.session.current.document.shapes
    assert (second.points > first.points).all()
    assert opened.session.selection == {second.uid}
    opened.key(Qt.Key.Key_Delete)
    assert len(opened.labels()) == 1
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    opened.window.actions_["edit.paste"].trigger()
    (pasted,) = opened.session.current.document.shapes
    assert pasted.label == "nerve"
    assert opened.session.current.document.state is AnnotationState.IN_PROGRESS
    opened.key(Qt.Key.Key_D, CTRL)
    assert len(opened.labels()) == 2


def test_a_polygon_inside_another_becomes_its_hole(opened, qtbot):
    opened.draw_square(5, 5, side=30)
    opened.draw_square(12, 12, side=8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(16, 16)
    opened.key(Qt.Key.Key_H)
    (shape,) = opened.session.current.document.shapes
    assert len(shape.holes) == 1
    opened.key(Qt.Key.Key_Z, CTRL)
    assert len(opened.labels()) == 2


def test_a_finished_area_is_background_under_everything_and_the_tool_comes_back(opened, qtbot):
    opened.draw_square(20, 20, side=6)
    opened.key(Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    opened.drag((5, 5), (40, 40))
    assert opened.labels() == ["_background_", "nerve"]
    assert opened.canvas.tool == "polygon"
    opened.draw_square(44, 20, side=6)
    assert opened.labels()[-1] == "nerve"
    wait_saved(opened, qtbot)
    mask = opened.session.project.read_mask(opened.session.current.entry)
    assert mask[10, 10] == 0
    assert mask[23, 23] == opened.session.classes.by_name("nerve").index
    assert mask[45, 60] == 255


def test_done_is_a_key_and_done_and_next_another(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_F)
    assert opened.session.current.document.state is AnnotationState.DONE
    assert opened.window.actions_["shape.done"].isChecked()
    opened.key(Qt.Key.Key_F)
    assert opened.session.current.document.state is AnnotationState.IN_PROGRESS
    opened.key(Qt.Key.Key_F, SHIFT)
    opened.wait_for_image("scan001.png")
    assert opened.session.statuses.get("scan000.png").state is AnnotationState.DONE


def test_keys_walk_through_the_images_and_take_shapes_along(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_D, CTRL | SHIFT)
    opened.wait_for_image("scan001.png")
    assert opened.labels() == ["nerve"]
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan002.png")
    assert opened.labels() == []
    opened.key(Qt.Key.Key_A)
    opened.wait_for_image("scan001.png")
    opened.key(Qt.Key.Key_P, CTRL)
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan002.png")
    assert opened.labels() == ["nerve"]


def test_deleting_the_annotation_asks_deletes_file_and_mask_and_undo_restores_both(opened, qtbot):
    opened.draw_square(10, 8)
    wait_saved(opened, qtbot)
    entry = opened.session.current.entry
    before = entry.annotation_path.read_bytes(), entry.mask_path.read_bytes()
    opened.key(Qt.Key.Key_Delete, CTRL)
    dialog = dialog_of(opened, qtbot, MessageDialog)
    assert "scan000.json (1 shape)" in dialog.text
    dialog.buttons["delete"].click()
    wait_saved(opened, qtbot)
    assert not entry.annotation_path.exists()
    assert not entry.mask_path.exists()
    assert opened.labels() == []
    opened.window.activateWindow()
    qtbot.waitUntil(opened.window.isActiveWindow)
    opened.key(Qt.Key.Key_Z, CTRL)
    wait_saved(opened, qtbot)
    assert opened.labels() == ["nerve"]
    assert (entry.annotation_path.read_bytes(), entry.mask_path.read_bytes()) == before
    opened.key(Qt.Key.Key_Y, CTRL)
    wait_saved(opened, qtbot)
    assert not entry.annotation_path.exists()


def test_deleting_the_annotation_can_be_thought_better_of(opened, qtbot):
    opened.draw_square(10, 8)
    wait_saved(opened, qtbot)
    opened.key(Qt.Key.Key_Delete, CTRL)
    dialog_of(opened, qtbot, MessageDialog).buttons["keep"].click()
    assert opened.labels() == ["nerve"]
    assert opened.session.current.entry.annotation_path.exists()


def test_leaving_an_image_in_progress_offers_done_with_one_key(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    assert opened.window.toast.isVisible()
    assert opened.window.toast.text.startswith("scan000 is in progress: undrawn pixels do not count. Done?")
    opened.key(Qt.Key.Key_D, SHIFT)
    statuses = opened.session.statuses
    assert statuses.get("scan000.png").state is AnnotationState.DONE
    assert opened.session.current.document.state is AnnotationState.UNLABELLED
    wait_saved(opened, qtbot)
    entry = opened.session.entry("scan000.png")
    assert (opened.session.project.read_mask(entry)[30:, 30:] == 0).all()
    opened.window.toast.action_clicked.emit()  # "Undo"
    assert statuses.get("scan000.png").state is AnnotationState.IN_PROGRESS
    opened.window.toast.action_clicked.emit()  # "Done" again
    opened.key(Qt.Key.Key_A)
    opened.wait_for_image("scan000.png")
    opened.key(Qt.Key.Key_Z, CTRL)
    assert opened.session.current.document.state is AnnotationState.IN_PROGRESS


def test_done_is_not_offered_for_images_that_were_only_looked_at_or_are_done(opened, qtbot):
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan001.png")
    assert not opened.window.toast.isVisible()
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_F)
    opened.key(Qt.Key.Key_D)
    opened.wait_for_image("scan002.png")
    assert not opened.window.toast.isVisible()
    opened.key(Qt.Key.Key_D, SHIFT)
    assert opened.session.current.document.state is AnnotationState.UNLABELLED


# --- files that cannot be used ----------------------------------------------------------------------------


def test_opening_a_folder_tells_what_cannot_be_used_and_lists_all_of_it(bench, qtbot, image_folder):
    from app.dialogs.problems import ProblemsDialog

    folder = image_folder(4)
    (folder / "scan001.json").write_text("{ not json")
    (folder / "scan002.png").write_bytes(b"not a picture")
    wrong_size = {
        "imagePath": "scan003.png",
        "imageData": None,
        "shapes": [],
        "imageHeight": 5,
        "imageWidth": 5,
    }
    (folder / "scan003.json").write_text(json.dumps(wrong_size))
    bench.open(folder)
    qtbot.waitUntil(lambda: "3 files cannot be used" in bench.window.toast.text)
    assert "scan001.json" in bench.window.toast.text
    bench.window.toast.action_clicked.emit()
    dialog = dialog_of(bench, qtbot, ProblemsDialog)
    lines = dialog.texts()
    assert [name in line for name, line in zip(("001.json", "002.png", "003.json"), lines, strict=True)]
    assert "5 x 5" in lines[2]
    dialog.list.setCurrentRow(1)
    bench.wait_for_image("scan002.png")
    assert bench.session.current.problem == lines[1]
    (folder / "scan001.json").unlink()
    bench.session.open_image("scan001.png")
    qtbot.waitUntil(lambda: len(dialog.texts()) == 2)
    dialog.close()


def test_a_folder_without_problems_says_nothing(opened, qtbot):
    qtbot.waitUntil(lambda: not opened.session._opened.worker.busy)
    assert opened.session.problems == ()
    assert not opened.window.toast.isVisible()


def test_hiding_a_class_hides_its_shapes_from_mouse_and_eye(opened, qtbot):
    opened.draw_square(10, 8)
    nerve = opened.session.classes.by_name("nerve").index
    opened.window.classes.class_visibility_changed.emit(nerve, False)
    opened.key(Qt.Key.Key_J, CTRL)
    opened.click(15, 13)
    assert not opened.session.selection
    opened.window.classes.class_visibility_changed.emit(nerve, True)
    opened.click(15, 13)
    assert len(opened.session.selection) == 1


def test_the_shape_list_selects_and_restacks(opened, qtbot):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_2)
    opened.draw_square(30, 8)
    nerve, _vessel = opened.session.current.document.shapes
    opened.window.shapes.selection_changed.emit(frozenset({nerve.uid}))
    assert opened.session.selection == {nerve.uid}
    opened.window.shapes.shape_moved.emit(nerve.uid, 1)
    assert opened.labels() == ["vessel", "nerve"]
    assert opened.window.shapes.selection == {nerve.uid}


# --- prediction -------------------------------------------------------------------------------------------


@pytest.fixture
def predicted(opened):
    """A prediction with one nerve region over the current image."""
    opened.window.controller._show(nerve_prediction(opened))
    return opened


def nerve_prediction(bench) -> Prediction:
    classes = np.zeros((48, 64), np.uint8)
    classes[10:30, 20:40] = bench.session.classes.by_name("nerve").index
    confidence = np.full((48, 64), 204, np.uint8)
    return Prediction(
        key="scan000.png",
        revision=0,
        weights_version=1,
        classes=PackedMask.pack(classes),
        confidence=PackedMask.pack(confidence),
        source="U-Net, step 840",
        seconds=0.1,
        scored_on="validation",
    )


def test_enter_accepts_the_predicted_region_under_the_mouse(predicted, qtbot):
    assert predicted.canvas.has_prediction
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(2, 2))
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(30, 20))
    predicted.key(Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])
    predicted.key(Qt.Key.Key_Z, CTRL)
    assert predicted.labels() == []


def test_a_click_with_the_region_tool_and_accept_all_make_polygons(predicted, qtbot):
    predicted.key(Qt.Key.Key_R)
    predicted.click(30, 20)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])
    predicted.key(Qt.Key.Key_Z, CTRL)
    predicted.key(Qt.Key.Key_Return, CTRL)
    qtbot.waitUntil(lambda: predicted.labels() == ["nerve"])


def test_the_status_bar_says_what_is_drawn_and_predicted_under_the_mouse(predicted, qtbot):
    predicted.key(Qt.Key.Key_2)
    predicted.draw_square(22, 12)
    wait_saved(predicted, qtbot)
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(2.5, 2.5))
    qtbot.mouseMove(predicted.canvas.viewport(), predicted.at(25.5, 15.5))
    position, value, drawn, seen = predicted.window.status.under_cursor
    assert position == "25, 15"
    assert value.startswith("value ")
    assert drawn == "vessel"
    assert seen == "nerve 0.80 (prediction)"


def test_keys_show_and_hide_labels_and_prediction(predicted, qtbot):
    bar = predicted.window.page.prediction_bar
    predicted.key(Qt.Key.Key_P)
    assert not predicted.canvas.has_prediction
    assert not bar.prediction.isChecked()
    predicted.key(Qt.Key.Key_P)
    assert predicted.canvas.has_prediction
    predicted.key(Qt.Key.Key_L)
    assert not bar.labels.isChecked()
    predicted.key(Qt.Key.Key_T)
    assert bar.labels.isChecked()


def test_a_prediction_of_another_size_is_not_shown(predicted, qtbot):
    small = PackedMask.pack(np.zeros((8, 8), np.uint8))
    wrong = Prediction(
        key="scan000.png",
        revision=0,
        weights_version=2,
        classes=small,
        confidence=small,
        source="",
        seconds=0.1,
    )
    predicted.window.controller._show(wrong)
    assert not predicted.canvas.has_prediction


# --- classes ----------------------------------------------------------------------------------------------


def test_deleting_a_class_in_use_asks_what_becomes_of_its_shapes(opened, qtbot):
    from app.dialogs.delete_class import DeleteClassDialog

    opened.draw_square(10, 8)
    nerve = opened.session.classes.by_name("nerve").index
    opened.window.classes.class_deleted.emit(nerve)
    dialog = dialog_of(opened, qtbot, DeleteClassDialog)
    dialog.delete_choice.click()
    with qtbot.waitSignal(opened.session.classes_changed):
        dialog.accept()
    assert opened.labels() == []
    assert opened.session.classes.names == ("background", "vessel")


def test_deleting_an_unused_class_asks_nothing(opened, qtbot):
    with qtbot.waitSignal(opened.session.classes_changed):
        opened.window.classes.class_deleted.emit(opened.session.classes.by_name("vessel").index)
    assert opened.session.classes.names == ("background", "nerve")


# --- export, conflicts, closing ---------------------------------------------------------------------------


def test_masks_are_exported_from_the_dialog(opened, qtbot, tmp_path):
    opened.draw_square(10, 8)
    opened.key(Qt.Key.Key_F)
    opened.key(Qt.Key.Key_E, CTRL | SHIFT)
    dialog = opened.window.parts.exporting._dialog
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.export_button.click()
    qtbot.waitUntil(lambda: bool(dialog.outcome))
    assert (tmp_path / "out" / "masks" / "scan000.png").is_file()
    assert (tmp_path / "out" / "masks" / "classes.json").is_file()
    dialog.close()


def test_a_foreign_change_under_unsaved_work_is_asked_about(opened, qtbot):
    opened.draw_square(10, 8)
    wait_saved(opened, qtbot)
    path = opened.session.current.entry.annotation_path
    theirs = json.loads(path.read_bytes())
    theirs["shapes"] = []
    opened.draw_square(30, 8)
    path.write_text(json.dumps(theirs))
    opened.key(Qt.Key.Key_S, CTRL)
    dialog = dialog_of(opened, qtbot, MessageDialog)
    assert opened.window.status.save_text == "Changed elsewhere"
    dialog.buttons["mine"].click()
    wait_saved(opened, qtbot)
    assert len(shapes_on_disk(path.parent, "scan000")) == 2


def test_closing_the_window_saves_the_last_edit_and_ends_everything(opened, qtbot):
    opened.draw_square(10, 8)
    root = opened.session.project.root
    opened.window.close()
    qtbot.waitUntil(lambda: opened.window.closed)
    assert not opened.window.isVisible()
    assert len(shapes_on_disk(root, "scan000")) == 1
    Project.open(root).close()  # the lock is free again


def test_closing_with_a_full_disk_asks_and_can_be_put_off(opened, qtbot, monkeypatch):
    from core.errors import StorageError

    def full(*_: object, **__: object) -> str:
        raise StorageError("scan000.json", "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Project, "save", full)
        opened.draw_square(10, 8)
        opened.window.close()
        dialog = dialog_of(opened, qtbot, MessageDialog)
        assert "disk is full" in dialog.text
        dialog.buttons["stay"].click()
        assert opened.window.isVisible()
        assert opened.window.status.save_text == "Not saved"
    root = opened.session.project.root
    opened.window.close()
    qtbot.waitUntil(lambda: opened.window.closed)
    assert len(shapes_on_disk(root, "scan000")) == 1


# --- the program itself -----------------------------------------------------------------------------------


def test_the_command_palette_finds_and_runs_actions(opened, qtbot):
    from app.dialogs.command_palette import CommandPalette

    opened.key(Qt.Key.Key_P, CTRL | SHIFT)
    palette = dialog_of(opened, qtbot, CommandPalette)
    qtbot.keyClicks(palette.field, "next image")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    opened.wait_for_image("scan001.png")


def test_changed_keys_work_and_are_remembered(make_window, qtbot, image_folder):
    from app.dialogs.shortcuts import ShortcutsDialog

    first = make_window()
    first.open(image_folder(2))
    first.window.actions_["help.shortcuts"].trigger()
    dialog = dialog_of(first, qtbot, ShortcutsDialog)
    keys = dialog.keys()
    dialog.shortcuts_changed.emit({**keys, "window.next": "X"})
    dialog.close()
    first.key(Qt.Key.Key_X)
    first.wait_for_image("scan001.png")
    assert first.window.settings.shortcuts == {"window.next": "X"}
    second = make_window()
    assert second.window.actions_["window.next"].shortcut().toString() == "X"


def test_every_action_has_a_key_of_its_own_and_is_in_a_menu(bench):
    names = {action.objectName() for action in bench.window.actions_}
    in_menus = {
        action.objectName()
        for menu in bench.window.menus.values()
        for action in [
            *menu.actions(),
            *(a for sub in menu.actions() if sub.menu() for a in sub.menu().actions()),
        ]
    }
    assert names <= in_menus
    keys = [key.toString() for action in bench.window.actions_ for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


@pytest.mark.expects_errors
def test_an_unforeseen_error_is_told_and_logged_and_the_window_goes_on(opened, qtbot, caplog, capsys):
    from app.application import SafetyNet

    net = SafetyNet(opened.window)
    net._on_exception(ZeroDivisionError, ZeroDivisionError("by nought"), None)
    assert "by nought" in opened.window.toast.text
    assert "Unexpected error" in caplog.text
    opened.draw_square(10, 8)
    assert opened.labels() == ["nerve"]


def test_the_windows_process_never_imports_torch(image_folder, tmp_path):
    """In a process of its own: other tests of this run have torch loaded."""
    script = f"""
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from app.application import make_application
from app.main_window import MainWindow
from app.settings import Settings
app = make_application()
window = MainWindow(Settings(Path({str(tmp_path / "s.ini")!r})))
window.show()
window.session.current_changed.connect(lambda current: current and QTimer.singleShot(0, window.close))
window.open_path(Path({str(image_folder(1))!r}))
QTimer.singleShot(20000, lambda: app.exit(3))
code = app.exec()
print(code, [name for name in ("torch", "torchvision", "timm", "safetensors") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "0 []", done.stderr
