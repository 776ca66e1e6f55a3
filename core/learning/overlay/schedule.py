"""Which image the engine should predict next, and when: the overlay stays fresh, training keeps its time.

Pure bookkeeping: no clock and no network of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.images.upright import Box

REFRESH_S: Final = 1.0
"""While training, a watched image is predicted anew about this often."""
SHARE: Final = 0.25
"""While training, refreshing takes at most this share of the time, however slow a prediction is."""


@dataclass(frozen=True, slots=True)
class Target:
    """An image to predict.

    Attributes:
        revision: what the window knew of its labels when it asked.
        view: the part of it that is on the screen, x0, y0, x1, y1; None: all of it, or not known.
    """

    key: str
    image_path: str
    revision: int = 0
    view: Box | None = None


class PredictionSchedule:
    """Order of work: the watched image, where it is new or its labels are; single requests; refreshing it.

    An image of which a part was predicted is predicted whole before anything else. A new image and requests
    go ahead of training; refreshing waits for newer weights, for `refresh_s`, and until earlier refreshing
    has been paid for by training.
    """

    def __init__(self, *, refresh_s: float = REFRESH_S, share: float = SHARE) -> None:
        self._refresh_s = refresh_s
        self._pause_factor = (1.0 - share) / share
        self._watched: Target | None = None
        self._requests: list[Target] = []
        self._shown: object = None
        self._eager = False
        self._broken = self._unreadable = False
        self._rest_due = False
        self._last_end_s = float("-inf")
        self._not_before_s = float("-inf")

    @property
    def watched(self) -> Target | None:
        """The image the person looks at."""
        return self._watched

    @property
    def first_look_due(self) -> bool:
        """Whether nothing of the watched image was predicted since it is watched."""
        unseen = self._shown is None and not self._rest_due
        return self._watched is not None and not self._broken and unseen

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
            self._shown = None
            self._eager = self._broken = self._rest_due = False

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
        """Other weights altogether, or another view of a huge image: what is shown is out of date at once.

        What could not be predicted before is tried again, unless its file cannot be read.
        """
        self._shown = None
        self._broken = self._broken and self._unreadable

    def next(self, now_s: float, voice: object, *, training: bool) -> Target | None:
        """The image to predict now, if any.

        Args:
            now_s: a monotonic clock, seconds.
            voice: changes with what would be said of the watched image; None where there are no weights.
            training: training steps wait for their turn.
        """
        if voice is None:
            del self._requests[:-1]  # of those before, the window asks again when it gets there
            return None
        if self.first_look_due or (self._rest_due and not self._broken):
            return self._watched
        due = self._refresh_due(now_s, voice, training=training)
        if self._requests and not (due and self._eager):
            return self._requests[0]
        return self._watched if due else None

    def _refresh_due(self, now_s: float, voice: object, *, training: bool) -> bool:
        if self._watched is None or self._broken or self._shown == voice:
            return False
        if training and now_s < self._not_before_s:
            return False
        return not training or self._eager or now_s >= self._last_end_s + self._refresh_s

    def part_done(self) -> None:
        """A part of the watched image was predicted: the rest comes next."""
        self._rest_due = True

    def done(self, target: Target, voice: object, *, started_s: float, ended_s: float) -> None:
        """The target was predicted, and this is what its voice was."""
        self._requests = [waiting for waiting in self._requests if waiting.key != target.key]
        self._not_before_s = ended_s + (ended_s - started_s) * self._pause_factor
        if self._watched is not None and self._watched.key == target.key:
            self._shown = voice
            self._eager = self._rest_due = False
            self._last_end_s = ended_s

    def also_took(self, seconds: float) -> None:
        """What belongs to the last prediction took so much longer; training gets its share for it as well."""
        self._not_before_s += seconds * (1.0 + self._pause_factor)

    def failed(self, target: Target, *, unreadable: bool = False) -> None:
        """The target cannot be predicted: no second try until something about it changes."""
        self._requests = [waiting for waiting in self._requests if waiting.key != target.key]
        if self._watched is not None and self._watched.key == target.key:
            self._broken, self._unreadable = True, unreadable
