"""How scores are named, in all places alike: "mIoU 0.62 on 4 held-out images". No Qt.

A score on images that the network learns from proves little, so it is never shown without saying so.
"""

from __future__ import annotations

from typing import Final

from core.learning.events import Prediction, ScoredOn

ADJECTIVES: Final[dict[ScoredOn, str]] = {
    "validation": "held-out",
    "cross-fit": "cross-fitted",
    "training": "training",
}
MEANINGS: Final[dict[ScoredOn, str]] = {
    "validation": "done images that the network does not learn from",
    "cross-fit": "each image judged by a head that has not learned from it",
    "training": "the network learns from these, so the score says little about other images",
}


def images_words(on: ScoredOn, images: int | None = None) -> str:
    """What a score is on: "4 held-out images", or "held-out images" where nobody knows how many."""
    if images is None:
        return f"{ADJECTIVES[on]} images"
    return f"{images} {ADJECTIVES[on]} image{'' if images == 1 else 's'}"


def score_words(
    miou: float | None, on: ScoredOn | None, images: int | None = None, *, places: int = 2
) -> str:
    """A score and what it is on; without a score "not scored"."""
    if miou is None:
        return "not scored"
    where = "" if on is None else f" on {images_words(on, images)}"
    return f"mIoU {miou:.{places}f}{where}"


def is_tested(prediction: Prediction) -> bool:
    """Whether all that have a say in a prediction were scored on images they had not learned from.

    What a network thinks of itself is worth nothing before: trained on three cells, it is quite as sure
    where it errs on the next kind of cell.
    """
    return prediction.scored_on not in (None, "training")
