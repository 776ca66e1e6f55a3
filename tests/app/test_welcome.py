"""The welcome page: two doors, recent projects, things dropped on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.panels import welcome
from app.panels.welcome import WelcomePage
from app.readable import sentence

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
    there, gone = page.recent_rows
    assert there.isEnabled()
    assert not gone.isEnabled()
    assert "is not there" in gone.toolTip()
    with qtbot.waitSignal(page.recent_requested) as asked:
        qtbot.mouseClick(there, LEFT)
    assert asked.args == [here]


def test_a_recent_project_that_the_disk_refuses_to_look_at_is_grey(page: WelcomePage, tmp_path: Path) -> None:
    page.set_recent([str(tmp_path / ("a" * 300))])
    assert [row.isEnabled() for row in page.recent_rows] == [False]


def test_the_window_opens_whatever_became_of_recent_projects(
    settings, make_window, image_folder, tmp_path, qtbot
):
    unplugged, refused = tmp_path / "drive" / "scans", tmp_path / ("a" * 300)
    for folder in (unplugged, refused):
        settings.add_recent(folder)
    bench = make_window()
    qtbot.waitUntil(lambda: len(bench.window.page.welcome.recent_rows) == 2)
    rows = bench.window.page.welcome.recent_rows
    assert [(Path(row.path), row.isEnabled()) for row in rows] == [(refused, False), (unplugged, False)]
    bench.open(image_folder(1))
    assert str(unplugged) in settings.recent, "it may be plugged in again"
    menu = bench.window.menus["recent"]
    menu.aboutToShow.emit()
    assert [action.isEnabled() for action in menu.actions()] == [True, False, False]


def test_recent_projects_are_looked_for_once_no_project_is_open(opened, image_folder, qtbot, monkeypatch):
    looked: list[Path] = []
    monkeypatch.setattr(welcome, "is_folder", lambda path: bool(looked.append(path)))
    opened.open(image_folder(1, name="other"))
    qtbot.wait(1)
    assert looked == []
    assert opened.session.close()
    qtbot.waitUntil(lambda: bool(looked))
    assert looked == [Path(path) for path in opened.window.settings.recent]


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
