"""Runs side by side: curves, scores, settings, and what each sees in one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.panels.combos import ElidedComboBox
from app.panels.compared_curves import MARK_SIZE, ComparedCurves, curve_mark
from app.panels.compared_image import ComparedImage, tinted, titled
from app.panels.compared_tables import ComparedScores, ComparedSettings
from app.panels.parts import IconPushButton, label
from app.panels.run_history import RunSummary
from app.qt_pixels import paintable
from app.readable import sentence
from app.theme import SPACE, Themed, Tokens
from core.annotation.model import ClassList
from core.learning.answers import RunPrediction
from core.learning.runs.comparison import ComparedRun, remarks_on

MOST_RUNS: Final = 8
LABELS: Final = "labels"
"""Name of the pane that is no run's."""
TICK: Final = "Tick two or more runs on the left."
TOO_FEW: Final = ("There are no runs yet: train first.", "There is one run only: train another to compare.")
"""Where there is none, or one alone."""
_PATH: Final = Qt.ItemDataRole.UserRole
_ROLES: Final = {
    "held out": "held out by this run",
    "learned": "this run learned from it",
    "new": "not labelled when this run was trained",
    "unknown": "",
}


@dataclass(slots=True)
class _Shown:
    """The image on show: pixels as small as they are painted, and what came of it so far."""

    key: str
    pixels: NDArray[np.uint8] | None = None


