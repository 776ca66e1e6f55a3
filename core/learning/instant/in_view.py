"""A head for the image in view: what the learner's head knows, bent to what is drawn in this image.

The learner's head serves all images. A correction lies where it was wrong, and of a refit's points many are
corrections: right after them it errs elsewhere in the same image, where it was right (docs/decisions/0013).
So the image that somebody looks at is predicted by a copy of that head, fitted a little further to three
things: this image's labels, what the head said of it before it was corrected, where it was sure, and the
labels of the other images::

    image opened         predicted by the learner's head, and what it is sure of is heard
    corrected, or the    the learner's head is refitted, then a copy of it bent to this image; this image is
    learner fits again   predicted by the copy
    another image        the copy waits until this one is opened again; those of the last few images do
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState
from core.errors import FileProblem
from core.learning.instant.head import FitStep, HeadFit, PointSet
from core.learning.instant.learner import InstantLearner
from core.learning.instant.points import Points, balanced, points_of_image, thinned
from core.learning.labels.data import LabelStore
from core.learning.prediction.class_maps import PredictedMap

STEPS: Final = 20
MOST_S: Final = 0.4
"""What they may take: somebody waits. On a slow processor there are fewer of them."""
RATE: Final = 5e-4
SHARES: Final = (0.4, 0.2, 0.4)
"""Of the points of a step: this image's labels, what was said of it, the other images' labels."""
SURE: Final = 0.7
"""What was said is held to where it had this probability."""
SAID_WEIGHT: Final = 0.99
"""Less than 1, so that where the corrections teach the copy otherwise, it is doubted (`without_doubted`)."""
SAID_POINTS: Final = 2048
OTHER_POINTS: Final = 8192
GRID: Final = 256
"""What was said is looked at on a grid of so many rows and columns at most."""
KEPT: Final = 4
"""Images whose heads are kept: who goes back and forth between two finds both as they were."""


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What the learner was sure of before the image was corrected.

    Attributes:
        version: of the image's labels at that time; 0: it had none.
        size_hw: of the image.
        rows, columns: (P,), int64, pixels of the image.
        values: (P,), uint8, their class indices.
    """

    version: int
    size_hw: tuple[int, ...]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.uint8]


class HeadInView:
    """The head of one image.

    Args:
        key: the image's.
        store: its labels, and the others'.

    Attributes:
        key: the image's.
    """

    def __init__(self, key: str, store: LabelStore) -> None:
        self.key = key
        self._store = store
        self._said: _Said | None = None
        self._bent: InstantLearner | None = None
        self._of: InstantLearner | None = None
        self._of_version = 0

    def learner(self, general: InstantLearner) -> InstantLearner:
        """Whom to ask about the image: one with a head of its own, where it was bent from this learner's."""
        return general if self._bent is None or self._of is not general else self._bent

    def hear(self, said: PredictedMap) -> None:
        """This is what the learner's own head says of the image, with probabilities.

        Once the image is corrected, what was said before counts.
        """
        version = self._labels_version
        if self._said is None or self._said.version == version:
            self._said = _heard(said, version)

    def waits(self, general: InstantLearner) -> bool:
        """Whether `fitted` has something to do."""
        news = self._of is not general or self._of_version != general.version
        return news and (self._bent is not None or self._helps(general))

    def fitted(self, general: InstantLearner) -> Iterator[FitStep]:
        """Bend a copy of this learner's head to the image, if there is something to bend it to."""
        points = self._points(general) if self._helps(general) else None
        bent: InstantLearner | None = None
        if points is not None:
            known = self._bent if self._of is general else None
            bent = general.twin() if known is None else known
            bent.network.take_head(general.network)
            fit = HeadFit(bent.network, points, steps=STEPS, rate=RATE, seconds=MOST_S, clock=general.clock)
            yield from bent.randomness.through(fit)
        self._bent, self._of, self._of_version = bent, general, general.version

    def drop_copy_of_another(self, general: InstantLearner) -> None:
        """Give back what a learner other than this one needs."""
        if self._of is not general:
            self._bent = self._of = None

    @property
    def _labels_version(self) -> int:
        return self._store.get(self.key).version if self.key in self._store else 0

    def _helps(self, general: InstantLearner) -> bool:
        """Whether somebody corrects this image, and the learner, which knows others, has a say in it."""
        if self._said is None or not general.version or self.key not in self._store:
            return False
        labels = self._store.get(self.key)
        if self._said.size_hw != labels.mask.shape:
            return False  # the file has become another image
        corrected = labels.has_labels and labels.state is not AnnotationState.DONE
        return corrected and any(key != self.key for key in general.keys)

    def _points(self, general: InstantLearner) -> PointSet | None:
        """What the copy is fitted to; None where there is nothing to bend it from, or to."""
        own = general.points(self.key)
        others = [part for key in general.keys if key != self.key and (part := general.points(key))]
        if own is None or not others:
            return None
        try:
            said = self._said_points(general)
        except FileProblem:
            return None  # whoever predicts the image will tell
        parts = own, said, thinned(others, OTHER_POINTS)
        seed = general.seed + general.version
        return PointSet(parts, device=general.device, seed=seed, shares=SHARES)

    def _said_points(self, general: InstantLearner) -> Points:
        """What was said of pixels that are undrawn still. Raises FileProblem."""
        assert self._said is not None
        said, mask = self._said, self._store.get(self.key).mask
        free = mask[said.rows, said.columns] == UNLABELLED
        features = general.features(self.key)
        targets = general.channels.to_channels(said.values[free])
        return points_of_image(features, said.rows[free], said.columns[free], targets, weight=SAID_WEIGHT)


