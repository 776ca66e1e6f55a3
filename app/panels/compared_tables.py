"""Runs in columns: their scores class by class, and their settings with what differs marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.learning.score_words import images_words
from app.panels.compared_curves import MARK_SIZE, curve_mark
from app.readable import format_duration
from app.theme import SPACE, Themed, Tokens
from core.learning.events import ScoredOn
from core.learning.runs.comparison import ComparedRun, class_names_of, knows, settings_of
from core.learning.runs.run_folder import score_kind, score_rank
from core.learning.scores.bootstrap import Interval

_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RunsTable(Themed, QTableWidget):
    """What the rows are in the first column, then one column a run.

    Args:
        name: for screen readers.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles: list[QTableWidgetItem] = []
        self._names: list[QTableWidgetItem] = []
        self._marked: set[int] = set()
        self.setProperty("kind", "field")
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIconSize(MARK_SIZE)
        self.verticalHeader().hide()
        self.horizontalHeader().setHighlightSections(False)

    def begin(self, runs: Sequence[ComparedRun], rows: Sequence[str]) -> None:
        """Empty the table and name rows and columns."""
        self.clear()
        self._marked.clear()
        self.setRowCount(len(rows))
        self.setColumnCount(len(runs) + 1)
        self.setHorizontalHeaderItem(0, QTableWidgetItem(""))
        self._titles = [QTableWidgetItem(f"{run.name}\n{run.title}".strip()) for run in runs]
        self._names = [QTableWidgetItem(name) for name in rows]
        for column, (title, run) in enumerate(zip(self._titles, runs, strict=True), start=1):
            title.setToolTip(run.path)
            title.setTextAlignment(_RIGHT)
            self.setHorizontalHeaderItem(column, title)
        for row, name in enumerate(self._names):
            self.setItem(row, 0, name)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setMinimumSectionSize(110)
        self._color()

    def put(self, row: int, place: int, text: str, *, tip: str = "", bold: bool = False) -> None:
        """Fill the cell of the run in this place."""
        item = QTableWidgetItem(text)
        item.setTextAlignment(_RIGHT)
        item.setToolTip(tip)
        font = item.font()
        font.setBold(bold)
        item.setFont(font)
        self.setItem(row, place + 1, item)

    def mark(self, row: int) -> None:
        """The runs differ here: colour the row's name."""
        self._marked.add(row)
        font = self._names[row].font()
        font.setBold(True)
        self._names[row].setFont(font)
        self._color()

    def text_of(self, row: int) -> list[str]:
        """A row as it stands there."""
        cells = (self.item(row, column) for column in range(self.columnCount()))
        return ["" if cell is None else cell.text() for cell in cells]

    def is_marked(self, row: int) -> bool:
        """Whether the row stands out."""
        return row in self._marked

    def apply_tokens(self, theme: Tokens) -> None:
        """Recolour what was filled in."""
        self._color()

    def _color(self) -> None:
        theme = self._tokens_in_use
        if theme is None:
            return
        for place, title in enumerate(self._titles):
            title.setIcon(QIcon(curve_mark(theme, place)))
        for row, name in enumerate(self._names):
            name.setForeground(QBrush(QColor(theme.accent_text if row in self._marked else theme.muted)))


class ComparedScores(QWidget):
    """Best mIoU, IoU of every class, what was scored, and how long it took."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = RunsTable("Scores of the runs")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.addWidget(self.table)

    def set_runs(self, runs: Sequence[ComparedRun]) -> None:
        """Show these; the best value of a row is bold."""
        names = class_names_of(runs)
        self.table.begin(runs, ("mIoU", *names, "scored on", "steps", "training time"))
        on = [score_kind(run.on) for run in runs]
        self._fill_scores(0, on, [(run.score, run.interval, "not scored") for run in runs])
        for row, name in enumerate(names, start=1):
            self._fill_scores(
                row,
                on,
                [
                    (
                        run.per_class.get(name),
                        run.class_intervals.get(name),
                        "no true pixel" if knows(run, name) else "not a class of this run",
                    )
                    for run in runs
                ],
            )
        for place, run in enumerate(runs):
            kind = on[place]
            scored = "—" if kind is None else images_words(kind, run.images)
            facts = (scored, f"{run.steps:,}", format_duration(run.seconds))
            for row, text in enumerate(facts, start=len(names) + 1):
                self.table.put(row, place, text)

    def _fill_scores(
        self,
        row: int,
        on: Sequence[ScoredOn | None],
        scores: Sequence[tuple[float | None, Interval | None, str]],
    ) -> None:
        """One row; the best of several scores is bold, as `score_rank` has it."""
        ranks = [
            None if value is None else score_rank(value, kind)
            for (value, _, _), kind in zip(scores, on, strict=True)
        ]
        known = [rank for rank in ranks if rank is not None]
        best = max(known) if len(known) > 1 else None
        for place, (value, interval, absence) in enumerate(scores):
            if value is None:
                self.table.put(row, place, f"— {absence}")
                continue
            between = "" if interval is None else f"  ({interval.low:.2f}–{interval.high:.2f})"
            self.table.put(row, place, f"{value:.3f}{between}", bold=ranks[place] == best)


class ComparedSettings(QWidget):
    """The configuration of every run; rows that differ stand first and are marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.only_differences = QCheckBox("Only what differs")
        self.only_differences.setChecked(True)
        self.table = RunsTable("Settings of the runs")
        self._runs: tuple[ComparedRun, ...] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, SPACE, 0, 0)
        layout.setSpacing(SPACE)
        layout.addWidget(self.only_differences)
        layout.addWidget(self.table, 1)
        self.only_differences.toggled.connect(self._fill)

    def set_runs(self, runs: Sequence[ComparedRun]) -> None:
        """Show these."""
        self._runs = tuple(runs)
        self._fill()

    def _fill(self) -> None:
        rows = settings_of(self._runs)
        if self.only_differences.isChecked() and len(self._runs) > 1:
            rows = tuple(row for row in rows if row.differs)
        if not rows and self._runs:
            self.table.begin(self._runs, ["all settings"])
            for place in range(len(self._runs)):
                self.table.put(0, place, "the same")
            return
        self.table.begin(self._runs, [row.name.replace("_", " ") for row in rows])
        for number, row in enumerate(rows):
            for place, value in enumerate(row.values):
                self.table.put(number, place, value, tip=value, bold=row.differs)
            if row.differs:
                self.table.mark(number)
