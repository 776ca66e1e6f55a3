"""Training and predictions in the window: panel, overlay, prediction bar, actions and controller, joined."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QTimer

from app.canvas.view import CanvasView
from app.learning.kept_training import KEY, kept, restored
from app.learning.overlay_words import OverlayWords
from app.panels.prediction_bar import PredictionBar
from app.panels.training_panel import TrainingPanel
from app.status_bar import StatusBar
from app.wiring.drawn_images import DrawnImages
from app.wiring.earlier_runs import History, read_history
from app.wiring.part import Common, Wiring
from app.wiring.view_feed import ViewFeed
from core.errors import MaskloopError
from core.learning.config import TrainConfig
from core.learning.events import Event, Finished, Prediction, StepDone, TrainingStarted
from core.learning.runs.continuing import continued_as
from core.learning.runs.past import read_past
from core.learning.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from app.session.state import CurrentImage
    from app.workers.tasks import Task

log = logging.getLogger(__name__)

KEEP_AFTER_MS: Final = 300
"""After the last choice: a number is typed digit by digit."""


class LearningWiring(Wiring):
    """Joins what learns with what shows it."""

    def __init__(
        self,
        common: Common,
        *,
        canvas: CanvasView,
        panel: TrainingPanel,
        bar: PredictionBar,
        status: StatusBar,
    ) -> None:
        super().__init__(common, panel)
        self._canvas = canvas
        self._panel = panel
        self._bar = bar
        self._status = status
        self._words = OverlayWords()
        self._words.set_live(self._settings.learn_live)
        self._drawn = DrawnImages(self._session, self)
        self._drawn.changed.connect(self._on_drawn_changed)
        self._on_canvas: str | None = None  # the key of the image over which predictions are painted
        self._shown: Prediction | None = None
        self._classes_read: frozenset[int] = frozenset()
        self._reading: Task | None = None
        self._pointed: tuple[int, int] | None = None
        self._view = ViewFeed(canvas, self._session, self)
        self._view.rested.connect(self._controller.follow_view)
        self._keep = QTimer(self, singleShot=True, interval=KEEP_AFTER_MS)
        self._keep.timeout.connect(self._keep_choices)
        self._connect_training()
        self._connect_prediction()
        self._session.project_changed.connect(self._on_project_changed)
        self._session.classes_changed.connect(self._on_classes_changed)
        self._session.current_changed.connect(self._on_current_changed)
        self._on_training_state("idle")

    def close(self) -> None:
        """End the worker."""
        self._view.stop()
        super().close()

    # --- training -----------------------------------------------------------------------------------------

    def _connect_training(self) -> None:
        panel, controller, actions = self._panel, self._controller, self._actions
        panel.train_requested.connect(self.train)
        panel.run_resume_requested.connect(self._on_run_resume)
        panel.setup.config_changed.connect(self._keep.start)
        panel.past_needed.connect(self._on_past_needed)
        panel.pause_requested.connect(controller.pause)
        panel.resume_requested.connect(controller.resume)
        panel.stop_requested.connect(controller.stop)
        controller.event_received.connect(self._on_event)
        controller.training_state_changed.connect(self._on_training_state)
        controller.engine_state_changed.connect(self._on_engine_state)
        panel.start_changed.connect(self._on_start_changed)
        actions["train.start"].triggered.connect(panel.train)
        actions["train.anew"].triggered.connect(panel.train_anew)
        actions["train.pause"].triggered.connect(self._on_pause)
        actions["train.stop"].triggered.connect(self._on_stop)
        actions["train.settings"].triggered.connect(panel.setup.open_advanced)
        actions["train.live"].setChecked(self._settings.learn_live)
        actions["train.live"].toggled.connect(self._on_live)
        controller.learn_live(on=self._settings.learn_live)

    def train(self, config: TrainConfig) -> None:
        """Start a run on everything labelled so far."""
        self._session.save_now()
        self._controller.train(config)

    def _on_run_resume(self, run: str) -> None:
        try:
            config = continued_as(self._panel.config(), RunFolder(Path(run)))
        except MaskloopError as error:
            self._session.message.emit(str(error), "error")
            return
        self._session.save_now()
        self._controller.train(config, resume_run=run, as_chosen=True)

    def _on_past_needed(self, run: str, step: int) -> None:
        task = self._runner.run(read_past, Path(run), step, doing="reading what the run had come to")
        task.done.connect(partial(self._panel.set_past, run))

    def _on_pause(self) -> None:
        if self._controller.training_state == "paused":
            self._controller.resume()
        else:
            self._controller.pause()

    def _on_stop(self) -> None:
        self._controller.stop()

    def _on_live(self, on: bool) -> None:
        self._settings.learn_live = on
        self._words.set_live(on)
        self._tell_overlay()
        self._controller.learn_live(on=on)

    def _on_training_state(self, state: str) -> None:
        self._panel.set_training_state(state)  # type: ignore[arg-type]  # one of the five words
        opened = self._session.project is not None
        self._actions["train.start"].setEnabled(opened and state in ("idle", "paused"))
        self._actions["train.pause"].setEnabled(state in ("training", "paused"))
        self._actions["train.stop"].setEnabled(state in ("starting", "training", "paused"))
        if state == "idle":
            self._status.set_training(None)

    def _on_start_changed(self) -> None:
        state, continues = self._controller.training_state, self._panel.goes_on_with is not None
        words = "Co&ntinue the last run" if continues else "&Train"
        self._actions["train.start"].setText("&Go on" if state == "paused" else words)
        opened = self._session.project is not None
        self._actions["train.anew"].setEnabled(opened and state == "idle" and continues)

    def _on_event(self, event: Event) -> None:
        self._panel.on_event(event)
        if self._words.on_event(event):
            self._tell_overlay()
        match event:
            case StepDone():
                self._status.set_training(event.step, event.seconds)
            case TrainingStarted() | Finished():
                self._read_runs()
            case _:
                pass

    # --- what is chosen for training, kept in the project --------------------------------------------------

    def _keep_choices(self) -> None:
        project = self._session.project
        if project is None or not project.writable:
            return
        config = self._panel.config()
        self._settings.training_device = config.device
        if kept(config) != project.settings.get(KEY, {}):
            doing = "keeping what is chosen for training"
            task = self._runner.run(project.set_setting, KEY, kept(config), doing=doing)
            task.failed.connect(self._on_not_kept)

    def _on_not_kept(self, sentence: str) -> None:
        self._session.message.emit(sentence, "warning")

    def _restore_choices(self) -> None:
        self._keep.stop()
        project = self._session.project
        if project is not None:
            values = project.settings.get(KEY)
            self._panel.set_config(restored(values, self._settings.training_device))

    # --- runs ---------------------------------------------------------------------------------------------

    def _read_runs(self) -> None:
        if self._reading is not None:
            self._reading.cancel()  # of another project, or older
        project = self._session.project
        if project is None:
            self._classes_read = frozenset()
            self._panel.set_runs([])
            return
        self._classes_read = frozenset(project.classes.indices)
        self._reading = self._runner.run(
            read_history, project.layout, project.classes, doing="reading the earlier runs"
        )
        self._reading.done.connect(self._on_runs)

    def _on_runs(self, runs: History) -> None:
        self._panel.set_runs(runs.summaries)
        self._words.set_saved(runs.shown)
        self._tell_overlay()

    # --- predictions --------------------------------------------------------------------------------------

    def _connect_prediction(self) -> None:
        controller, canvas, bar, actions = self._controller, self._canvas, self._bar, self._actions
        controller.prediction_changed.connect(self._on_prediction_changed)
        canvas.image_changed.connect(self._on_image_changed)
        canvas.region_clicked.connect(controller.accepting.accept_region)
        canvas.cursor_moved.connect(self._on_mouse)
        canvas.cursor_left.connect(self._on_mouse)
        bar.accept_all_requested.connect(controller.accepting.accept_all)
        controller.accepting.absence = self._absence
        bar.pick_requested.connect(actions["shape.region"].trigger)
        bar.labels_toggled.connect(actions["view.labels"].setChecked)
        bar.prediction_toggled.connect(actions["view.prediction"].setChecked)
        bar.opacity_changed.connect(self._on_opacity_changed)
        actions["view.labels"].toggled.connect(self._on_labels_toggled)
        actions["view.prediction"].toggled.connect(self._on_prediction_toggled)
        actions["train.accept_all"].triggered.connect(self._on_accept_all)
        actions["train.accept_region"].triggered.connect(self._on_accept_region)
        actions["view.labels"].setChecked(True)
        actions["view.prediction"].setChecked(True)
        opacity = self._settings.prediction_opacity
        canvas.set_prediction_opacity(opacity)
        bar.set_opacity(opacity)
        self._on_image_changed()

    def _on_image_changed(self) -> None:
        """Paint over the image that the canvas shows now, where something is known of it already."""
        current = self._session.current
        self._pointed = None
        self._on_canvas = current.entry.key if current is not None and self._canvas.has_image else None
        self._shown = None
        self._on_prediction_changed(self._controller.prediction)

    def _on_prediction_changed(self, prediction: Prediction | None) -> None:
        if prediction is not None and not self._paint(prediction):
            prediction = None
        if prediction is None:
            self._canvas.clear_prediction()
            self._panel.clear_overlay()
        else:
            self._panel.set_overlay(prediction.source, self._controller.prediction_age_s)
        self._shown = prediction
        self._on_current_changed(self._session.current)
        acceptable = prediction is not None and prediction.region is None
        self._actions["train.accept_all"].setEnabled(acceptable)
        self._actions["train.accept_region"].setEnabled(acceptable)
        self._actions["shape.region"].setEnabled(self._session.editable)

    def _paint(self, prediction: Prediction) -> bool:
        """Show on the canvas what is new of it; False where it does not fit, or its image is not there."""
        if prediction.key != self._on_canvas:
            return False
        classes, confidence = prediction.classes.unpack(), prediction.confidence.unpack()
        fresh, shown = self._controller.fresh_part, self._shown
        if fresh is not None and shown is not None and shown.key == prediction.key and shown.region is None:
            x0, y0, x1, y1 = fresh
            part = slice(y0, y1), slice(x0, x1)
            self._canvas.update_prediction(fresh, classes[part], confidence[part])
            return True
        try:
            self._canvas.set_prediction(classes, confidence, prediction.region)
        except ValueError:
            log.warning("A prediction of %s has another size than the image.", prediction.key)
            return False
        return True

    def _on_engine_state(self, state: str, _sentence: str) -> None:
        self._words.engine_changed(ready=state == "ready", gone=state == "stopped")
        self._tell_overlay()

    def _on_current_changed(self, current: CurrentImage | None) -> None:
        self._words.image_changed()
        self._on_drawn_changed()

    def _on_drawn_changed(self) -> None:
        self._words.set_drawn(self._drawn.any_learnable)
        self._tell_overlay()

    def _tell_overlay(self) -> None:
        """Say whose prediction is shown, or when there will be one."""
        shown = self._shown
        self._bar.set_prediction_available(
            shown is not None, self._words.without(), acceptable=shown is not None and shown.region is None
        )
        self._bar.set_source("" if shown is None else self._words.of(shown))
        self._bar.set_caveat(*self._words.caveat(shown))

    def _absence(self) -> str:
        return self._bar.absence

    def _on_labels_toggled(self, visible: bool) -> None:
        self._canvas.set_labels_visible(visible)
        self._bar.set_labels_visible(visible)

    def _on_prediction_toggled(self, visible: bool) -> None:
        self._canvas.set_prediction_visible(visible)
        self._bar.set_prediction_visible(visible)

    def _on_opacity_changed(self, opacity: float) -> None:
        self._canvas.set_prediction_opacity(opacity)
        self._settings.prediction_opacity = opacity

    def _on_mouse(self, *_at: float) -> None:
        self._pointed = None

    def point_at(self, x: int, y: int) -> None:
        """Let Enter accept the region at this pixel until the mouse moves, as if the mouse were there."""
        self._pointed = x, y

    def _on_accept_all(self) -> None:
        self._controller.accepting.accept_all()

    def _on_accept_region(self) -> None:
        mouse = self._canvas.under_mouse()
        at = self._pointed if mouse is None or self._pointed else (int(mouse.x()), int(mouse.y()))
        if at is None or self._canvas.region_at(*at) is None:
            key = self._actions.key_of("train.accept_region")
            text = "Move the mouse over a predicted region" + (f" and press {key}." if key else " first.")
            self._session.message.emit(text, "info")
            return
        self._controller.accepting.accept_region(*at)

    # --- projects -----------------------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        self._panel.clear()
        self._words.project_changed()
        self._restore_choices()
        self._read_runs()
        self._on_training_state(self._controller.training_state)

    def _on_classes_changed(self) -> None:
        self._panel.set_classes(self._session.classes)
        if self._classes_read != set(self._session.classes.indices):
            self._read_runs()  # not every run can go on, or predict, with other classes
