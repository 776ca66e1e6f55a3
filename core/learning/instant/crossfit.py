"""An honest score without holding anything back: every image is judged by a head that never saw it.

The images are dealt into folds; for each fold a fresh head is fitted on all the others and asked about the
fold's labelled pixels. The head that is used learns from everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.errors import FileProblem
from core.learning.instant.head import RATE, HeadFit, PointSet
from core.learning.instant.learner import InstantLearner
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.scores.calibration import worth_sampling
from core.learning.scores.counted import CountedImages
from core.learning.validation.validation import Score

FOLDS: Final = 3
STEPS: Final = 80
"""Of each fold's fit: its score is a little lower than that of a full one."""
FEWEST_IMAGES: Final = 2
UNTAUGHT: Final = "only images that are judged together show this class: nobody who judges them was taught it"


def folds(keys: Sequence[str], count: int = FOLDS) -> list[tuple[str, ...]]:
    """Deal the keys into at most `count` folds; neighbours by name, often alike, stay together."""
    ordered = sorted(keys)
    count = min(count, len(ordered))
    bounds = [round(number * len(ordered) / count) for number in range(count + 1)]
    return [tuple(ordered[start:end]) for start, end in itertools.pairwise(bounds)]


def cross_fit_pieces(images: int) -> int:
    """In about how many pieces of work so many images are scored by `cross_fit`."""
    return min(FOLDS, images) * (STEPS + 1) + images


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A head that never saw the images of `fold`, and the class indices it was taught."""

    learner: InstantLearner
    fold: tuple[str, ...]
    taught: frozenset[int]


def judges(
    learner: InstantLearner, keys: Sequence[str], *, steps: int | None = None
) -> Iterator[Judge | None]:
    """A judge for every fold of these images, each fitted in `steps`; None for every piece of that work.

    There is none for a fold when all others have lost their labels by then.
    """
    for fold in folds(keys):
        others = [points for key in keys if key not in fold and (points := learner.points(key)) is not None]
        if not others:
            continue
        twin = learner.twin()
        drawn_from = PointSet(others, device=learner.device, seed=learner.seed)
        twin.network.standardize(*drawn_from.standardization())
        fit = HeadFit(twin.network, drawn_from, steps=STEPS if steps is None else steps, rate=RATE)
        for _ in twin.randomness.through(fit):
            yield None
        indices = learner.channels.classes.indices
        taught = frozenset(indices[channel] for channel in set(drawn_from.targets.tolist()))
        yield Judge(twin, fold, taught)


class HearsCrossFit(Protocol):
    """Is told what heads think of images they never saw; see `core.learning.overlay.mixture`."""

    def begun(self, channels: ChannelMap) -> None:
        """The learner is being scored."""
        ...

    def heard(
        self, key: str, probabilities: NDArray[np.floating], channels: ChannelMap, store: LabelStore
    ) -> None:
        """Probabilities (C, H, W) of one image."""
        ...

    def ended(self, channels: ChannelMap) -> None:
        """All images were judged."""
        ...


def cross_fit(
    learner: InstantLearner, store: LabelStore, listener: HearsCrossFit | None = None
) -> Iterator[Score | None]:
    """Score the learner's way of learning on its present labels; None until the last piece of work.

    A judge is not asked about a class that it was never taught, as one that all images of its fold have to
    themselves: the learner itself was taught it. Such a class has no score, and a note says why.

    Nothing comes of fewer than FEWEST_IMAGES images: there is no one to judge then. `listener` is told what
    the judges think.
    """
    keys = [key for key in learner.keys if learner.points(key) is not None]
    if len(keys) < FEWEST_IMAGES:
        return
    counted = CountedImages(len(learner.channels.classes))
    untaught: set[int] = set()
    if listener is not None:
        listener.begun(learner.channels)
    for judge in judges(learner, keys):
        yield None
        if judge is None:
            continue
        for key in judge.fold:
            if key not in store:
                continue
            try:
                features = learner.features(key)
                predicted = judge.learner.predict(features, probabilities=worth_sampling(features.size_hw))
            except FileProblem:
                continue  # the learner itself will tell
            labels = store.get(key)
            unknown = {index for index in store.classes.indices if labels.counts[index]} - judge.taught
            untaught |= unknown
            counted.update(
                learner.channels.to_channels(_without(labels.mask, unknown)),
                learner.channels.to_channels(predicted.classes),
                key=key,
                digest=labels.digest,
                probabilities=predicted.probabilities,
            )
            yield None
            if listener is not None and predicted.probabilities is not None:
                listener.heard(key, predicted.probabilities, learner.channels, store)
                yield None
    if listener is not None:
        listener.ended(learner.channels)
    yield _with_notes(Score.of(counted, learner.channels.classes.names), learner.channels, untaught)


def _without(mask: NDArray[np.uint8], classes: Collection[int]) -> NDArray[np.uint8]:
    """The mask (H, W) without the pixels of these classes."""
    if not classes:
        return mask
    return np.where(np.isin(mask, list(classes)), np.uint8(UNLABELLED), mask)


def _with_notes(score: Score, channels: ChannelMap, untaught: Collection[int]) -> Score:
    """The score, which says why these classes have none."""
    named = zip(channels.classes.indices, score.per_class_iou.items(), strict=True)
    notes = {name: UNTAUGHT for index, (name, iou) in named if index in untaught and iou is None}
    class_notes = MappingProxyType({**score.trust.class_notes, **notes})
    return replace(score, trust=replace(score.trust, class_notes=class_notes))
