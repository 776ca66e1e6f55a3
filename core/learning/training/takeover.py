"""When a new run's weights take the overlay over from older ones: as soon as they score as well.

The weights of a run's first half minute are worse than those of any finished run. So older weights stay on
show until the run's score has reached theirs on the same images and the same labels: the older ones are
asked about each image that the run was scored on, one image at a time between training steps, and again when
its labels have changed and the run's best was judged on the new ones (`judged_again.py`).

Some comparisons are unfair. Where nothing is held out the score is one on training images, which the older
weights may know by heart; where a run holds images out that the older weights have learned from, they know
those; and the labels of an image in progress are mostly corrections of what somebody's weights got wrong. So
there the run takes over after EARLY_STEPS even without having reached it; half of them do at the end of
its budget, where the rate has come down.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.learning.events import OverlayCompared
from core.learning.scores.metrics import ConfusionMatrix
from core.learning.training.state import TrainState
from core.learning.validation.validation import EARLY_STEPS, PredictsImages


class Takeover:
    """Compares older weights with those of a run.

    Args:
        run: the run; with the same classes as the older weights.
        older: the older weights as people know them: "U-Net, run of 06:12".
        predictor: the older weights at work.
        learned: images that the older weights have learned from, as far as that is known.
    """

    def __init__(
        self,
        run: TrainState,
        older: str,
        predictor: Callable[[], PredictsImages],
        learned: frozenset[str] = frozenset(),
    ) -> None:
        self._run = run
        self._older = older
        self._predictor = predictor
        self._learned = learned
        self._counted: dict[str, tuple[str, NDArray[np.int64]]] = {}  # the labels' digest, the confusion
        self._told: OverlayCompared | None = None
        self._over = False

    @property
    def due(self) -> bool:
        """Whether `advance` has something to do."""
        if self._next_key() is not None:
            return True
        compared = self._comparison()
        return compared is not None and compared != self._told

    def tell_again(self) -> None:
        """Have `advance` return the comparison once more: the run is over."""
        self._told, self._over = None, True

    def advance(self) -> OverlayCompared | None:
        """Score the older weights on one more image; the comparison where there is a new one.

        Raises:
            WeightsFileError: the older weights are damaged.
        """
        key = self._next_key()
        if key is not None:
            digest = self._run.store.get(key).digest
            confusion = ConfusionMatrix(len(self._run.channels.classes))
            if self._run.validator.count_in(confusion, self._predictor(), key):
                self._counted[key] = digest, confusion.counts
        compared = self._comparison()
        if compared is None or compared == self._told:
            return None
        self._told = compared
        return compared

    def _next_key(self) -> str | None:
        """The next image the run was scored on and the older weights were not, or not on these labels."""
        if self._run.best.step is None:
            return None  # the first score also decides how many images a score is taken on
        keys = self._run.validator.scored_keys
        new = next((key for key in keys if key not in self._counted), None)
        if new is not None or self._behind:
            return new  # after every stroke would be too often: once for each time the run's best is judged
        return next((key for key in keys if self._counted[key][0] != self._run.store.get(key).digest), None)

    @property
    def _behind(self) -> bool:
        """Whether labels have changed since the run's best was judged on them."""
        labels = self._run.best.labels
        return labels is not None and labels != self._run.validator.labels_digest()

    def _comparison(self) -> OverlayCompared | None:
        """How they compare; None while one of the scores is missing, or is on labels of before."""
        run, best = self._run, self._run.best
        if best.step is None or self._next_key() is not None:
            return None
        on = run.validator.plan.on
        scored = run.validator.scored_keys
        known = not self._learned.isdisjoint(scored)
        unfair = on == "training" or known or run.validator.corrections
        waited = unfair and run.step >= (EARLY_STEPS // 2 if run.budget_spent else EARLY_STEPS)
        if self._behind and not waited and not self._over:
            return None  # the run's next score is on the labels of now
        older = self._older_miou()
        reached = older is None or (best.compared is not None and best.compared >= older)
        return OverlayCompared(
            older=self._older,
            older_miou=older,
            run=str(run.run.path),
            run_miou=best.compared,
            run_is_shown=reached or waited,
            on=on,
            images=len(run.validator.scored_keys),
        )

    def _older_miou(self) -> float | None:
        confusion = ConfusionMatrix(len(self._run.channels.classes))
        for key in self._run.validator.scored_keys:
            confusion.add_counts(self._counted[key][1])
        return confusion.miou()
