"""Predict a folder of images: what, with which weights, as what, where to; then how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.dialogs.open import choose_folder
from app.dialogs.typed_folder import TypedFolder, typed_folder
from app.panels.combos import ElidedComboBox
from app.panels.parts import ElidedLabel, IconPushButton, label
from app.panels.run_history import RunSummary, offer_runs
from app.readable import format_duration, sentence
from app.theme import SPACE, set_property
from core.learning.events import FolderEnded, FolderProgress
from core.learning.prediction.folder_job import PredictionFormat, PredictionJob

FORMATS: Final[tuple[tuple[PredictionFormat, str, str], ...]] = (
    ("masks", "Masks", "an indexed PNG for every image"),
    ("labelme", "labelme JSON", "polygons, to correct here or in labelme"),
    ("overlay", "Overlays", "images tinted by their classes, to look at"),
)
State: TypeAlias = Literal["idle", "running", "held"]
KEPT_WEIGHTS: Final = "The weights it began with"


class PredictFolderDialog(QDialog):
    """Stays open beside the window, or is closed while the work goes on.

    Args:
        predictions: the project's folder for them; what is offered is a folder in it.

    Signals:
        start_requested(PredictionJob): without `root`; hold_requested(bool), cancel_requested.
    """

    start_requested = Signal(object)
    hold_requested = Signal(bool)
    cancel_requested = Signal()

    def __init__(self, predictions: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Predict a folder")
        self.setModal(False)
        self.setMinimumWidth(560)
        self._predictions = predictions
        self._offered = ""
        self._state: State = "idle"
        self._training = False
        self._weights: str | None = None
        self.images = QLineEdit()
        self.images.setAccessibleName("Folder of images")
        self.images.setPlaceholderText("a folder of images, as many as you like")
        self._browse_images = IconPushButton("folder", "Choose…")
        self.subfolders = QCheckBox("and the folders in it")
        self.again = QCheckBox("also what is predicted already")
        self.run_choice = ElidedComboBox()
        self.run_choice.currentTextChanged.connect(self.run_choice.setToolTip)
        self.run_choice.setAccessibleName("Run whose weights predict")
        self.format_choice = ElidedComboBox()
        self.format_choice.setAccessibleName("What is written")
        for name, title, explanation in FORMATS:
            self.format_choice.addItem(f"{title}: {explanation}", name)
        self.folder = QLineEdit()
        self.folder.setAccessibleName("Folder of the results")
        self._browse_folder = IconPushButton("folder", "Choose…")
        self._lead = label("", "small")
        self._lead.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._figures = ElidedLabel("", "strong")
        self._last = ElidedLabel("", "small")
        self._turns = label("", "small")
        self._turns.setWordWrap(True)
        self._problem_title = label("", "warning")
        self.problems = QListWidget()
        self.problems.setWordWrap(True)
        self.problems.setProperty("kind", "field")
        self.problems.setAccessibleName("Images that were left out")
        self.problems.setFixedHeight(112)
        self._open_folder = QPushButton("Open folder")
        self._close = QPushButton("Close")
        self.cancel_button = QPushButton("Give up")
        self.cancel_button.setToolTip("What is predicted stays; starting again goes on from there")
        self.hold_button = IconPushButton("pause", "Pause")
        self.start_button = IconPushButton("prediction", "Predict", "primary")
        self.start_button.setDefault(True)
        self._lay_out()

        self._browse_images.clicked.connect(self._on_browse_images)
        self._browse_folder.clicked.connect(self._on_browse_folder)
        self._open_folder.clicked.connect(self._on_open_folder)
        self._close.clicked.connect(self.close)
        self.cancel_button.clicked.connect(self.cancel_requested)
        self.hold_button.clicked.connect(self._on_hold)
        self.start_button.clicked.connect(self._on_start)
        self.images.textChanged.connect(self._on_images_changed)
        self.folder.textChanged.connect(self._refresh)
        self.set_runs([])

    # --- what is told to the dialog -----------------------------------------------------------------------

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Offer the weights of these runs; the best one is chosen beforehand."""
        offer_runs(self.run_choice, runs)
        if self._weights is not None:
            self._offer_kept(self._weights)
        self._refresh()

    def show_job(self, job: PredictionJob) -> None:
        """Show an interrupted job: starting goes on with it."""
        self.images.setText(job.images[0] if job.images else "")
        self.folder.setText(job.out)
        self.subfolders.setChecked(job.subfolders)
        self.again.setChecked(job.again)
        self.format_choice.setCurrentIndex(max(0, self.format_choice.findData(job.format)))
        self._offer_kept(job.weights)
        self._refresh()

    def set_training(self, training: bool) -> None:
        """A run goes on meanwhile, or not."""
        self._training = training
        self._refresh()

    def begin(self) -> None:
        """The work has begun."""
        self._state = "running"
        self.problems.clear()
        self._figures.set_text("Looking for images…")
        self._last.set_text("")
        self._bar.setRange(0, 0)
        self._refresh()

    def set_progress(self, progress: FolderProgress) -> None:
        """How far it is."""
        self._state = "held" if progress.held else "running"
        if progress.total:
            self._bar.setRange(0, 1000)
            self._bar.setValue(round(1000 * progress.done / progress.total))
            self._figures.set_text(figures(progress))
        if progress.image:
            self._last.set_text(progress.image)
        self._refresh()

    def add_problem(self, text: str) -> None:
        """An image is left out; the rest goes on."""
        self.problems.addItem(text)
        self._refresh()

    def end(self, ended: FolderEnded) -> None:
        """It is over."""
        self._state = "idle"
        self._bar.setRange(0, 1000)
        self._bar.setValue(1000 if ended.reason == "done" else 0)
        self._figures.set_text(outcome(ended))
        self._last.set_text("")
        if ended.reason != "failed":  # that can be gone on with
            self._weights = None
            kept = self.run_choice.findText(KEPT_WEIGHTS)
            if kept >= 0:
                self.run_choice.removeItem(kept)
        self._refresh()

    @property
    def figures_text(self) -> str:
        """The line under the bar."""
        return self._figures.whole_text

    @property
    def lead_text(self) -> str:
        """What is missing, or what will happen."""
        return self._lead.text()

    def job(self) -> PredictionJob | None:
        """What is chosen; None while something is missing."""
        images, out = self._typed()
        run = self.run_choice.currentData()
        if images is None or out is None or run is None or self._problem():
            return None
        weights = Path(run)
        return PredictionJob(
            images=(str(images.path),),
            out=str(out.path),
            format=self.format_choice.currentData(),
            weights=str(weights if weights.suffix == ".safetensors" else weights / "best.safetensors"),
            subfolders=self.subfolders.isChecked(),
            again=self.again.isChecked(),
        )

    # --- clicks -------------------------------------------------------------------------------------------

    def _on_start(self) -> None:
        job = self.job()
        if job is not None:
            self.start_requested.emit(job)

    def _on_hold(self) -> None:
        self.hold_requested.emit(self._state == "running")

    def _on_browse_images(self) -> None:
        choose_folder(self, "Images to predict", _folder(self.images), self._on_images_chosen)

    def _on_images_chosen(self, path: Path) -> None:
        self.images.setText(str(path))

    def _on_browse_folder(self) -> None:
        choose_folder(self, "Predict into", _folder(self.folder), self._on_folder_chosen)

    def _on_folder_chosen(self, path: Path) -> None:
        self.folder.setText(str(path))

    def _on_open_folder(self) -> None:
        _, out = self._typed()
        if out is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(out.path)))

    def _on_images_changed(self, text: str) -> None:
        # What a person has chosen for the results stays; what was only offered follows the images.
        if self.folder.text() == self._offered:
            images = typed_folder(text)
            name = "" if images is None else images.path.name
            self._offered = str(Path(self._predictions) / name) if name else ""
            self.folder.setText(self._offered)
        self._refresh()

    # --- looks --------------------------------------------------------------------------------------------

    def _offer_kept(self, weights: str) -> None:
        self._weights = weights
        if self.run_choice.findText(KEPT_WEIGHTS) < 0:
            self.run_choice.insertItem(0, KEPT_WEIGHTS, weights)
        self.run_choice.setCurrentIndex(0)

    def _typed(self) -> tuple[TypedFolder | None, TypedFolder | None]:
        """Where the images are, and where the results go."""
        return typed_folder(self.images.text()), typed_folder(self.folder.text())

    def _problem(self) -> str:
        """What is wrong with what is chosen; "" for nothing."""
        images, out = self._typed()
        if self.run_choice.count() == 0:
            return "Predictions need a trained network: train first."
        if images is not None and not images.exists:
            return images.problem or f"{images.path} is no folder."
        return "" if out is None else out.problem

    def _refresh(self) -> None:
        """Enable what can be done now, and say what is missing."""
        working = self._state != "idle"
        for widget in (
            self.images, self._browse_images, self.subfolders, self.again, self.run_choice,
            self.format_choice, self.folder, self._browse_folder,
        ):  # fmt: skip
            widget.setEnabled(not working)
        problem = self._problem()
        images, out = self._typed()
        if problem:
            text = problem
        elif images is None:
            text = "Choose a folder of images."
        elif out is None:
            text = "Choose a folder for the results."
        else:
            text = "What these weights have predicted there already is passed over; files of others are kept."
        self._lead.setText(text)
        set_property(self._lead, "role", "warning" if problem else "small")
        self._lead.setVisible(not working)
        self.start_button.setEnabled(not working and self.job() is not None)
        self.start_button.setVisible(not working)
        self.hold_button.setVisible(working)
        self.hold_button.setText("Go on" if self._state == "held" else "Pause")
        self.hold_button.set_icon_name("play" if self._state == "held" else "pause")
        self.cancel_button.setVisible(working)
        self._bar.setVisible(working)
        self._figures.setVisible(bool(self._figures.whole_text))
        self._last.setVisible(working)
        self._turns.setVisible(working)
        self._turns.setText(
            "A run trains meanwhile: they take turns, and the folder has a quarter of the time."
            if self._training
            else "This goes on in the background; what you look at and Train go before."
        )
        count = self.problems.count()
        self._problem_title.setText(f"{count} image{'s' if count != 1 else ''} left out")
        self._problem_title.setVisible(count > 0)
        self.problems.setVisible(count > 0)
        self._open_folder.setVisible(bool(self._figures.whole_text) and out is not None and out.exists)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACE * 2)
        grid.setVerticalSpacing(SPACE)
        grid.setColumnStretch(1, 1)
        boxes = QHBoxLayout()
        boxes.setSpacing(SPACE * 2)
        boxes.addWidget(self.subfolders)
        boxes.addWidget(self.again)
        boxes.addStretch(1)
        grid.addWidget(label("Images", "strong"), 0, 0)
        grid.addWidget(self.images, 0, 1)
        grid.addWidget(self._browse_images, 0, 2)
        grid.addLayout(boxes, 1, 1, 1, 2)
        grid.addWidget(label("With", "strong"), 2, 0)
        grid.addWidget(self.run_choice, 2, 1, 1, 2)
        grid.addWidget(label("As", "strong"), 3, 0)
        grid.addWidget(self.format_choice, 3, 1, 1, 2)
        grid.addWidget(label("Into", "strong"), 4, 0)
        grid.addWidget(self.folder, 4, 1)
        grid.addWidget(self._browse_folder, 4, 2)
        for combo in (self.run_choice, self.format_choice):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        buttons.addWidget(self._open_folder)
        buttons.addStretch(1)
        for button in (self._close, self.cancel_button, self.hold_button, self.start_button):
            buttons.addWidget(button)
        for button in (self._open_folder, self._close, self.cancel_button):
            button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE * 3, SPACE * 3, SPACE * 3, SPACE * 2)
        layout.setSpacing(SPACE)
        layout.addLayout(grid)
        for widget in (self._lead, self._bar, self._figures, self._last, self._turns, self._problem_title):
            layout.addWidget(widget)
        layout.addWidget(self.problems)
        layout.addStretch(1)
        layout.addSpacing(SPACE)
        layout.addLayout(buttons)
        self.problems.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)


