"""How long a run lasts, and how fast it learns when: budget, stages, rise and fall of the rate.

With `steps` everything depends on the step alone, so that an interrupted run can be repeated exactly; with
`seconds` on the share of the time that is gone, so that the rate reaches its end whatever the machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, assert_never

from core.learning.config import Schedule

ENDLESS_STEPS: Final = 1500
"""Steps until the rate of a run without a budget has come down."""
ENDLESS_FLOOR: Final = 0.2
"""Share of the peak rate at which it then goes on: new labels must still be learned, and the averaged weights
take the noise of a constant rate away."""
FLOOR: Final = 0.01
ENDLESS_WARMUP: Final = 16 / ENDLESS_STEPS
"""A share of ENDLESS_STEPS would be minutes on a slow machine, and the first overlays would be empty."""
COARSE_SHARE: Final = 0.75
LATER_STAGE_PEAK: Final = 0.5
POLY_POWER: Final = 0.9
"""Of what is left of the run (Liu et al. 2015, arXiv:1506.04579; all of DeepLab)."""
CYCLE_RISE: Final = 0.3
"""Share of one cycle with a rising rate (Smith and Topin 2017, arXiv:1708.07120)."""
CYCLE_START: Final = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When a run is over.

    Attributes:
        steps: in all; None: no limit.
        seconds: in all, earlier sittings of a resumed run included; None: no limit.
        since_s: training time there was when these seconds were given: 0, or what a run had taken that was
            ended by an earlier budget and went on with more.
        schedule_steps: steps of one cosine, whatever the budget; None: the budget's.
    """

    steps: int | None = None
    seconds: float | None = None
    since_s: float = 0.0
    schedule_steps: int | None = None

    @property
    def endless(self) -> bool:
        """Whether only a person ends the run."""
        return self.steps is None and self.seconds is None

    @property
    def granted_s(self) -> float | None:
        """What was given last, and is to be shared out: interruptions change nothing; None: no limit."""
        return None if self.seconds is None else max(self.seconds - self.since_s, 0.0)

    def progress(self, step: int, seconds: float, reserve_s: float = 0.0) -> float:
        """Share of the run that is done, 0..1; of an endless run it passes 1.

        Args:
            step: steps done.
            seconds: training time so far.
            reserve_s: of the time, what is kept for the last validation.
        """
        if self.schedule_steps is not None:
            return step / self.schedule_steps
        shares = []
        if self.steps is not None:
            shares.append(step / max(self.steps, 1))
        if self.seconds is not None:
            shares.append(seconds / max(self.seconds - reserve_s, 1e-9))
        return min(max(shares), 1.0) if shares else step / ENDLESS_STEPS

    def spent(self, step: int, seconds: float, reserve_s: float = 0.0) -> bool:
        """Whether it is time to finish."""
        if self.steps is not None and step >= self.steps:
            return True
        return self.seconds is not None and seconds >= self.seconds - reserve_s


def stage_shares(stages: int, coarse: float = COARSE_SHARE) -> tuple[float, ...]:
    """What part of a run each of a network's training stages gets, coarse to fine.

    The first gets two thirds of `coarse` and those between it and the last share the other third, which goes
    to the last where there are none: each starts from what the one before has learned.
    """
    if stages == 1:
        return (1.0,)
    first = coarse * 2 / 3
    between = (coarse - first) / (stages - 2) if stages > 2 else 0.0
    return first, *(between,) * (stages - 2), 1.0 - first - between * (stages - 2)


def stage_at(progress: float, stages: int, coarse: float = COARSE_SHARE) -> tuple[int, float]:
    """Which of the stages it is, and how much of it is done, 0..1; of an endless run it passes 1."""
    begin = 0.0
    shares = stage_shares(stages, coarse)
    for stage, share in enumerate(shares[:-1]):
        if progress < begin + share:
            return stage, max(progress - begin, 0.0) / share
        begin += share
    return stages - 1, max(progress - begin, 0.0) / shares[-1]


def stage_done(
    progress: float, stage: int, stages: int, coarse: float = COARSE_SHARE, begun: float = math.inf
) -> float:
    """How much of a stage is done, 0..1, where it began at `begun` if that was before its time."""
    shares = stage_shares(stages, coarse)
    end = 1.0 if stage == stages - 1 else sum(shares[: stage + 1])
    begin = min(sum(shares[:stage]), begun)
    return max(progress - begin, 0.0) / (end - begin)


def rate_factor(
    progress: float,
    *,
    warmup: float,
    stages: int = 1,
    coarse: float = COARSE_SHARE,
    floor: float = FLOOR,
    schedule: Schedule = "cosine",
    ahead: tuple[int, float] | None = None,
) -> float:
    """Learning rate as a share of its peak: a linear rise, then the schedule's fall down to `floor`.

    Every stage has its own rise and fall; later ones reach half the peak. One cycle rises for CYCLE_RISE,
    whatever the warm-up. A plateau only rises here: what lowers it are scores.

    `ahead` is a stage that was reached before its time, as a longer budget moves the share back, and since
    when: it rises and falls once over all that is left until its end.
    """
    if ahead is None:
        stage, done = stage_at(progress, stages, coarse)
    else:
        stage, done = ahead[0], stage_done(progress, ahead[0], stages, coarse, ahead[1])
    peak = 1.0 if stage == 0 else LATER_STAGE_PEAK
    if schedule == "one_cycle":
        if done < CYCLE_RISE:
            return peak * (1.0 - (1.0 - CYCLE_START) * _half_cosine(done / CYCLE_RISE))
        warmup = CYCLE_RISE
    if done < warmup:
        # Not from zero: the first step of a resumed or a very short run must move, too.
        return peak * max(done / warmup, 0.02)
    fall = min((done - warmup) / max(1.0 - warmup, 1e-9), 1.0)
    return peak * (floor + (1.0 - floor) * _left(schedule, fall))


def _left(schedule: Schedule, fall: float) -> float:
    """Of what the rate falls by, the share that is left after so much of the fall, 0..1."""
    match schedule:
        case "cosine" | "one_cycle":
            return _half_cosine(fall)
        case "poly":
            return float((1.0 - fall) ** POLY_POWER)
        case "plateau":
            return 1.0
    assert_never(schedule)


def _half_cosine(x: float) -> float:
    """From 1 at 0 down to 0 at 1."""
    return 0.5 * (1.0 + math.cos(math.pi * x))


def frozen_at(progress: float, *, freeze: float, stages: int = 1, coarse: float = COARSE_SHARE) -> bool:
    """Whether a pretrained encoder still waits for the decoder to make sense of it."""
    return stage_at(progress, stages, coarse)[0] == 0 and progress < freeze
