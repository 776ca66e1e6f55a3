"""What the engine is told of the image on show: keep its prediction fresh, and predict the next one ahead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.learning.label_feed import LabelFeed
from app.learning.prediction_cache import PredictionCache
from app.workers.trainer_thread import TrainerThread
from core.images.upright import Box
from core.learning.commands import Predict, Watch
from core.learning.overlay.view_parts import is_large

if TYPE_CHECKING:
    from app.session.session import Session
    from app.session.state import CurrentImage


class WatchedImage:
    """Tells the engine where the person is.

    Args:
        session: knows which image comes next.
        thread: takes commands to the engine.
        feed: knows which labels the engine has.
        predictions: what need not be predicted again.
    """

    def __init__(
        self, session: Session, thread: TrainerThread, feed: LabelFeed, predictions: PredictionCache
    ) -> None:
        self._session = session
        self._thread = thread
        self._feed = feed
        self._predictions = predictions
        self._watched: Watch | None = None
        self.given_up = False
        """No engine is told of it any more, for some may have died of it."""

    def give_up(self) -> None:
        """Leave it alone until something has changed."""
        self.given_up = self._watched is not None and self._watched.key is not None

    def labels_sent(self, key: str) -> None:
        """The labels of this image are others."""
        if self._watched is not None and self._watched.key == key:
            self.try_again()

    def try_again(self) -> None:
        """What was given up may do no harm now: a run has begun, say."""
        watched = self._watched
        if self.given_up and watched is not None and watched.key is not None:
            self._watch(replace(watched, revision=self._feed.revision_of(watched.key)))

    def leave(self) -> None:
        """Nothing that could be predicted is on show."""
        self._watch(Watch(key=None))

    def follow(self, current: CurrentImage) -> None:
        """This image, which can be read, is on show."""
        if current.pyramid is not None:
            # Class map and confidence of 400 megapixels would take the window over a gigabyte: only what is
            # on the screen is predicted of it, once that is known and can be read.
            self.leave()
        else:
            self._watch(self._watching(current, None))
        following = self._session.neighbour(1)
        ahead = None if following is None else self._session.entry(following)
        # A huge one is passed over by the engine.
        if ahead is not None and self._predictions.get(ahead.key) is None:
            revision = self._feed.revision_of(ahead.key)
            self._thread.send(Predict(key=ahead.key, image_path=str(ahead.image_path), revision=revision))

    def look_at(self, current: CurrentImage, view: Box | None) -> None:
        """This part of the image on show, which can be read, is on the screen."""
        size_hw, pyramid = current.size_hw, current.pyramid
        if view is None or size_hw is None:
            return
        if not pyramid.ready if pyramid is not None else not is_large(size_hw):
            return  # it is told again once every tile is there; a small image is predicted at once
        watch = self._watching(current, view)
        known = self._watched
        if known is None or known.key != watch.key:
            self._watch(watch)
        elif self.given_up:
            self._watched = watch  # what is told once it is tried again
        elif known.view != watch.view:
            self._watch(watch)

    def _watching(self, current: CurrentImage, view: Box | None) -> Watch:
        entry = current.entry
        revision = self._feed.revision_of(entry.key)
        return Watch(key=entry.key, image_path=str(entry.image_path), revision=revision, view=view)

    def _watch(self, watch: Watch) -> None:
        self._watched, self.given_up = watch, False
        self._thread.send(watch)
