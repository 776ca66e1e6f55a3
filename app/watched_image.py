"""What the engine is told of the image on show: keep its prediction fresh, and predict the next one ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.label_feed import LabelFeed
from app.prediction_cache import PredictionCache
from app.workers.trainer_thread import TrainerThread
from core.errors import ImageFileError
from core.images.pyramid import is_huge
from core.learning.commands import Predict, Watch

if TYPE_CHECKING:
    from app.session import Session
    from app.session_state import CurrentImage
    from core.project.project import ImageEntry


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

    def leave(self) -> None:
        """Nothing that could be predicted is on show."""
        self._thread.send(Watch(key=None))

    def follow(self, current: CurrentImage) -> None:
        """This image, which can be read, is on show."""
        if current.pyramid is not None:
            # Class map and confidence of 400 megapixels would take the window over a gigabyte.
            self.leave()
            return
        entry = current.entry
        revision = self._feed.revision_of(entry.key)
        self._thread.send(Watch(key=entry.key, image_path=str(entry.image_path), revision=revision))
        following = self._session.neighbour(1)
        ahead = None if following is None else self._session.entry(following)
        if ahead is not None and self._predictions.get(ahead.key) is None and not _is_huge(ahead):
            revision = self._feed.revision_of(ahead.key)
            self._thread.send(Predict(key=ahead.key, image_path=str(ahead.image_path), revision=revision))


def _is_huge(entry: ImageEntry) -> bool:
    try:
        return is_huge(entry.image_path)
    except ImageFileError:
        return False  # the engine says what is wrong with it
