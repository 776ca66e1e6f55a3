"""The bottom dock: start and steer training, and watch it learn.

Knows neither session nor engine: it is told events and a state, and says what the person wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.learning.score_words import images_words, score_words
from app.panels.charts import LiveChart, XAxis
from app.panels.class_scores import ClassScores
from app.panels.parts import IconButton, IconPushButton
from app.panels.run_history import RunHistory, RunSummary
from app.panels.training_footer import COUNTED, TrainingFooter
from app.panels.training_setup import TrainingSetup
from app.readable import format_duration, sentence
from app.theme import SPACE, set_property
from core.annotation.model import ClassList
from core.learning.config import TrainConfig
from core.learning.events import (
    EngineReady,
    Event,
    Failed,
    Finished,
    Notice,
    ScoredOn,
    StepDone,
    TrainingStarted,
    Validated,
)
from core.learning.runs.continuing import asks_for_the_same
from core.learning.runs.past import Past
from core.models.registry import encoder_specs, model_specs
from core.models.specs import EncoderSpec, ModelSpec

TrainingState: TypeAlias = Literal["idle", "starting", "training", "paused", "stopping"]
QWIDGETSIZE_MAX: Final = 16777215
_LOSS_SMOOTHING: Final = 0.9
_SETUP_WIDTH: Final = 352
_LEAST_SETUP_WIDTH: Final = 248
_SCORES_WIDTH: Final = 248
_CURVES_WIDTH: Final = 300
"""Below so much room for both curves (logical pixels) the scores take turns with them."""


class TrainingPanel(QWidget):
    """Train, Pause, Stop; the choices; live charts; scores; one line of facts.

    Signals:
        train_requested(TrainConfig), pause_requested, resume_requested, stop_requested,
        run_resume_requested(str): folder of an earlier run to continue.
        start_changed: what Train does is another now; see `goes_on_with`.
        past_needed(str, int): a run of another sitting goes on, its folder and step; see `set_past`.
    """

    train_requested = Signal(object)
    pause_requested = Signal()
    resume_requested = Signal()
    stop_requested = Signal()
    run_resume_requested = Signal(str)
    start_changed = Signal()
    past_needed = Signal(str, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._state: TrainingState = "idle"
        self._run: str | None = None
        self._newest: RunSummary | None = None
        self._scored_on: ScoredOn | None = None
        self._classes = ClassList()

        self.train_button = IconPushButton("play", "Train", "primary")
        self.train_button.setToolTip("Train on everything labelled so far")
        self.anew_button = IconButton("refresh", "New run: forget what the last one learned and begin again")
        self.pause_button = IconButton("pause", "Pause: hold after this step; predictions go on")
        self.stop_button = IconButton("stop", "Stop: finish the step, score, save")
        self.history_button = IconButton("history", "Earlier runs")
        for button in (self.anew_button, self.pause_button, self.stop_button, self.history_button):
            button.setProperty("kind", "outline")
        self.setup = TrainingSetup()
        self.loss = LiveChart(
            "Loss", "chart_loss", "The loss appears here while training.", smoothing=_LOSS_SMOOTHING
        )
        self.miou = LiveChart(
            "mIoU", "chart_miou", "The score appears here at each validation.", ceiling=1.0, mark_best=True
        )
        self.scores = ClassScores()
        self.footer = TrainingFooter()
        self.history = RunHistory(self)
        self._axis_buttons = QButtonGroup(self)
        self._lay_out()

        self.train_button.clicked.connect(self.train)
        self.anew_button.clicked.connect(self.train_anew)
        self.setup.config_changed.connect(self._say_what_train_does)
        self.pause_button.clicked.connect(self.pause_requested)
        self.stop_button.clicked.connect(self.stop_requested)
        self.history_button.clicked.connect(self._on_history_clicked)
        self.history.run_resume_requested.connect(self.run_resume_requested)
        self._axis_buttons.idClicked.connect(self._on_axis_clicked)
        offered = tuple(spec for spec in model_specs() if spec.trained_by == "person")
        self.set_models(offered, encoder_specs())
        self.set_training_state("idle")

    # --- what is told to the panel ----------------------------------------------------------------

    def set_models(self, specs: Sequence[ModelSpec], encoders: Sequence[EncoderSpec]) -> None:
        """Offer these networks."""
        self.setup.set_models(specs, {encoder.name: encoder for encoder in encoders})

    def set_config(self, config: TrainConfig) -> None:
        """Choose what an earlier session chose."""
        self.setup.set_config(config)
        self._say_what_train_does()

    def config(self) -> TrainConfig:
        """The run as it is chosen now."""
        return self.setup.config()

    def set_classes(self, classes: ClassList) -> None:
        """Names and colours of the score bars; a run that starts brings its own."""
        self.scores.follow(self._classes, classes)
        self._classes = classes

    def set_runs(self, runs: Sequence[RunSummary]) -> None:
        """Fill the history; Train goes on with the newest run where that is what is chosen."""
        self._newest = max(runs, key=lambda run: run.started, default=None)
        self.history.set_runs(runs)
        self._say_what_train_does()

    def set_past(self, run: str, past: Past) -> None:
        """What the run on show had come to before this sitting; of another run it is passed over."""
        if run != self._run:
            return
        self.loss.prepend(past.loss)
        self.miou.prepend(past.miou, past.anew_at)
        if past.last is not None and self._scored_on is None:
            self._show_score(past.last)

    def set_training_state(self, state: TrainingState) -> None:
        """Enable what can be done now. Raises ValueError for an unknown state."""
        if state not in get_args(TrainingState):
            raise ValueError(f"training state {state!r} is none of {', '.join(get_args(TrainingState))}")
        self._state = state
        self._say_what_train_does()
        self.train_button.setEnabled(state in ("idle", "paused"))
        self.pause_button.setEnabled(state == "training")
        self.stop_button.setEnabled(state in ("starting", "training", "paused"))
        self.setup.set_choosing(state == "idle")
        self.history.set_training_state(state)
        self.footer.set_aging(state == "training")
        if state == "starting":
            # The person has just clicked and waits for the engine anyway: the best moment for the half second
            # that the plotting library takes to load.
            self.loss.prepare()
            self.miou.prepare()

    def on_event(self, event: Event) -> None:
        """Show what the engine reports; events that concern others are passed over."""
        self.history.on_event(event)
        match event:
            case StepDone():
                self.loss.append(event.step, event.seconds, event.loss)
                self.footer.set_step(event)
            case Validated():
                self._on_validated(event)
            case TrainingStarted():
                self._on_started(event)
            case Notice():
                self.footer.set_notice(event.text, event.level, progress=event.progress)
            case Failed() if event.during in ("Train", "Start"):
                self.footer.set_notice(sentence(event.text), "error", detail=event.text)
            case EngineReady():
                self.footer.set_device(event.device)
                self.setup.set_gpu_available(not event.device.startswith("CPU"))
            case Finished():
                self._on_finished(event)
            case _:
                pass

    def set_overlay(self, source: str, age_s: float) -> None:
        """What is shown over the image comes from `source`, and came so many seconds ago."""
        self.footer.set_overlay(source, age_s)

    def clear_overlay(self) -> None:
        """The overlay is gone: another image, another project."""
        self.footer.clear_overlay()

    def clear(self) -> None:
        """Another project: forget curves, scores and figures."""
        self._run = None
        self.loss.clear()
        self.miou.clear()
        self.scores.clear()
        self.footer.start()
        self.footer.clear_overlay()

    # --- events -----------------------------------------------------------------------------------

    def _on_started(self, event: TrainingStarted) -> None:
        self._classes = event.classes
        # Continuing the run on show extends its curves; any other run starts clean ones.
        known = event.run == self._run
        self._run, self._scored_on = event.run, None
        if event.resumed_step is None or not known:
            self.loss.clear()
            self.miou.clear()
            self.scores.clear()
        if event.resumed_step and not known:
            self.past_needed.emit(event.run, event.resumed_step)
        self.footer.start()
        self.footer.set_device(event.device)
        if event.weak_background:
            self.footer.set_notice("Undrawn pixels count a little as background: too little is labelled")

    def _on_validated(self, event: Validated) -> None:
        if event.miou is not None:
            self.miou.append(event.step, event.seconds, event.miou)
            if event.gain is not None and event.gain.anew:
                self.miou.begin_anew()
        self.footer.set_seconds(event.seconds)
        self._show_score(event)

    def _show_score(self, event: Validated) -> None:
        self._scored_on = event.on
        if event.miou is not None:
            self.miou.tell(event.interval, f"on {images_words(event.on, event.images)}")
        self.scores.show_validation(event, self._classes)

    def _on_finished(self, event: Finished) -> None:
        how = {"stopped": "Stopped", "patience": "No better any more: ended"}.get(event.reason, "Finished")
        best = "" if event.best_miou is None else f", best {score_words(event.best_miou, self._scored_on)}"
        self.footer.set_notice(
            f"{how} after {event.steps:,} steps in {format_duration(event.seconds)}{best}: saved",
            detail=f"{event.run}\n{COUNTED}",
        )
        self.footer.end(event.seconds, complete=event.reason == "budget")

    # --- clicks -----------------------------------------------------------------------------------

    def train(self) -> None:
        """What the button does: go on with the newest run, if that is what is chosen, else begin one."""
        continued = self.goes_on_with
        if self._state == "paused":
            self.resume_requested.emit()
        elif continued is not None:
            self.run_resume_requested.emit(continued.path)
        else:
            self.train_anew()

    def train_anew(self) -> None:
        """Begin a run that knows nothing of the last one."""
        self.train_requested.emit(self.setup.config())

    @property
    def goes_on_with(self) -> RunSummary | None:
        """The run that Train goes on with; None: a new one begins."""
        newest = self._newest
        if newest is None or newest.continues is None:
            return None
        return newest if asks_for_the_same(self.setup.config(), newest.continues) else None

    def _say_what_train_does(self) -> None:
        continued = self.goes_on_with
        words = {
            "idle": "Train" if continued is None else "Continue",
            "starting": "Starting…",
            "training": "Training…",
            "paused": "Resume",
            "stopping": "Stopping…",
        }
        self.train_button.setText(words[self._state])
        tip = "Train on everything labelled so far"
        if continued is not None:
            tip = f"Go on with the run of {continued.started:%H:%M} ({continued.model}) on all labels"
        self.train_button.setToolTip(tip)
        self.anew_button.setVisible(continued is not None)
        self.anew_button.setEnabled(self._state == "idle")
        self.start_changed.emit()

    def _on_history_clicked(self) -> None:
        self.history.popup_above(self.history_button)

    def _on_axis_clicked(self, which: int) -> None:
        axis: XAxis = "steps" if which == 0 else "time"
        self.loss.set_axis(axis)
        self.miou.set_axis(axis)

    # --- layout -----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(SPACE)
        self.train_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        buttons.addWidget(self.train_button)
        buttons.addWidget(self.anew_button)
        buttons.addWidget(self.pause_button)
        buttons.addWidget(self.stop_button)
        buttons.addWidget(self.history_button)
        self._left = QWidget()
        column = QVBoxLayout(self._left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACE)
        column.addLayout(buttons)
        column.addWidget(self.setup)
        column.addStretch(1)

        self._curves = QWidget()
        charts = QHBoxLayout(self._curves)
        charts.setContentsMargins(0, 0, 0, 0)
        charts.setSpacing(SPACE * 2)
        charts.addWidget(self.loss, 1)
        charts.addWidget(self.miou, 1)
        body = QHBoxLayout()
        body.setContentsMargins(SPACE * 3 // 2, SPACE, SPACE * 3 // 2, SPACE)
        body.setSpacing(SPACE * 2)
        self._scores_rule = _upright()
        body.addWidget(self._left)
        body.addWidget(_upright())
        body.addWidget(self._curves, 1)
        body.addLayout(self._axis_column())
        body.addWidget(self._scores_rule)
        body.addWidget(self.scores)
        self._body = body
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(body, 1)
        layout.addWidget(self.footer)
        self._arrange(_SETUP_WIDTH + _CURVES_WIDTH + 2 * _SCORES_WIDTH)

    def minimumSizeHint(self) -> QSize:
        """As narrow as choices and curves can be; the scores then take turns with the curves."""
        width = self._least_left() + self._curves.minimumSizeHint().width() + self._fixed_width()
        return QSize(width, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the room out anew."""
        self._arrange(event.size().width())
        super().resizeEvent(event)

    def _least_left(self) -> int:
        return max(self.setup.minimumSizeHint().width(), _LEAST_SETUP_WIDTH)

    def _fixed_width(self) -> int:
        """Margins, gaps, rules and the column of small buttons."""
        return 2 * (SPACE * 3 // 2) + 5 * self._body.spacing() + 2 + self._axis_by_steps.sizeHint().width()

    def _arrange(self, width: int) -> None:
        """All side by side where there is room, else curves or scores, as the small button says."""
        left = max(self._least_left(), min(_SETUP_WIDTH, width * 21 // 50))
        side_by_side = width - left - self._fixed_width() - _SCORES_WIDTH >= _CURVES_WIDTH
        self._left.setFixedWidth(left)
        scores_only = self._scores_button.isChecked() and not side_by_side
        self._scores_button.setVisible(not side_by_side)
        self._scores_rule.setVisible(side_by_side)
        self._curves.setVisible(not scores_only)
        self.scores.setVisible(side_by_side or scores_only)
        # The scores take the place of the curves, so that the button that switches stays under the mouse.
        place = self._body.indexOf(self.scores)
        wanted = self._body.count() - 1 if side_by_side else self._body.indexOf(self._curves) + 1
        if place != wanted:
            self._body.removeWidget(self.scores)
            self._body.insertWidget(wanted, self.scores, 0 if side_by_side else 1)
        self.scores.setMinimumWidth(_SCORES_WIDTH if side_by_side else 0)
        self.scores.setMaximumWidth(_SCORES_WIDTH if side_by_side else QWIDGETSIZE_MAX)

    def _on_scores_toggled(self) -> None:
        self._arrange(self.width())

    def _axis_column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(2)
        for which, (name, tip) in enumerate(
            (("steps-axis", "Draw the curves over steps"), ("clock", "Draw the curves over training time"))
        ):
            button = IconButton(name, tip, checkable=True)
            button.setChecked(which == 0)
            self._axis_buttons.addButton(button, which)
            column.addWidget(button)
        self._axis_by_steps = self._axis_buttons.button(0)
        self._scores_button = IconButton("scores", "Scores of the classes, not curves", checkable=True)
        self._scores_button.toggled.connect(self._on_scores_toggled)
        column.addWidget(self._scores_button)
        column.addStretch(1)
        return column


def _upright() -> QFrame:
    line = QFrame()
    line.setFixedWidth(1)
    set_property(line, "kind", "upright")
    return line
