"""Which image the engine should predict next, and when: the overlay stays fresh, training keeps its time.

Pure bookkeeping: no clock and no network of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REFRESH_S: Final = 1.0
"""While training, a watched image is predicted anew about this often."""
SHARE: Final = 0.25
"""While training, refreshing takes at most this share of the time, however slow a prediction is."""


@dataclass(frozen=True, slots=True)
class Target:
    """An image to predict. `revision` is what the window knew of its labels when it asked."""

    key: str
    image_path: str
    revision: int = 0


class PredictionSchedule:
    """Order of work: an image just watched, then single requests, then refreshing the watched image.

    The first two go ahead of training; refreshing waits for newer weights, for `refresh_s`, and until earlier
    refreshing has been paid for by training.
    """

    def __init__(self, *, refresh_s: float = REFRESH_S, share: float = SHARE) -> None:
        self._refresh_s = refresh_s
        self._pause_factor = (1.0 - share) / share
        self._watched: Target | None = None
        self._requests: list[Target] = []
        self._shown_version: int | None = None
        self._eager = False
        self._broken = False
        self._last_end_s = float("-inf")
        self._not_before_s = float("-inf")

    @property
    def watched(self) -> Target | None:
        """The image the person looks at."""
        return self._watched

    @property
    def first_look_due(self) -> bool:
        """Whether the watched image was not predicted at all since it is watched."""
        return self._watched is not None and not self._broken and self._shown_version is None

    def watch(self, target: Target | None) -> None:
        """Keep this image fresh from now on; another image than before is due at once."""
        before, self._watched = self._watched, target
        same = (
            before is not None
            and target is not None
            and (before.key, before.image_path)
            == (
                target.key,
                target.image_path,
            )
        )
        if not same or self._broken:
            self._shown_version = None
            self._eager = self._broken = False

    def request(self, target: Target) -> None:
        """Predict this image once."""
        self._requests = [waiting for waiting in self._requests if waiting.key != target.key]
        self._requests.append(target)

    def labels_changed(self, key: str) -> None:
        """New labels of the watched image: show the first weights that learnt from them, without delay."""
        if self._watched is not None and self._watched.key == key:
            self._eager = True
            self._broken = False

    def forget(self, key: str) -> None:
        """The image is gone."""
        self._requests = [waiting for waiting in self._requests if waiting.key != key]
        if self._watched is not None and self._watched.key == key:
            self.watch(None)

    def weights_replaced(self) -> None:
        """Other weights altogether: whatever is shown is out of date at once."""
        self._shown_version = None

    def next(self, now_s: float, version: int | None, *, training: bool) -> Target | None:
        """The image to predict now, if any.

        Args:
            now_s: a monotonic clock, seconds.
            version: of the weights that would be used; None where there are none.
            training: training steps wait for their turn.
        """
        if version is None:
            self._requests.clear()  # the window asks again when it gets to that image
            return None
        if self.first_look_due:
            return self._watched
        if self._requests:
            return self._requests[0]
        if self._watched is None or self._broken or self._shown_version == version:
            return None
        if training and now_s < self._not_before_s:
            return None
        if training and not self._eager and now_s < self._last_end_s + self._refresh_s:
            return None
        return self._watched

    def done(self, target: Target, version: int, *, started_s: float, ended_s: float) -> None:
        """The target was predicted with these weights."""
        self._requests = [waiting for waiting in self._requests if waiting.key != target.key]
        self._not_before_s = ended_s + (ended_s - started_s) * self._pause_factor
        if self._watched is not None and self._watched.key == target.key:
            self._shown_version = version
            self._eager = False
            self._last_end_s = ended_s

    def also_took(self, seconds: float) -> None:
        """What belongs to the last prediction took so much longer; training gets its share for it as well."""
        self._not_before_s += seconds * (1.0 + self._pause_factor)

    def failed(self, target: Target) -> None:
        """The target cannot be predicted: no second try until something about it changes."""
        self._requests = [waiting for waiting in self._requests if waiting.key != target.key]
        if self._watched is not None and self._watched.key == target.key:
            self._broken = True
