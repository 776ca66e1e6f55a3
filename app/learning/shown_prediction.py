"""Which prediction is shown over the current image: the newest of it, or parts of that while it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.learning.prediction_cache import PredictionCache
from app.learning.region_of_prediction import JoinedMaps, is_part
from core.images.upright import Box
from core.learning.events import Prediction

if TYPE_CHECKING:
    from app.session.session import Session


class ShownPrediction(QObject):
    """Keeps predictions by image, and shows the current image's.

    Signals:
        changed(object): the `Prediction` to show, or None.

    Attributes:
        cache: of the images seen last.
        prediction: what is shown.
        fresh: the part of it that is new, x0, y0, x1, y1; None: all of it.
    """

    changed = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cache = PredictionCache()
        self.prediction: Prediction | None = None
        self.fresh: Box | None = None
        self._session = session
        self._joined = JoinedMaps()
        self._partly: set[str] = set()  # images of which only a part is as new as it is said to be

    @property
    def partly(self) -> bool:
        """Whether the rest of the image is still being predicted."""
        return self.prediction is not None and self.prediction.key in self._partly

    def take(self, prediction: Prediction) -> None:
        """Keep what the engine says, and show it if it is of the current image."""
        current = self._session.current
        looked_at = (
            current is not None and current.document is not None and current.entry.key == prediction.key
        )
        part: Box | None = None
        if prediction.region is not None:
            if not looked_at or current is None or current.size_hw is None:
                return  # another image is on show by now, and this one will be asked for again
            if current.pyramid is None:
                if not is_part(prediction, current.size_hw) or not self.cache.wants(prediction):
                    return
                part = prediction.region
                known = self.cache.get(prediction.key)
                prediction = self._joined.join(prediction, known, current.size_hw)
        if not self.cache.offer(prediction):
            return
        self._partly.discard(prediction.key)
        if part is not None:
            self._partly.add(prediction.key)
        if looked_at:
            self._show(prediction, part)

    def show_image(self, key: str | None) -> None:
        """Show what is known of this image."""
        self._show(None if key is None else self.cache.get(key))

    def keep(self) -> None:
        """A worker reads what is shown: no part is written into that any more."""
        self._joined.leave()

    def clear(self) -> None:
        """Nothing that was predicted counts any more."""
        self.cache.clear()
        self._joined = JoinedMaps()
        self._show(None)

    def _show(self, prediction: Prediction | None, fresh: Box | None = None) -> None:
        if prediction is not self.prediction:
            self.prediction, self.fresh = prediction, fresh
            self.changed.emit(prediction)
