"""Runs side by side, and what a run has not seen: as a person meets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QListWidget, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTreeWidget
from pytestqt.qtbot import QtBot

from app.dialogs.compare_runs import LABELS, CompareRunsDialog
from app.panels.compared_tables import ComparedScores
from app.panels.run_history import RunHistory, RunSummary
from core.annotation.model import ClassList, LabelClass
from core.learning.answers import LabelsCompared, RunPrediction
from core.learning.commands import CompareLabels, PredictWithRun
from core.learning.events import Failed
from core.learning.labels.packed_mask import PackedMask
from core.learning.labels.revisions import Unseen
from core.learning.runs.comparison import ComparedRun, Curve
from core.learning.runs.run_folder import BestScore
from core.learning.scores.bootstrap import Interval
from tests.app.engine_events import prediction

pytestmark = pytest.mark.usefixtures("dressed")

LEFT = Qt.MouseButton.LeftButton
CLASSES = ClassList(
    (
        LabelClass(0, "background", "#000000"),
        LabelClass(1, "nerve", "#ff0000"),
        LabelClass(2, "vessel", "#0000ff"),
    ),
    0,
)


def _summary(name: str, minute: int, miou: float | None = 0.5) -> RunSummary:
    started = datetime(2026, 3, 1, 6, minute)
    best = None if miou is None else BestScore(miou, "validation", 8)
    return RunSummary(path=name, model="U-Net", started=started, steps=100, best=best)


def _run(name: str, **changes: object) -> ComparedRun:
    steps = np.arange(10.0)
    values: dict[str, object] = {
        "path": name, "name": f"run {name}", "title": "U-Net", "config": {"lr": "0.001", "batch": "4"},
        "loss": Curve(steps, steps * 2, 1 / (steps + 1)), "miou": Curve(steps, steps * 2, steps / 10),
        "score": 0.5, "interval": Interval(0.4, 0.6), "on": "validation", "images": 8, "steps": 100,
        "per_class": {"background": 0.9, "nerve": 0.4, "vessel": None}, "seconds": 60.0, "held_out": ("a",),
        "classes": CLASSES,
    }  # fmt: skip
    return ComparedRun(**(values | changes))  # type: ignore[arg-type]


RUNS = {"a": _run("a"), "b": _run("b", config={"lr": "0.01", "batch": "4"}, score=0.7), "c": _run("c")}


@pytest.fixture
def dialog(shown) -> CompareRunsDialog:
    """Three runs, of which a and b are compared; details are answered at once."""
    made = CompareRunsDialog(CLASSES)
    made.details_needed.connect(lambda path: made.set_details(RUNS[path]))
    shown(made, 1040, 680)
    made.set_images(["one.png", "two.png"], "two.png")
    made.set_runs([_summary("a", 2), _summary("b", 1, 0.7), _summary("c", 0)], ["a", "b"])
    return made


def _tick(qtbot: QtBot, runs: QListWidget, row: int) -> None:
    """Click the check box of a row."""
    option = QStyleOptionViewItem()
    option.initFrom(runs)
    option.rect = runs.visualItemRect(runs.item(row))
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    box: QRect = runs.style().subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, runs)
    qtbot.mouseClick(runs.viewport(), LEFT, pos=box.center())


def _open_tab(qtbot: QtBot, dialog: CompareRunsDialog, title: str) -> None:
    bar = dialog.tabs.tabBar()
    (tab,) = [tab for tab in range(bar.count()) if bar.tabText(tab) == title]
    qtbot.mouseClick(bar, LEFT, pos=bar.tabRect(tab).center())


# --- the dialog -------------------------------------------------------------------------------------------


def test_curves_of_the_chosen_runs_lie_over_one_another(dialog: CompareRunsDialog) -> None:
    losses, scores = dialog.curves.drawn
    assert losses == (RUNS["a"].loss, RUNS["b"].loss)
    assert scores == (RUNS["a"].miou, RUNS["b"].miou)


def test_ticking_a_run_takes_it_in(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    _tick(qtbot, dialog.runs, 2)
    assert dialog.chosen == ("a", "b", "c")
    assert len(dialog.curves.drawn[0]) == 3
    _tick(qtbot, dialog.runs, 0)
    assert dialog.chosen == ("b", "c")


def test_one_run_alone_asks_for_another(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    assert dialog.remarks == ""
    _tick(qtbot, dialog.runs, 0)
    assert "Tick two or more runs" in dialog.remarks
    dialog.set_runs([_summary("a", 2)], ["a"])
    assert dialog.remarks.startswith("There is one run only"), "none is there to be ticked"
    dialog.set_runs([], [])
    assert dialog.remarks.startswith("There are no runs yet")


def test_scores_stand_class_by_class_with_intervals(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    _open_tab(qtbot, dialog, "Scores")
    table = dialog.scores.table
    assert table.text_of(0) == ["mIoU", "0.500  (0.40–0.60)", "0.700  (0.40–0.60)"]
    assert table.text_of(3) == ["vessel", "— no true pixel", "— no true pixel"]
    assert table.item(0, 2).font().bold()
    assert not table.item(0, 1).font().bold()


def test_a_score_on_held_out_images_is_better_than_a_higher_one_on_what_was_learned(shown) -> None:
    seen = _run("a", score=0.9, per_class={"nerve": 0.9}, on="training")
    unseen = _run("b", score=0.6, per_class={"nerve": 0.6})
    scores = shown(ComparedScores(), 600, 400)
    scores.set_runs([seen, unseen])
    for row in (0, 2):
        assert [scores.table.item(row, column).font().bold() for column in (1, 2)] == [False, True]


def test_settings_that_differ_are_marked(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    _open_tab(qtbot, dialog, "Settings")
    settings = dialog.settings
    assert [settings.table.text_of(row) for row in range(settings.table.rowCount())] == [
        ["lr", "0.001", "0.01"]
    ]
    qtbot.mouseClick(settings.only_differences, LEFT, pos=QPoint(8, settings.only_differences.height() // 2))
    assert settings.table.rowCount() == 2
    assert settings.table.is_marked(0)
    assert not settings.table.is_marked(1)


def test_runs_with_the_same_settings_say_so(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    _tick(qtbot, dialog.runs, 1)
    _tick(qtbot, dialog.runs, 2)
    assert dialog.settings.table.text_of(0) == ["all settings", "the same", "the same"]


def test_a_run_with_other_classes_is_compared_with_a_word_of_warning(shown) -> None:
    dialog = CompareRunsDialog(CLASSES)
    shown(dialog, 1040, 680)
    dialog.set_runs([_summary("a", 1), _summary("b", 0)], ["a", "b"])
    fewer = ClassList(CLASSES.classes[:2], 0)
    dialog.set_details(RUNS["a"])
    dialog.set_details(replace(RUNS["b"], classes=fewer, per_class={"background": 0.9, "nerve": 0.5}))
    assert "The classes differ (vessel is not in all)" in dialog.remarks
    assert dialog.scores.table.text_of(3)[1:] == ["— no true pixel", "— not a class of this run"]


def _answer(run: str, key: str, **changes: object) -> RunPrediction:
    seen = PackedMask.pack(np.full((30, 40), 1, np.uint8))
    labels = PackedMask.pack(np.full((30, 40), 2, np.uint8))
    answer = RunPrediction(
        run=run, key=key, labels=labels, role="held out", prediction=seen, classes=CLASSES, miou=0.25
    )
    return replace(answer, **changes)  # type: ignore[arg-type]


def test_runs_predict_one_image_one_after_the_other(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    asked: list[tuple[str, str]] = []
    dialog.prediction_needed.connect(lambda run, key: asked.append((run, key)))
    with qtbot.waitSignal(dialog.picture_needed) as read:
        _open_tab(qtbot, dialog, "One image")
    assert read.args == ["two.png"]
    dialog.set_picture("two.png", np.full((30, 40, 3), 100, np.uint8))
    assert asked == [("a", "two.png")]
    dialog.set_prediction(_answer("a", "two.png"))
    assert asked == [("a", "two.png"), ("b", "two.png")]
    dialog.set_prediction(
        _answer("b", "two.png", prediction=None, classes=None, problem="there are no weights")
    )
    panes = dialog.image.panes
    assert panes["a"].detail == "mIoU 0.25 here · held out by this run"
    assert panes["a"].picture.pixelColor(5, 5).red() > 150  # nerve
    assert panes[LABELS].picture.pixelColor(5, 5).blue() > 150  # vessel
    assert panes["b"].words == "There are no weights."


def test_another_image_forgets_the_answers_about_the_last(qtbot: QtBot, dialog: CompareRunsDialog) -> None:
    _open_tab(qtbot, dialog, "One image")
    dialog.set_picture("two.png", np.zeros((30, 40, 3), np.uint8))
    with qtbot.waitSignal(dialog.picture_needed) as read:
        qtbot.keyClick(dialog.images, Qt.Key.Key_Up)
    assert read.args == ["one.png"]
    dialog.set_prediction(_answer("a", "two.png"))
    assert dialog.image.panes["a"].picture is None
    dialog.set_picture("one.png", None, "the file is damaged")
    assert dialog.image.panes["a"].words == "The file is damaged."


def test_a_lost_engine_is_said_where_a_prediction_was_awaited(
    qtbot: QtBot, dialog: CompareRunsDialog
) -> None:
    _open_tab(qtbot, dialog, "One image")
    dialog.set_picture("two.png", np.zeros((30, 40, 3), np.uint8))
    dialog.give_up("the engine has ended")
    assert dialog.image.panes["a"].words == "The engine has ended."


def test_after_a_lost_engine_the_same_image_can_be_asked_about_again(
    qtbot: QtBot, dialog: CompareRunsDialog
) -> None:
    _open_tab(qtbot, dialog, "One image")
    assert not dialog.again_button.isVisible()
    dialog.set_picture("two.png", np.zeros((30, 40, 3), np.uint8))
    dialog.give_up("the engine has ended")
    with qtbot.waitSignal(dialog.picture_needed) as read:
        qtbot.mouseClick(dialog.again_button, LEFT)
    assert read.args == ["two.png"]
    assert not dialog.again_button.isVisible()
    with qtbot.waitSignal(dialog.prediction_needed) as asked:
        dialog.set_picture("two.png", np.zeros((30, 40, 3), np.uint8))
    assert asked.args == ["a", "two.png"]


def test_a_lost_engine_is_nothing_to_a_run_that_is_compared_no_more(
    qtbot: QtBot, dialog: CompareRunsDialog
) -> None:
    _open_tab(qtbot, dialog, "One image")
    dialog.set_picture("two.png", np.zeros((30, 40, 3), np.uint8))
    _open_tab(qtbot, dialog, "Curves")
    dialog.runs.item(0).setCheckState(Qt.CheckState.Unchecked)
    dialog.give_up("the engine has ended")
    assert "a" not in dialog.image.panes


def test_ten_thousand_images_are_not_measured_one_by_one(
    qtbot: QtBot, shown, dialog: CompareRunsDialog
) -> None:
    class Counting(QStyledItemDelegate):
        measured = 0

        def sizeHint(self, option, index):
            Counting.measured += 1
            return super().sizeHint(option, index)

    many = CompareRunsDialog(CLASSES)
    many.images.setItemDelegate(Counting(many))
    many.set_images([f"{'long folder/' * 20}{number}.png" for number in range(10_000)], None)
    shown(many, 1040, 680)
    assert many.images.sizeHint().width() == dialog.images.sizeHint().width()
    _open_tab(qtbot, many, "One image")
    many.images.showPopup()
    qtbot.waitUntil(many.images.view().isVisible)
    assert many.images.view().window().height() < 21 * many.images.view().sizeHintForRow(0)
    many.images.hidePopup()
    assert Counting.measured < 100


# --- the run history --------------------------------------------------------------------------------------


def test_two_runs_selected_in_the_history_are_compared(qtbot: QtBot, shown) -> None:
    history = shown(RunHistory())
    history.set_runs([_summary("a", 2), _summary("b", 1), _summary("c", 0)])
    table = history.findChild(QTreeWidget)
    last = table.visualItemRect(table.topLevelItem(2)).center()
    qtbot.mouseClick(table.viewport(), LEFT, Qt.KeyboardModifier.ControlModifier, last)
    with qtbot.waitSignal(history.compare_requested) as asked:
        qtbot.mouseClick(history.compare_button, LEFT)
    assert asked.args == [("a", "c")]


def test_what_is_selected_stays_so_when_a_run_begins_or_ends(qtbot: QtBot, shown) -> None:
    history = shown(RunHistory())
    runs = [_summary("a", 3), _summary("b", 2), _summary("c", 1)]
    history.set_runs(runs)
    table = history.findChild(QTreeWidget)
    for row in (1, 2):
        place = table.visualItemRect(table.topLevelItem(row)).center()
        keys = Qt.KeyboardModifier.ControlModifier if row == 2 else Qt.KeyboardModifier.NoModifier
        qtbot.mouseClick(table.viewport(), LEFT, keys, place)
    history.set_runs([_summary("new", 4), *runs])
    with qtbot.waitSignal(history.compare_requested) as asked:
        qtbot.mouseClick(history.compare_button, LEFT)
    assert asked.args == [("b", "c")]


def test_the_newest_run_is_selected_unless_others_were_chosen(shown) -> None:
    history = shown(RunHistory())
    history.set_runs([_summary("a", 1)])
    history.set_runs([_summary("new", 2), _summary("a", 1)])
    assert history._chosen() == ("new",)


def test_the_history_says_what_a_run_has_not_seen(shown) -> None:
    history = shown(RunHistory())
    history.set_runs([_summary("a", 2), _summary("b", 1)])
    history.set_details({"a": Unseen(new=("x", "y", "z")).sentence})
    assert history.hint == "This run has not seen 3 images labelled since."


# --- in the window ----------------------------------------------------------------------------------------


def test_comparing_asks_the_engine_about_the_image_on_show(
    qtbot: QtBot, opened, make_runs: Callable[[Path], tuple[str, ...]]
) -> None:
    window = opened.window
    runs = make_runs(opened.session.project.root)
    window.actions_["train.compare"].trigger()
    dialog = window.findChild(CompareRunsDialog)
    qtbot.waitUntil(lambda: len(dialog.curves.drawn[0]) == 2)
    assert dialog.chosen == tuple(reversed(runs))
    assert "there is no such file" in dialog.remarks  # their weights
    _open_tab(qtbot, dialog, "One image")
    qtbot.waitUntil(lambda: any(isinstance(c, PredictWithRun) for c in opened.trainer.sent))
    (asked,) = [c for c in opened.trainer.sent if isinstance(c, PredictWithRun)]
    assert asked.key == opened.session.current.entry.key
    assert asked.run == runs[1]
    opened.trainer.event_received.emit(_answer(asked.run, asked.key))
    assert dialog.image.panes[asked.run].picture is not None
    dialog.close()


def test_the_prediction_bar_says_what_its_run_has_not_seen(qtbot: QtBot, opened) -> None:
    key, size = opened.session.current.entry.key, opened.session.current.size_hw
    shown_now = prediction(key, np.zeros(size, np.uint8), run="runs/first")
    opened.trainer.event_received.emit(shown_now)
    opened.window.parts.progress._ask_timer.setInterval(1)
    opened.window.parts.progress._ask_timer.start()
    qtbot.waitUntil(lambda: CompareLabels(runs=("runs/first",)) in opened.trainer.sent)
    opened.trainer.event_received.emit(LabelsCompared(unseen={"runs/first": Unseen(changed=("a", "b"))}))
    assert "has not seen changes on 2 images" in opened.window.page.prediction_bar.toolTip()


def test_a_prediction_that_fails_in_an_unforeseen_way_is_said_and_can_be_asked_for_again(
    qtbot: QtBot, opened, make_runs: Callable[[Path], tuple[str, ...]]
) -> None:
    make_runs(opened.session.project.root)
    opened.window.actions_["train.compare"].trigger()
    dialog = opened.window.findChild(CompareRunsDialog)
    qtbot.waitUntil(lambda: len(dialog.curves.drawn[0]) == 2)
    _open_tab(qtbot, dialog, "One image")
    qtbot.waitUntil(lambda: any(isinstance(c, PredictWithRun) for c in opened.trainer.sent))
    opened.trainer.event_received.emit(Failed(during="PredictFolder", text="The disk is full."))
    assert not dialog.again_button.isVisible()
    opened.trainer.event_received.emit(Failed(during="PredictWithRun", text="Out of luck."))
    for run in dialog.chosen:
        assert dialog.image.panes[run].words == "Out of luck."
    assert dialog.again_button.isVisible()
    dialog.close()


@pytest.fixture
def make_runs() -> Callable[[Path], tuple[str, ...]]:
    """Two runs with their configuration and a row of metrics, and nothing else."""
    from core.learning.config import TrainConfig
    from core.learning.runs.run_folder import RunFolder

    def make(root: Path) -> tuple[str, ...]:
        paths = []
        for minute, lr in ((1, 0.001), (2, 0.01)):
            run = RunFolder(root / "runs" / f"2026-03-01_06-0{minute}-00-unet")
            run.path.mkdir(parents=True)
            run.write_config(TrainConfig(model="unet", lr=lr))
            run.append_metrics(
                {"step": 10, "seconds": 5.0, "loss": 0.5, "val_miou": 0.4, "val_on": "validation"}
            )
            paths.append(str(run.path))
        return tuple(paths)

    return make
