"""The instant learner at work beside a person: every change of labels is learned within seconds.

Work comes in small pieces, so that the engine can attend to something else between two of them::

    labels changed   of the image in view: a copy of the head is bent    at once, before anything else
                     features and points of what is new, a short fit     once that is painted, else at once
    then             a closer look, where the first one was a quick one  in between
    nothing to do    more fits, until further ones hardly change it      beside a run only some of them,
                                                                         none while background is guessed
    then             a cross-fitted score                                in between, now and then
    no labels yet    a rehearsal, so that the first ones find it ready   once
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.annotation.model import ClassList
from core.errors import MaskloopError, NothingToLearnError
from core.images.upright import Box
from core.learning.config import TrainConfig
from core.learning.events import Event, Notice
from core.learning.instant.crossfit import HearsCrossFit, cross_fit
from core.learning.instant.features import Features
from core.learning.instant.in_view import HeadInView, HeadsInView
from core.learning.instant.learner import InstantLearner
from core.learning.instant.maker import LearnerMaker
from core.learning.instant.under_way import UnderWay
from core.learning.labels.data import ImageLabels, LabelStore
from core.learning.labels.learnable import check_learnable
from core.learning.prediction.class_maps import PredictedMap
from core.learning.validation.validation import Score
from core.models.instant import VIEWS

FIRST_STEPS: Final = 120
"""Of the first fit: an overlay after some seconds. What is missing follows."""
FIRST_FIT_S: Final = 2.5
"""What it may take: on a slow processor it has fewer steps."""
FIRST_FEATURES_S: Final = 6.0
"""What looking at the labelled images may take before the first overlay; on slow machines and with many
images they are looked at less closely at first."""
AT_ONCE_S: Final = 0.8
"""What the fit that follows a change may take: somebody waits for it."""
MORE_STEPS: Final = 60
MORE_FITS: Final = 6
"""After a change, while nothing else is to be done."""
MORE_FITS_BESIDE_A_RUN: Final = 2
"""Of these, while a run wants the processor: about what one step of the deep network takes."""
SCORE_EVERY_S: Final = 45.0


class LiveInstant:
    """Follows one project's labels.

    Args:
        notify: told of images that are left out.
        clock: monotonic, seconds.

    Attributes:
        enabled: whether it should learn; a person may want the processor for something else.
        score: the cross-fitted one, of labels as they were lately; None: not known yet.
        listener: is told what it thinks of images while it is scored.
    """

    def __init__(self, notify: Callable[[Event], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.enabled = False
        self._version = 0  # never begins anew: who remembers a number must not take the next learner for this
        self.score: Score | None = None
        self.listener: HearsCrossFit | None = None
        self._notify = notify
        self._clock = clock
        self._maker = LearnerMaker(notify, clock)
        self._store: LabelStore | None = None
        self._learner: InstantLearner | None = None
        self._closer: InstantLearner | None = None
        self._heads = HeadsInView()
        self._told: set[str] = set()
        self._work = UnderWay()
        self._overtaken = False
        self._seen_revision = -1
        self._refit_due = False
        self._more = 0
        self._score_due = False
        self._next_score_s = float("-inf")

    def follow(self, store: LabelStore | None, folder: Path | None = None) -> None:
        """Learn these labels from now on; what was learned of others is forgotten.

        Args:
            store: None: no project is open.
            folder: where features are kept on disk.
        """
        self._store = store
        self._maker.follow(store, folder)
        self._learner = self._closer = None
        self._work.drop()
        self.score = None
        self._seen_revision = -1
        self._overtaken = False
        self._refit_due, self._more, self._score_due = False, 0, False
        self._next_score_s = float("-inf")
        self._told.clear()
        self._heads.follow(store)

    def watch(self, key: str | None) -> None:
        """This image is on show from now on, None for none: what it says of it is bent to its labels."""
        if self._heads.watch(key) and (head := self._heads.now) and self.learner is not None:
            head.begin_anew(self.learner)

    def forget_image(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        self._heads.forget(key)

    @property
    def version(self) -> int:
        """Grows with every fit; 0 while there is nothing to show."""
        fitted = self._learner is not None and self._learner.version > 0
        return self._version if self.enabled and fitted else 0

    @property
    def classes(self) -> ClassList | None:
        """What the channels of `probabilities` mean; None before there is anything to ask."""
        return None if self._learner is None or not self.version else self._learner.channels.classes

    @property
    def learner(self) -> InstantLearner | None:
        """What has learned the labels; None while there is nothing to show."""
        return self._learner if self.version else None

    @property
    def weak_background(self) -> bool:
        """Whether undrawn pixels stand in for background in what it has learned."""
        learner = self.learner
        return learner is not None and learner.weak_background

    def voice_of(self, key: str | None) -> object:
        """Changes with whatever changes what it says of an image; 0 while there is nothing to show.

        Of one that follows its own labels it says the same before and after a fit of the learner.

        Args:
            key: of the image; None: of no image in particular.
        """
        if not self.version:
            return 0
        asked = self.asked_about(key)
        return self.version if asked is self._learner else asked

    def bends_to(self, key: str) -> bool:
        """Whether what it says of an image follows the labels of that more closely than all others."""
        return self.learner is not None and self.asked_about(key) is not self.learner

    def revision_of(self, labels: ImageLabels) -> int:
        """The revision of an image's labels, now `labels`, that whoever is asked about it has learned."""
        assert self._learner is not None
        head = self._heads.of(labels.key)
        bent = head is not None and head.knows(self._learner, labels)
        return labels.revision if bent else self._learner.revision_of(labels)

    def new_learner(self) -> InstantLearner:
        """Another one on the same labels, which has not looked at them yet; where this one is switched off.

        Raises:
            MaskloopError: the encoder's weights are not to be had.
        """
        return self._maker.new()

    @property
    def urgent(self) -> bool:
        """Whether labels wait to be learned."""
        if self._store is None or not self.enabled:
            return False
        return self._work.urgent or self._store.revision != self._seen_revision

    def gives_way(self) -> bool:
        """Once after a fit that newer labels have waited for: what it learned is shown before they are."""
        overtaken, self._overtaken = self._overtaken, False
        return overtaken

    def tick(self, *, training: bool) -> bool:
        """Do one piece of work; False when there is none.

        Args:
            training: a run wants the processor; of what is not urgent most is left, except for the score.

        Raises:
            MaskloopError: the encoder's weights are not to be had; it is not enabled any more then.
        """
        if self._store is None or not self.enabled:
            return False
        if self._store.revision != self._seen_revision and not self._work.is_to_be_finished:
            self._seen_revision = self._store.revision
            self._work.begin(self._learned(), urgent=True)
        if not self._work and not self._begin_what_is_left(training=training):
            return False
        urgent = self._work.urgent
        try:
            done = not self._work.advance()
        except MaskloopError:
            self.enabled = False
            raise
        except Exception as error:
            self._learner = self._closer = None  # made anew for the next labels
            if not self._maker.leaves_gpu_after(error):
                raise
            self._seen_revision = -1
            return True
        if done:
            self._overtaken = urgent and self._store.revision != self._seen_revision
        return True

    def probabilities(self, key: str, of: str, read: Callable[[], NDArray[np.uint8]]) -> PredictedMap:
        """The map of any image, with its probabilities (classes, H, W), float16.

        Args:
            key: of the image.
            of: its file's stamp (`core.images.pages.stamp`), taken before its pixels are read.
            read: gives its pixels, RGB (H, W, 3), uint8, if they are needed.
        """
        assert self._learner is not None
        return self.said_of(self._learner.cache.get(key, of, read), key)

    def probabilities_of_part(
        self, key: str, of: str, read: Callable[[], NDArray[np.uint8]], box: Box
    ) -> PredictedMap:
        """As `probabilities`, of a part of the image, x0, y0, x1, y1: no more is looked at than it needs."""
        assert self._learner is not None
        features = self._learner.cache.get_part(key, of, read, box)
        asked = self.asked_about(key)
        return asked.predict_part(features, box, probabilities=True, temperature=self.temperature)

    def probabilities_of(self, key: str, image: NDArray[np.uint8]) -> PredictedMap:
        """As `probabilities`, of the image turned or mirrored: it is looked at anew, seconds on a CPU.

        Args:
            key: of the image.
            image: its pixels, RGB (H, W, 3), uint8.
        """
        return self.said_of(self.look(image), key)

    def look(
        self, image: NDArray[np.uint8], *, scale_for: Callable[[float], float] | None = None
    ) -> Features:
        """Features of pixels, RGB (H, W, 3), uint8.

        Args:
            image: the pixels.
            scale_for: what to resize them by, of what images are resized by; where they are not at their own
                scale.
        """
        assert self._learner is not None
        cache = self._learner.cache
        return cache.compute(image, scale=None if scale_for is None else scale_for(cache.scale))

    def said_of(self, features: Features, key: str) -> PredictedMap:
        """The map of the pixels these features are of, with probabilities (classes, H, W), float16.

        Args:
            features: of an image, or of what was made of it.
            key: of that image.
        """
        asked = self.asked_about(key)
        return asked.predict(features, probabilities=True, temperature=self.temperature)

    @property
    def eyes(self) -> object:
        """Changes with what features are: other views, another scale."""
        assert self._learner is not None
        return self._learner.network.views, self._learner.cache.scale

    @property
    def temperature(self) -> float:
        """Of its confidence, by cross-fitting; 1 until it was scored."""
        calibration = None if self.score is None else self.score.calibration
        return 1.0 if calibration is None else calibration.temperature

    @property
    def encoder(self) -> nn.Module:
        """What looks at images, piece by piece."""
        assert self._learner is not None
        return self._learner.network.encoder

    @property
    def device(self) -> torch.device | None:
        """Where it computes; None before there is anything to ask."""
        return None if self._learner is None else self._learner.device

    def asked_about(self, key: str | None) -> InstantLearner:
        """The learner, or where the image is in view one with a head of its own for it."""
        assert self._learner is not None
        head = self._heads.of(key)
        return self._learner if head is None else head.learner(self._learner)

    # --- work ---------------------------------------------------------------------------------------------

    def _begin_what_is_left(self, *, training: bool) -> bool:
        if self._learner is None:
            if training or not self._maker.rehearsal_due:
                return False
            self._work.begin(self._maker.rehearsed(), urgent=False)
            return True
        if not self.version:
            return False
        head = self._heads.now
        if self._refit_due:
            self._work.begin(self._refitted(self._learner), urgent=False)
        elif head is not None and head.waits(self._learner):
            self._work.begin(self._bent(head, self._learner), urgent=False)
        elif self._learner.network.views != VIEWS:
            self._work.begin(self._looked_closer(), urgent=False)
        elif self._more > (MORE_FITS - MORE_FITS_BESIDE_A_RUN if training else 0):
            self._more -= 1
            self._work.begin(self._fitted(self._learner, MORE_STEPS), urgent=False)
        elif self._score_due and self._clock() >= self._next_score_s:
            self._score_due = False
            self._work.begin(self._judged(self._learner), urgent=False)
        else:
            return False
        return True

    def _learned(self) -> Iterator[object]:
        """Follow the labels as they are now."""
        assert self._store is not None
        try:
            check_learnable(self._store, TrainConfig())
        except NothingToLearnError:
            self._learner = self._closer = self.score = None
            return
        if self._learner is None or self._maker.is_out_of_date(self._learner):
            self._learner, self._closer = self._maker.new(features_s=FIRST_FEATURES_S), None
            self._heads.drop_copies_of_others(self._learner)
            yield None
        head = self._heads.now
        if head is not None and head.helps(self._learner) and head.waits(self._learner):
            self._refit_due = True  # once what the person looks at is predicted
            yield from self._bent(head, self._learner)
        else:
            yield from self._refitted(self._learner)

    def _refitted(self, learner: InstantLearner) -> Iterator[object]:
        """The fit that follows a change of labels."""
        first = learner.version == 0
        steps, seconds = (FIRST_STEPS, FIRST_FIT_S) if first else (None, AT_ONCE_S)
        yield from self._fitted(learner, steps, seconds)
        self._refit_due = False
        # While background is guessed more of them teach it that what nobody has drawn yet is background, too.
        self._more = 0 if learner.weak_background else MORE_FITS
        self._score_due = True

    def _looked_closer(self) -> Iterator[object]:
        """Another learner, that takes the time to look closely, instead of the first."""
        if self._closer is None:
            self._closer = self._maker.new()
            yield None
        closer = self._closer
        yield from self._fitted(closer, None)
        self._learner, self._closer = closer, None
        self._heads.drop_copies_of_others(closer)

    def _fitted(
        self, learner: InstantLearner, steps: int | None, seconds: float | None = None
    ) -> Iterator[object]:
        yield from learner.update(steps=steps, fit_seconds=seconds)
        for problem in learner.problems:
            text = f"Not learned from: {problem}"
            if text not in self._told:  # a closer look finds the same
                self._told.add(text)
                self._notify(Notice(text=text, level="warning"))
        learner.problems.clear()
        head = self._heads.now
        if head is not None and head.waits(learner):
            yield from head.fitted(learner)
        if learner.version:
            self._version += 1

    def _bent(self, head: HeadInView, learner: InstantLearner) -> Iterator[object]:
        """What it says of the image in view follows that image's labels."""
        before = head.learner(learner)
        yield from head.fitted(learner)
        if head.learner(learner) is not before:
            self._version += 1

    def _judged(self, learner: InstantLearner) -> Iterator[object]:
        assert self._store is not None
        score: Score | None = None
        for piece in cross_fit(learner, self._store, self.listener):
            score = piece
            yield None
        self.score = score
        if score is not None:
            self._next_score_s = self._clock() + SCORE_EVERY_S
