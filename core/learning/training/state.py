"""Everything a training run consists of, and what happens to it between two steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from core.errors import TrainingError
from core.learning.config import DeviceChoice, TrainConfig
from core.learning.events import Event, Notice, ScoredOn, TrainingStarted, Validated
from core.learning.labels.border_weights import BorderMaps
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.machine.clock import Clock
from core.learning.machine.randomness import Randomness
from core.learning.prediction.predict import Predictor
from core.learning.runs.header import WeightsHeader
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.run_status import can_go_on
from core.learning.runs.tally import Tally
from core.learning.runs.weights import header_for
from core.learning.scores.calibration import Calibration
from core.learning.training.bundle import restore
from core.learning.training.forest import StandingForest
from core.learning.training.intake import LabelIntake
from core.learning.training.judged_again import judge_best_again
from core.learning.training.learner import Learner
from core.learning.training.outfit import Outfit, outfit_new, outfit_restarted, outfit_resumed, where_it_fits
from core.learning.training.record import Best, RunRecord
from core.learning.training.safekeeping import Safekeeping
from core.learning.training.sampler import CropSampler, Windows
from core.learning.training.team import Team
from core.learning.validation.progress import Progress
from core.learning.validation.set_steps import scored_images
from core.learning.validation.validation import EARLY_STEPS, Score, Validator
from core.models.network import SegmentationNetwork

Notify = Callable[[Event], None]

MOST_NOTES: Final = 5
"""Unreadable images told one by one; the rest are counted."""


class TrainState:
    """One run. `create` or `resume` it, then hand it to `fit`.

    Attributes:
        config: with everything the preset decided filled in.
        learner: network, average, optimizer. record: metrics and log.
        channels: what the network's outputs mean, fixed for the run. intake: of labels and names of classes.
        step: optimizer steps done. step_s: seconds the last one took.
        share_done: of the run, before the present step.
        budget: what is left of `whole_budget` when what the end of the run needs is set aside.
        resumed_step: where a resumed run went on from; None for a new one.
        keeping: saves it, and goes back to what was saved.
        randomness: what the network drops; nothing else draws from it.
        team: the processes that share the work of a step; by default this one alone.
        forest: what its trees were grown on, where it is a forest.
        rests_at: the store's revision, with which nothing is left to do until labels change; None: never.
        labels_told, cuts_told: the store's revision and the learner's plateau that they know.
        notify: hears of what takes a while beside training.
    """

    def __init__(self, outfit: Outfit, store: LabelStore, notify: Notify) -> None:
        """For `create` and `resume`."""
        config, classes, device, plan = outfit.config, outfit.classes, outfit.device, outfit.plan
        assert config.batch is not None
        assert config.image_scale is not None
        self.config = config
        self.store = store
        self.run = outfit.run
        self.record = RunRecord(outfit.run, classes.names)
        self.learner = Learner(config, outfit.network, device, pretrained=outfit.pretrained)
        self.channels = ChannelMap(classes)
        self.budget = self.whole_budget = outfit.budget
        self.batch = config.batch
        self.scale = config.image_scale
        self.validator = Validator(store, self.channels, plan, config.validate_every_s, self.budget.granted_s)
        if self.budget.steps is not None and self.budget.seconds is None:
            self.validator.steps = self.budget.steps
            self.validator.few = scored_images(store, plan.keys, self.scale)
        self.sampler = CropSampler(
            store,
            self.channels,
            [key for key in store.labelled_keys() if key not in plan.held_out],
            scale=self.scale,
            crop=self.learner.load.crop,
            margin=self.learner.window_margin,
            seed=config.seed,
            weak_background=config.weak_background > 0,
            rare_crops=config.rare_crops,
            borders=BorderMaps(store, self.channels, sigma=config.border_sigma)
            if config.border_weight
            else None,
        )
        self.sampler.hold_out(plan.held_out)
        self.tally = Tally(device)
        self.randomness = Randomness(device)
        self.clock = Clock()
        self.best = Best()
        self.calibration: Calibration | None = None
        self.progress = Progress(self.run.path, store, config.patience)
        self.class_weights = torch.ones(len(classes), device=device)
        self.step = 0
        self.share_done = 0.0
        self.resumed_step: int | None = None
        self.stop_requested = False
        self.notify = notify
        self.team = Team()
        self.forest = StandingForest()
        self.rests_at: int | None = None
        self.labels_told = store.revision
        self.cuts_told = 0
        self.step_s = 0.0
        self._last_step_s = 0.0
        self._last_report_s = 0.0
        self.keeping = Safekeeping(self)
        self.intake = LabelIntake(self)

    @classmethod
    def create(cls, config: TrainConfig, store: LabelStore, run_dir: Path, notify: Notify) -> TrainState:
        """A new run in the folder `run_dir`; `notify` hears of downloads, which can take a while.

        Where the graphics card is full it begins on the CPU; when it goes on it tries the card again.

        Raises:
            TrainingError: there is not enough memory.
            NothingToLearnError: the labels do not tell two classes apart.
            UsageError: an unknown model, encoder or option; a setting that makes no sense.
            DeviceError: a GPU that is not there.
            EncoderDownloadError, WeightsFileError: of the encoder's weights.
            StorageError: the run's folder cannot be written.
        """

        def begun(on: DeviceChoice) -> TrainState:
            return cls(outfit_new(config, store, run_dir, notify, on=on), store, notify)._begun()

        return where_it_fits(begun, config.device, notify)

    @classmethod
    def resume(
        cls, run_dir: Path, store: LabelStore, config: TrainConfig, notify: Notify, *, as_chosen: bool = False
    ) -> TrainState:
        """Go on with the run in `run_dir`, from its last checkpoint, or from its start if it has none yet.

        Of `config` count `steps` (in all), `seconds` (added to the run's), `device`, `threads`, `patience`;
        without a budget the run's own still holds. All else is as the run was started, and so are device,
        threads and patience where `config` has "auto" or None; not if all of it is `as_chosen` for what
        follows: then these are values like others, and `steps` are added to those of the checkpoint.

        Raises:
            WeightsFileError: no checkpoint, a damaged one, or one for other classes.
            ProjectFileError: the run's config.json cannot be read.
            UsageError, StorageError, TrainingError: as in `create`.
        """

        def resumed(on: DeviceChoice) -> TrainState:
            run = RunFolder(run_dir)
            run.sweep()
            if can_go_on(run) and not run.last_checkpoint.is_file():
                outfit = outfit_restarted(run_dir, store, config, notify, on=on, as_chosen=as_chosen)
                state = cls(outfit, store, notify)._begun()
                state.resumed_step = 0
                return state
            outfit, checkpoint = outfit_resumed(run_dir, store, config, on=on, as_chosen=as_chosen)
            state = cls(outfit, store, notify)
            restore(state, checkpoint)
            outfit.run.forget_metrics_after(state.step)
            return state

        return where_it_fits(resumed, config.device, notify)

    def _begun(self) -> TrainState:
        self.record.status("going", step=0, seconds=0.0)
        return self

    # --- what the loop asks --------------------------------------------------------------------------------

    def request_stop(self) -> None:
        """Finish the step, score, save and end. Safe in a signal handler."""
        self.stop_requested = True

    def set_aside(self, seconds: float) -> None:
        """Of the time budget, what is needed after the last step."""
        if self.budget.seconds is not None:
            self.budget = replace(self.budget, seconds=self.budget.seconds - seconds)

    @property
    def given_s(self) -> float | None:
        """Training time it was given in all, what is set aside of it included; None: no limit."""
        return self.whole_budget.seconds

    def classes_renamed(self) -> None:
        """Scores that are kept and told get the names that the classes have now."""
        names = self.channels.classes.names
        self.best.rename(names)
        self.record.rename(names)

    def over(self) -> bool:
        """Whether the run should finish."""
        if self.stop_requested or self.progress.patience.spent:
            return True
        return self.budget_spent

    @property
    def budget_spent(self) -> bool:
        """Whether all its steps or its time are used up."""
        return self.budget.spent(self.step, self.clock.seconds, self.validator.reserve_s)

    @property
    def resting(self) -> bool:
        """Whether all is learned, and labels are waited for."""
        return self.rests_at == self.store.revision and not self.stop_requested

    def report_due(self, every_s: float) -> bool:
        """Whether the last StepDone is long enough ago."""
        return self.seconds_since_report() >= every_s

    def seconds_since_report(self) -> float:
        """Training time since the last StepDone, validation and saving left out; never 0."""
        return max(self.clock.seconds - self._last_report_s, 1e-9)

    def next_windows(self) -> Windows:
        """The next batch. Raises TrainingError when there is nothing left to draw from."""
        windows = self.sampler.draw(self.batch)
        if windows is None:
            raise TrainingError("no labelled pixel is left to learn from; draw some and train again")
        return windows

    def resident_batch(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """One batch on the device, as the network gets it: pixels, targets, weights."""
        crops = self.learner.crops(self.next_windows())
        return crops.pixels, crops.targets, crops.weights

    @property
    def device(self) -> torch.device:
        """Where it computes at present."""
        return self.learner.device

    # --- for those who predict while it trains -------------------------------------------------------------

    @property
    def weights_version(self) -> int:
        """Grows with the weights."""
        return self.step

    def network_for_prediction(self) -> SegmentationNetwork:
        """The averaged network, in evaluation mode, on the run's device; it changes with every step."""
        return self.learner.ema.network

    def header(self) -> WeightsHeader:
        """What the averaged weights say about themselves when saved."""
        return header_for(
            self.learner.ema.network,
            classes=self.channels.classes,
            tile=self.learner.load.crop,
            scale=self.scale,
            metrics={
                "miou": self.best.miou,
                "per_class_iou": dict(self.best.per_class_iou),
                "pixel_accuracy": self.best.pixel_accuracy,
                "ece": None if self.calibration is None else self.calibration.error,
                "on": self.best.on or self.validator.plan.on,
                "step": self.step,
                "seconds": round(self.clock.seconds, 3),
            },
            data_digest=self.store.digest(self.sampler.keys),
            temperature=self.temperature,
        )

    @property
    def temperature(self) -> float:
        """Of the averaged network's confidence, by the last score on held-out images; 1 without one."""
        return 1.0 if self.calibration is None else self.calibration.temperature

    @property
    def tested(self) -> bool:
        """Whether its score says what it is worth on other images than those it learns from."""
        if self.validator.plan.on != "validation":
            return False
        return self.step >= EARLY_STEPS or not self.validator.corrections

    def predictor(self) -> Predictor:
        """Predicts with the averaged network as it is at the time."""
        return Predictor(
            self.learner.ema.network,
            self.header(),
            self.device,
            notify=lambda text, progress: self.notify(Notice(text=text, progress=progress)),
        )

    # --- events --------------------------------------------------------------------------------------------

    def started(self) -> TrainingStarted:
        """The run as it begins."""
        event = TrainingStarted(
            run=str(self.run.path),
            model=self.config.model,
            encoder=self.config.encoder,
            device=device_name(self.device),
            classes=self.channels.classes,
            train_images=self.sampler.keys,
            validation_images=self.validator.plan.held_out,
            weak_background=self.sampler.weak_background,
            resumed_step=self.resumed_step,
            steps=self.budget.steps,
            seconds=self.budget.seconds,
        )
        again = "" if self.resumed_step is None else f", resumed at step {self.resumed_step}"
        held_out = len(event.validation_images)
        self.record.log(f"{event.model} on {event.encoder}, {event.device}{again}")
        self.record.log(f"{len(event.train_images)} images to learn from, {held_out} held out")
        crop, scale = self.learner.load.crop, self.scale
        self.record.log(
            f"crops of {crop} pixels at scale {scale:g}, batch {self.batch}, rate {self.config.lr:g}"
        )
        return event

    def keep_up(self, done: float | None = None) -> Iterator[Event]:
        """Before a step: take in changed labels and classes, and set stage, freezing and rate.

        `done` is the share of the run that is over, where another process keeps the time.
        """
        yield from self.intake.take_in()
        yield from self.problems()
        if done is None:
            done = self.budget.progress(self.step, self.clock.seconds, self.validator.reserve_s)
        self.share_done = done
        self.class_weights = self.intake.class_weights(done)
        stage = self.learner.prepare(done, endless=self.budget.endless)
        if stage is not None:
            yield Notice(text=f"{self.config.model} goes on as {stage}")

    def problems(self) -> Iterator[Event]:
        """Say which images were left out, and why."""
        for problems in (self.sampler.problems, self.validator.problems):
            for problem in problems[:MOST_NOTES]:
                yield Notice(text=f"left out of training: {problem}", level="warning")
            if len(problems) > MOST_NOTES:
                text = f"{len(problems) - MOST_NOTES} more images were left out of training"
                yield Notice(text=text, level="warning")
            problems.clear()

    def count_step(self, loss: Tensor, gradient_norm: Tensor) -> None:
        """A step is done; its numbers stay on the device until they are reported."""
        self.step += 1
        now_s = self.clock.seconds
        self.step_s = now_s - self._last_step_s
        self._last_step_s = now_s
        self.tally.add(loss, gradient_norm, step=self.step, seconds=now_s, lr=self.learner.lr)

    def reported(self) -> None:
        """What follows counts for the next StepDone."""
        self._last_report_s = self._last_step_s = self.clock.seconds

    def note_score(self, score: Score, *, comparable: Score, on: ScoredOn | None = None) -> Validated:
        """Keep a score; `comparable` is the one on the images of earlier scores, which decides on "best".

        `on` is what was scored, where that is not what was planned.
        """
        judge_best_again(self)
        anew = not self.best.claimed
        on, seconds = self.validator.plan.on if on is None else on, self.clock.seconds
        best = self.best.note(score, comparable, self.step, labels=self.validator.labels_digest(), on=on)
        self.learner.plateau.note(better=best)
        self.calibration = score.calibration or self.calibration
        self.record.score(score, on=on, step=self.step, seconds=seconds, lr=self.learner.lr, anew=anew)
        self.progress.patience.counting = self.learner.in_last_stage
        return self.progress.validated(score, comparable, on=on, step=self.step, seconds=seconds, best=best)

    # --- when things go wrong ------------------------------------------------------------------------------

    def step_down(self, reason: str) -> Notice:
        """After out-of-memory: compute less at a time. Raises TrainingError at the end of the ladder."""
        text = self.learner.step_down()
        if text is None:
            raise TrainingError(
                f"there is not enough memory even for one crop of {self.learner.load.crop} pixels ({reason});"
                " close other programs or choose a smaller model; what was learned is saved"
            )
        self.sampler.crop = self.learner.load.crop
        if self.device != self.tally.device:
            self.tally = Tally(self.device)
            self.intake.begin_anew()
        return Notice(text=text, level="warning")


def device_name(device: torch.device) -> str:
    """What people call it: "NVIDIA RTX 4090", "CPU, 2 threads"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
