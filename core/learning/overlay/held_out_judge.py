"""A deep network as a judge of labels: of those images only that were held out while it learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import MaskloopError
from core.learning.labels.revisions import SeenLabels, read_seen
from core.learning.overlay.asking import interruption
from core.learning.prediction.blending import mixed_probabilities
from core.learning.prediction.predict import Predictor
from core.learning.runs.run_folder import RunFolder


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutJudge:
    """Asked about images whose labels its network has never learned from.

    Attributes:
        images: their keys.
        predictor: the network at work.
        share: of the other judge's opinion in what both say together, 0..1.
    """

    images: frozenset[str]
    predictor: Predictor
    share: float

    def joined(
        self,
        image: NDArray[np.uint8],
        other: NDArray[np.floating],
        indices: tuple[int, ...],
        interrupted: Callable[[], bool] = lambda: False,
    ) -> NDArray[np.floating]:
        """What this network and another judge think together.

        Args:
            image: RGB (H, W, 3), uint8.
            other: the other judge's probabilities (C, H, W).
            indices: class index of each of its channels; the network must know the same classes.
            interrupted: asked before each tile; True breaks off.

        Raises:
            InterruptedPredictionError: because `interrupted()`.
            MaskloopError: the image cannot be predicted.
        """
        theirs = self.predictor.header.classes.indices
        if set(theirs) != set(indices):
            return other
        with interruption(self.predictor.network, interrupted):
            mine = self.predictor.predict(image, probabilities=True).probabilities
        assert mine is not None
        return mixed_probabilities(mine[[theirs.index(index) for index in indices]], other, self.share)


def held_out_by(run: RunFolder | None) -> tuple[str, ...]:
    """Images that the kept weights of a run have not learned from; none where that is not known."""
    seen = _seen(run)
    return () if seen is None else seen.held_out


def learned_by(run: RunFolder | None) -> frozenset[str]:
    """Images that the kept weights of a run have learned from; none where that is not known."""
    seen = _seen(run)
    return frozenset() if seen is None else frozenset(seen.images) - frozenset(seen.held_out)


def _seen(run: RunFolder | None) -> SeenLabels | None:
    if run is None:
        return None
    try:
        return read_seen(run.path)
    except MaskloopError:
        return None
