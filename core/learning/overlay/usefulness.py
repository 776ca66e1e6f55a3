"""Which image to label next: one of which the network is in doubt, unlike all that are labelled already.

Doubt is the mean entropy of what is shown of an image, its labelled pixels left out. By itself it would put
ten frames of one scene first. So the images are picked one after the other, and each pick makes what looks
like it less useful: usefulness is doubt times the distance to the nearest image that is labelled or picked
before (compare k-center greedy, Sener and Savarese 2018, arXiv:1708.00489). Images are compared by the
mean of the frozen features that the instant learner stands on, or where it is switched off by a tiny version
of themselves.

Rating is work for spare moments: small pictures, some images a round, a new round only when the weights have
changed. The first round takes a sample of the whole folder; every later one takes images that were never
looked at, and those again that seemed most useful.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState
from core.errors import MaskloopError
from core.images.pages import stamp
from core.learning.events import Event, ImagesRated
from core.learning.instant.features import Features
from core.learning.instant.learner import InstantLearner
from core.learning.instant.live import LiveInstant
from core.learning.labels.data import LabelStore
from core.learning.overlay.overlay import OverlayWeights
from core.learning.overlay.quick_looks import QuickLooks
from core.learning.prediction.predict import Predictor
from core.learning.prediction.uncertainty import Voice, uncertainty_map

SIDE: Final = 384
"""Longer side of what a network sees of an image, pixels: a tenth of a second on two cores."""
DIMENSIONS: Final = 64
FIRST_ROUND: Final = 200
ROUND: Final = 48
TELL_EVERY: Final = 12
"""Images between two `ImagesRated` of a round."""
TRAINING_SHARE: Final = 0.1
"""Of the time while a run trains."""
MOST_PICKS: Final = 200
"""Images picked one by one; the order of those after them matters little."""
MOST_LABELLED: Final = 150
"""Labelled images that others are compared with: a sample where there are more."""
LIKENESS: Final = 0.8
"""What an image loses of its usefulness when one exactly like it is labelled."""
KEPT_BYTES: Final = 128 << 20
"""Features of small pictures kept for the next round."""


def usefulness(
    doubts: NDArray[np.float32],
    looks: NDArray[np.float32],
    labelled: NDArray[np.float32],
    own: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """How useful labelling each of N images would be, (N,), 0..1; the most useful has 1.

    Args:
        doubts: (N,) mean uncertainty, 0 or more.
        looks: (N, D) what the images look like, as vectors.
        labelled: (M, D) what the labelled images look like.
        own: (N,) which of the labelled images each image is itself, where it is in progress; -1: none.
    """
    if not len(doubts):
        return np.zeros(0, np.float32)
    apart = _distances(looks, labelled)
    if own is not None:
        begun = np.flatnonzero(own >= 0)
        apart[begun, own[begun]] = np.inf
    nearest = apart.min(axis=1, initial=np.inf)
    usual = _usual_distance(looks, nearest)
    values = np.zeros(len(doubts))
    left = np.ones(len(doubts), np.bool_)
    for _ in range(min(len(doubts), MOST_PICKS)):
        now = np.where(left, doubts * _novelty(nearest, usual), -1.0)
        pick = int(now.argmax())
        values[pick] = now[pick]
        left[pick] = False
        nearest = np.minimum(nearest, _distances(looks, looks[pick : pick + 1])[:, 0])
    values[left] = (doubts * _novelty(nearest, usual))[left]
    best = values.max()
    return np.asarray(values / best if best > 0 else values, np.float32)


def _distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean, (N, M)."""
    a, b = some.astype(np.float64), others.astype(np.float64)
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _usual_distance(looks: NDArray[np.float32], nearest: NDArray[np.floating]) -> float:
    """What counts as altogether different: the median distance to what is labelled, or to the middle."""
    finite = nearest[np.isfinite(nearest)]
    if len(finite) and float(np.median(finite)) > 0:
        return float(np.median(finite))
    spread = np.sqrt(((looks - looks.mean(axis=0)) ** 2).sum(axis=1))
    return max(float(np.median(spread)), 1e-6)


def _novelty(nearest: NDArray[np.floating], usual: float) -> NDArray[np.float64]:
    return np.asarray(1.0 - LIKENESS + LIKENESS * np.minimum(nearest / usual, 1.0))


