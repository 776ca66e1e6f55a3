"""Between the session and the engine: labels go in, predictions and training progress come out.

::

    Session --project, current image, labels--> LearningController --commands--> TrainerThread --> engine
    window <--event_received, prediction_changed, training_state_changed--'   <--events---'

Nothing here computes: rasterising and vectorising run in a worker, learning in the engine.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal

from app.learning.accepting import Accepting
from app.learning.events_of_project import EventsOfProject
from app.learning.label_feed import LabelFeed
from app.learning.run_recovery import RunRecovery
from app.learning.shown_prediction import ShownPrediction
from app.learning.watched_image import WatchedImage
from app.workers.tasks import TaskRunner
from app.workers.trainer_thread import SHUTDOWN_LIMIT_S, TrainerThread
from core.annotation.model import ClassList
from core.images.upright import Box
from core.learning.commands import (
    ClassesChanged,
    CloseProject,
    Export,
    ImageRemoved,
    LabelsChanged,
    LearnLive,
    OpenProject,
    Pause,
    Resume,
    Stop,
    Train,
    UseWeights,
    WantUncertainty,
)
from core.learning.config import TrainConfig
from core.learning.events import (
    EngineReady,
    Event,
    Exported,
    Failed,
    Finished,
    Notice,
    Paused,
    Prediction,
    Resumed,
    TrainingStarted,
    WeightsGone,
)
from core.learning.prediction.uncertainty import UncertaintySource

if TYPE_CHECKING:
    from app.session.session import Session
    from app.session.state import CurrentImage
    from core.project.project import Project, ScanChange

log = logging.getLogger(__name__)

TrainingState: TypeAlias = Literal["idle", "starting", "training", "paused", "stopping"]

ENGINE_START_DELAY_MS: Final = 800
"""After a project was opened: the window paints first, then the engine loads its libraries."""

UNSEEN: Final = " The image on show is predicted again once its labels change or a run begins."
"""Of an engine that has died again while it predicted it, perhaps of that."""


class LearningController(QObject):
    """Sends the engine what the person does and the window what the engine does. Lives in the GUI thread.

    Signals:
        event_received(object): every event of the engine, in order, but those of a project that is closed.
        prediction_changed(object): the `Prediction` to show over the current image, or None.
        training_state_changed(str): idle, starting, training, paused or stopping.
        engine_state_changed(str, str): starting, ready, crashed or stopped, and a sentence.
    """

    event_received = Signal(object)
    prediction_changed = Signal(object)
    training_state_changed = Signal(str)
    engine_state_changed = Signal(str, str)

    def __init__(
        self,
        session: Session,
        thread: TrainerThread | None = None,
        parent: QObject | None = None,
        *,
        engine_start_delay_ms: int = ENGINE_START_DELAY_MS,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = TrainerThread() if thread is None else thread
        self._worker = TaskRunner(1, self)
        self._feed = LabelFeed(session, self._worker, self)
        self.shown = ShownPrediction(session, self)
        """What is predicted of the current image."""
        self.accepting = Accepting(session, self._worker, self.shown, self)
        """Predicted regions become shapes."""
        self._watched = WatchedImage(session, self._thread, self._feed, self.shown.cache)
        self._recovery = RunRecovery()
        self._events = EventsOfProject()
        self._project: Project | None = None
        self._classes = ClassList()
        self._state: TrainingState = "idle"
        self._engine_ready = False
        self._train_when_ready: Train | None = None
        self._pause_when_started = False
        self._exports_under_way = 0
        self._start_timer = QTimer(self, singleShot=True, interval=engine_start_delay_ms)
        self._start_timer.timeout.connect(self._thread.start_engine)

        self._thread.event_received.connect(self._on_event)
        self._thread.engine_state_changed.connect(self._on_engine_state)
        self._thread.watch_ended.connect(self._watched.give_up)
        self._feed.labels_changed.connect(self._on_labels_changed)
        self.shown.changed.connect(self.prediction_changed)
        session.project_changed.connect(self._on_project_changed)
        session.current_changed.connect(self._on_current_changed)
        session.images_changed.connect(self._on_images_changed)
        session.classes_changed.connect(self._on_classes_changed)
        self._on_project_changed()

    # --- training -----------------------------------------------------------------------------------------

    @property
    def training_state(self) -> TrainingState:
        """idle, starting, training, paused or stopping."""
        return self._state

    @property
    def prediction(self) -> Prediction | None:
        """What is shown over the current image."""
        return self.shown.prediction

    @property
    def fresh_part(self) -> Box | None:
        """The part of `prediction` that is new, x0, y0, x1, y1; None: all of it."""
        return self.shown.fresh

    @property
    def prediction_age_s(self) -> float:
        """How long ago that came; 0 for none."""
        shown = self.shown.prediction
        return 0.0 if shown is None else self.shown.cache.age_s(shown.key)

    @property
    def edits_unknown(self) -> int:
        """How many edits of what is drawn the prediction on show does not know."""
        shown = self.shown.prediction
        return 0 if shown is None else self._feed.edits_after(shown.key, shown.revision)

    def start_engine(self) -> None:
        """Load the engine now; otherwise it starts by itself soon after a project was opened."""
        self._start_timer.stop()
        self._thread.start_engine()

    def train(self, config: TrainConfig, resume_run: str | None = None, *, as_chosen: bool = False) -> None:
        """Start a run, or go on with the one in the folder `resume_run`; see `Train`."""
        if self._project is None:
            self._session.message.emit("Open a folder of images before training.", "warning")
            return
        if self._state != "idle":
            self._session.message.emit("A run is going on; stop it before starting another.", "warning")
            return
        command = Train(config=config, resume_run=resume_run, as_chosen=as_chosen)
        self._recovery.requested(command)
        self._pause_when_started = False
        self._begin(command)

    def pause(self) -> None:
        """Hold after the current step."""
        if self._state == "training":
            self._thread.send(Pause())

    def resume(self) -> None:
        """Go on after a pause."""
        if self._state == "paused":
            self._thread.send(Resume())

    def stop(self) -> None:
        """Finish the step, save, end the run."""
        if self._state in ("idle", "stopping"):
            return
        if self._train_when_ready is not None:  # the engine has not heard of it yet
            self._train_when_ready = None
            self._set_state("idle")
            return
        self._set_state("stopping")
        self._thread.send(Stop())

    def export(
        self, export_format: Literal["weights", "onnx"], out: Path | str, run: str | None = None
    ) -> None:
        """Write the best weights (of `run`) to a folder; `Exported` or `Failed` follows as an event."""
        self._exports_under_way += 1
        self._thread.send(Export(format=export_format, out=str(out), run=run))

    def learn_live(self, *, on: bool) -> None:
        """Whether the instant learner follows what is drawn, and has its say in predictions."""
        self._thread.send(LearnLive(on=on))

    def want_uncertainty(self, *, on: bool, source: UncertaintySource = "tta") -> None:
        """Whether an `Uncertainty` should follow the predictions of the current image, and from what."""
        self._thread.send(WantUncertainty(on=on, source=source))

    def use_weights(self, path: Path | None) -> None:
        """Predict with the weights of this file; None: with those of the project's best run again."""
        self._thread.send(UseWeights(path=None if path is None else str(path)))

    def begin_shutdown(self, timeout_s: float = SHUTDOWN_LIMIT_S) -> None:
        """Have the engine save and leave, without waiting: a window may hide meanwhile."""
        self._start_timer.stop()
        self._train_when_ready = None
        self._thread.begin_shutdown(timeout_s)

    def shutdown(self, timeout_s: float = SHUTDOWN_LIMIT_S) -> bool:
        """Have the engine save and leave, end all threads and wait for them; True when they have ended."""
        self.begin_shutdown(timeout_s)
        workers_ended = self._worker.close()
        return self._thread.shutdown(timeout_s) and workers_ended

    def follow_view(self, view: Box | None) -> None:
        """This part of the current image, x0, y0, x1, y1, is on the screen: of a large one it comes first."""
        current = self._session.current
        if self._project is not None and current is not None and current.document is not None:
            self._watched.look_at(current, view)

    # --- what the session says ----------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        project = self._session.project
        if project is self._project:
            return
        if self._state != "idle":
            self.stop()
        self._project, self._classes = project, self._session.classes
        self._feed.begin(self._session.statuses)
        self.shown.clear()
        self._events.opened(None if project is None else str(project.root))
        if project is None:
            self._watched.leave()
            self._start_timer.stop()
            self._thread.send(CloseProject())
            return
        self._thread.send(OpenProject(root=str(project.root)))
        self._start_timer.start()
        self._on_current_changed(self._session.current)

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        if self._project is None:
            return
        if current is None or current.document is None:
            self.shown.show_image(None)
            self._watched.leave()
            return
        self.shown.show_image(current.entry.key)
        self._watched.follow(current)

    def _on_images_changed(self, change: ScanChange | None) -> None:
        if change is None or self._project is None:
            return
        for key in change.removed:
            self._feed.forget(key)
            self.shown.cache.forget(key)
            self._thread.send(ImageRemoved(key=key))
        added = [self._session.entry(key) for key in change.added]
        self._feed.send_from_disk(entry for entry in added if entry is not None)

    def _on_labels_changed(self, command: LabelsChanged) -> None:
        self._thread.send(command)
        self._watched.labels_sent(command.key)

    def _on_classes_changed(self) -> None:
        before, classes = self._classes, self._session.classes
        if self._project is None or classes == before:
            return
        self._classes = classes
        self._thread.send(ClassesChanged(classes=classes))
        if not set(before.indices) <= set(classes.indices):
            # Predicted indices may stand for nothing now, and pixels of merged classes mean something else.
            self.shown.clear()
            self._feed.classes_gone()

    # --- what the engine says -----------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        self._recovery.on_event(event)
        if not self._events.belongs(event):
            if isinstance(event, Finished):
                self._set_state("idle")
            return
        match event:
            case EngineReady():
                self.shown.cache.new_engine()
                self._feed.new_engine()
            case Prediction():
                self.shown.take(event)
            case WeightsGone():
                self.shown.clear()
            case TrainingStarted():
                self._on_training_started()
            case Paused() if self._state == "training":
                self._set_state("paused")
            case Resumed() if self._state == "paused":
                self._set_state("training")
            case Finished():
                self._set_state("idle")
            case Exported():
                self._exports_under_way -= 1
            case Failed():
                self._on_failed(event)
            case _:
                pass
        self.event_received.emit(event)

    def _on_training_started(self) -> None:
        self._watched.try_again()
        if self._state == "stopping":
            return  # Stop is on its way to the engine
        self._set_state("training")
        if self._pause_when_started:
            self._pause_when_started = False
            self._thread.send(Pause())

    def _on_failed(self, event: Failed) -> None:
        if event.detail:
            log.error("%s failed: %s\n%s", event.during, event.text, event.detail)
        level = "error"
        if event.during == "Train":
            # Whoever has pressed Stop is not alarmed by a run that ends for another reason, and what was
            # missing before it began (a class, a label) is soon mended: no line that has to be closed.
            level = {"stopping": "info", "starting": "warning"}.get(self._state, level)
            self._set_state("idle")
        elif event.during == "Export":
            self._exports_under_way -= 1
        elif event.during in ("AuditLabels", "PredictFolder"):
            level = "info"  # `AuditEnded` and `FolderEnded` have told it at their own places
        self._session.message.emit(event.text, level)

    def _on_engine_state(self, state: str, sentence: str) -> None:
        self._engine_ready = state == "ready"
        if state == "ready":
            self._feed.when_sent(self._train_if_ready)
        elif state in ("crashed", "stopped") and sentence:
            self._on_engine_lost(sentence, restarts=state == "crashed")
        self.engine_state_changed.emit(state, sentence)

    def _on_engine_lost(self, sentence: str, *, restarts: bool) -> None:
        lost, self._exports_under_way = self._exports_under_way, 0
        for _ in range(lost):  # whoever hears of one may ask for the next export at once
            text = f"{sentence} The export was not written; export again."
            self.event_received.emit(Failed(during="Export", text=text))
        unseen = UNSEEN if self._watched.given_up else ""
        if self._state in ("idle", "stopping"):
            self._set_state("idle")
            self._session.message.emit(sentence + unseen, "warning")
            return
        self._pause_when_started |= self._state == "paused"
        again = self._recovery.after_crash(time.monotonic(), sentence) if restarts else None
        if again is None:
            self._train_when_ready = None
            text = f"{sentence} Training has stopped; what was saved can be resumed.{unseen}"
            self.event_received.emit(Failed(during="Train", text=text))
            self._session.message.emit(text, "error")
            self._set_state("idle")
            return
        text = f"{sentence} {again.sentence}"
        self.event_received.emit(Notice(text=text, level="warning"))
        self._session.message.emit(text, "warning")
        self._begin(again.command)

    # --- inside -------------------------------------------------------------------------------------------

    def _begin(self, command: Train) -> None:
        """Train as soon as the engine is there and knows everything that is drawn."""
        self._train_when_ready = command
        self._set_state("starting")
        self._thread.start_engine()
        self._feed.when_sent(self._train_if_ready)

    def _train_if_ready(self) -> None:
        command = self._train_when_ready
        if self._engine_ready and command is not None:
            self._train_when_ready = None
            self._thread.send(command)

    def _set_state(self, state: TrainingState) -> None:
        if state != self._state:
            self._state = state
            self.training_state_changed.emit(state)
