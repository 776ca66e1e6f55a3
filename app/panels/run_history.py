"""Earlier runs, as a small popup: when, which network, how good; one can be continued, several compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from PySide6.QtCore import QItemSelectionModel, QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QTreeWidget,
    QVBoxLayout,
    QWidget,
)
from PySide6.QtWidgets import QTreeWidgetItem as Item

from app.learning.score_words import images_words, score_words
from app.panels.parts import IconPushButton, label
from app.theme import SPACE
from core.learning.config import TrainConfig
from core.learning.events import Event, StepDone, TrainingStarted, Validated
from core.learning.runs.run_folder import BestScore

_PathRole: Final = Qt.ItemDataRole.UserRole
_SELECT_TOO: Final = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
_UNDER_WAY: Final = ("training", "paused", "stopping")
_STOP: Final = "Stop the present run to continue another."
_WAIT: Final = {"idle": "", "stopping": "The present run is ending; then another can go on."}
"""Why no other run can go on, by the state of training; `_STOP` in all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run as people tell it apart.

    Attributes:
        path: run folder. model: title for people. started: local time. steps: done so far.
        best: its best score; None when nothing was scored, and then there may be no weights.
        has_weights: `best.safetensors` is there.
        continues: what it was told, if Train may go on with it; see `core.learning.runs.continuing`.
    """

    path: str
    model: str
    started: datetime
    steps: int = 0
    best: BestScore | None = None
    has_weights: bool = True
    continues: TrainConfig | None = None

    @property
    def score(self) -> str:
        """In words: "mIoU 0.712 on 4 held-out images"."""
        best = self.best
        return (
            score_words(None, None)
            if best is None
            else score_words(best.miou, best.on, best.images, places=3)
        )

    @property
    def rank(self) -> tuple[bool, float]:
        """Greater is better; see `BestScore.rank`."""
        return (False, -1.0) if self.best is None else self.best.rank


def offer_runs(choice: QComboBox, runs: Sequence[RunSummary]) -> None:
    """Fill a choice of the runs that have weights, the best one first; its data are their folders."""
    able = [run for run in runs if run.has_weights]
    able.sort(key=lambda run: (run.rank, run.started), reverse=True)
    choice.clear()
    for position, run in enumerate(able):
        best = "best: " if position == 0 and run.best is not None and len(able) > 1 else ""
        choice.addItem(f"{run.model}, {run.started:%Y-%m-%d %H:%M}  ·  {best}{run.score}", run.path)


class RunHistory(QFrame):
    """The popup.

    Signals:
        run_resume_requested(str): folder of the run to continue.
        compare_requested(tuple[str, ...]): folders of the runs to compare.
        opened: the person looks at the runs.
    """

    run_resume_requested = Signal(str)
    compare_requested = Signal(object)
    opened = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("kind", "floating")
        self._runs: dict[str, RunSummary] = {}
        self._state = "idle"
        self._present: str | None = None  # folder of the run that was begun last in this sitting
        self._table = QTreeWidget()
        self._table.setProperty("kind", "field")
        self._table.setHeaderLabels(["Started", "Network", "Steps", "Best mIoU", "on"])
        self._table.setRootIsDecorated(False)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._table.setUniformRowHeights(True)
        header = self._table.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._empty = label("No runs yet: press Train.", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint = label("", "small")
        self._hint.setWordWrap(True)
        self._details: dict[str, str] = {}
        self.compare_button = IconPushButton("history", "Compare")
        self.compare_button.setToolTip(
            "Curves, scores, settings and predictions of the selected runs side by side"
        )
        self._resume = IconPushButton("play", "Continue this run", "primary")
        foot = QHBoxLayout()
        foot.addWidget(self._hint, 1)
        foot.addWidget(self.compare_button)
        foot.addWidget(self._resume)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 2, SPACE * 2, SPACE * 2, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(label("Runs of this project", "heading"))
        layout.addWidget(self._table, 1)
        layout.addWidget(self._empty, 1)
        layout.addLayout(foot)
        self.resize(720, 280)
        self._table.itemSelectionChanged.connect(self._on_selection_changed)
        self._table.itemDoubleClicked.connect(self._on_resume)
        self._resume.clicked.connect(self._on_resume)
        self.compare_button.clicked.connect(self._on_compare)
        self.set_runs([])

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show these runs, the newest first; of the one that is under way what is known may be newer.

        What was selected stays so, except that another newest run takes the place of the newest one.
        """
        selected, newest = self._chosen(), next(iter(self._runs), None)
        known = self._runs.get(self._present or "")
        self._runs = {run.path: run for run in sorted(runs, key=lambda run: run.started, reverse=True)}
        if known is not None and known.path in self._runs:
            self._follow(steps=known.steps, best=known.best)
        self._table.clear()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for path in self._runs:
            item = Item()
            item.setTextAlignment(2, right)
            item.setTextAlignment(3, right)
            item.setData(0, _PathRole, path)
            self._write_tip(item, path)
            self._table.addTopLevelItem(item)
        self._write_rows()
        self._table.setVisible(bool(runs))
        self._empty.setVisible(not runs)
        self._resume.setVisible(bool(runs))
        self.compare_button.setVisible(len(runs) > 1)
        items = self._items()
        kept = (
            [] if selected == (newest,) else [item for item in items if item.data(0, _PathRole) in selected]
        )
        for item in kept or items[:1]:
            self._table.setCurrentItem(item, 0, _SELECT_TOO)
        self._on_selection_changed()

    def on_event(self, event: Event) -> None:
        """Follow the run that is under way; events that concern others are passed over."""
        match event:
            case TrainingStarted():
                self._present = event.run
            case StepDone():
                self._follow(steps=event.step)
            case Validated(miou=float() as miou):
                anew = event.gain is not None and event.gain.anew
                self._follow(steps=event.step, best=BestScore(miou, event.on, event.images), anew=anew)
            case _:
                return
        if self.isVisible():
            self._write_rows()

    def set_training_state(self, state: str) -> None:
        """idle, starting, training, paused or stopping: no run is continued while another is under way."""
        if state == "starting":
            self._present = None  # until its folder is known
        self._state = state
        self._write_rows()
        self._on_selection_changed()

    def _follow(self, *, steps: int, best: BestScore | None = None, anew: bool = False) -> None:
        """The present run has come so far; `anew`: earlier scores of it do not count any more."""
        run = self._runs.get(self._present or "")
        if run is None:
            return
        scores = [score for score in (None if anew else run.best, best) if score is not None]
        best = max(scores, key=lambda score: score.rank, default=None)
        self._runs[run.path] = replace(run, steps=max(steps, run.steps), best=best)

    def _write_rows(self) -> None:
        """What is known of each run now."""
        ranks = [run.rank for run in self._runs.values() if run.best is not None]
        for item, run in zip(self._items(), self._runs.values(), strict=True):
            miou, on = "—", ""
            if run.best is not None:
                miou = f"{run.best.miou:.3f}{' ★' if run.rank == max(ranks) else ''}"
                on = images_words(run.best.on, run.best.images)
            under_way = run.path == self._present and self._state in _UNDER_WAY
            started = f"{run.started:%Y-%m-%d %H:%M}{f', {self._state}' if under_way else ''}"
            words = (started, run.model, f"{run.steps:,}", miou, on)
            for column, text in enumerate(words):
                item.setText(column, text)

    def set_details(self, details: Mapping[str, str]) -> None:
        """What else there is to know of each run, by its folder, to follow "This run"."""
        self._details = dict(details)
        for item in self._items():
            self._write_tip(item, item.data(0, _PathRole))
        self._on_selection_changed()

    def popup_above(self, anchor: QWidget) -> None:
        """Open over a button at the window's lower edge, kept on its screen."""
        corner = anchor.mapToGlobal(QPoint(0, -self.height() - SPACE // 2))
        room = anchor.screen().availableGeometry()
        corner.setX(max(room.left(), min(corner.x(), room.right() + 1 - self.width())))
        corner.setY(max(room.top(), corner.y()))
        self.move(corner)
        self._write_rows()
        self.show()
        self._table.setFocus()
        self.opened.emit()

    @property
    def hint(self) -> str:
        """The line beside the buttons."""
        return self._hint.text()

    def _chosen(self) -> tuple[str, ...]:
        """Folders of the selected runs, the newest first."""
        return tuple(item.data(0, _PathRole) for item in self._items() if item.isSelected())

    def _items(self) -> list[Item]:
        items = (self._table.topLevelItem(row) for row in range(self._table.topLevelItemCount()))
        return [item for item in items if item is not None]

    def _write_tip(self, item: Item, path: str) -> None:
        detail = self._details.get(path, "")
        for column in range(self._table.columnCount()):
            item.setToolTip(column, f"This run {detail}.\n{path}" if detail else path)

    def _on_selection_changed(self) -> None:
        chosen = self._chosen()
        waits = _WAIT.get(self._state, _STOP)
        self._resume.setEnabled(not waits and len(chosen) == 1)
        self.compare_button.setEnabled(len(chosen) > 1)
        if len(chosen) > 1:
            text = f"{len(chosen)} runs"
        elif waits:
            text = waits
        elif chosen and self._details.get(chosen[0]):
            text = f"This run {self._details[chosen[0]]}."
        else:
            text = "Ctrl+click selects several to compare." if self._table.topLevelItemCount() > 1 else ""
        self._hint.setText(text)

    def _on_compare(self) -> None:
        self.hide()
        self.compare_requested.emit(self._chosen())

    def _on_resume(self) -> None:
        chosen = self._chosen()
        if len(chosen) == 1 and self._state == "idle":
            self.hide()
            self.run_resume_requested.emit(chosen[0])
