"""Which losses a run minimises, and what each counts. Torch-free.

As text: names joined by `+`, each with a factor before it if it is not 1: `ce+dice`, `ce+0.5*lovasz`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal, Self, TypeAlias, get_args

from core.errors import UsageError
from core.learning.config import TrainConfig

LossName: TypeAlias = Literal["ce", "dice", "focal", "lovasz", "tversky"]

LOSS_NAMES: Final[tuple[LossName, ...]] = get_args(LossName)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRecipe:
    """What is added up.

    Attributes:
        terms: losses of the scores, and the factor of each.
        focal_gamma: by how much focal loss turns to pixels that are not yet seen right; 0 is cross-entropy.
        tversky_beta: what a missed pixel counts in Tversky's overlap; a false one counts 1 - beta.
        auxiliary: factor on the terms a network has beside its scores.
    """

    terms: tuple[tuple[LossName, float], ...] = (("ce", 1.0), ("dice", 1.0))
    focal_gamma: float = 2.0
    tversky_beta: float = 0.7
    auxiliary: float = 1.0

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """What a run is told. Raises UsageError."""
        terms = tuple(
            (name, factor * config.dice if name == "dice" else factor) for name, factor in parsed(config.loss)
        )
        return cls(
            terms=terms,
            focal_gamma=config.focal_gamma,
            tversky_beta=config.tversky_beta,
            auxiliary=config.auxiliary,
        )

    def wants(self, name: LossName) -> bool:
        """Whether this loss is among the terms."""
        return any(term == name for term, _ in self.terms)


def parsed(text: str) -> tuple[tuple[LossName, float], ...]:
    """The losses of a text, with their factors. Raises UsageError that says what works."""
    terms: list[tuple[LossName, float]] = []
    for part in text.split("+"):
        factor, star, name = part.strip().rpartition("*")
        name = name.strip()
        if name not in LOSS_NAMES:
            known = ", ".join(LOSS_NAMES)
            raise UsageError(f"loss is {text}; it must be made of {known}, such as ce+0.5*dice")
        if any(name == known for known, _ in terms):
            raise UsageError(f"loss is {text}; {name} must be in it once")
        terms.append((name, _factor(factor if star else "1", text)))
    return tuple(terms)


def _factor(written: str, text: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        raise UsageError(f"loss is {text}; {written.strip() or 'nothing'} before * must be a number above 0")
    return value
