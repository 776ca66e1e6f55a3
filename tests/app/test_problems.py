"""The list of problems: it shows an image when asked to, and keeps its place while things are mended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.dialogs.problems import ProblemsDialog
from app.session.image_status import Problem

A, B, C = (Problem(f"{name}.png", f"{name}.png: damaged") for name in "abc")


@pytest.fixture
def asked() -> list[str]:
    """Keys of the images that were asked for."""
    return []


@pytest.fixture
def dialog(qtbot: QtBot, shown: Callable[..., QWidget], dressed: None, asked: list[str]) -> ProblemsDialog:
    made = ProblemsDialog()
    made.set_problems([A, B])
    made.image_requested.connect(asked.append)
    shown(made)
    made.activateWindow()
    qtbot.waitUntil(lambda: made.focusWidget() is made.list)
    return made


def test_opening_the_list_shows_no_image_by_itself(dialog: ProblemsDialog, asked: list[str]) -> None:
    assert asked == []


def test_arrows_choose_a_line_and_enter_shows_its_image(
    dialog: ProblemsDialog, qtbot: QtBot, asked: list[str]
) -> None:
    qtbot.keyClick(dialog.list, Qt.Key.Key_Down)
    assert asked == []
    qtbot.keyClick(dialog.list, Qt.Key.Key_Return)
    assert asked == ["b.png"]


def test_the_marked_line_stays_marked_when_the_list_changes(dialog: ProblemsDialog, asked: list[str]) -> None:
    dialog.list.setCurrentRow(1)
    dialog.set_problems([C, A, B])
    assert dialog.list.currentItem().text() == B.text
    assert asked == []
