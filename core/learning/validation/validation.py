"""How good the network is: whole images, averaged weights, one pooled confusion matrix.

Which images these are is planned in `hold_out.py`. Validation may take a limited share of the time only: it
is held less often where it is slow, and on the first few of the held-out images where these are many; the
last one of a run is on all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from core.errors import FileProblem
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.machine.pieces import Stopwatch, drained, with_share
from core.learning.scores.bootstrap import Interval, Units, intervals
from core.learning.scores.calibration import Calibration, worth_sampling
from core.learning.scores.counted import CountedImages
from core.learning.scores.metrics import ConfusionMatrix
from core.learning.scores.trust import Trust, trust
from core.learning.validation.hold_out import Plan
from core.learning.validation.set_steps import last_set_step

EARLY_STEPS: Final = 100
"""Before these a network is seldom worth more than an older one, or than the instant learner, however fast
the machine; a score on corrections does not show otherwise (decision 17)."""
TIME_SHARE: Final = 0.15
"""Of the training time, what validation may take at most."""
ALLOWANCE_S: Final = 3.0
"""What one validation may take in any case; longer runs allow ALLOWANCE_SHARE of their budget."""
ALLOWANCE_SHARE: Final = 0.03


class PredictsImages(Protocol):
    """What validation needs of `core.learning.prediction.predict.Predictor`."""

    def predict(self, image: NDArray[np.uint8], *, probabilities: bool = False) -> PredictsClasses:
        """Class indices and more of an RGB image (H, W, 3)."""
        ...


@runtime_checkable
class PredictsInPieces(Protocol):
    """What else it can use."""

    def predicting(
        self, image: NDArray[np.uint8], *, probabilities: bool = False
    ) -> Generator[None, None, PredictsClasses]:
        """As `PredictsImages.predict`, with pauses."""
        ...


class PredictsClasses(Protocol):
    """A predicted map."""

    @property
    def classes(self) -> NDArray[np.uint8]:
        """Class indices (H, W)."""
        ...

    @property
    def probabilities(self) -> NDArray[np.float16] | None:
        """Of every channel (C, H, W), where they were asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """What one validation found. A class without a true pixel is None and not in the mean.

    Attributes:
        images: how many were scored.
        interval, class_intervals: how far mIoU and IoU can be trusted; None where nothing can be said.
        interval_over: what they were drawn from.
        confusion: pixels by true class (rows) and predicted class, in the order of `per_class_iou`.
        trust: in words, what limits the score.
        counted: image by image.
        calibration: how far its confidence can be believed; None where nobody looked.
    """

    miou: float | None
    per_class_iou: Mapping[str, float | None]
    pixel_accuracy: float | None
    images: int
    interval: Interval | None
    class_intervals: Mapping[str, Interval | None]
    interval_over: Units
    confusion: tuple[tuple[int, ...], ...]
    trust: Trust
    counted: CountedImages
    calibration: Calibration | None = None

    @classmethod
    def of(cls, counted: CountedImages, names: Sequence[str]) -> Self:
        """What was counted, for classes of these names."""
        confusion = counted.confusion
        drawn = intervals(*counted.units)
        calibration = counted.judged.calibration()
        counted.judged.clear()
        return cls(
            miou=confusion.miou(),
            per_class_iou=dict(zip(names, confusion.iou(), strict=True)),
            pixel_accuracy=confusion.pixel_accuracy(),
            images=len(counted),
            interval=drawn.miou,
            class_intervals=dict(zip(names, drawn.per_class, strict=True)),
            interval_over=drawn.over,
            confusion=tuple(tuple(row) for row in confusion.counts.tolist()),
            trust=trust(counted.per_image, names, interval=drawn.miou),
            counted=counted,
            calibration=calibration,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Of one image: truth and prediction, channels (H, W); probabilities, if asked."""

    maps: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    probabilities: NDArray[np.float16] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What was counted of one image, nothing if it could not be; and the digest of its labels then."""

    counted: CountedImages
    digest: str


@dataclass(slots=True)
class Validator:
    """Scores a predictor on the planned images and keeps to its share of the time.

    Attributes:
        few: how many images the intermediate validations use; None until the first has measured their time.
        image_s: seconds one image takes.
        steps: of a run that has nothing but a number of them; see `set_steps.py`.
        scored_step: when the last intermediate validation was held.
        problems: of images that could not be read; whoever tells the person empties it.
    """

    store: LabelStore
    channels: ChannelMap
    plan: Plan
    every_s: float
    time_budget_s: float | None = None
    few: int | None = None
    image_s: float | None = None
    steps: int | None = None
    scored_step: int = 0
    problems: list[FileProblem] = field(default_factory=list)
    _next_s: float = 0.0

    def __post_init__(self) -> None:
        # The first score comes soon: it also brings the first weights to disk.
        budget_s = self.time_budget_s or float("inf")
        self._next_s = min(self.every_s / 2, budget_s / 4)

    @property
    def reserve_s(self) -> float:
        """Time that the last validation will take, as far as the budget can spare it."""
        if self.time_budget_s is None or self.image_s is None:
            return 0.0
        return min(self.image_s * len(self.plan.keys), 0.1 * self.time_budget_s)

    @property
    def expected_s(self) -> float:
        """How long the next intermediate validation will take; before the first nobody knows."""
        return float("inf") if self.image_s is None else self.image_s * len(self.scored_keys)

    @property
    def scored_keys(self) -> tuple[str, ...]:
        """The images that intermediate scores are taken on; the first of these decides how many."""
        return tuple(self._keys()[: self.few])

    @property
    def corrections(self) -> bool:
        """Whether somebody still works on an image that is scored.

        What is labelled in it is then mostly what some weights got wrong: a score on it belittles those.
        """
        return not set(self.scored_keys).issubset(self.store.done_keys())

    def follow(self, plan: Plan) -> None:
        """Score these images from now on; how many at a time is found out again."""
        if plan.on != self.plan.on or len(plan.keys) != len(self.plan.keys):
            self.few = None
        self.plan = plan

    def due(self, seconds: float, step: int = 0) -> bool:
        """Whether it is time for an intermediate validation."""
        if self.steps is not None:
            return bool(self.plan.keys) and last_set_step(step, self.steps) > self.scored_step
        return bool(self.plan.keys) and seconds >= self._next_s

    def start_at(self, seconds: float) -> None:
        """A resumed run starts with this training time."""
        self._next_s += seconds

    def put_off(self, seconds: float, step: int = 0) -> None:
        """The one that was due could not be held: try again later."""
        self._next_s, self.scored_step = seconds + self.every_s, step

    def score(self, predictor: PredictsImages, seconds: float, step: int = 0) -> Score:
        """`scoring` without a pause."""
        return drained(self.scoring(predictor, seconds, step))

    def scoring(
        self, predictor: PredictsImages, seconds: float, step: int = 0
    ) -> Generator[float, None, Score]:
        """An intermediate score, on few images if all would take too long; plans the next one.

        Now and then comes the share that is done: there others may have their turn, and labels change.
        """
        allowance_s = max(ALLOWANCE_S, ALLOWANCE_SHARE * (self.time_budget_s or 0.0))
        looks, watch = dict[str, _Look](), Stopwatch()
        keys = self.scored_keys
        for number, key in enumerate(keys):
            for _ in watch.through(self._counting(looks, predictor, key)):
                yield number / len(keys)
            if self.few is None and watch.seconds > allowance_s:
                keys = keys[: number + 1]
                break
            yield (number + 1) / len(keys)
        took_s = watch.seconds
        seen = max(sum(key in self.store for key in keys), 1)  # those that cannot be read are gone
        self.few = seen if self.few is None else self.few
        self.image_s = took_s / seen
        self._next_s = seconds + took_s + max(self.every_s, took_s / TIME_SHARE)
        self.scored_step = step
        yield from with_share(self._catching_up(looks, predictor, lambda: self.scored_keys), 1.0)
        return self._score(looks, self.scored_keys)

    def final_score(self, predictor: PredictsImages) -> tuple[Score, Score]:
        """`final_scoring` without a pause."""
        return drained(self.final_scoring(predictor))

    def final_scoring(self, predictor: PredictsImages) -> Generator[float, None, tuple[Score, Score]]:
        """Two scores: on the images of the intermediate ones, for comparison, and on all.

        Yields as `scoring`.
        """
        looks, keys = dict[str, _Look](), self._keys()
        for number, key in enumerate(keys):
            yield from with_share(self._counting(looks, predictor, key), number / len(keys))
            yield (number + 1) / len(keys)
        yield from with_share(self._catching_up(looks, predictor, self._keys), 1.0)
        score = self._score(looks, self._keys())
        few = len(self.scored_keys) < len(self._keys())
        return (self._score(looks, self.scored_keys) if few else score), score

    def score_again(self, predictor: PredictsImages) -> Score:
        """Of other weights, on the images of the intermediate scores; plans nothing."""
        looks = dict[str, _Look]()
        drained(self._catching_up(looks, predictor, lambda: self.scored_keys))
        return self._score(looks, self.scored_keys)

    def also_took(self, seconds: float) -> None:
        """The validation that was held took so much longer: the next one comes later for it."""
        self._next_s += seconds / TIME_SHARE

    def labels_digest(self) -> str:
        """Names the images of the intermediate scores, and their labels as they are."""
        text = "\n".join(f"{key} {self.store.get(key).digest}" for key in self.scored_keys)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def count_in(self, confusion: ConfusionMatrix, predictor: PredictsImages, key: str) -> int:
        """Count one image in; 0 if it cannot be read."""
        found = drained(self._looking(predictor, key))
        if found is None:
            return 0
        confusion.update(*found.maps)
        return 1

    def _catching_up(
        self, looks: dict[str, _Look], predictor: PredictsImages, keys: Callable[[], Iterable[str]]
    ) -> Generator[None, None, None]:
        """Look at those of the images that were not looked at, or not with the labels they have now.

        It ends, whatever is drawn meanwhile: labels are asked for after the prediction, so that the image
        that was looked at last is as it is now.
        """
        while changed := [key for key in keys() if not self._is_looked_at(looks, key)]:
            for key in changed:
                yield from self._counting(looks, predictor, key)

    def _is_looked_at(self, looks: Mapping[str, _Look], key: str) -> bool:
        """Whether it was, with the labels it has now."""
        return key in looks and looks[key].digest == self.store.get(key).digest

    def _counting(
        self, looks: dict[str, _Look], predictor: PredictsImages, key: str
    ) -> Generator[None, None, None]:
        """Look at one image, and count it if that is possible."""
        found = yield from self._looking(predictor, key)
        if key not in self.store:
            return
        digest = self.store.get(key).digest
        looks[key] = _Look(CountedImages(len(self.channels.classes)), digest)
        if found is not None:
            looks[key].counted.update(*found.maps, key=key, digest=digest, probabilities=found.probabilities)

    def _looking(self, predictor: PredictsImages, key: str) -> Generator[None, None, _Found | None]:
        """Ask about one image; None if it cannot be read, or is gone by now."""
        if key not in self.store:
            return None
        try:
            image = self.store.pixels(key)
        except FileProblem as problem:
            self.store.remove(key)
            self.problems.append(problem)
            return None
        # Images a network has learned from say nothing about how sure it may be of others.
        closely = self.plan.on == "validation" and worth_sampling(image.shape[:2])
        predicted: PredictsClasses
        if isinstance(predictor, PredictsInPieces):
            predicted = yield from predictor.predicting(image, probabilities=closely)
        else:
            predicted = predictor.predict(image, probabilities=closely)
        labels = self.store.get(key) if key in self.store else None
        if labels is None or labels.mask.shape != predicted.classes.shape:
            return None  # changed in a pause
        maps = self.channels.to_channels(labels.mask), self.channels.to_channels(predicted.classes)
        return _Found(maps, predicted.probabilities)

    def _keys(self) -> list[str]:
        return [key for key in self.plan.keys if key in self.store]

    def _score(self, looks: Mapping[str, _Look], keys: Iterable[str]) -> Score:
        counted = CountedImages(len(self.channels.classes))
        for key in keys:
            counted.add_counted(looks[key].counted)
        return Score.of(counted, self.channels.classes.names)