def tiny_version(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a picture (h, w, 3) looks like, without any network: 8 x 8 colours, as a vector of length 192."""
    small = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    return np.asarray(lab.ravel() / 255.0, np.float32)


def pooled(features: Features, learner: InstantLearner) -> NDArray[np.float32]:
    """What a picture looks like to the frozen encoder: its mean features, standardised, in DIMENSIONS."""
    means = torch.cat([group.float().mean(dim=(0, 2, 3)) for group in features.groups])
    network = learner.network
    standard = (means - network.mean.cpu()) / network.std.cpu()
    # A random projection keeps distances (Johnson and Lindenstrauss 1984), and thousands of images small.
    random = torch.Generator().manual_seed(0)
    projection = torch.randn(len(standard), DIMENSIONS, generator=random) / len(standard) ** 0.5
    return np.asarray((standard @ projection).numpy(), np.float32)


@dataclass(slots=True)
class _Rated:
    """What is known of one image. `version`: of the weights that were asked; None: none yet."""

    stamp: str
    look: NDArray[np.float32]
    doubt: float = 0.0
    version: int | None = None


class UsefulnessRater:
    """Rates a project's images in spare moments.

    Args:
        send: passes `ImagesRated` to the window.
        overlay: whose opinion counts: the same that is shown.
        instant: whose features images are compared by.
        clock: monotonic, seconds.

    Attributes:
        quick_looks: reads the images.
    """

    def __init__(
        self,
        send: Callable[[Event], None],
        overlay: OverlayWeights,
        instant: LiveInstant,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._overlay = overlay
        self._instant = instant
        self._clock = clock
        self.quick_looks = QuickLooks()
        self._images: dict[str, str] = {}
        self._order: tuple[str, ...] = ()
        self._rated: dict[str, _Rated] = {}
        self._broken: dict[str, str] = {}
        self._compared_by: object = None
        self._features: OrderedDict[str, Features] = OrderedDict()
        self._work: Iterator[None] | None = None
        self._planned_for: object = None
        self._not_before_s = float("-inf")

    def consider(self, images: Mapping[str, str]) -> None:
        """Rate these images, paths by key, from now on."""
        self._images = dict(images)
        keys = sorted(images)
        # A folder is often sorted by time or patient: a sample in any other order is one of all of it.
        order = np.random.default_rng(0).permutation(len(keys))
        self._order = tuple(keys[number] for number in order)
        self._rated = {key: rated for key, rated in self._rated.items() if key in images}
        self._work = self._planned_for = None

    def clear(self) -> None:
        """Another project."""
        self.consider({})

    def tick(self, store: LabelStore | None, *, training: bool) -> bool:
        """Do one piece of work; False when there is none, or when a run has to have its turn first."""
        if store is None or not self._images:
            return False
        now_s = self._clock()
        if training and now_s < self._not_before_s:
            return False
        version = self._overlay.version
        if version is None:
            self._work = None  # a deleted class took the weights along, maybe in the middle of a round
            return False
        self._notice_other_features()
        if self._work is None:
            if self._planned_for == (version, store.revision):
                return False
            self._planned_for = version, store.revision
            self._work = self._round(store)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
        except BaseException:
            self._work = None
            raise
        end_s = self._clock()
        self._not_before_s = end_s + (end_s - now_s) * (1.0 - TRAINING_SHARE) / TRAINING_SHARE
        return True

    # --- rounds -------------------------------------------------------------------------------------------

    def _round(self, store: LabelStore) -> Iterator[None]:
        if not any(_is_open(key, store) for key in self._order):
            self._tell(store)
            return
        told = False
        for key in _sample(store.labelled_keys()):
            if not self._is_known(key, str(store.get(key).image_path)):
                yield from self._look(key, str(store.get(key).image_path))
        for number, key in enumerate(self._plan(store), start=1):
            yield from self._rate(key, store)
            told = number % TELL_EVERY == 0
            if told:
                self._tell(store)
        if not told:
            self._tell(store)

    def _plan(self, store: LabelStore) -> list[str]:
        """The images of the next round: new ones, and again those that seemed most useful."""
        version = self._overlay.version
        candidates = [key for key in self._order if _is_open(key, store) and not self._is_broken(key)]
        new = [key for key in candidates if self._version_of(key) is None]
        if len(new) == len(candidates):
            return new[:FIRST_ROUND]
        scores = self._scores(store)
        old = [key for key in scores if self._version_of(key) != version]
        old.sort(key=lambda key: -scores[key])
        fresh = new[: max(ROUND // 2, ROUND - len(old))]
        return fresh + old[: ROUND - len(fresh)]

    def _tell(self, store: LabelStore) -> None:
        version = self._overlay.version
        if version is not None:
            images = sum(_is_open(key, store) for key in self._images)
            self._send(ImagesRated(scores=self._scores(store), weights_version=version, images=images))

    def _scores(self, store: LabelStore) -> dict[str, float]:
        """What is known by now of images that are not done."""
        keys = [key for key in self._order if self._version_of(key) is not None and _is_open(key, store)]
        if not keys:
            return {}
        doubts = np.array([self._rated[key].doubt for key in keys], np.float32)
        looks = np.stack([self._rated[key].look for key in keys])
        others = [key for key in _sample(store.labelled_keys()) if key in self._rated]
        labelled = np.stack([self._rated[key].look for key in others]) if others else looks[:0]
        places = {key: place for place, key in enumerate(others)}
        own = np.array([places.get(key, -1) for key in keys])
        found = usefulness(doubts, looks, labelled, own)
        return {key: round(float(score), 4) for key, score in zip(keys, found, strict=True)}

    def _version_of(self, key: str) -> int | None:
        rated = self._rated.get(key)
        return None if rated is None else rated.version

    # --- one image ----------------------------------------------------------------------------------------

    def _rate(self, key: str, store: LabelStore) -> Iterator[None]:
        """Look at an image and ask the learners about it, in two or three pieces, or more of a huge one."""
        path = self._images.get(key)
        if path is None:
            return
        picture = yield from self._picture(key, path)
        if picture is None:
            return
        yield
        version = self._overlay.version
        if version is None:
            return
        if not self._is_known(key, path):
            self._take_in(key, path, picture)
            yield
        rated = self._rated[key]
        looks = self._voices(key, picture)
        if not looks:
            return
        entropy = uncertainty_map(looks).entropy.astype(np.float32) / 255.0
        if key in store and store.get(key).has_labels:
            size = entropy.shape[1], entropy.shape[0]
            labels = cv2.resize(store.get(key).mask, size, interpolation=cv2.INTER_NEAREST)
            entropy[labels != UNLABELLED] = 0.0
        rated.doubt, rated.version = float(entropy.mean()), version
        yield

    def _look(self, key: str, path: str) -> Iterator[None]:
        """Only see what an image looks like."""
        picture = yield from self._picture(key, path)
        if picture is not None:
            self._take_in(key, path, picture)
        yield

    def _take_in(self, key: str, path: str, picture: NDArray[np.uint8]) -> None:
        learner = self._instant.learner
        look = tiny_version(picture) if learner is None else pooled(self._features_of(key, picture), learner)
        self._rated[key] = _Rated(stamp(Path(path)), look)

    def _voices(self, key: str, picture: NDArray[np.uint8]) -> list[Voice]:
        """What each learner that has a say thinks of a small picture."""
        predictor, share = self._speakers()
        learner = self._instant.learner
        voices: list[Voice] = []
        if predictor is not None:
            deep = predictor.predict(picture, probabilities=True).probabilities
            assert deep is not None
            voices.append(Voice((deep,), share=1.0 - share))
        if share > 0 and learner is not None:
            features = self._features_of(key, picture)
            quick = learner.predict(features, probabilities=True).probabilities
            assert quick is not None
            if predictor is not None:
                known = learner.channels.classes.indices
                quick = quick[[known.index(index) for index in predictor.header.classes.indices]]
            voices.append(Voice((quick,), share=share))
        return voices

    def _speakers(self) -> tuple[Predictor | None, float]:
        """The deep network that has a say, None for none; the instant learner's share."""
        speakers = self._overlay.speakers
        return speakers.deep, speakers.share

    def _features_of(self, key: str, picture: NDArray[np.uint8]) -> Features:
        learner = self._instant.learner
        assert learner is not None
        found = self._features.get(key)
        if found is None or found.size_hw != picture.shape[:2]:  # another scale makes another picture
            found = self._features[key] = learner.cache.compute(picture)
        self._features.move_to_end(key)
        while len(self._features) > 1 and sum(f.nbytes for f in self._features.values()) > KEPT_BYTES:
            self._features.popitem(last=False)
        return found

    def _picture(self, key: str, path: str) -> Generator[None, None, NDArray[np.uint8] | None]:
        """The image, as small as SIDE allows at the learners' scale; None where that is no use."""
        file = Path(path)
        try:
            return (yield from self.quick_looks.steps(file, round(SIDE / self._scale())))
        except MaskloopError:
            # Whoever opens the image, or its thumbnail, is told what is wrong with it.
            self._broken[key] = stamp(file)
            self._rated.pop(key, None)
            return None

    def _scale(self) -> float:
        """The larger of the learners' scales: they resize a picture by theirs."""
        predictor, _ = self._speakers()
        learner = self._instant.learner
        scales = [predictor.header.scale] if predictor is not None else []
        scales += [learner.cache.scale] if learner is not None else []
        return max(scales, default=1.0)

    def _is_known(self, key: str, path: str) -> bool:
        rated = self._rated.get(key)
        if rated is not None and rated.stamp != stamp(Path(path)):
            self._features.pop(key, None)  # the file is another one now
            return False
        return rated is not None

    def _is_broken(self, key: str) -> bool:
        return key in self._broken and self._broken[key] == stamp(Path(self._images[key]))

    def _notice_other_features(self) -> None:
        """Vectors of different origin cannot be compared: forget those of another encoder, scale or kind."""
        learner = self._instant.learner
        origin = None if learner is None else learner.cache
        if origin is not self._compared_by:
            self._compared_by = origin
            self._rated.clear()
            self._features.clear()
            self._work = self._planned_for = None  # nor can a learner be asked about another's features


def _is_open(key: str, store: LabelStore) -> bool:
    return key not in store or store.get(key).state is not AnnotationState.DONE


def _sample(keys: tuple[str, ...]) -> tuple[str, ...]:
    return keys[:: max(1, -(-len(keys) // MOST_LABELLED))]
