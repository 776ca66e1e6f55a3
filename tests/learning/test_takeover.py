"""Older weights and a run's are compared on the same labels, however these change meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.model import AnnotationState
from core.learning.events import OverlayCompared
from core.learning.labels.data import ChannelMap
from core.learning.scores.counted import CountedImages
from core.learning.training import takeover
from core.learning.training.record import Best
from core.learning.training.takeover import Takeover
from core.learning.validation.hold_out import Plan
from core.learning.validation.validation import Score, Validator

BACKGROUND, DISC = 0, 3
KEYS = ("1.png", "2.png", "3.png")


@dataclass
class Older:
    """Weights that know the pictures of before by heart, and which of them they were asked about."""

    masks: dict[bytes, tuple[str, NDArray[np.uint8]]]
    asked: list[str] = field(default_factory=list)

    def predict(self, image: NDArray[np.uint8], *, probabilities: bool = False) -> SimpleNamespace:
        key, mask = self.masks[image.tobytes()]
        self.asked.append(key)
        return SimpleNamespace(classes=mask, probabilities=None)


class Compared:
    """A run of which no weights are needed, compared with older ones.

    Attributes:
        told: what came out, in order.
    """

    def __init__(self, world, on: str = "validation") -> None:
        store = world.store
        world.put_done(1, 2, 3)
        channels = ChannelMap(store.classes)
        plan = Plan(on=on, keys=KEYS)  # type: ignore[arg-type]
        self.validator = Validator(store, channels, plan, every_s=1.0)
        self.best = Best()
        nothing = Score.of(CountedImages(3), store.classes.names)
        self.score = replace(nothing, miou=0.6)
        self.best.note(self.score, self.score, 10, labels=self.validator.labels_digest())
        self.older = Older({store.pixels(key).tobytes(): (key, store.get(key).mask) for key in KEYS})
        self.run = SimpleNamespace(
            store=store, channels=channels, validator=self.validator, best=self.best, step=10,
            budget_spent=False, run=SimpleNamespace(path="new"),
        )  # fmt: skip
        self.takeover = Takeover(self.run, "U-Net, run of 06:12", lambda: self.older)  # type: ignore[arg-type]
        self.told: list[OverlayCompared] = []

    def compare(self) -> None:
        """As long as there is something to do."""
        for _ in range(20):
            if not self.takeover.due:
                return
            compared = self.takeover.advance()
            if compared is not None:
                self.told.append(compared)
        raise AssertionError("no end in sight")

    def judge_best_again(self, miou: float) -> None:
        """The run's next score comes, on the labels of now."""
        score = replace(self.score, miou=miou)
        self.best.replace(score, score, on="validation")
        self.best.labels = self.validator.labels_digest()


def _correct(world, number: int) -> None:
    """Half of the picture is a disc now."""
    picture = world.picture(number)
    mask = picture.mask.copy()
    mask[: len(mask) // 2] = DISC
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)


def test_after_a_correction_both_are_scored_on_the_labels_of_now(world) -> None:
    compared = Compared(world)
    compared.compare()
    assert (compared.told[-1].older_miou, compared.told[-1].run_miou) == (1.0, 0.6)
    assert compared.older.asked == list(KEYS)
    _correct(world, 2)
    compared.compare()
    assert len(compared.told) == 1, "the run's score is still on the labels of before"
    compared.judge_best_again(0.55)
    compared.compare()
    true = compared.validator.score_again(compared.older).miou
    assert true is not None
    assert true < 0.9, "the correction has to matter"
    assert compared.told[-1].older_miou == pytest.approx(true)
    assert compared.told[-1].run_miou == 0.55
    assert compared.older.asked[3:4] == ["2.png"], "only what has changed is asked about again"


def test_a_correction_lets_no_run_take_over_that_is_worse_on_it(world) -> None:
    compared = Compared(world)
    compared.compare()
    assert not compared.told[-1].run_is_shown
    _correct(world, 1)
    _correct(world, 2)
    _correct(world, 3)
    compared.compare()
    assert not compared.told[-1].run_is_shown, "older weights on new labels, the run on old ones"
    compared.judge_best_again(0.1)
    compared.compare()
    assert (compared.told[-1].older_miou or 0.0) > 0.1
    assert not compared.told[-1].run_is_shown


def test_a_run_that_is_over_is_compared_once_more_whatever_is_drawn_now(world) -> None:
    compared = Compared(world)
    compared.compare()
    _correct(world, 1)
    compared.takeover.tell_again()
    compared.compare()
    assert len(compared.told) == 2
    assert (compared.told[-1].older_miou, compared.told[-1].run_miou) == (1.0, 0.6)


def test_on_training_images_a_run_is_not_kept_waiting_by_strokes(
    world, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "EARLY_STEPS", 20)
    compared = Compared(world, on="training")
    compared.compare()
    assert not compared.told[-1].run_is_shown
    _correct(world, 1)
    compared.run.step = 20
    compared.compare()
    assert compared.told[-1].run_is_shown
    assert compared.older.asked == list(KEYS), "older weights are not asked after every stroke"
