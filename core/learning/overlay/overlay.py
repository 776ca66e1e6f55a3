"""The prediction itself, and who has a say in it: the deep network on show, the instant learner, or both.

`deep_on_show.py` knows whose deep weights these are. Versions number what is said for the window: they only
ever grow, whoever says it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from core.errors import UsageError, WeightsFileError
from core.images.upright import Box
from core.learning.events import Notice, Prediction
from core.learning.instant.live import LiveInstant
from core.learning.labels.packed_mask import PackedMask
from core.learning.overlay.asking import Asker, Opinions, Speakers
from core.learning.overlay.deep_on_show import DeepOnShow
from core.learning.overlay.excerpts import Excerpt
from core.learning.overlay.held_out_judge import HeldOutJudge
from core.learning.overlay.mixture import MixtureScore
from core.learning.overlay.origin import Origin, of_both, of_instant
from core.learning.overlay.other_looks import OtherLooks
from core.learning.overlay.post_processing import PostProcessing
from core.learning.overlay.schedule import Target
from core.learning.prediction.blending import EVEN, by_index, compared_mious, instant_share
from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.uncertainty import UncertaintySource, Voice
from core.learning.validation.validation import Score


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
        interrupted: whether something waits that a score gives way to.

    Attributes:
        deep: the deep network on show.
        post: what is done to predictions.
    """

    def __init__(
        self,
        notify: Callable[[Notice], None],
        instant: LiveInstant | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._notify = notify
        self._instant = instant
        self._versioned: object = None
        self._latest = 0
        self._asker = Asker()
        self.post = PostProcessing(notify)
        self._other_looks = OtherLooks(self._asker, self._tell)
        self._mixture = MixtureScore(self.held_out_judge, interrupted)
        self.deep = DeepOnShow(notify, self._mixture.forget)
        if instant is not None:
            instant.listener = self._mixture

    @property
    def version(self) -> int | None:
        """Of the weights that would be used now; None when there are none."""
        shown = self.voice_of(None)
        if shown is None:
            return None
        if shown != self._versioned:
            self._versioned = shown
            self._latest += 1
        return self._latest

    def voice_of(self, key: str | None) -> object:
        """Changes with whatever changes what is shown of an image, None for any; None without weights."""
        speaking = self._speaking_of(key)
        return None if speaking is None else (speaking, self.post.pipeline)

    def _speaking_of(self, key: str | None) -> object:
        deep, instant = self.deep.version, 0 if self._instant is None else self._instant.voice_of(key)
        if deep is None and not instant:
            return None
        share = self._instant_share()
        if share == 1.0:  # what the deep network learns meanwhile is not shown
            deep = None
        temperature = 1.0 if self._instant is None else self._instant.temperature
        together = self._mixture_temperature(share)
        return deep, instant, share, round(temperature, 2), None if together is None else round(together, 2)

    def forget_image(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        self._asker.forget(key)

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
            self._asker, target, speakers, interrupted, version=self._speaking_of(target.key), keep=keep
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
        return answer(self._asker.ask_excerpt(target, excerpt, speakers, interrupted), region=excerpt.region)

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
        folder = self.deep.folder
        return self._other_looks.voices(target, opinions, source, self._speakers(), folder, interrupted)

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
        if self.deep.version is None or share == 1.0:
            return None
        images = self.deep.held_out
        return HeldOutJudge(images, self.deep.predictor, share) if images else None

    def _speakers(self) -> Speakers:
        """Who has a say at present."""
        share = self._instant_share()
        if share == 1.0:
            return Speakers(None, None, self._instant, share)
        instant, deep = self._instant if share else None, self.deep.predictor
        return Speakers(deep, self.deep.version, instant, share, self._mixture_temperature(share))

    def _mixture_temperature(self, share: float) -> float | None:
        score = self._mixture_score(share)
        return None if score is None or score.calibration is None else score.calibration.temperature

    def _instant_share(self) -> float:
        """How much of what is shown is the instant learner's."""
        if self._instant is None or not self._instant.version:
            return 0.0
        if self.deep.version is None:
            return 1.0
        try:
            standing = self.deep.standing
        except WeightsFileError:
            return 0.0  # predicting will say what is wrong with it
        known = self._instant.classes
        if known is None or set(standing.classes.indices) != set(known.indices):
            return 1.0  # what is new in the project only the instant learner knows
        named = {} if self._instant.score is None else self._instant.score.per_class_iou
        found = compared_mious(standing.class_iou, by_index(named, known))
        deep, instant = (standing.miou, None) if found is None else found
        return instant_share(deep, instant, learning=self.deep.learning, tested=standing.tested)

    def _origin(self, share: float) -> Origin:
        """Whose prediction it is, with this share of the instant learner."""
        instant = of_instant(None if self._instant is None else self._instant.score)
        if share == 1.0:
            return instant
        deep = self.deep.origin
        return deep if share == 0.0 else of_both(deep, instant, self._mixture_score(share))

    def _mixture_score(self, share: float) -> Score | None:
        """Of what both say together, where that was measured."""
        shown = self.deep.loaded
        return None if shown is None else self._mixture.of(shown, share)

    def _tell(self, text: str, progress: float | None) -> None:
        self._notify(Notice(text=text, progress=progress))
