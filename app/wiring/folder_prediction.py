"""Predicting a folder in the background: dialog, engine, and the line in the status bar, joined.

The job is kept in the project until it is done: after a crash of the engine it is given to the next one, and
after one of the program it is offered when the project is opened again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QStatusBar, QWidget

from app.dialogs.message import Level, Toast
from app.wiring.earlier_runs import read_runs
from app.wiring.part import Common, Wiring
from app.workers.tasks import Task
from core.learning.commands import HoldFolder, PredictFolder
from core.learning.events import Event, FolderEnded, FolderProblem, FolderProgress
from core.learning.prediction.folder_job import PendingJob, PredictionJob

if TYPE_CHECKING:
    from app.dialogs.predict_folder import PredictFolderDialog
    from app.panels.run_history import RunSummary

GO_ON: Final = "Go on"
CRASHES_BORNE: Final = 2
"""Of the engine, without one more image predicted in between: it is likely to die of the next image again."""


class PredictingWiring(Wiring):
    """One job at a time.

    Args:
        common: of its actions `train.predict_folder`, which opens the dialog.
        status: gets a button with the progress while the dialog is closed.
        toast: offers to go on with what was interrupted.
        window: parent of the dialog.
        post: what is done to predictions at present, as text.
    """

    def __init__(
        self,
        common: Common,
        *,
        status: QStatusBar,
        toast: Toast,
        window: QWidget,
        post: Callable[[], str] = str,
    ) -> None:
        super().__init__(common, window)
        self._post = post
        session, controller = self._session, self._controller
        self._action = self._actions["train.predict_folder"]
        self._toast = toast
        self._window = window
        self._dialog: PredictFolderDialog | None = None
        self._pending: PendingJob | None = None
        self._keeping: Task | None = None  # the job and its weights, before it goes to the engine
        self._job: PredictionJob | None = None  # under way
        self._number = 0  # of the newest job
        self._wanted: Literal["go on", "hold", "cancel"] = "go on"
        self._interrupted: PredictionJob | None = None
        self._engine_lost = False
        self._crashes = 0  # since an image was predicted
        self._most_done = 0
        self._said = ""
        self._button = QPushButton()
        self._button.setProperty("kind", "link")
        self._button.setCursor(Qt.CursorShape.PointingHandCursor)
        self._button.setToolTip("A folder is predicted in the background; click to see more")
        self._button.hide()
        status.addPermanentWidget(self._button)
        self._button.hide()
        self._button.clicked.connect(self.open_dialog)
        self._action.triggered.connect(self.open_dialog)
        controller.event_received.connect(self._on_event)
        controller.engine_state_changed.connect(self._on_engine_state)
        controller.training_state_changed.connect(self._on_training_state)
        session.project_changed.connect(self._on_project_changed)
        toast.action_clicked.connect(self._on_toast_clicked)
        self._on_project_changed()

    def close(self) -> None:
        """End the worker; a job that goes on is kept for the next start."""
        self._job = None
        super().close()

    @property
    def busy(self) -> bool:
        """A job is under way, or about to be."""
        return self._job is not None or self._keeping is not None

    def open_dialog(self) -> PredictFolderDialog | None:
        """Show the dialog; None without a project."""
        from app.dialogs.predict_folder import PredictFolderDialog

        project = self._session.project
        if project is None:
            return None
        if self._dialog is None:
            dialog = PredictFolderDialog(str(project.layout.predictions), self._window)
            dialog.start_requested.connect(self._on_start)
            dialog.hold_requested.connect(self._on_hold)
            dialog.cancel_requested.connect(self._on_cancel)
            self._dialog = dialog
        dialog = self._dialog
        dialog.set_training(self._controller.training_state in ("training", "starting"))
        if not self.busy:
            if self._interrupted is not None:
                dialog.show_job(self._interrupted)
            task = self._runner.run(read_runs, project.layout, doing="reading the earlier runs")
            task.done.connect(self._on_runs)
        dialog.show()
        dialog.raise_()
        return dialog

    def _on_runs(self, runs: list[RunSummary]) -> None:
        if self._dialog is not None and not self.busy:
            self._dialog.set_runs(runs)

    # --- clicks -------------------------------------------------------------------------------------------

    def _on_start(self, job: PredictionJob) -> None:
        project = self._session.project
        if project is None or self.busy:
            return
        job, before = replace(job, root=str(project.root), post=self._post()), self._interrupted
        if before is not None and job == replace(before, post=job.post):
            job = before  # images that were processed in another way would not count as done
        self._pending = PendingJob(project.layout)
        self._number += 1
        self._wanted, self._engine_lost = "go on", False
        self._crashes = self._most_done = 0
        self._keeping = self._runner.run(self._pending.begin, job, doing="starting a prediction")
        self._keeping.done.connect(self._on_kept)
        self._keeping.failed.connect(self._on_not_kept)
        if self._dialog is not None:
            self._dialog.begin()

    def _on_kept(self, job: PredictionJob) -> None:
        self._keeping = self._interrupted = None
        self._job = job
        self._give(job)

    def _on_not_kept(self, text: str) -> None:
        self._keeping = None
        self._tell_end(FolderEnded(number=self._number, reason="failed", problem=text))

    def _give(self, job: PredictionJob) -> None:
        """Have the engine do the job, the way the person wants it by now."""
        if self._wanted == "cancel":
            self._on_ended(FolderEnded(number=self._number, reason="cancelled", predicted=self._most_done))
        else:
            held = self._wanted == "hold"
            self._trainer.send(PredictFolder(job=job, number=self._number, held=held))

    def _on_hold(self, held: bool) -> None:
        self._want("hold" if held else "go on")

    def _on_cancel(self) -> None:
        self._want("cancel")

    def _want(self, wanted: Literal["go on", "hold", "cancel"]) -> None:
        self._wanted = wanted
        if self._job is not None:  # else it is not the engine's yet
            self._trainer.send(HoldFolder(wanted=wanted))

    def _on_toast_clicked(self) -> None:
        if self._said and self._toast.text == self._said:
            self._toast.hide()
            dialog = self.open_dialog()
            if dialog is not None and self._interrupted is not None:
                self._on_start(self._interrupted)

    # --- what the engine and the session say --------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        job = self._job
        if job is None or not isinstance(event, FolderProgress | FolderProblem | FolderEnded):
            return
        if event.number != self._number:
            return  # of the job before, which was given up
        match event:
            case FolderProgress():
                self._job = replace(job, again=False)  # the engine has noted that it is all to be done again
                self._on_progress(event)
            case FolderProblem():
                if self._dialog is not None:
                    self._dialog.add_problem(event.text)
            case FolderEnded():
                self._on_ended(event)

    def _on_progress(self, progress: FolderProgress) -> None:
        if progress.done > self._most_done:
            self._most_done, self._crashes = progress.done, 0
        share = f"{progress.done / progress.total:.0%}" if progress.total else "…"
        self._button.setText(f"Folder: {share}{', paused' if progress.held else ''}")
        self._button.show()
        if self._dialog is not None:
            self._dialog.set_progress(progress)

    def _on_ended(self, ended: FolderEnded) -> None:
        job, self._job = self._job, None
        self._button.hide()
        if ended.reason == "failed":
            self._interrupted = job  # it can be tried again from where it was
            if self._dialog is not None and job is not None:
                self._dialog.show_job(job)
        elif self._pending is not None:
            self._pending.end()
        self._tell_end(ended)

    def _tell_end(self, ended: FolderEnded) -> None:
        """In the dialog, or where it is closed, in the window."""
        from app.dialogs.predict_folder import outcome

        if self._dialog is not None:
            self._dialog.end(ended)
            if self._dialog.isVisible():
                return
        if ended.reason == "failed":
            self._offer_to_go_on("error", outcome(ended))
        else:
            self._session.message.emit(outcome(ended), "info")

    def _offer_to_go_on(self, level: Level, said: str) -> None:
        self._said = said
        self._toast.show_message(level, said, action=GO_ON)

    def _on_engine_state(self, state: str, sentence: str) -> None:
        job = self._job
        if job is None:
            return
        if state == "crashed":
            self._engine_lost = True
            self._crashes += 1
        elif state == "ready" and self._engine_lost:
            self._engine_lost = False
            if self._crashes < CRASHES_BORNE:
                self._give(job)  # a fresh engine knows nothing of it; what is done is passed over
            else:
                self._fail(job, "the engine has died of it again and again, perhaps of one of its images")
        elif state == "stopped" and sentence:
            self._fail(job, sentence)

    def _fail(self, job: PredictionJob, why: str) -> None:
        self._on_ended(FolderEnded(number=self._number, reason="failed", problem=f"{job.images[0]}: {why}"))

    def _on_training_state(self, state: str) -> None:
        if self._dialog is not None:
            self._dialog.set_training(state in ("training", "starting"))

    def _on_project_changed(self) -> None:
        project = self._session.project
        self._action.setEnabled(project is not None)
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        if self._job is not None:
            self._job = None  # kept in its project; the engine lets go of it
            self._trainer.send(HoldFolder(wanted="cancel"))
        self._button.hide()
        if self._dialog is not None:
            self._dialog.close()
            self._dialog.deleteLater()
            self._dialog = None
        self._interrupted = None if project is None else PendingJob(project.layout).load()
        if self._interrupted is not None:
            self._offer_to_go_on("info", f"The prediction of {self._interrupted.images[0]} was interrupted.")
