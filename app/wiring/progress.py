"""Progress and runs in the window: confusion matrix, comparing runs, which labels a run has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QWidget

from app.panels.prediction_bar import PredictionBar
from app.panels.training_panel import TrainingPanel
from app.wiring.earlier_runs import read_runs
from app.wiring.part import Common, Wiring
from core.annotation.model import ClassList
from core.images.pyramid import PYRAMIDS, huge_thumbnail, is_huge
from core.images.reader import read_image
from core.learning.answers import LabelsCompared, RunPrediction
from core.learning.commands import CompareLabels, PredictWithRun
from core.learning.events import Event, Failed, Finished, Prediction, TrainingStarted, Validated
from core.learning.runs.comparison import read_compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from app.dialogs.compare_runs import CompareRunsDialog
    from app.dialogs.confusion import ConfusionDialog
    from app.panels.run_history import RunSummary

LABELS_QUIET_MS: Final = 2000
"""After the last change of labels, before it is asked which runs have not seen it."""


class ProgressWiring(Wiring):
    """Joins what tells of progress with what shows it.

    Args:
        common: of its actions "train.confusion" and "train.compare".
        panel: scores and run history.
        bar: whose prediction is shown.
        window: parent of the dialogs.
    """

    def __init__(
        self,
        common: Common,
        *,
        panel: TrainingPanel,
        bar: PredictionBar,
        window: QWidget,
    ) -> None:
        super().__init__(common, window)
        session, controller, actions = self._session, self._controller, self._actions
        self._panel = panel
        self._bar = bar
        self._window = window
        self._classes = ClassList()
        self._run = ""  # the folder of the run that trains or trained last
        self._validated: Validated | None = None
        self._confusion: ConfusionDialog | None = None
        self._compare: CompareRunsDialog | None = None
        self._unseen: dict[str, str] = {}
        self._ask_timer = QTimer(self, singleShot=True, interval=LABELS_QUIET_MS)
        self._ask_timer.timeout.connect(self._ask_about_shown)
        actions["train.confusion"].triggered.connect(self.open_confusion)
        actions["train.compare"].triggered.connect(self._on_compare)
        panel.scores.confusion_requested.connect(self.open_confusion)
        panel.history.compare_requested.connect(self.open_comparison)
        panel.history.opened.connect(self._on_history_opened)
        controller.event_received.connect(self._on_event)
        controller.prediction_changed.connect(self._on_prediction_changed)
        controller.engine_state_changed.connect(self._on_engine_state)
        session.project_changed.connect(self._on_project_changed)
        session.classes_changed.connect(self._on_classes_changed)
        session.labels_written.connect(self._on_labels_written)
        self._on_project_changed()

    def close(self) -> None:
        """End the worker."""
        self._ask_timer.stop()
        super().close()

    # --- confusion matrix ---------------------------------------------------------------------------------

    def open_confusion(self) -> ConfusionDialog:
        """Show the matrix of the last validation; the next ones come into it by themselves."""
        from app.dialogs.confusion import ConfusionDialog

        if self._confusion is None:
            self._confusion = ConfusionDialog(self._window)
        self._show_validation()
        self._confusion.show()
        self._confusion.raise_()
        return self._confusion

    def _on_classes_changed(self) -> None:
        self._show_validation()

    def _show_validation(self) -> None:
        """In the colours of today; a class that is called otherwise by now keeps that of the run."""
        if self._confusion is not None and self._validated is not None:
            colors = {c.name: c.color for c in (*self._classes, *self._session.classes)}
            self._confusion.show_validation(self._validated, colors)

    # --- comparing ----------------------------------------------------------------------------------------

    def _on_compare(self) -> None:
        self.open_comparison(())

    def open_comparison(self, runs: Sequence[str]) -> CompareRunsDialog | None:
        """Compare these runs (their folders), the two newest where none is named; None without a project."""
        from app.dialogs.compare_runs import CompareRunsDialog

        project = self._session.project
        if project is None:
            return None
        dialog = CompareRunsDialog(self._session.classes, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.details_needed.connect(self._on_details_needed)
        dialog.picture_needed.connect(self._on_picture_needed)
        dialog.prediction_needed.connect(self._on_prediction_needed)
        dialog.finished.connect(self._on_comparison_closed)
        if self._compare is not None:
            self._compare.close()
        self._compare = dialog
        current = self._session.current
        keys = [entry.key for entry in self._session.entries]
        dialog.set_images(keys, None if current is None else current.entry.key)
        wanted = tuple(runs)
        task = self._runner.run(read_runs, project.layout, doing="reading the earlier runs")
        task.done.connect(lambda summaries: self._on_runs_read(dialog, summaries, wanted))
        dialog.show()
        return dialog

    def _on_runs_read(
        self, dialog: CompareRunsDialog, summaries: list[RunSummary], wanted: tuple[str, ...]
    ) -> None:
        if dialog is self._compare:
            dialog.set_runs(summaries, wanted or tuple(run.path for run in summaries[:2]))

    def _on_comparison_closed(self) -> None:
        if self.sender() is self._compare:
            self._compare = None

    def _on_details_needed(self, path: str) -> None:
        task = self._runner.run(read_compared, Path(path), doing="reading a run")
        task.done.connect(self._on_details)

    def _on_details(self, details: object) -> None:
        if self._compare is not None:
            self._compare.set_details(details)  # type: ignore[arg-type]  # what `read_compared` gives

    def _on_picture_needed(self, key: str) -> None:
        entry, project = self._session.entry(key), self._session.project
        if entry is None or project is None:
            return
        cache = project.layout.cache / PYRAMIDS
        task = self._runner.run(_picture, key, entry.image_path, cache, doing="reading an image")
        task.done.connect(self._on_picture)
        task.failed.connect(lambda problem: self._on_picture((key, None, problem)))

    def _on_picture(self, found: tuple[str, NDArray[np.uint8] | None, str]) -> None:
        if self._compare is not None:
            self._compare.set_picture(*found)

    def _on_prediction_needed(self, run: str, key: str) -> None:
        entry = self._session.entry(key)
        if entry is not None:
            self._controller.start_engine()
            self._trainer.send(PredictWithRun(run=run, key=key, image_path=str(entry.image_path)))

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        if state in ("crashed", "stopped") and self._compare is not None:
            self._compare.give_up("the engine has ended")

    # --- what a run has not seen --------------------------------------------------------------------------

    def _on_history_opened(self) -> None:
        project = self._session.project
        if project is not None:
            self._trainer.send(CompareLabels(runs=tuple(str(run) for run in project.layout.runs_by_time())))

    def _on_prediction_changed(self, prediction: Prediction | None) -> None:
        run = None if prediction is None else prediction.run
        if run is not None and run not in self._unseen:
            self._ask_timer.start()
        self._tell_bar()

    def _on_labels_written(self, _written: object) -> None:
        self._ask_timer.start()

    def _ask_about_shown(self) -> None:
        prediction = self._controller.prediction
        if prediction is not None and prediction.run is not None:
            self._trainer.send(CompareLabels(runs=(prediction.run,)))

    def _tell_bar(self) -> None:
        prediction = self._controller.prediction
        run = None if prediction is None else prediction.run
        said = "" if run is None else self._unseen.get(run, "")
        self._bar.setToolTip(f"The run whose prediction is shown {said}." if said else "")

    # --- events -------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        match event:
            case TrainingStarted():
                self._classes = event.classes
                self._unseen.pop(event.run, None)
                if event.resumed_step is None or event.run != self._run:
                    self._clear_confusion()
                self._run = event.run
            case Validated():
                self._validated = event
                self._actions["train.confusion"].setEnabled(True)
                self._show_validation()
            case LabelsCompared():
                self._unseen |= {run: "" if it is None else it.sentence for run, it in event.unseen.items()}
                self._panel.history.set_details(self._unseen)
                self._tell_bar()
            case RunPrediction():
                if self._compare is not None:
                    self._compare.set_prediction(event)
            case Failed() if event.during == "PredictWithRun" and self._compare is not None:
                self._compare.give_up(event.text)
            case Finished():
                self._ask_timer.start()
            case _:
                pass

    def _clear_confusion(self) -> None:
        """What was shown is of another run."""
        self._validated = None
        if self._confusion is not None:
            self._confusion.clear()

    def _on_project_changed(self) -> None:
        self._clear_confusion()
        self._unseen.clear()
        self._ask_timer.stop()
        opened = self._session.project is not None
        self._actions["train.compare"].setEnabled(opened)
        self._actions["train.confusion"].setEnabled(opened)
        for dialog in (self._confusion, self._compare):
            if dialog is not None:
                dialog.close()
        self._tell_bar()


def _picture(key: str, path: Path, cache: Path) -> tuple[str, NDArray[np.uint8] | None, str]:
    """Worker: an image, reduced to what is shown. Raises ImageFileError."""
    from app.panels.compared_image import SHOWN_SIDE, reduced

    if is_huge(path):
        return key, huge_thumbnail(path, SHOWN_SIDE, cache), ""
    return key, reduced(read_image(path)), ""
