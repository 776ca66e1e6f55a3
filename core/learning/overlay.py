"""Whose weights predict, and the prediction itself: a run's while it trains, else those of a file.

Weights of an earlier run (or of a file a person chose) stay on show until those of a new run score as well,
as `core.learning.takeover` finds out. Versions number the weights for the window: they only ever grow,
whichever network they belong to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from core.annotation.model import ClassList
from core.errors import UsageError, WeightsFileError
from core.images.upright import Box
from core.learning.asking import Asker, Opinions, Speakers, interruption
from core.learning.blending import EVEN, instant_share
from core.learning.class_maps import PredictedMap
from core.learning.events import Notice, OverlayCompared, Prediction
from core.learning.excerpts import Excerpt
from core.learning.held_out_judge import HeldOutJudge, held_out_by, learned_by
from core.learning.instant.live import LiveInstant
from core.learning.mixture import MixtureScore
from core.learning.origin import Origin, of_both, of_file, of_instant, of_run
from core.learning.other_looks import OtherLooks
from core.learning.packed_mask import PackedMask
from core.learning.post_processing import PostProcessing
from core.learning.predict import Predictor
from core.learning.saved_weights import SavedNetwork, SavedWeights
from core.learning.schedule import Target
from core.learning.state import TrainState
from core.learning.takeover import Takeover
from core.learning.uncertainty import UncertaintySource, Voice
from core.learning.validation import Score


class Answer(Protocol):
    """Makes a `Prediction` of a map of an image, or of a region of it."""

    def __call__(self, found: PredictedMap, *, post: str = "", region: Box | None = None) -> Prediction:
        """What the window is told."""
        ...


class OverlayWeights:
    """The weights that predictions come from.

    Args:
        notify: told what memory a prediction lacks and what is done about it.
        instant: has its say where it has learned the labels; see `blending.py`.

    Attributes:
        post: what is done to predictions.
    """

    def __init__(self, notify: Callable[[Notice], None], instant: LiveInstant | None = None) -> None:
        self._notify = notify
        self._instant = instant
        self._run: TrainState | None = None
        self._run_predictor: Predictor | None = None
        self._file: SavedNetwork | None = None
        self._takeover: Takeover | None = None
        self._kept: SavedWeights | None = None  # of a run that ended before the comparison did
        self._epoch = 0
        self._versioned: object = None
        self._latest = 0
        self._asker = Asker()
        self.post = PostProcessing(notify)
        self._other_looks = OtherLooks(self._asker, self._tell)
        self._mixture = MixtureScore(self.held_out_judge)
        if instant is not None:
            instant.listener = self._mixture

    def use_run(self, run: TrainState) -> None:
        """Show what this run learns, as soon as that is as good as what is shown now."""
        self.settle()
        self._epoch += 1
        self._mixture.forget()
        self._run, self._run_predictor = run, None
        older = self._comparable(run)
        if older is not None:
            learned = learned_by(older.weights.folder)
            self._takeover = Takeover(run, older.source, self._saved_predictor, learned)

    def run_ended(self, kept: SavedWeights) -> None:
        """The run is over; its best weights predict, or may soon, if the older ones do so until then."""
        if self._takeover is None:
            self.use_file(kept)
        else:
            self._kept = kept
            self._takeover.tell_again()

    def use_file(self, weights: SavedWeights | None) -> None:
        """Predict with a file's weights, read when the first prediction is due; None for no weights."""
        self._epoch += 1
        self._mixture.forget()
        self._run = self._run_predictor = self._takeover = self._kept = None
        self._file = None if weights is None else SavedNetwork(weights, self._tell)

    def drop_file(self) -> None:
        """The file cannot be used; a run that goes on shows its own weights from now on."""
        self._file = None
        self._take_over()

    def settle(self) -> None:
        """End a comparison that an ended run is still in: its newer weights are shown."""
        if self._kept is not None:
            self._take_over()

    @property
    def file_classes(self) -> ClassList | None:
        """What the weights in the file were trained for; None without a file.

        Raises:
            WeightsFileError: the file is damaged.
        """
        return None if self._file is None else self._file.header.classes

    @property
    def version(self) -> int | None:
        """Of the weights that would be used now; None when there are none."""
        speaking = self._speaking
        if speaking is None:
            return None
        shown = speaking, self.post.pipeline
        if shown != self._versioned:
            self._versioned = shown
            self._latest += 1
        return self._latest

    @property
    def _speaking(self) -> object:
        """Changes with whatever changes what is said of an image; None when there are no weights."""
        deep, instant = self._deep_version, 0 if self._instant is None else self._instant.version
        if deep is None and not instant:
            return None
        temperature = 1.0 if self._instant is None else self._instant.temperature
        share = self._instant_share()
        together = self._mixture_temperature(share)
        return deep, instant, share, round(temperature, 2), None if together is None else round(together, 2)

    @property
    def _deep_version(self) -> tuple[int, int] | None:
        """Of the deep network's weights; None where there is none to show."""
        if self._run_is_shown:
            assert self._run is not None
            return self._epoch, self._run.weights_version
        return (self._epoch, -1) if self._file is not None else None

    def forget_image(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        self._asker.forget(key)

    # --- older weights and a run's ------------------------------------------------------------------------

    @property
    def comparing(self) -> bool:
        """Whether older weights are shown until a run's are as good."""
        return self._takeover is not None

    @property
    def comparison_due(self) -> bool:
        """Whether `compare` has something to do."""
        return self._takeover is not None and self._takeover.due

    def compare(self, interrupted: Callable[[], bool]) -> OverlayCompared | None:
        """Go on comparing the older weights that are shown with a run's, by one image.

        Returns:
            The comparison, where it is new.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            WeightsFileError, MaskloopError: the older weights cannot be asked.
        """
        if self._takeover is None:
            return None
        with interruption(self._saved_predictor().network, interrupted):
            compared = self._takeover.advance()
        if compared is not None:
            if compared.run_is_shown:
                self._take_over()
            elif self._kept is not None:  # the run is over and the older weights are better
                self._takeover = self._kept = self._run = None
        return compared

    def _comparable(self, run: TrainState) -> SavedNetwork | None:
        """The older weights, where they can and should be compared with this run's."""
        if self._file is None or self._file.weights.path == run.run.best_weights:
            return None
        try:
            header = self._file.header
        except WeightsFileError as error:
            self._notify(Notice(text=f"Earlier weights cannot be shown: {error}", level="warning"))
            self._file = None
            return None
        if set(header.classes.indices) != set(run.channels.classes.indices):
            return None  # what is new could never be seen
        return self._file

    def _take_over(self) -> None:
        """The run's weights from now on, or what is kept of it."""
        self._takeover = None
        if self._kept is not None:
            self.use_file(self._kept)

    # --- predictions --------------------------------------------------------------------------------------

    def predict(self, target: Target, revision: int, interrupted: Callable[[], bool]) -> Prediction:
        """Predict one image.

        Args:
            target: which one.
            revision: of its labels, for the answer.
            interrupted: asked now and then; True ends the work.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            ImageFileError, WeightsFileError, UsageError, MaskloopError: it cannot be predicted.
        """
        return self.opine(target, revision, interrupted, keep=False)[0]

    def opine(
        self, target: Target, revision: int, interrupted: Callable[[], bool], *, keep: bool = True
    ) -> tuple[Prediction, Opinions | None]:
        """As `predict`, and with `keep` what each learner thinks."""
        answer, speakers = self._begin(target, revision)
        found, opinions, post = self.post.ask(
            self._asker, target, speakers, interrupted, version=self._speaking, keep=keep
        )
        return answer(found, post=post), opinions

    def predict_part(
        self, target: Target, box: Box, revision: int, interrupted: Callable[[], bool]
    ) -> Prediction:
        """Predict a part of an image, x0, y0, x1, y1, ahead of the rest. Raises as `predict`."""
        answer, speakers = self._begin(target, revision)
        return answer(self._asker.ask_part(target, box, speakers, interrupted), region=box)

    def predict_excerpt(
        self, target: Target, excerpt: Excerpt, revision: int, interrupted: Callable[[], bool]
    ) -> Prediction:
        """Predict what was read of a huge image. Raises as `predict`."""
        answer, speakers = self._begin(target, revision)
        return answer(self._asker.ask_excerpt(excerpt, speakers, interrupted), region=excerpt.region)

    def _begin(self, target: Target, revision: int) -> tuple[Answer, Speakers]:
        """Who is to be asked now, and what makes a `Prediction` of what they say. Raises UsageError."""
        version = self.version
        if version is None:
            raise UsageError("there are no weights to predict with; train first")
        started_s = time.perf_counter()
        speakers = self._speakers()
        origin = self._origin(speakers.share)

        def answer(found: PredictedMap, *, post: str = "", region: Box | None = None) -> Prediction:
            return Prediction(
                key=target.key,
                revision=revision,
                weights_version=version,
                classes=PackedMask.pack(found.classes),
                confidence=PackedMask.pack(found.confidence),
                region=region,
                source=origin.source,
                seconds=time.perf_counter() - started_s,
                run=None if origin.run is None else str(origin.run),
                miou=origin.miou,
                scored_on=origin.scored_on,
                scored_images=origin.scored_images,
                calibration_error=origin.calibration_error,
                post=post,
                weak_background=speakers.instant is not None and speakers.instant.weak_background,
                bent=speakers.instant is not None and speakers.instant.bends_to(target.key),
            )

        return answer, speakers

    @property
    def on_gpu(self) -> bool:
        """Whether one more look at an image takes milliseconds."""
        return self.version is not None and self._speakers().on_gpu

    def asked_again(
        self, target: Target, opinions: Opinions, source: UncertaintySource, interrupted: Callable[[], bool]
    ) -> tuple[Voice, ...]:
        """What those that have a say think, asked again as `source` says; raises as `OtherLooks.voices`."""
        if self._run_is_shown:
            assert self._run is not None
            run: Path | None = self._run.run.path
        else:
            run = None if self._file is None else self._file.weights.run
        return self._other_looks.voices(target, opinions, source, self._speakers(), run, interrupted)

    @property
    def speakers(self) -> Speakers:
        """Who has a say at present; there must be weights to predict with (`version`)."""
        return self._speakers()

    def held_out_judge(self) -> HeldOutJudge | None:
        """The deep network that has a say, for images it has not learned from; None where there are none.

        Raises:
            WeightsFileError: its file cannot be read any more.
        """
        share = self._instant_share() if self._instant is not None and self._instant.version else EVEN
        if self._deep_version is None or share == 1.0:
            return None
        if self._run_is_shown:
            assert self._run is not None
            images = self._run.validator.plan.held_out
        else:
            assert self._file is not None
            images = held_out_by(self._file.weights.folder)
        return HeldOutJudge(frozenset(images), self._deep_predictor(), share) if images else None

    def _speakers(self) -> Speakers:
        """Who has a say at present."""
        share = self._instant_share()
        if share == 1.0:
            return Speakers(None, None, self._instant, share)
        instant, deep = self._instant if share else None, self._deep_predictor()
        return Speakers(deep, self._deep_version, instant, share, self._mixture_temperature(share))

    def _mixture_temperature(self, share: float) -> float | None:
        score = self._mixture_score(share)
        return None if score is None or score.calibration is None else score.calibration.temperature

    def _instant_share(self) -> float:
        """How much of what is shown is the instant learner's."""
        if self._instant is None or not self._instant.version:
            return 0.0
        if self._deep_version is None:
            return 1.0
        score = self._instant.score
        if self._run_is_shown:
            assert self._run is not None
            deep_miou, deep_classes = self._run.best.compared, self._run.channels.classes
            tested = self._run.tested
        else:
            assert self._file is not None
            try:
                header = self._file.header
            except WeightsFileError:
                return 0.0  # predicting will say what is wrong with it
            saved = header.metrics.get("miou")
            deep_miou, deep_classes = saved if isinstance(saved, float) else None, header.classes
            tested = header.metrics.get("on", "validation") != "training"
        instant_classes = self._instant.classes
        if instant_classes is None or set(deep_classes.indices) != set(instant_classes.indices):
            return 1.0  # what is new in the project only the instant learner knows
        instant_miou = None if score is None else score.miou
        return instant_share(deep_miou, instant_miou, learning=self._run_is_shown, tested=tested)

    @property
    def _run_is_shown(self) -> bool:
        return self._run is not None and self._run.step > 0 and self._takeover is None

    def _origin(self, share: float) -> Origin:
        """Whose prediction it is, with this share of the instant learner."""
        instant = of_instant(None if self._instant is None else self._instant.score)
        if share == 1.0:
            return instant
        if self._run_is_shown:
            assert self._run is not None
            deep = of_run(self._run)
        else:
            assert self._file is not None
            deep = of_file(self._file.source, self._file.weights.run, self._file.header.metrics)
        return deep if share == 0.0 else of_both(deep, instant, self._mixture_score(share))

    def _mixture_score(self, share: float) -> Score | None:
        """Of what both say together, where that was measured."""
        saved = None if self._file is None else self._file.loaded
        shown = self._run_predictor if self._run_is_shown else saved
        return None if shown is None else self._mixture.of(shown, share)

    def _deep_predictor(self) -> Predictor:
        """Of the weights that are shown."""
        if not self._run_is_shown:
            return self._saved_predictor()
        assert self._run is not None
        return self._live_predictor(self._run)

    def _live_predictor(self, run: TrainState) -> Predictor:
        known = self._run_predictor
        # Renamed classes and a move to the CPU after out-of-memory are a new predictor's business.
        if known is None or known.device != run.device:
            known = self._run_predictor = run.predictor()
            if self._file is not None:
                self._file.unload()
        known.temperature = run.temperature
        return known

    def _saved_predictor(self) -> Predictor:
        assert self._file is not None
        return self._file.predictor

    def _tell(self, text: str, progress: float | None) -> None:
        self._notify(Notice(text=text, progress=progress))
