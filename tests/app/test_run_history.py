"""Earlier runs in the training panel: the newest first, and each can go on."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.panels.run_history import RunHistory, RunSummary
from app.panels.training_panel import TrainingPanel
from core.learning.runs import BestScore

LEFT = Qt.MouseButton.LeftButton


RUNS = [
    RunSummary(
        path="/r/old",
        model="FCN-8s / VGG16",
        started=datetime(2025, 1, 1, 9),
        steps=10,
        best=BestScore(0.7, "validation", 4),
    ),
    RunSummary(path="/r/new", model="U-Net", started=datetime(2025, 1, 2, 9), steps=20),
]


def test_history_lists_runs_newest_first_and_continues_one(qtbot: QtBot, panel: TrainingPanel) -> None:
    panel.set_runs(RUNS)
    qtbot.mouseClick(panel.history_button, LEFT)
    history = panel.history
    qtbot.waitUntil(history.isVisible)
    shown = [
        [history._table.topLevelItem(row).text(column) for column in (3, 4)]  # type: ignore[union-attr]
        for row in range(2)
    ]
    assert shown == [["—", ""], ["0.700 ★", "4 held-out images"]]
    with qtbot.waitSignal(panel.run_resume_requested) as asked:
        qtbot.mouseClick(history._resume, LEFT)
    assert asked.args == ["/r/new"]
    assert not history.isVisible()


def test_no_run_is_continued_while_one_trains(qtbot: QtBot) -> None:
    history = RunHistory()
    qtbot.addWidget(history)
    history.set_runs(RUNS)
    history.set_can_resume(False)
    assert not history._resume.isEnabled()
    assert "Stop the present run" in history._hint.text()
