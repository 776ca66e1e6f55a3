"""The window with mouse and keys: open, look through lists, change classes, export, close."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent

from app.dialogs.message import MessageDialog
from app.wiring.part import Wiring
from core.project.project import Project
from tests.app.on_disk import shapes_on_disk
from tests.patience import PATIENCE_S

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


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
    assert bench.window.status.text.startswith("Drop it to open ")
    bench.window.dragLeaveEvent(QDragLeaveEvent())
    assert "Drop it" not in bench.window.status.text
    bench.window.dropEvent(QDropEvent(QPointF(9, 9), actions, data, buttons, none))
    qtbot.waitUntil(lambda: bench.session.current is not None)
    assert len(bench.session.keys()) == 2


def test_a_class_is_added_with_the_keyboard_alone(bench, qtbot, image_folder):
    window = bench.window
    assert not window.actions_["edit.add_class"].isEnabled()
    bench.open(image_folder(1))
    bench.canvas.setFocus()
    qtbot.keyClick(bench.canvas, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    field = window.classes.name_field
    qtbot.waitUntil(field.hasFocus)
    qtbot.keyClicks(field, "nucleus")
    with qtbot.waitSignal(bench.session.classes_changed):
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert bench.session.active_class.name == "nucleus"
    assert bench.canvas.hasFocus(), "to draw it"
    window.actions_["edit.add_class"].trigger()
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert bench.canvas.hasFocus()


def test_escape_in_the_field_for_a_class_leaves_what_is_half_drawn(opened, qtbot):
    opened.key(Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    for corner in ((5, 5), (25, 5), (25, 25)):
        opened.click(*corner)
    opened.window.actions_["edit.add_class"].trigger()
    qtbot.waitUntil(opened.window.classes.name_field.hasFocus)
    qtbot.keyClick(opened.window.windowHandle(), Qt.Key.Key_Escape)  # as from the keyboard, past shortcuts
    assert opened.window.classes.name_field.isHidden()
    assert opened.canvas.hasFocus()
    opened.key(Qt.Key.Key_Return)
    assert opened.labels() == ["nerve"]


def test_a_project_that_is_open_elsewhere_is_refused_by_name(bench, qtbot, image_folder):
    folder = image_folder(1)
    with Project.open(folder, holder="Ada's window"):
        bench.window.open_path(folder)
        dialog = bench.dialog(MessageDialog)
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
    dialog = bench.dialog(ProblemsDialog)
    lines = dialog.texts()
    assert [name in line for name, line in zip(("001.json", "002.png", "003.json"), lines, strict=True)]
    assert "5 x 5" in lines[2]
    line = dialog.list.visualItemRect(dialog.list.item(1)).center()
    qtbot.mouseClick(dialog.list.viewport(), Qt.MouseButton.LeftButton, pos=line)
    bench.wait_for_image("scan002.png")
    assert bench.session.current.problem == lines[1]
    (folder / "scan001.json").unlink()
    bench.session.open_image("scan001.png")
    qtbot.waitUntil(lambda: len(dialog.texts()) == 2)
    dialog.close()


def test_an_image_noticed_before_it_was_copied_whole_gets_its_thumbnail_once_it_is(opened, qtbot):
    session, images = opened.session, opened.window.images.model
    whole = session.current.entry.image_path.read_bytes()
    path = session.project.root / "scan003.png"
    path.write_bytes(whole[: len(whole) // 2])
    qtbot.waitUntil(lambda: bool(session.statuses.get("scan003.png").problem))
    path.write_bytes(whole)
    session.check_disk()  # as when the window comes to the front
    qtbot.waitUntil(lambda: not session.statuses.get("scan003.png").problem)
    thumbnail = Qt.ItemDataRole.DecorationRole
    qtbot.waitUntil(lambda: images.index_of("scan003.png").data(thumbnail) is not None)


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


# --- classes ----------------------------------------------------------------------------------------------


def test_deleting_a_class_in_use_asks_what_becomes_of_its_shapes(opened, qtbot):
    from app.dialogs.delete_class import DeleteClassDialog

    opened.draw_square(10, 8)
    nerve = opened.session.classes.by_name("nerve").index
    opened.window.classes.class_deleted.emit(nerve)
    dialog = opened.dialog(DeleteClassDialog)
    dialog.delete_choice.click()
    with qtbot.waitSignal(opened.session.classes_changed):
        dialog.accept()
    qtbot.waitUntil(lambda: not opened.window.findChildren(DeleteClassDialog))
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
    opened.wait_saved()
    path = opened.session.current.entry.annotation_path
    theirs = json.loads(path.read_bytes())
    theirs["shapes"] = []
    opened.draw_square(30, 8)
    path.write_text(json.dumps(theirs))
    opened.key(Qt.Key.Key_S, CTRL)
    dialog = opened.dialog(MessageDialog)
    assert opened.window.status.save_text == "Changed elsewhere"
    assert "or keep both.\n" in dialog.text
    dialog.buttons["mine"].click()
    opened.wait_saved()
    assert len(shapes_on_disk(path.parent, "scan000")) == 2


def test_closing_the_window_saves_the_last_edit_and_ends_everything(opened, qtbot):
    opened.draw_square(10, 8)
    root = opened.session.project.root
    opened.window.close()
    qtbot.waitUntil(lambda: opened.window.closed)
    assert not opened.window.isVisible()
    assert len(shapes_on_disk(root, "scan000")) == 1
    Project.open(root).close()  # the lock is free again
    parts = opened.window.findChildren(Wiring)
    assert len(parts) >= 8
    assert all(part._runner.run(int).cancelled for part in parts), "no worker begins anything more"


def test_closing_with_a_full_disk_asks_and_can_be_put_off(opened, qtbot, monkeypatch):
    from core.errors import StorageError

    def full(*_: object, **__: object) -> str:
        raise StorageError("scan000.json", "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Project, "save", full)
        opened.draw_square(10, 8)
        opened.window.close()
        dialog = opened.dialog(MessageDialog)
        assert "disk is full" in dialog.text
        dialog.buttons["stay"].click()
        assert opened.window.isVisible()
        status = opened.window.status
        assert status.save_text == "Not saved"
        status.show_note("Something else.")
        qtbot.mouseClick(status, Qt.MouseButton.LeftButton, pos=status._save.mapTo(status, QPoint(3, 3)))
        assert "disk is full" in status.text
    qtbot.mouseClick(status, Qt.MouseButton.LeftButton, pos=status._save.mapTo(status, QPoint(3, 3)))
    qtbot.waitUntil(lambda: status.save_text == "Saved")
    root = opened.session.project.root
    opened.window.close()
    qtbot.waitUntil(lambda: opened.window.closed)
    assert len(shapes_on_disk(root, "scan000")) == 1


def test_a_note_outlasts_the_tip_of_a_menu_entry(bench):
    status = bench.window.status
    status.set_hint("Draw something.")
    status.show_note("The important note.")
    status.set_tip("Save and leave")
    assert status.text == "Save and leave"
    status.set_tip("")
    assert status.text == "The important note."
    status._message_timer.timeout.emit()
    status.set_tip("Save and leave")
    status.set_tip("")
    assert status.text == "Draw something."


# --- the program itself -----------------------------------------------------------------------------------


def test_the_command_palette_finds_and_runs_actions(opened, qtbot):
    from app.dialogs.command_palette import CommandPalette

    opened.key(Qt.Key.Key_P, CTRL | SHIFT)
    palette = opened.dialog(CommandPalette)
    qtbot.keyClicks(palette.field, "next image")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    opened.wait_for_image("scan001.png")


def test_changed_keys_work_and_are_remembered(make_window, qtbot, image_folder):
    from app.dialogs.shortcuts import ShortcutsDialog

    first = make_window()
    first.open(image_folder(2))
    first.window.actions_["help.shortcuts"].trigger()
    dialog = first.dialog(ShortcutsDialog)
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
QTimer.singleShot(200_000, lambda: app.exit(3))
code = app.exec()
print(code, [name for name in ("torch", "torchvision", "timm", "safetensors") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.stdout.strip() == "0 []", done.stderr
