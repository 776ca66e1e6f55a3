"""Earlier runs, as a small popup: when, which network, how good; one of them can be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QTreeWidget,
    QVBoxLayout,
    QWidget,
)
from PySide6.QtWidgets import QTreeWidgetItem as Item

from app.panels.parts import IconPushButton, label
from app.theme import SPACE

_PathRole: Final = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run as people tell it apart.

    Attributes:
        path: run folder. model: title for people. started: local time. steps: done so far.
        best_miou: None when nothing was scored, and then there may be no weights.
        has_weights: `best.safetensors` is there.
    """

    path: str
    model: str
    started: datetime
    steps: int = 0
    best_miou: float | None = None
    has_weights: bool = True


class RunHistory(QFrame):
    """The popup.

    Signals:
        run_resume_requested(str): folder of the run to continue.
    """

    run_resume_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("kind", "floating")
        self._can_resume = True
        self._table = QTreeWidget()
        self._table.setProperty("kind", "field")
        self._table.setHeaderLabels(["Started", "Network", "Steps", "Best mIoU"])
        self._table.setRootIsDecorated(False)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._table.setUniformRowHeights(True)
        header = self._table.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self._empty = label("No runs yet: press Train.", "muted")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint = label("", "small")
        self._resume = IconPushButton("play", "Continue this run", "primary")
        foot = QHBoxLayout()
        foot.addWidget(self._hint, 1)
        foot.addWidget(self._resume)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 2, SPACE * 2, SPACE * 2, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(label("Runs of this project", "heading"))
        layout.addWidget(self._table, 1)
        layout.addWidget(self._empty, 1)
        layout.addLayout(foot)
        self.resize(520, 260)
        self._table.itemSelectionChanged.connect(self._on_selection_changed)
        self._table.itemDoubleClicked.connect(self._on_resume)
        self._resume.clicked.connect(self._on_resume)
        self.set_runs([])

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show these runs, the newest first."""
        best = max((run.best_miou for run in runs if run.best_miou is not None), default=None)
        self._table.clear()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for run in sorted(runs, key=lambda run: run.started, reverse=True):
            miou = "—" if run.best_miou is None else f"{run.best_miou:.3f}"
            star = " ★" if run.best_miou is not None and run.best_miou == best else ""
            item = Item([f"{run.started:%Y-%m-%d %H:%M}", run.model, f"{run.steps:,}", miou + star])
            item.setTextAlignment(2, right)
            item.setTextAlignment(3, right)
            item.setData(0, _PathRole, run.path)
            item.setToolTip(1, run.path)
            self._table.addTopLevelItem(item)
        self._table.setVisible(bool(runs))
        self._empty.setVisible(not runs)
        self._resume.setVisible(bool(runs))
        newest = self._table.topLevelItem(0)
        if newest is not None:
            self._table.setCurrentItem(newest)
        self._on_selection_changed()

    def set_can_resume(self, can_resume: bool) -> None:
        """Whether a run may be continued now: not while another one trains."""
        self._can_resume = can_resume
        self._on_selection_changed()

    def popup_above(self, anchor: QWidget) -> None:
        """Open over a button at the window's lower edge, kept on its screen."""
        corner = anchor.mapToGlobal(QPoint(0, -self.height() - SPACE // 2))
        room = anchor.screen().availableGeometry()
        corner.setX(max(room.left(), min(corner.x(), room.right() + 1 - self.width())))
        corner.setY(max(room.top(), corner.y()))
        self.move(corner)
        self.show()
        self._table.setFocus()

    def _on_selection_changed(self) -> None:
        self._resume.setEnabled(self._can_resume and bool(self._table.selectedItems()))
        self._hint.setText("" if self._can_resume else "Stop the present run to continue another.")

    def _on_resume(self) -> None:
        chosen = self._table.selectedItems()
        if chosen and self._can_resume:
            self.hide()
            self.run_resume_requested.emit(chosen[0].data(0, _PathRole))
