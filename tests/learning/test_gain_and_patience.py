"""What the last minutes have brought, and when a run has stopped getting better."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.learning.scores.counted import CountedImages
from core.learning.scores.gain import GainHistory
from core.learning.validation.patience import Patience


def _score(quality: float, *, images: int = 10, seed: int = 0, labels: str = "as drawn") -> CountedImages:
    """Images of which about this share of the object is found; the seed is that of the mistakes."""
    counted = CountedImages(2)
    rng = np.random.default_rng(seed)
    for number in range(images):
        truth = np.zeros((20, 20), np.uint8)
        truth[4:16, 4:16] = 1
        right = rng.random(truth.shape) < quality
        counted.update(truth, np.where(right, truth, 0).astype(np.uint8), key=str(number), digest=labels)
    return counted


def test_the_first_score_has_nothing_to_be_compared_with() -> None:
    gain = GainHistory().note(_score(0.5), 10.0)
    assert gain.miou is None
    assert gain.sentence == ""


def test_a_clear_gain_is_said_with_its_interval() -> None:
    history = GainHistory()
    history.note(_score(0.5), 10.0)
    gain = history.note(_score(0.8, seed=1), 320.0)
    assert gain.told_from_chance
    assert gain.miou == pytest.approx(gain.interval.low, abs=0.1)
    assert gain.sentence.startswith("The last 5 minutes gained 0.")


def test_a_clear_loss_is_said_as_a_loss() -> None:
    history = GainHistory()
    history.note(_score(0.8), 10.0)
    assert history.note(_score(0.5, seed=1), 320.0).sentence.startswith("The last 5 minutes lost 0.")


def test_what_can_be_chance_is_called_so() -> None:
    history = GainHistory()
    history.note(_score(0.7, seed=1), 10.0)
    gain = history.note(_score(0.7, seed=2), 320.0)
    assert not gain.told_from_chance
    assert gain.sentence.startswith("No change in the last 5 minutes that can be told from chance")


def test_few_images_never_tell_from_chance() -> None:
    history = GainHistory()
    history.note(_score(0.3, images=3), 10.0)
    gain = history.note(_score(0.9, images=3, seed=1), 320.0)
    assert not gain.told_from_chance
    assert "on 3 images can be chance" in gain.sentence
    same = history.note(_score(0.9, images=3, seed=1), 330.0)
    assert replace(same, miou=-0.001).sentence.endswith(": no change on 3 images")


def test_one_image_is_compared_part_by_part_and_called_one_image() -> None:
    history = GainHistory()
    history.note(_score(0.3, images=1), 10.0)
    gain = history.note(_score(0.9, images=1, seed=1), 320.0)
    assert gain.interval is not None
    assert "on one image can be chance" in gain.sentence


def test_a_young_run_is_compared_with_its_first_score() -> None:
    history = GainHistory()
    history.note(_score(0.3), 5.0)
    history.note(_score(0.5, seed=1), 20.0)
    gain = history.note(_score(0.9, seed=2), 45.0)
    assert gain.since_first
    assert gain.seconds == 40.0
    assert gain.sentence.startswith("40 seconds since the first score gained")


def test_only_the_last_five_minutes_count() -> None:
    """All of the progress lies further back: the plateau is said, not the climb."""
    history = GainHistory()
    for minute, quality in enumerate((0.2, 0.5, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8)):
        gain = history.note(_score(quality, seed=minute), 60.0 * minute)
    assert gain.seconds == 300.0
    assert not gain.told_from_chance


def test_other_labels_are_compared_anew_and_that_is_said() -> None:
    history = GainHistory()
    history.note(_score(0.5), 10.0)
    changed = history.note(_score(0.9, labels="corrected"), 320.0)
    assert changed.anew
    assert "compared anew" in changed.sentence
    later = history.note(_score(0.6, seed=1, labels="corrected"), 340.0)
    assert later.seconds == 20.0
    assert later.miou < 0


def test_other_images_are_compared_anew() -> None:
    history = GainHistory()
    history.note(_score(0.5, images=10), 10.0)
    assert history.note(_score(0.5, images=9), 20.0).anew


# --- patience ---------------------------------------------------------------------------------------------


def test_a_resumed_run_is_compared_with_its_scores_of_before() -> None:
    before, after = GainHistory(), GainHistory()
    before.note(_score(0.5), 10.0)
    before.note(_score(0.6, seed=2), 200.0)
    after.restore(json.loads(json.dumps(before.state())))
    resumed, uninterrupted = (history.note(_score(0.8, seed=1), 320.0) for history in (after, before))
    assert resumed == uninterrupted
    assert resumed.sentence.startswith("The last 5 minutes gained 0.")
    other = GainHistory()
    other.restore(after.state())
    assert other.note(_score(0.8, seed=1, labels="changed meanwhile"), 330.0).anew


def test_patience_ends_after_so_many_validations_without_a_better_score() -> None:
    patience = Patience(2)
    for better in (True, False, True, False):
        patience.note(better=better, labels="a")
        assert not patience.spent
    patience.note(better=False, labels="a")
    assert patience.spent
    assert "2 validations in a row brought no better score" in patience.sentence


def test_new_labels_give_new_patience() -> None:
    patience = Patience(2)
    for labels in ("a", "b", "c", "d"):
        patience.note(better=False, labels=labels)
        assert not patience.spent


def test_patience_begins_with_the_last_stage_of_a_network_also_of_a_resumed_run() -> None:
    first = Patience(2)
    first.counting = False
    for _ in range(5):
        first.note(better=False, labels="a")
        assert not first.spent
    second = Patience(2)
    second.restore(first.state())
    second.note(better=False, labels="a")
    assert not second.spent
    second.note(better=False, labels="a")
    assert second.spent


def test_without_a_limit_patience_is_endless() -> None:
    patience = Patience(None)
    for _ in range(1000):
        patience.note(better=False, labels="a")
    assert not patience.spent


def test_patience_survives_a_checkpoint_and_is_given_once_more_after_its_end() -> None:
    first = Patience(3)
    for _ in range(2):
        first.note(better=False, labels="a")
    second = Patience(3)
    second.restore(first.state())
    second.note(better=False, labels="a")
    assert second.spent
    third = Patience(3)
    third.restore(second.state())
    assert not third.spent
