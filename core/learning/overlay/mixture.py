"""The score and the temperature of what both learners say together, on images that neither has learned from.

The deep network's run holds images out, and by cross-fitting there is a head of the instant learner that has
not seen them either. Whenever the instant learner is scored so, these heads' opinions of the held-out images
are mixed with the deep network's as they are on show: what comes out is judged like any other network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import MaskloopError
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.overlay.asking import InterruptedPredictionError
from core.learning.overlay.held_out_judge import HeldOutJudge
from core.learning.prediction.predict import Predictor
from core.learning.scores.counted import CountedImages
from core.learning.validation.validation import Score

MOST_IMAGES: Final = 12
"""The deep network is asked about so many of them each time: on a CPU it takes about a second a megapixel."""


class MixtureScore:
    """Listens to the cross-fitting of the instant learner.

    Args:
        deep: the deep network that has a say at present, for images it has not learned from.
        interrupted: whether something waits that goes before its opinion of one more image.
    """

    def __init__(
        self, deep: Callable[[], HeldOutJudge | None], interrupted: Callable[[], bool] = lambda: False
    ) -> None:
        self._deep = deep
        self._interrupted = interrupted
        self._broken_off = False
        self._judge: HeldOutJudge | None = None
        self._counted = CountedImages(0)
        self._score: Score | None = None
        self._of: tuple[Predictor, float] | None = None

    def begun(self, channels: ChannelMap) -> None:
        """The instant learner is being scored, with these channels."""
        self._counted = CountedImages(len(channels.classes))
        try:
            judge = self._deep()
        except MaskloopError:
            judge = None  # weights that cannot be read are told where the person looks at an image
        self._broken_off = False
        alone = judge is None or not 0.0 < judge.share < 1.0
        self._judge = None if alone else judge

    def heard(
        self, key: str, probabilities: NDArray[np.floating], channels: ChannelMap, store: LabelStore
    ) -> None:
        """What a head that has not seen an image thinks of it: (C, H, W)."""
        judge = self._judge
        if judge is None or key not in judge.images or key not in store or len(self._counted) >= MOST_IMAGES:
            return
        indices = channels.classes.indices
        if set(judge.predictor.header.classes.indices) != set(indices):
            return
        try:
            mixed = judge.joined(store.pixels(key), probabilities, indices, self._interrupted)
        except InterruptedPredictionError:
            self._broken_off = True
            return
        except MaskloopError:
            return
        labels = store.get(key)
        truth, found = channels.to_channels(labels.mask), mixed.argmax(axis=0).astype(np.uint8)
        self._counted.update(truth, found, key=key, digest=labels.digest, probabilities=mixed)

    def ended(self, channels: ChannelMap) -> None:
        """The instant learner is scored."""
        judge, self._judge = self._judge, None
        if self._broken_off and not len(self._counted):
            return  # what was known of the same two is better than nothing
        self._score, self._of = None, None
        if judge is not None and len(self._counted):
            self._score = Score.of(self._counted, channels.classes.names)
            self._of = judge.predictor, judge.share

    def forget(self) -> None:
        """Another network has its say from now on."""
        self._judge, self._score, self._of = None, None, None

    def of(self, deep: Predictor, share: float) -> Score | None:
        """The score of this network with so much of the instant learner; None where it was not taken."""
        return self._score if self._of is not None and self._of == (deep, share) else None
