"""Tells what the engine says of the open project from what it still says of the one before. No Qt."""

from __future__ import annotations

from typing import Final

from core.learning.answers import CropsPreviewed, LabelsCompared, ModelMaps, RunPrediction
from core.learning.events import (
    AuditEnded,
    AuditProgress,
    Checkpointed,
    Event,
    Finished,
    ImagesRated,
    OverlayCompared,
    Paused,
    Prediction,
    ProjectOpened,
    Resumed,
    StepDone,
    TrainingStarted,
    Uncertainty,
    Validated,
    WeightsGone,
)

OF_A_PROJECT: Final = (
    AuditEnded,
    AuditProgress,
    Checkpointed,
    CropsPreviewed,
    Finished,
    ImagesRated,
    LabelsCompared,
    ModelMaps,
    OverlayCompared,
    Paused,
    Prediction,
    Resumed,
    RunPrediction,
    StepDone,
    TrainingStarted,
    Uncertainty,
    Validated,
    WeightsGone,
)
"""Events that mean nothing in another project: its images may have the same names."""


class EventsOfProject:
    """Follows which project the engine speaks of, and which is open: between two they differ for a while."""

    def __init__(self) -> None:
        self._open: str | None = None
        self._spoken_of: str | None = None

    def opened(self, root: str | None) -> None:
        """The folder of the project that is open in the window from now on; None for none."""
        self._open, self._spoken_of = root, None

    def belongs(self, event: Event) -> bool:
        """Whether the engine's next event is for the window: of the open project, or of none."""
        if isinstance(event, ProjectOpened):
            self._spoken_of = event.root
            return False
        return not isinstance(event, OF_A_PROJECT) or (
            self._open is not None and self._open == self._spoken_of
        )
