"""The welcome page: two doors, recent projects, things dropped on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.message import MessageDialog
from app.panels.welcome import WelcomePage
from app.readable import sentence
from app.wiring import recent_projects
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.usefixtures("dressed")
LEFT = Qt.MouseButton.LeftButton


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("nothing is labelled yet", "Nothing is labelled yet."),
        ("a.png: cannot be read", "a.png: cannot be read."),
        ("Saved.", "Saved."),
        ("", ""),
    ],
)
def test_messages_are_sentences_and_file_names_stay_as_they_are(said: str, shown: str) -> None:
    assert sentence(said) == shown


@pytest.fixture
def page(shown: Callable[..., QWidget]) -> WelcomePage:
    page = WelcomePage()
    return shown(page, 900, 640)


def test_the_two_doors_open(qtbot: QtBot, page: WelcomePage) -> None:
    with qtbot.waitSignal(page.open_folder_requested):
        qtbot.mouseClick(page.open_door, LEFT)
    page.sample_door.setFocus()
    with qtbot.waitSignal(page.open_sample_requested):
        qtbot.keyClick(page.sample_door, Qt.Key.Key_Space)
    with qtbot.waitSignal(page.open_sample_requested):
        qtbot.keyClick(page.sample_door, Qt.Key.Key_Return)


def test_recent_projects_open_and_missing_ones_are_grey(
    qtbot: QtBot, page: WelcomePage, tmp_path: Path
) -> None:
    here = str(tmp_path)
    page.set_recent([here, str(tmp_path / "gone")])
    assert [row.isEnabled() for row in page.recent_rows] == [True, True], "not looked for yet"
    page.set_missing(str(tmp_path / "gone"), missing=True)
    page.set_missing(here, missing=False)
    there, gone = page.recent_rows
    assert there.isEnabled()
    assert not gone.isEnabled()
    assert "is not there" in gone.toolTip()
    with qtbot.waitSignal(page.recent_requested) as asked:
        qtbot.mouseClick(there, LEFT)
    assert asked.args == [here]


def test_a_recent_project_that_is_there_again_can_be_opened(page: WelcomePage, tmp_path: Path) -> None:
    page.set_recent([str(tmp_path)], missing=[str(tmp_path)])
    assert [row.isEnabled() for row in page.recent_rows] == [False]
    page.set_missing(str(tmp_path), missing=False)
    assert [row.isEnabled() for row in page.recent_rows] == [True]


def test_the_window_opens_whatever_became_of_recent_projects(
    settings, make_window, image_folder, tmp_path, qtbot
):
    unplugged, refused = tmp_path / "drive" / "scans", tmp_path / ("a" * 300)
    for folder in (unplugged, refused):
        settings.add_recent(folder)
    bench = make_window()
    qtbot.waitUntil(lambda: len(bench.window.page.welcome.recent_rows) == 2)
    welcome = bench.window.page.welcome
    qtbot.waitUntil(lambda: not any(row.isEnabled() for row in welcome.recent_rows))
    assert [Path(row.path) for row in welcome.recent_rows] == [refused, unplugged]
    bench.open(image_folder(1))
    assert str(unplugged) in settings.recent, "it may be plugged in again"
    menu = bench.window.menus["recent"]
    menu.aboutToShow.emit()
    assert [action.isEnabled() for action in menu.actions()] == [True, False, False]


def test_a_recent_project_on_a_share_that_is_off_does_not_hold_the_window(
    settings, make_window, tmp_path, qtbot, monkeypatch
):
    off, there = tmp_path / "share" / "scans", tmp_path / "scans"
    there.mkdir()
    settings.add_recent(there)
    settings.add_recent(off)
    answers = threading.Event()
    is_folder = recent_projects.is_folder
    monkeypatch.setattr(
        recent_projects, "is_folder", lambda path: answers.wait(PATIENCE_S) and is_folder(path)
    )
    window = make_window().window
    qtbot.waitUntil(lambda: len(window.page.welcome.recent_rows) == 2)
    assert [row.isEnabled() for row in window.page.welcome.recent_rows] == [True, True]
    window.menus["recent"].aboutToShow.emit()
    assert [action.isEnabled() for action in window.menus["recent"].actions()] == [True, True]
    assert window.parts.files._start() is None, "nowhere is known to be there"
    with qtbot.waitSignal(window.session.open_failed) as failed:
        qtbot.mouseClick(window.page.welcome.recent_rows[0], LEFT)
    assert "does not exist (any more)" in failed.args[1]
    window.findChild(MessageDialog).close()
    answers.set()
    qtbot.waitUntil(lambda: [row.isEnabled() for row in window.page.welcome.recent_rows] == [False, True])
    qtbot.waitUntil(lambda: window.parts.files._start() == tmp_path)
    assert [action.isEnabled() for action in window.menus["recent"].actions()] == [False, True]


def test_recent_projects_are_looked_for_once_no_project_is_open(opened, image_folder, qtbot, monkeypatch):
    looked: list[Path] = []
    monkeypatch.setattr(recent_projects, "is_folder", lambda path: bool(looked.append(path)))
    opened.open(image_folder(1, name="other"))
    qtbot.wait(1)
    assert looked == []
    assert opened.session.close()
    qtbot.waitUntil(lambda: looked == [Path(path) for path in opened.window.settings.recent])


def test_without_recent_projects_the_page_says_so(page: WelcomePage) -> None:
    page.set_recent([])
    assert page.recent_rows == ()
    assert page._recent_title.text() == "Recent projects appear here."


def test_a_dropped_folder_is_told(qtbot: QtBot, page: WelcomePage, tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    arguments = (Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(5, 5), *arguments)
    page.dragEnterEvent(enter)
    assert enter.isAccepted()
    with qtbot.waitSignal(page.path_dropped) as dropped:
        page.dropEvent(QDropEvent(QPointF(5, 5), *arguments))
    assert dropped.args == [str(tmp_path)]


def test_something_that_is_no_file_is_not_taken(page: WelcomePage) -> None:
    data = QMimeData()
    data.setText("hello")
    enter = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    enter.ignore()
    page.dragEnterEvent(enter)
    assert not enter.isAccepted()