def figures(progress: FolderProgress) -> str:
    """As "1,204 of 5,000  ·  12.3 images/s  ·  5:10 left"."""
    parts = [f"{progress.done:,} of {progress.total:,}"]
    if progress.held:
        parts.append("paused")
    elif progress.images_per_s is not None and progress.seconds_left is not None:
        parts.append(_rate(progress.images_per_s))
        parts.append(f"{format_duration(progress.seconds_left)} left")
    if progress.known:
        parts.append(f"{progress.known:,} from before")
    return "  ·  ".join(parts)


def outcome(ended: FolderEnded) -> str:
    """What a job has come to, for people."""
    done = ended.predicted + ended.known
    before = f", {ended.known:,} of them before" if ended.known else ""
    left_out = f"; {ended.failed:,} left out" if ended.failed else ""
    if ended.problem:
        return sentence(ended.problem)
    begin = {"done": "Done", "cancelled": "Given up", "failed": "Ended early"}[ended.reason]
    return f"{begin}: {done:,} image{'s' if done != 1 else ''} predicted{before}{left_out}."


def _rate(images_per_s: float) -> str:
    if images_per_s >= 1:
        return f"{images_per_s:.1f} images/s"
    return f"{1 / images_per_s:.1f} s an image"


def _folder(edit: QLineEdit) -> Path | None:
    typed = typed_folder(edit.text())
    return typed.path if typed is not None and typed.exists else None
