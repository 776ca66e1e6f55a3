"""The newest prediction of the images seen last, so that going back to one shows its overlay at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from core.learning.events import Prediction

MOST_BYTES: Final = 256 << 20


class PredictionCache:
    """Predictions by image key, the least recently used dropped first.

    Args:
        most_bytes: of class maps and confidences together; the newest prediction is kept whatever its size.
        clock: monotonic, seconds.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._clock = clock
        self._came_s: dict[str, float] = {}
        self._bytes = 0
        self._predictions: OrderedDict[str, Prediction] = OrderedDict()
        self._of_last_engine: set[str] = set()

    def wants(self, prediction: Prediction) -> bool:
        """Whether no newer one of the same image (by weights, then by labels) is known."""
        known = self._predictions.get(prediction.key)
        if known is None or prediction.key in self._of_last_engine:
            return True
        version, revision = prediction.weights_version, prediction.revision
        return (version, revision) >= (known.weights_version, known.revision)

    def offer(self, prediction: Prediction) -> bool:
        """Keep it where it is wanted; False where it is not."""
        if not self.wants(prediction):
            return False
        self.forget(prediction.key)
        self._came_s[prediction.key] = self._clock()
        self._predictions[prediction.key] = prediction
        self._bytes += _size(prediction)
        while self._bytes > self._most_bytes and len(self._predictions) > 1:
            self.forget(next(iter(self._predictions)))
        return True

    def get(self, key: str) -> Prediction | None:
        """The newest prediction of this image."""
        found = self._predictions.get(key)
        if found is not None:
            self._predictions.move_to_end(key)
        return found

    def age_s(self, key: str) -> float:
        """How long ago this image's prediction came; 0 for none."""
        return self._clock() - self._came_s[key] if key in self._came_s else 0.0

    def new_engine(self) -> None:
        """Weights versions are counted anew from now on; whatever comes next replaces what is here."""
        self._of_last_engine = set(self._predictions)

    def forget(self, key: str) -> None:
        """Drop one image's prediction, if there is one."""
        self._of_last_engine.discard(key)
        self._came_s.pop(key, None)
        dropped = self._predictions.pop(key, None)
        if dropped is not None:
            self._bytes -= _size(dropped)

    def clear(self) -> None:
        """Drop everything."""
        self._predictions.clear()
        self._came_s.clear()
        self._of_last_engine.clear()
        self._bytes = 0


def _size(prediction: Prediction) -> int:
    return len(prediction.classes.data) + len(prediction.confidence.data)
