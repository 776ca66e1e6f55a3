"""Export masks, labelme JSON, weights and ONNX: choose, watch, open what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.typed_folder import typed_folder
from app.panels.combos import ElidedComboBox
from app.panels.parts import ElidedLabel, IconLabel, IconPushButton, label
from app.panels.run_history import RunSummary, offer_runs
from app.theme import SPACE, set_property

ExportFormat: TypeAlias = Literal["masks", "labelme", "weights", "onnx"]
_OFFERS: Final[tuple[tuple[ExportFormat, str, str], ...]] = (
    ("masks", "Masks", "an indexed PNG for every labelled image, and classes.json"),
    ("labelme", "labelme JSON", "one file an image, as labelme reads it"),
    ("weights", "Weights", "one safetensors file that describes itself"),
    ("onnx", "ONNX", "the network for other programs, verified with ONNX Runtime"),
)
_FROM_RUN: Final[frozenset[ExportFormat]] = frozenset({"weights", "onnx"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What shall be written where.

    Attributes:
        formats: in the order they are to be done. out: target folder.
        run: folder of the run whose weights are meant; None when none of the formats needs one.
    """

    formats: tuple[ExportFormat, ...]
    out: str
    run: str | None = None


class ExportDialog(QDialog):
    """The choices, and below them progress and results of the export under way.

    Args:
        out: folder that is offered first.

    Attributes:
        outcome: the lines of results and errors so far, in order.

    Signals:
        export_requested(ExportRequest), cancel_requested: finish what is being written, begin nothing more.
    """

    export_requested = Signal(object)
    cancel_requested = Signal()

    def __init__(self, out: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self.setModal(False)
        self.setMinimumWidth(520)
        self._running = self._cancelled = False
        self._results = 0
        self._lines: list[QWidget] = []
        self.outcome: list[str] = []
        self.boxes: dict[ExportFormat, QCheckBox] = {}
        self.run_choice = ElidedComboBox()
        self.run_choice.currentTextChanged.connect(self.run_choice.setToolTip)
        self.run_choice.setAccessibleName("Run whose weights are exported")
        self._run_hint = label("", "small")
        self._run_hint.setWordWrap(True)
        self.folder = QLineEdit(out)
        self.folder.setAccessibleName("Target folder")
        self._browse = IconPushButton("folder", "Choose…")
        self._lead = label("", "small")
        self._lead.setWordWrap(True)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setRange(0, 1000)
        self._doing = ElidedLabel("", "small")
        self._outcome = QVBoxLayout()
        self._outcome.setSpacing(SPACE // 2)
        self._open_folder = QPushButton("Open folder")
        self._close = QPushButton("Close")
        self.export_button = IconPushButton("export", "Export", "primary")
        self.export_button.setDefault(True)
        self._lay_out()

        self._browse.clicked.connect(self._on_browse)
        self._open_folder.clicked.connect(self._on_open_folder)
        self._close.clicked.connect(self._on_close_clicked)
        self.export_button.clicked.connect(self._on_export)
        self.folder.textChanged.connect(self._refresh)
        for box in self.boxes.values():
            box.toggled.connect(self._refresh)
        self.set_runs([])

    # --- what is told to the dialog ---------------------------------------------------------------------

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Offer the weights of these runs; the best one is chosen beforehand."""
        offer_runs(self.run_choice, runs)
        able = self.run_choice.count() > 0
        for name in _FROM_RUN:
            box = self.boxes[name]
            box.setEnabled(able)
            if not able:
                box.setChecked(False)
        self._run_hint.setText(
            "" if able else "Weights and ONNX need a trained network: train first, then export."
        )
        self._run_hint.setVisible(not able)
        self._refresh()

    def begin(self, text: str = "Exporting…") -> None:
        """An export has started: lock the choices and show progress."""
        self._running, self._cancelled = True, False
        self._results = 0
        for line in self._lines:
            self._outcome.removeWidget(line)
            line.deleteLater()
        self._lines.clear()
        self.outcome.clear()
        self._close.setText("Cancel")
        self.set_progress(text, None)
        self._refresh()

    def set_progress(self, text: str, fraction: float | None) -> None:
        """What is being done, and how much of it, 0..1; None when nobody knows."""
        if self._cancelled:
            return  # that it ends is what counts now
        self._doing.set_text(text)
        self._progress.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self._progress.setValue(round(1000 * fraction))

    def add_result(self, text: str, path: str) -> None:
        """Something is written; the line opens it."""
        self._results += 1
        button = IconPushButton("done", text, "link")
        button.setToolTip(path)
        button.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(path)))
        self._add_line(button, text)

    def show_error(self, text: str) -> None:
        """Something could not be written; the rest goes on."""
        line = QFrame()
        row = QHBoxLayout(line)
        row.setContentsMargins(4, 0, 0, 0)
        row.setSpacing(6)
        words = label(text, "error")
        words.setWordWrap(True)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(IconLabel("error", "danger_text"), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(words, 1)
        self._add_line(line, text)

    def _add_line(self, line: QWidget, text: str) -> None:
        self._lines.append(line)
        self._outcome.addWidget(line)
        self.outcome.append(text)

    def finish(self) -> None:
        """The export is over, well or not."""
        self._running = False
        self._close.setText("Close")
        self._refresh()
        self.adjustSize()

    def request(self) -> ExportRequest | None:
        """What is chosen; None while nothing is, or no folder that can be used."""
        formats = tuple(name for name in get_args(ExportFormat) if self.boxes[name].isChecked())
        out = typed_folder(self.folder.text())
        if not formats or out is None or out.problem:
            return None
        run = self.run_choice.currentData() if _FROM_RUN & set(formats) else None
        return ExportRequest(formats=formats, out=str(out.path), run=run)

    # --- clicks -----------------------------------------------------------------------------------------

    def _on_export(self) -> None:
        request = self.request()
        if request is not None:
            self.export_requested.emit(request)

    def _on_browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Export into", self.folder.text())
        if folder:
            self.folder.setText(folder)

    def _on_open_folder(self) -> None:
        out = typed_folder(self.folder.text())
        if out is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(out.path)))

    def _on_close_clicked(self) -> None:
        self.reject()

    def reject(self) -> None:
        """Escape and closing cancel what runs and stay to tell what was written; a second time they close."""
        if not self._running or self._cancelled:
            super().reject()
            return
        self.set_progress("Cancelled: what is being written is finished first", None)
        self._cancelled = True
        self._close.setText("Close")
        self.cancel_requested.emit()

    def _refresh(self) -> None:
        """Enable what can be done now and say what is missing."""
        needs_run = any(self.boxes[name].isChecked() for name in _FROM_RUN)
        self.run_choice.setEnabled(needs_run and not self._running)
        self.run_choice.setVisible(self.run_choice.count() > 0)
        for name, box in self.boxes.items():
            able = name not in _FROM_RUN or self.run_choice.count() > 0
            box.setEnabled(able and not self._running)
        self.folder.setEnabled(not self._running)
        self._browse.setEnabled(not self._running)
        self.export_button.setEnabled(self.request() is not None and not self._running)
        self._progress.setVisible(self._running)
        self._doing.setVisible(self._running)
        self._open_folder.setVisible(self._results > 0 and not self._running)
        out = typed_folder(self.folder.text())
        role = "small"
        if self._running:
            text = ""
        elif not any(box.isChecked() for box in self.boxes.values()):
            text = "Choose at least one thing to export."
        elif out is None:
            text = "Choose a folder."
        elif out.problem:
            text, role = out.problem, "warning"
        elif out.filled:
            text = "The folder is not empty: files of an earlier export are replaced, others are kept."
        else:
            text = "The folder is made if it is not there."
        self._lead.setText(text)
        set_property(self._lead, "role", role)

    def _lay_out(self) -> None:
        offers = QGridLayout()
        offers.setHorizontalSpacing(SPACE * 2)
        offers.setVerticalSpacing(SPACE // 2)
        offers.setColumnStretch(1, 1)
        for row, (name, title, explanation) in enumerate(_OFFERS):
            box = QCheckBox(title)
            box.setChecked(name == "masks")
            box.setAccessibleDescription(explanation)
            self.boxes[name] = box
            offers.addWidget(box, row, 0)
            offers.addWidget(label(explanation, "small"), row, 1)
        place = QHBoxLayout()
        place.setSpacing(SPACE)
        place.addWidget(self.folder, 1)
        place.addWidget(self._browse)
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        buttons.addWidget(self._open_folder)
        buttons.addStretch(1)
        buttons.addWidget(self._close)
        buttons.addWidget(self.export_button)
        for button in (self._open_folder, self._close):
            button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addWidget(label("What", "strong"))
        layout.addLayout(offers)
        layout.addWidget(self._run_hint)
        layout.addWidget(self.run_choice)
        layout.addSpacing(SPACE)
        layout.addWidget(label("Where", "strong"))
        layout.addLayout(place)
        layout.addWidget(self._lead)
        layout.addWidget(self._progress)
        layout.addWidget(self._doing)
        layout.addLayout(self._outcome)
        layout.addSpacing(SPACE)
        layout.addStretch(1)
        layout.addLayout(buttons)
