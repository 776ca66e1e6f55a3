"""The annotator of the effort benchmark labels what is true, takes its time, and leaves good images alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from tests.bench.annotator import PACES, Annotator, border_band
from tests.bench.curves import seconds_to
from tests.bench.engine_beside import EngineBeside, Speed, lock_step
from tests.bench.hand_drawing import middle_line, outline
from tests.tiny import TINY, squares_project

SIDE = 96


@pytest.fixture
def truth() -> NDArray[np.uint8]:
    """Background with a disc of class 1, a bar of class 2, and a corner nobody knows."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (30, 30), 15, 1, -1)
    cv2.rectangle(mask, (10, 70), (85, 80), 2, -1)
    mask[:8, -8:] = UNLABELLED
    return mask


@pytest.fixture
def person(truth: NDArray[np.uint8]) -> Annotator:
    annotator = Annotator({"a": truth, "b": truth}, PACES["fast"], seed=0)
    annotator.open("a")
    return annotator


def test_it_starts_with_the_largest_region_of_each_class(person: Annotator, truth: NDArray[np.uint8]) -> None:
    drawn = list(person.largest_regions("a"))

    assert [correction.label for correction in drawn] == [0, 1, 2]
    labelled = person.labels["a"] != UNLABELLED
    assert (person.labels["a"][labelled] == truth[labelled]).mean() > 0.97
    assert all((person.labels["a"] == label).any() for label in (0, 1, 2))


def test_it_corrects_until_nothing_is_wrong_that_people_would_see(
    person: Annotator, truth: NDArray[np.uint8]
) -> None:
    blank = np.zeros_like(truth)  # a prediction of nothing but background

    for _ in range(40):
        if person.correct_nearest("a", blank) is None:
            break
    else:
        pytest.fail("there is always something left to correct")

    count, _, sizes, _ = cv2.connectedComponentsWithStats(person.errors("a", blank).astype(np.uint8))
    assert all(sizes[number, cv2.CC_STAT_AREA] < 10 for number in range(1, count))
    assert (person.shown("a", blank) == truth)[truth != UNLABELLED].mean() > 0.97


def test_a_right_prediction_and_its_ragged_borders_are_left_as_they_are(
    person: Annotator, truth: NDArray[np.uint8]
) -> None:
    ragged = np.where(border_band(truth), 2, truth).astype(np.uint8)

    assert person.correct_nearest("a", ragged) is None
    assert (person.labels["a"] == UNLABELLED).all()


def test_the_error_nearest_to_the_mouse_comes_first(person: Annotator, truth: NDArray[np.uint8]) -> None:
    missed = truth.copy()
    missed[truth == 1] = 0
    missed[truth == 2] = 0

    first = person.correct_nearest("a", missed)

    assert first is not None
    assert first.label == 1  # the mouse is in the image's middle; the bar is farther away


def test_every_correction_takes_the_time_of_its_clicks_and_ways(truth: NDArray[np.uint8]) -> None:
    took = {}
    for name, pace in PACES.items():
        person = Annotator({"a": truth}, pace, seed=0)
        person.open("a")
        correction = person.correct_nearest("a", np.zeros_like(truth))
        assert correction is not None
        took[name] = correction.seconds
        assert correction.seconds >= pace.search_s + max(correction.vertices, 1) * pace.click_s

    assert took["careful"] > took["fast"]


def test_the_same_seed_gives_the_same_labels(truth: NDArray[np.uint8]) -> None:
    def labelled(seed: int) -> tuple[tuple[str, ...], bytes]:
        truths = {str(number): truth for number in range(8)}
        person = Annotator(truths, PACES["fast"], seed)
        person.open(person.order[0])
        list(person.largest_regions(person.order[0]))
        return person.order, person.labels[person.order[0]].tobytes()

    assert labelled(3) == labelled(3)
    assert labelled(3)[0] != labelled(4)[0]


def test_an_outline_leaves_out_what_is_of_another_class_inside() -> None:
    region = np.zeros((60, 60), np.bool_)
    region[5:55, 5:55] = True
    own = region.copy()
    region[10:20, 10:20] = own[10:20, 10:20] = False  # another class
    region[30:40, 30:40] = False  # right already

    drawing = outline(region, own)

    assert drawing is not None
    assert drawing.vertices == pytest.approx(8, abs=4)
    assert not drawing.covers[12:18, 12:18].any()
    assert drawing.covers[32:38, 32:38].all()


def test_the_middle_line_runs_from_end_to_end() -> None:
    region = np.zeros((40, 120), np.bool_)
    region[15:25, 10:110] = True

    line = middle_line(region)

    assert np.ptp(line[:, 0]) > 85
    inner = line[(line[:, 0] > 20) & (line[:, 0] < 100)]
    assert np.abs(inner[:, 1] - 19.5).max() < 2


def test_the_time_to_a_score_is_read_between_two_moments() -> None:
    curve = [{"seconds": 15.0, "miou": None}, {"seconds": 30.0, "miou": 0.5}, {"seconds": 60.0, "miou": 0.7}]

    assert seconds_to(curve, 0.6) == pytest.approx(45.0)
    assert seconds_to(curve, 0.9) is None


def test_in_lock_step_a_simulated_second_is_worth_so_many_steps(tmp_path: Path) -> None:
    squares_project(tmp_path / "p", [(8, 8, 30, 30), (30, 30, 50, 50)], side=64, labelled=0)
    config = replace(TINY, seconds=6.0, augment=False)
    engine = EngineBeside(tmp_path / "p", "deep", config, Speed(steps_per_s=2.0, head_steps_per_s=0.0))
    image = tmp_path / "p" / "images" / "0.png"
    mask = np.zeros((64, 64), np.uint8)
    mask[8:31, 8:31] = 1
    with lock_step(lambda: engine.now_s):
        engine.labels_changed("images/0.png", image, mask)
        assert engine.look("images/0.png", image) is None  # nothing is learned yet
        engine.train()
        engine.pass_time(4.5)
        assert engine.steps == 9
        prediction = engine.look("images/0.png", image)
        assert prediction is not None
        assert prediction.classes.size_hw == (64, 64)
        engine.pass_time(5.5)  # the first run ends with its budget, and a second one is begun
        engine.pass_time(2.0)
        assert engine.steps > 12