class HeadsInView:
    """The heads of the images somebody looked at last."""

    def __init__(self) -> None:
        self._store: LabelStore | None = None
        self._key: str | None = None
        self._heads: OrderedDict[str, HeadInView] = OrderedDict()

    @property
    def now(self) -> HeadInView | None:
        """Of the image in view; None where there is none."""
        return None if self._key is None else self._heads.get(self._key)

    def of(self, key: str | None) -> HeadInView | None:
        """As `now`, if this is the image in view."""
        return self.now if key == self._key else None

    def follow(self, store: LabelStore | None) -> None:
        """Of these labels from now on; the heads of others are forgotten."""
        self._store = store
        self._heads.clear()
        self.watch(self._key)

    def watch(self, key: str | None) -> None:
        """This image is in view from now on, None for none."""
        self._key = key
        if key is None or self._store is None:
            return
        if key not in self._heads:
            self._heads[key] = HeadInView(key, self._store)
        self._heads.move_to_end(key)
        while len(self._heads) > KEPT:
            self._heads.popitem(last=False)

    def drop_copies_of_others(self, general: InstantLearner) -> None:
        """This learner has taken another one's place: nobody asks the copies of that any more."""
        for head in self._heads.values():
            head.drop_copy_of_another(general)

    def forget(self, key: str) -> None:
        """The image is gone, or is another one under the same name."""
        if self._heads.pop(key, None) is not None and key == self._key:
            self.watch(key)


def _heard(said: PredictedMap, version: int) -> _Said:
    """What is sure of a map with probabilities."""
    assert said.probabilities is not None
    rows, columns = (_some(side) for side in said.classes.shape)
    there = np.ix_(rows, columns)
    values = said.classes[there].ravel()
    probability = said.probabilities[:, there[0], there[1]].max(axis=0).ravel()
    sure = np.flatnonzero(probability > SURE)
    chosen = balanced(values, sure, SAID_POINTS, np.random.default_rng(0))
    y, x = rows[chosen // len(columns)], columns[chosen % len(columns)]
    return _Said(version, said.classes.shape, y, x, values[chosen])


def _some(side: int) -> NDArray[np.int64]:
    """Positions on a side of so many pixels, evenly, GRID at most."""
    return np.linspace(0, side - 1, min(side, GRID)).astype(np.int64)
