"""Instant learners as they are made beside a person: for the labels and on the device there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from core.learning.config import DeviceChoice, TrainConfig
from core.learning.events import Event, Notice
from core.learning.instant.learner import InstantLearner
from core.learning.instant.setup import instant_learner, rehearsal
from core.learning.labels.data import LabelStore
from core.learning.machine.memory import is_out_of_memory
from core.learning.prediction.predict import choose_device
from core.learning.settings.preset import RegionWidths, resolve

OTHER_SCALE: Final = 1.5
"""New labels change the scale at which images are looked at only where it is off by more than this factor.
Neighbours among `core.learning.settings.preset.SCALES` are not, so that a width near a threshold, which every
label shifts a little, does not have all images looked at again and again."""


class LearnerMaker:
    """Makes them for one project at a time.

    Args:
        notify: told of images that are left out, and of memory that ran out.
        clock: of what they do, seconds.

    Attributes:
        rehearsal_due: whether none was made in this process yet.
    """

    def __init__(self, notify: Callable[[Event], None], clock: Callable[[], float]) -> None:
        self.rehearsal_due = True
        self._notify = notify
        self._clock = clock
        self._pace: float | None = None
        self._where: DeviceChoice = "auto"
        self._store: LabelStore | None = None
        self._folder: Path | None = None
        self._widths = RegionWidths()

    def follow(self, store: LabelStore | None, folder: Path | None) -> None:
        """For these labels from now on; features are kept in this folder."""
        self._store, self._folder, self._widths = store, folder, RegionWidths()

    def new(self, *, features_s: float | None = None) -> InstantLearner:
        """One that has not looked at anything yet.

        Args:
            features_s: what looking at the labelled images may take, seconds; None: as long as it takes.

        Raises:
            MaskloopError: the encoder's weights are not to be had.
        """
        assert self._store is not None
        self.rehearsal_due = False
        pace, self._pace = self._pace, None  # later the machine may be busier
        return instant_learner(
            self._store,
            TrainConfig(),
            scale=self._scale(),
            device=choose_device(self._where),
            notify=self._notify,
            folder=self._folder,
            features_s=features_s,
            pace=pace,
            clock=self._clock,
        )

    def rehearsed(self) -> Iterator[object]:
        """Everything that the first one will need, loaded and tried, piece by piece."""
        self.rehearsal_due = False
        self._pace = yield from rehearsal(choose_device(self._where), self._notify)

    def is_out_of_date(self, learner: InstantLearner) -> bool:
        """Whether classes came or went, or images should be looked at from nearer or farther."""
        assert self._store is not None
        if learner.channels.classes.indices != self._store.classes.indices:
            return True
        if learner.channels.classes.background != self._store.classes.background:
            return True
        ratio = self._scale() / learner.cache.scale
        return not 1 / OTHER_SCALE <= ratio <= OTHER_SCALE

    def leaves_gpu_after(self, error: Exception) -> bool:
        """Whether memory ran out on a graphics card: then the next ones are for the CPU, and that is told."""
        if not is_out_of_memory(error) or choose_device(self._where).type == "cpu":
            return False
        self._where = "cpu"
        text = "The graphics card's memory is full: the instant learner goes on on the CPU."
        self._notify(Notice(text=text, level="warning"))
        return True

    def _scale(self) -> float:
        assert self._store is not None
        device = choose_device(self._where)
        config = resolve(TrainConfig(), "cuda" if device.type == "cuda" else "cpu", self._store, self._widths)
        assert config.image_scale is not None
        return config.image_scale
