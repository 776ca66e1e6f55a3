"""Whose prediction it is that is shown, how good that is, and how far its confidence is off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.learning.events import ScoredOn
from core.learning.runs.run_folder import score_kind
from core.learning.training.state import TrainState
from core.learning.validation.validation import Score
from core.models.registry import model_spec

INSTANT_TITLE: Final = "Instant learner"
_LEAST_FIRST: Final[tuple[ScoredOn | None, ...]] = (None, "training", "cross-fit", "validation")
"""What a score proves, from nothing to most."""


@dataclass(frozen=True, slots=True)
class Origin:
    """For people: whose; the run's folder; its score and what that is on; the error of its confidence."""

    source: str
    run: Path | None = None
    miou: float | None = None
    scored_on: ScoredOn | None = None
    scored_images: int | None = None
    calibration_error: float | None = None


def of_instant(score: Score | None) -> Origin:
    """The instant learner, with its cross-fitted score."""
    if score is None or score.miou is None:
        return Origin(INSTANT_TITLE)
    return _scored(INSTANT_TITLE, None, score, "cross-fit")


def of_run(run: TrainState) -> Origin:
    """A run that is going on: its last score travels as an event of its own."""
    known = run.calibration
    return Origin(
        f"{model_spec(run.config.model).title}, step {run.step}",
        run.run.path,
        scored_on=None if run.best.step is None else run.best.on or run.validator.plan.on,
        calibration_error=None if known is None else known.error,
    )


def of_file(source: str, run: Path | None, metrics: Mapping[str, object]) -> Origin:
    """Saved weights, from what their header says."""
    miou, error = (_number(metrics.get(name)) for name in ("miou", "ece"))
    on = None if miou is None else score_kind(metrics.get("on", "validation"))
    return Origin(source, run, miou, scored_on=on, calibration_error=error)


def of_both(deep: Origin, instant: Origin, together: Score | None) -> Origin:
    """Deep network and instant learner: the score of both `together`, or what theirs are on at least."""
    blended, _, of = deep.source.partition(", ")
    if blended == model_spec("blend").title:  # it learns on, beside what both came to in that run
        source = f"{INSTANT_TITLE} now, and both learners of the {of}"
    elif blended == INSTANT_TITLE:
        source = f"{INSTANT_TITLE} now, and that of the {of}"
    else:
        source = f"{INSTANT_TITLE} and {deep.source}"
    if together is not None and together.miou is not None:
        return _scored(source, deep.run, together, "validation")
    kinds = (deep.scored_on, instant.scored_on)
    return Origin(source, deep.run, scored_on=next((kind for kind in _LEAST_FIRST if kind in kinds), None))


def _scored(source: str, run: Path | None, score: Score, on: ScoredOn) -> Origin:
    return Origin(
        source,
        run,
        miou=score.miou,
        scored_on=on,
        scored_images=score.images,
        calibration_error=None if score.calibration is None else score.calibration.error,
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