class CompareRunsDialog(Themed, QDialog):
    """The window fills it with what it asks for.

    Signals:
        details_needed(str): folder of a run: `set_details` is the answer.
        picture_needed(str key): `set_picture` is the answer.
        prediction_needed(str run, str key): `set_prediction` is the answer.
    """

    details_needed = Signal(str)
    picture_needed = Signal(str)
    prediction_needed = Signal(str, str)

    def __init__(self, classes: ClassList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare runs")
        self.resize(1040, 680)
        self._classes = classes
        self._details: dict[str, ComparedRun] = {}
        self._asked: set[str] = set()
        self._shown: _Shown | None = None
        self._awaited: list[str] = []
        self.runs = QListWidget()
        self.runs.setAccessibleName("Runs to compare")
        self.runs.setIconSize(MARK_SIZE)
        self.runs.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.curves = ComparedCurves()
        self.scores = ComparedScores()
        self.settings = ComparedSettings()
        self.image = ComparedImage()
        self.images = ElidedComboBox()
        self.images.setAccessibleName("Image")
        self.images.setMinimumContentsLength(24)
        # There may be ten thousand: measuring each of them would stop the window.
        self.images.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        cast("QListView", self.images.view()).setUniformItemSizes(True)
        self.images.setProperty("kind", "long")
        self.images.setMaxVisibleItems(20)
        self.again_button = IconPushButton("refresh", "Try again")
        self.again_button.hide()
        self.tabs = QTabWidget()
        self._remarks = label("", "warning")
        self._remarks.setWordWrap(True)
        self._lay_out()
        self.runs.itemChanged.connect(self._on_chosen)
        self.images.currentIndexChanged.connect(self._on_image)
        self.again_button.clicked.connect(self._look)
        self.tabs.currentChanged.connect(self._on_tab)

    # --- what is told to the dialog -----------------------------------------------------------------------

    @property
    def chosen(self) -> tuple[str, ...]:
        """Folders of the runs that are compared, in the list's order."""
        items = (self.runs.item(row) for row in range(self.runs.count()))
        return tuple(item.data(_PATH) for item in items if item.checkState() is Qt.CheckState.Checked)

    @property
    def remarks(self) -> str:
        """What to bear in mind."""
        return self._remarks.text()

    def set_runs(self, runs: Sequence[RunSummary], chosen: Sequence[str]) -> None:
        """List these runs, newest first; at first these are compared."""
        blocker = QSignalBlocker(self.runs)
        self.runs.clear()
        for run in runs:
            item = QListWidgetItem(
                f"{run.started:%d %b, %H:%M} · {run.steps:,} steps\n{run.model}\n{run.score}"
            )
            item.setData(_PATH, run.path)
            item.setToolTip(run.path)
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            checked = run.path in chosen
            item.setCheckState(Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)
            self.runs.addItem(item)
        blocker.unblock()
        self._refresh()

    def set_details(self, details: ComparedRun) -> None:
        """A run was read."""
        self._details[details.path] = details
        self._refresh()

    def set_images(self, keys: Sequence[str], current: str | None) -> None:
        """Offer these images."""
        with QSignalBlocker(self.images):
            self.images.clear()
            self.images.addItems(list(keys))
            self.images.setCurrentIndex(max(0, self.images.findText(current or "")))
        self._forget_shown()
        self._look()

    def set_picture(self, key: str, pixels: NDArray[np.uint8] | None, problem: str = "") -> None:
        """An image was read: its pixels (h, w, 3), reduced; or why it cannot be."""
        if self._shown is None or self._shown.key != key:
            return
        if pixels is None:
            self._awaited = []
            for pane in self.image.panes.values():
                pane.show_words(sentence(problem))
            return
        self._shown.pixels = pixels
        self.image.panes[LABELS].show_picture(paintable(pixels), "")
        self._ask_next()

    def set_prediction(self, answer: RunPrediction) -> None:
        """A run has been asked about the image on show; answers about others are passed over."""
        shown, pane = self._shown, self.image.panes.get(answer.run)
        if shown is None or shown.key != answer.key or shown.pixels is None:
            return
        labels = self.image.panes[LABELS]
        if answer.labels is None:
            labels.show_picture(paintable(shown.pixels), "not labelled yet")
        else:
            labels.show_picture(
                tinted(shown.pixels, answer.labels.unpack(), self._classes), "as they are now"
            )
        if pane is not None and answer.prediction is not None and answer.classes is not None:
            parts = [] if answer.miou is None else [f"mIoU {answer.miou:.2f} here"]
            parts += [_ROLES[answer.role]] if _ROLES[answer.role] else []
            seen = tinted(shown.pixels, answer.prediction.unpack(), self._named(answer.classes))
            pane.show_picture(seen, " · ".join(parts))
        elif pane is not None:
            pane.show_words(sentence(answer.problem))
        if self._awaited and self._awaited[0] == answer.run:
            self._awaited.pop(0)
        self._ask_next()

    def give_up(self, problem: str) -> None:
        """Nobody will answer any more what was asked; it can be asked again."""
        if not self._awaited:
            return
        for name in self._awaited:
            self.image.panes[name].show_words(sentence(problem))
        self._forget_shown()
        self.again_button.show()

    def apply_tokens(self, theme: Tokens) -> None:
        """Recolour the runs' marks."""
        self._mark_runs()
        self._mark_panes()

    # --- what the person does -----------------------------------------------------------------------------

    def _on_chosen(self, item: QListWidgetItem) -> None:
        if len(self.chosen) > MOST_RUNS:
            with QSignalBlocker(self.runs):
                item.setCheckState(Qt.CheckState.Unchecked)
        self._refresh()

    def _on_image(self, _index: int) -> None:
        self._look()

    def _on_tab(self, _index: int) -> None:
        self._look()

    # --- inside -------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Show what is known of the chosen runs, and ask for the rest."""
        chosen = self.chosen
        for path in chosen:
            if path not in self._details and path not in self._asked:
                self._asked.add(path)
                self.details_needed.emit(path)
        known = [self._details[path] for path in chosen if path in self._details]
        self._mark_runs()
        self.curves.set_runs(known)
        self.scores.set_runs(known)
        self.settings.set_runs(known)
        remarks = list(remarks_on(known))
        if len(chosen) < 2:
            remarks.insert(0, TICK if self.runs.count() > 1 else TOO_FEW[self.runs.count()])
        self._remarks.setText("\n".join(remarks))
        self._remarks.setVisible(bool(remarks))
        if len(known) == len(chosen):
            titles = [(LABELS, "Labels"), *((run.path, titled(run.name, run.title)) for run in known)]
            if [name for name, _ in titles] != list(self.image.panes):
                self.image.set_panes(titles)
                self._forget_shown()
                self._look()
            self._mark_panes()

    def _mark_runs(self) -> None:
        """A line in the colour of its curve before each chosen run."""
        theme = self._tokens_in_use
        if theme is None:
            return
        chosen = self.chosen
        with QSignalBlocker(self.runs):
            for row in range(self.runs.count()):
                item = self.runs.item(row)
                path = item.data(_PATH)
                item.setIcon(curve_mark(theme, chosen.index(path) if path in chosen else None))

    def _mark_panes(self) -> None:
        if self._tokens_in_use is not None:
            for place, path in enumerate(name for name in self.image.panes if name != LABELS):
                self.image.panes[path].set_mark(curve_mark(self._tokens_in_use, place))

    def _forget_shown(self) -> None:
        """Answers about it would come for panes that may be gone."""
        self._shown = None
        self._awaited = []
        self.again_button.hide()

    def _look(self) -> None:
        """Once the tab is seen: the image, its labels, and each run's prediction, one after the other."""
        key = self.images.currentText()
        if self.tabs.currentIndex() != self._image_tab or not key or not self.image.panes:
            return
        if self._shown is not None and self._shown.key == key:
            return
        self._forget_shown()
        self._shown = _Shown(key)
        self._awaited = [name for name in self.image.panes if name != LABELS]
        self.image.panes[LABELS].show_words("Reading the image …")
        for name in self._awaited:
            self.image.panes[name].show_words("Waits for its turn …")
        self.picture_needed.emit(key)

    def _ask_next(self) -> None:
        """Have the next run predict: one at a time, so that another image can be chosen meanwhile."""
        if self._shown is None or not self._awaited:
            return
        self.image.panes[self._awaited[0]].show_words("Predicting …")
        self.prediction_needed.emit(self._awaited[0], self._shown.key)

    def _named(self, theirs: ClassList) -> ClassList:
        """A run's classes in the colours that the project has for the same names."""
        colored = tuple(self._classes.by_name(c.name) or c for c in theirs)
        kept = tuple(type(c)(c.index, c.name, found.color) for c, found in zip(theirs, colored, strict=True))
        return ClassList(kept, theirs.background)

    def _lay_out(self) -> None:
        self.tabs.addTab(self.curves, "Curves")
        self.tabs.addTab(self.scores, "Scores")
        self.tabs.addTab(self.settings, "Settings")
        one = QWidget()
        column = QVBoxLayout(one)
        column.setContentsMargins(0, SPACE, 0, 0)
        column.setSpacing(SPACE)
        choice = QHBoxLayout()
        choice.setSpacing(SPACE)
        choice.addWidget(self.images, 1)
        choice.addWidget(self.again_button)
        column.addLayout(choice)
        column.addWidget(self.image, 1)
        self._image_tab = self.tabs.addTab(one, "One image")
        self.runs.setFixedWidth(300)
        close = QPushButton("Close")
        close.setProperty("kind", "primary")
        close.clicked.connect(self.close)
        right = QVBoxLayout()
        right.setSpacing(SPACE)
        right.addWidget(self._remarks)
        right.addWidget(self.tabs, 1)
        body = QHBoxLayout()
        body.setSpacing(SPACE * 2)
        left = QVBoxLayout()
        left.setSpacing(SPACE)
        left.addWidget(label("Runs", "heading"))
        left.addWidget(self.runs, 1)
        body.addLayout(left)
        body.addLayout(right, 1)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 2, SPACE * 2, SPACE * 2, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addLayout(body, 1)
        layout.addLayout(foot)
