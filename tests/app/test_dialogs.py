"""The dialogs, with mouse and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QFileDialog, QMainWindow, QMenu, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.command_palette import CommandPalette, fuzzy, matches
from app.dialogs.delete_class import DeleteClassDialog
from app.dialogs.export import ExportDialog, ExportRequest
from app.dialogs.label import LabelDialog, matching_names
from app.dialogs.message import Choice, MessageDialog, Toast, show_error
from app.dialogs.shortcuts import ShortcutsDialog
from app.panels.run_history import RunSummary
from core.annotation.model import ClassList, LabelClass
from core.learning.runs import BestScore

pytestmark = pytest.mark.usefixtures("dressed")
LEFT = Qt.MouseButton.LeftButton
CLASSES = ClassList(
    (
        LabelClass(0, "background", "#101010"),
        LabelClass(1, "nerve", "#ffcc00"),
        LabelClass(2, "blood vessel", "#ee4422"),
        LabelClass(3, "vessel wall", "#2244ee"),
    ),
    background=0,
)


# --- label ----------------------------------------------------------------------------------------------


@pytest.fixture
def popup(qtbot: QtBot) -> Iterator[LabelDialog]:
    dialog = LabelDialog(CLASSES, "nerve")
    qtbot.addWidget(dialog)
    dialog.popup_at(QPoint(100, 100))
    qtbot.waitUntil(dialog.isVisible)
    yield dialog
    dialog.close()


def test_names_complete_by_any_part_of_them_beginnings_first() -> None:
    assert matching_names(CLASSES.names, "VESS") == ["vessel wall", "blood vessel"]
    assert matching_names(CLASSES.names, "") == list(CLASSES.names)


def test_enter_takes_the_last_label_again(qtbot: QtBot, popup: LabelDialog) -> None:
    with qtbot.waitSignal(popup.label_chosen) as chosen, qtbot.assertNotEmitted(popup.cancelled):
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["nerve"]
    assert not popup.isVisible()


def test_typing_narrows_and_enter_completes(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "ood")
    assert popup.rows() == ["blood vessel", "New class “ood”"]
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["blood vessel"]


def test_a_new_name_makes_a_class(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, " bone ")
    assert popup.rows() == ["New class “bone”"]
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["bone"]


def test_a_new_name_inside_an_old_one_is_one_key_down(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "wall")
    qtbot.keyClick(popup.field, Qt.Key.Key_Down)
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.keyClick(popup.field, Qt.Key.Key_Return)
    assert chosen.args == ["wall"]


def test_tab_fills_the_marked_name_in(qtbot: QtBot, popup: LabelDialog) -> None:
    qtbot.keyClicks(popup.field, "ves")
    qtbot.keyClick(popup.field, Qt.Key.Key_Tab)
    assert popup.field.text() == "vessel wall"


def test_escape_cancels_once(qtbot: QtBot, popup: LabelDialog) -> None:
    told: list[int] = []
    popup.cancelled.connect(lambda: told.append(1))
    with qtbot.assertNotEmitted(popup.label_chosen):
        qtbot.keyClick(popup.field, Qt.Key.Key_Escape)
        popup.close()
    assert told == [1]


def test_a_click_on_a_row_takes_it(qtbot: QtBot, popup: LabelDialog) -> None:
    row = popup.list.visualItemRect(popup.list.item(2)).center()
    with qtbot.waitSignal(popup.label_chosen) as chosen:
        qtbot.mouseClick(popup.list.viewport(), LEFT, pos=row)
    assert chosen.args == ["blood vessel"]


def test_the_popup_stays_on_the_screen(qtbot: QtBot) -> None:
    dialog = LabelDialog(CLASSES)
    qtbot.addWidget(dialog)
    screen = dialog.screen().availableGeometry()
    dialog.popup_at(screen.bottomRight())
    assert screen.contains(dialog.geometry())


def test_with_no_class_nothing_is_taken_before_a_name_is_typed(qtbot: QtBot) -> None:
    dialog = LabelDialog(ClassList())
    qtbot.addWidget(dialog)
    dialog.popup_at(QPoint(10, 10))
    with qtbot.assertNotEmitted(dialog.label_chosen):
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert dialog.isVisible()
    dialog.close()


def test_the_first_class_is_named_and_not_taken_for_background_by_mistake(qtbot: QtBot) -> None:
    dialog = LabelDialog(ClassList((LabelClass(0, "background", "#101010"),), background=0))
    qtbot.addWidget(dialog)
    dialog.popup_at(QPoint(10, 10))
    with qtbot.assertNotEmitted(dialog.label_chosen):
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    qtbot.keyClicks(dialog.field, "nerve")
    with qtbot.waitSignal(dialog.label_chosen) as chosen:
        qtbot.keyClick(dialog.field, Qt.Key.Key_Return)
    assert chosen.args == ["nerve"]


# --- export ---------------------------------------------------------------------------------------------

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
    export.finish()
    with qtbot.assertNotEmitted(export.cancel_requested):
        qtbot.mouseClick(export._close, LEFT)
    assert not export.isVisible()


# --- command palette ------------------------------------------------------------------------------------


@pytest.fixture
def window(shown: Callable[..., QWidget]) -> QMainWindow:
    window = QMainWindow()
    menus = {title: window.menuBar().addMenu(title) for title in ("&File", "&View")}
    for menu, name, text, keys in (
        ("&File", "file.open", "&Open folder…", "Ctrl+U"),
        ("&File", "file.export", "&Export…", "Ctrl+Shift+E"),
        ("&View", "view.zoom_in", "Zoom &in", "Ctrl++"),
        ("&View", "view.opacity", "More opacity", ""),
    ):
        action = menus[menu].addAction(text)
        action.setObjectName(name)
        action.setShortcut(QKeySequence(keys))
    menus["&File"].addSeparator()
    return shown(window, 900, 600)


def actions_of(window: QMainWindow) -> list[QAction]:
    menus = window.menuBar().findChildren(QMenu)
    return [action for menu in menus for action in menu.actions()]


def test_letters_in_order_are_found_and_word_beginnings_win() -> None:
    assert fuzzy("Zoom in", "zi") is not None
    assert fuzzy("Zoom in", "iz") is None
    whole = fuzzy("Open folder", "of")
    assert whole is not None
    assert whole[1] == (0, 5)
    better, worse = fuzzy("Open folder", "op"), fuzzy("More opacity to come", "op")
    assert better is not None
    assert worse is not None
    assert better[0] > worse[0]


def test_actions_are_found_by_their_menu_too(window: QMainWindow) -> None:
    titles = [match.title for match in matches(actions_of(window), "file op")]
    assert titles[0] == "Open folder"


def test_the_palette_runs_what_is_found(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.waitUntil(palette.isVisible)
    assert palette.titles == ["Open folder", "Export", "Zoom in", "More opacity"]
    qtbot.keyClicks(palette.field, "zoo")
    assert palette.titles == ["Zoom in"]
    zoom = next(action for action in actions_of(window) if action.objectName() == "view.zoom_in")
    with qtbot.waitSignal(zoom.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()


def test_arrows_choose_another_action(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    export = next(action for action in actions_of(window) if action.objectName() == "file.export")
    with qtbot.waitSignal(export.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)


def test_what_cannot_run_now_comes_last_and_does_not_run(qtbot: QtBot, window: QMainWindow) -> None:
    found = next(action for action in actions_of(window) if action.objectName() == "file.open")
    found.setEnabled(False)
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    assert palette.titles[-1] == "Open folder"
    qtbot.keyClicks(palette.field, "open f")
    with qtbot.assertNotEmitted(found.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    palette.close()


def test_words_of_the_tip_find_an_action_after_those_that_are_called_so(window: QMainWindow) -> None:
    actions = actions_of(window)
    actions[0].setStatusTip("Choose where the images are, to zoom in on them later")
    assert [match.title for match in matches(actions, "images where")] == ["Open folder"]
    assert [match.title for match in matches(actions, "zoom")] == ["Zoom in", "Open folder"]


def test_the_palette_is_only_as_tall_as_what_it_found(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    whole = palette.height()
    row = palette.list.height() // len(palette.titles)
    qtbot.keyClicks(palette.field, "zoo")
    assert palette.height() <= whole - 2 * row
    palette.field.clear()
    assert palette.height() == whole
    palette.close()


def test_no_match_says_so(qtbot: QtBot, window: QMainWindow) -> None:
    palette = CommandPalette(window)
    palette.open_with(actions_of(window))
    qtbot.keyClicks(palette.field, "qqq")
    assert palette.titles == []
    assert palette._nothing.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()


# --- shortcuts ------------------------------------------------------------------------------------------

DEFAULTS = {
    "file.open": "Ctrl+U",
    "file.export": "Ctrl+Shift+E",
    "view.zoom_in": "Ctrl++",
    "view.opacity": "",
}


@pytest.fixture
def shortcuts(shown: Callable[..., QWidget], window: QMainWindow) -> ShortcutsDialog:
    real = [action for action in actions_of(window) if action.objectName() in DEFAULTS]
    dialog = ShortcutsDialog(real, DEFAULTS, {"1": "Class 1"}, window)
    return shown(dialog)


def press(qtbot: QtBot, dialog: ShortcutsDialog, name: str, key: Qt.Key, control: bool = True) -> None:
    edit = dialog.editor(name)
    modifier = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
    with qtbot.waitSignal(edit.editingFinished, timeout=3000):
        qtbot.keyClick(edit, key, modifier)


def test_new_keys_are_told_after_save(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_K)
    with qtbot.waitSignal(shortcuts.shortcuts_changed) as changed:
        qtbot.mouseClick(shortcuts.save_button, LEFT)
    assert changed.args == [DEFAULTS | {"view.opacity": "Ctrl+K"}]


def test_keys_of_another_action_are_refused_with_its_name(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_U)
    assert shortcuts.keys() == DEFAULTS
    assert shortcuts.editor("view.opacity").keySequence().isEmpty()
    assert "Ctrl+U belongs to “Open folder” already" in shortcuts.message


def test_keys_that_choose_a_class_are_not_given_away(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_1, control=False)
    assert shortcuts.keys() == DEFAULTS
    assert "1 chooses Class 1" in shortcuts.message


def test_keys_that_were_cleared_are_free(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    shortcuts.editor("file.open").clear()
    press(qtbot, shortcuts, "view.opacity", Qt.Key.Key_U)
    assert shortcuts.keys()["file.open"] == ""
    assert shortcuts.keys()["view.opacity"] == "Ctrl+U"
    shortcuts.reset("file.open")
    assert shortcuts.keys() == DEFAULTS
    assert "“More opacity” has no keys now" in shortcuts.message


def test_reset_all_gives_every_default_back(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "file.open", Qt.Key.Key_F9, control=False)
    assert shortcuts.keys()["file.open"] == "F9"
    reset = next(b for b in shortcuts.findChildren(QPushButton) if b.text() == "Reset all")
    qtbot.mouseClick(reset, LEFT)
    assert shortcuts.keys() == DEFAULTS


def test_cancel_changes_nothing(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    press(qtbot, shortcuts, "file.open", Qt.Key.Key_F9, control=False)
    with qtbot.assertNotEmitted(shortcuts.shortcuts_changed):
        qtbot.keyClick(shortcuts.search, Qt.Key.Key_Escape)
    assert not shortcuts.isVisible()


def test_search_finds_titles_and_keys(qtbot: QtBot, shortcuts: ShortcutsDialog) -> None:
    qtbot.keyClicks(shortcuts.search, "zoom")
    hidden = [shortcuts.table.isRowHidden(row) for row in range(4)]
    assert hidden == [True, True, False, True]
    shortcuts.search.clear()
    qtbot.keyClicks(shortcuts.search, "shift")
    assert [shortcuts.table.isRowHidden(row) for row in range(4)] == [True, False, True, True]
    shortcuts.search.clear()
    qtbot.keyClicks(shortcuts.search, "view")
    assert [shortcuts.table.isRowHidden(row) for row in range(4)] == [True, True, False, False]


# --- delete a class -------------------------------------------------------------------------------------


def ask_delete(
    shown: Callable[..., QWidget], shapes: int, others: tuple[LabelClass, ...] = CLASSES.classes
) -> DeleteClassDialog:
    dialog = DeleteClassDialog(CLASSES.classes[1], shapes, others, CLASSES.background)
    return shown(dialog)


def test_shapes_of_a_deleted_class_move_are_ignored_or_go(
    qtbot: QtBot, shown: Callable[..., QWidget]
) -> None:
    dialog = ask_delete(shown, 34)
    offered = [dialog.target.itemText(row) for row in range(dialog.target.count())]
    assert offered == ["blood vessel", "vessel wall", "", "background"]  # a line before the background
    assert dialog.answer == 2
    dialog.target.setCurrentIndex(3)
    assert dialog.answer == 0
    assert [c.text() for c in (dialog.delete_choice, dialog.move_choice)] == [
        "Delete the 34 shapes too",
        "Move the 34 shapes to",
    ]
    assert dialog.delete_choice.y() < dialog.move_choice.y() < dialog.ignore_choice.y()
    qtbot.mouseClick(dialog.ignore_choice, LEFT, pos=QPoint(8, 11))
    assert dialog.answer == "ignore"
    assert not dialog.target.isEnabled()
    qtbot.mouseClick(dialog.delete_choice, LEFT, pos=QPoint(8, 11))
    assert dialog.answer == "delete"
    with qtbot.waitSignal(dialog.accepted):
        qtbot.mouseClick(dialog.confirm, LEFT)


def test_enter_does_not_delete(qtbot: QtBot, shown: Callable[..., QWidget]) -> None:
    dialog = ask_delete(shown, 34)
    with qtbot.waitSignal(dialog.rejected), qtbot.assertNotEmitted(dialog.accepted):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)


def test_without_another_class_shapes_cannot_move(shown: Callable[..., QWidget]) -> None:
    dialog = ask_delete(shown, 1, (CLASSES.classes[1],))
    assert not dialog.move_choice.isEnabled()
    assert dialog.answer == "ignore"
    only_background = ask_delete(shown, 1, CLASSES.classes[:2])
    assert only_background.move_choice.isEnabled()
    assert only_background.answer == "ignore"


# --- messages -------------------------------------------------------------------------------------------


def test_a_question_tells_the_button(qtbot: QtBot) -> None:
    dialog = MessageDialog(
        "question",
        "Changed outside",
        "scan.json was changed by another program.",
        choices=[
            Choice("both", "Keep both"),
            Choice("mine", "Keep mine"),
            Choice("reload", "Reload", "primary"),
        ],
    )
    qtbot.addWidget(dialog)
    dialog.open()
    with qtbot.waitSignal(dialog.chosen) as chosen:
        qtbot.mouseClick(dialog.buttons["mine"], LEFT)
    assert chosen.args == ["mine"]


def test_enter_takes_the_primary_choice_and_escape_none(qtbot: QtBot) -> None:
    for key, answer in ((Qt.Key.Key_Return, "reload"), (Qt.Key.Key_Escape, "")):
        dialog = MessageDialog(
            "question", "?", "?", choices=[Choice("mine", "Mine"), Choice("reload", "Reload", "primary")]
        )
        qtbot.addWidget(dialog)
        with qtbot.waitExposed(dialog):
            dialog.open()
        with qtbot.waitSignal(dialog.chosen) as chosen:
            qtbot.keyClick(dialog, key)
        assert chosen.args == [answer]


def test_an_error_shows_its_sentence_and_unfolds_its_detail(qtbot: QtBot) -> None:
    dialog = show_error(None, "Cannot open", "a.png: the file is truncated; copy it again.", "Traceback")
    qtbot.waitUntil(dialog.isVisible)
    assert dialog.text == "a.png: the file is truncated; copy it again."
    assert not dialog.detail.isVisible()
    height = dialog.height()
    qtbot.mouseClick(dialog._unfold, LEFT)
    assert dialog.detail.isVisible()
    assert dialog.height() > height
    with qtbot.waitSignal(dialog.destroyed):
        dialog.close()


@pytest.fixture
def host(shown: Callable[..., QWidget]) -> QWidget:
    host = QWidget()
    return shown(host, 700, 300)


def test_a_toast_floats_at_the_lower_edge_and_follows_it(qtbot: QtBot, host: QWidget) -> None:
    toast = Toast(host)
    toast.show_message("info", "Saved.", action="Undo")
    assert toast.isVisible()
    assert toast.geometry().bottom() < host.height()
    assert abs(toast.geometry().center().x() - host.width() // 2) <= 1
    host.resize(500, 200)
    qtbot.waitUntil(lambda: toast.geometry().bottom() < 200)
    with qtbot.waitSignal(toast.action_clicked):
        qtbot.mouseClick(toast._action, LEFT)


def test_a_toast_leaves_by_itself_but_an_error_stays(qtbot: QtBot, host: QWidget) -> None:
    toast = Toast(host)
    toast.show_message("info", "Saved.")
    toast._leave.start(1)
    qtbot.waitUntil(lambda: not toast.isVisible())
    toast.show_message("error", "The disk is full; free some space.")
    assert not toast._leave.isActive()
    qtbot.mouseClick(toast._close, LEFT)
    assert not toast.isVisible()


def test_a_long_toast_wraps_inside_its_host(host: QWidget) -> None:
    toast = Toast(host)
    host.resize(320, 300)
    toast.show_message("warning", "A sentence that is far too long for one line of a narrow window. " * 3)
    assert toast.width() <= 320
    assert toast.height() > 60
    assert host.rect().contains(toast.geometry())
