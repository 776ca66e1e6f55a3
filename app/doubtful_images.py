"""Which image is worth opening next: of those not done the one rated most useful, else the least sure one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.annotation.model import AnnotationState
from core.learning.events import ImagesRated, Prediction

if TYPE_CHECKING:
    from app.session import Session


class DoubtfulImages:
    """Remembers how sure the predictions were that came by, and how useful the engine rates each image."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._doubt: dict[str, float] = {}
        self._rated: dict[str, float] = {}
        session.project_changed.connect(self._forget)

    def note(self, prediction: Prediction) -> None:
        """A prediction of an image."""
        confidence = prediction.confidence.unpack()
        self._doubt[prediction.key] = 1.0 - float(np.mean(confidence[::4, ::4])) / 255

    def note_rating(self, rated: ImagesRated) -> None:
        """What the engine thinks labelling each image would give."""
        self._rated = dict(rated.scores)

    def most_doubtful(self, *, besides: str) -> str | None:
        """The image to go on with; the next one in the list where nothing is known; None: all is done."""
        left = [e.key for e in self._session.entries if e.key != besides and self._is_open(e.key)]
        for scores in (self._rated, self._doubt):
            known = [key for key in left if key in scores]
            if known:
                return max(known, key=scores.__getitem__)
        following = self._session.neighbour(1)
        return following if following in left else next(iter(left), None)

    def _is_open(self, key: str) -> bool:
        """Whether there may be something to label in it."""
        statuses = self._session.statuses
        if statuses is None:
            return False
        status = statuses.get(key)
        return status.state is not AnnotationState.DONE and not status.problem

    def _forget(self) -> None:
        self._doubt.clear()
        self._rated.clear()
