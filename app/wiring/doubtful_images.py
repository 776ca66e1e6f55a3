"""Which image is worth opening next: of those not done the one rated most useful, else the least sure one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.annotation.model import AnnotationState
from core.learning.events import Prediction

if TYPE_CHECKING:
    from app.session.session import Session


@dataclass(frozen=True, slots=True)
class NextImage:
    """Where to go on: an image's key, and what it is in words: "the least sure image"."""

    key: str
    which: str


class DoubtfulImages:
    """Remembers how sure the predictions were that came by, for where no image is rated.

    Args:
        session: whose images.
        most_useful: the image rated most useful besides those given, None where none is rated.
    """

    def __init__(self, session: Session, most_useful: Callable[[Collection[str]], str | None]) -> None:
        self._session = session
        self._most_useful = most_useful
        self._doubt: dict[str, float] = {}
        session.project_changed.connect(self._doubt.clear)

    def note(self, prediction: Prediction) -> None:
        """A prediction of an image."""
        confidence = prediction.confidence.unpack()
        self._doubt[prediction.key] = 1.0 - float(np.mean(confidence[::4, ::4])) / 255

    def most_doubtful(self, *, besides: str) -> NextImage | None:
        """The image to go on with; the next one in the list where nothing is known; None: all is done."""
        useful = self._most_useful({besides})
        if useful is not None:
            return NextImage(useful, "the most useful image")
        left = [e.key for e in self._session.entries if e.key != besides and self._is_open(e.key)]
        if not left:
            return None
        known = [key for key in left if key in self._doubt]
        if known:
            return NextImage(max(known, key=self._doubt.__getitem__), "the least sure image")
        following = self._session.neighbour(1)
        if following in left:
            return NextImage(following, "the next image")
        return NextImage(left[0], "an image that is not done")

    def _is_open(self, key: str) -> bool:
        """Whether there may be something to label in it."""
        statuses = self._session.statuses
        if statuses is None:
            return False
        status = statuses.get(key)
        return status.state is not AnnotationState.DONE and not status.problem
