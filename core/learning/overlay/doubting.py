"""The uncertainty of the watched image: at once from what was predicted, refined in spare time.

The map costs no pass of a network: it is made of the probabilities the prediction needed anyway, after the
prediction was sent. A second look at the mirrored image makes it better; it doubles the work, so it waits
until nothing else is to be done, unless a graphics card does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import UsageError
from core.learning.events import Event, Notice, Prediction, Uncertainty
from core.learning.labels.packed_mask import PackedMask
from core.learning.overlay.asking import InterruptedPredictionError, Opinions
from core.learning.overlay.overlay import OverlayWeights
from core.learning.overlay.schedule import Target
from core.learning.prediction.uncertainty import UncertaintySource, Voice, uncertainty_map


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """An image that was predicted, and what the learners think of it; whose voice that was."""

    target: Target
    voice: object
    prediction: Prediction
    opinions: Opinions


class UncertaintyWork:
    """Maps one image at a time; a newer prediction takes the place of an older one.

    Args:
        send: passes an event to the window.
        overlay: asked about the mirrored image.

    Attributes:
        wanted: whether the window shows or searches such maps.
        source: what the refined maps are taken from.
    """

    def __init__(self, send: Callable[[Event], None], overlay: OverlayWeights) -> None:
        self.wanted = False
        self.source: UncertaintySource = "tta"
        self._refused = ""
        self._send = send
        self._overlay = overlay
        self._plain: _Asked | None = None
        self._refinable: _Asked | None = None

    def predicted(self, target: Target, prediction: Prediction, opinions: Opinions) -> None:
        """The watched image was predicted."""
        self._plain = _Asked(target, self._overlay.voice_of(target.key), prediction, opinions)
        self._refinable = None

    def clear(self) -> None:
        """Another image is watched, or none."""
        self._plain = self._refinable = None

    @property
    def due(self) -> bool:
        """Whether `work` has something to do."""
        return self._plain is not None

    def work(self) -> float:
        """Map what was predicted last; the seconds it took."""
        asked, self._plain = self._plain, None
        if asked is None:
            return 0.0
        self._refinable = asked
        return self._tell(asked, None, time.perf_counter())

    @property
    def refinable(self) -> bool:
        """Whether `refine` has something to do."""
        asked = self._refinable
        if asked is not None and asked.voice != self._overlay.voice_of(asked.target.key):
            self._refinable = None  # other weights: their own map comes
        return self._refinable is not None

    def refine(self, interrupted: Callable[[], bool]) -> float:
        """Ask again, as the source says; the seconds it took.

        Where the network cannot be asked so, that is told once, and mirrored looks stand in.

        Raises:
            InterruptedPredictionError: because `interrupted()`; it can be tried again.
            MaskloopError: it cannot be done; it is not tried again.
        """
        asked = self._refinable
        if asked is None:
            return 0.0
        started_s = time.perf_counter()
        try:
            voices = self._asked_again(asked, interrupted)
        except InterruptedPredictionError:
            raise
        except Exception:
            self._refinable = None
            raise
        self._refinable = None
        return self._tell(asked, voices, started_s)

    def _asked_again(self, asked: _Asked, interrupted: Callable[[], bool]) -> tuple[Voice, ...]:
        try:
            return self._overlay.asked_again(asked.target, asked.opinions, self.source, interrupted)
        except UsageError as error:
            if self._refused != str(error):
                self._refused = str(error)
                text = f"Uncertainty is taken from mirrored looks, because {error}."
                self._send(Notice(text=text, level="warning"))
        return self._overlay.asked_again(asked.target, asked.opinions, "tta", interrupted)

    def _tell(self, asked: _Asked, voices: tuple[Voice, ...] | None, started_s: float) -> float:
        found = uncertainty_map(asked.opinions.voices() if voices is None else voices)
        apart = None if found.disagreement is None else PackedMask.pack(found.disagreement)
        took_s = time.perf_counter() - started_s
        self._send(
            Uncertainty(
                key=asked.target.key,
                revision=asked.prediction.revision,
                weights_version=asked.prediction.weights_version,
                entropy=PackedMask.pack(found.entropy),
                disagreement=apart,
                refined=voices is not None,
                seconds=took_s,
            )
        )
        return took_s
