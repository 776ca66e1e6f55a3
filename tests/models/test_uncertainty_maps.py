"""Entropy and disagreement in bits, the order of doubtful regions, and what calibration mends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.annotation.model import UNLABELLED
from core.learning.overlay.doubt_regions import doubtful_regions
from core.learning.prediction.uncertainty import Voice, disagreement, entropy, tempered, uncertainty_map
from core.learning.scores.calibration import (
    COLDEST,
    HOTTEST,
    PixelSample,
    Reliability,
    fit_temperature,
)


def everywhere(*chances: float, size_hw: tuple[int, int] = (4, 6)) -> np.ndarray:
    """The same probabilities (C, H, W) in every pixel."""
    return np.broadcast_to(np.array(chances, np.float16)[:, None, None], (len(chances), *size_hw))


# --- maps -------------------------------------------------------------------------------------------------


def test_a_toss_up_between_two_classes_is_one_bit_and_certainty_none() -> None:
    assert entropy(everywhere(0.5, 0.5)).max() == pytest.approx(1.0)
    assert entropy(everywhere(1.0, 0.0, 0.0)).max() == pytest.approx(0.0, abs=1e-5)
    assert entropy(everywhere(0.25, 0.25, 0.25, 0.25))[0, 0] == pytest.approx(2.0)
    assert entropy(everywhere(0.9, 0.1))[0, 0] == pytest.approx(0.469, abs=2e-3)


def test_learners_that_contradict_each_other_differ_by_one_bit() -> None:
    one, other = everywhere(1.0, 0.0), everywhere(0.0, 1.0)
    assert disagreement(one, other)[0, 0] == pytest.approx(1.0, abs=1e-4)
    assert disagreement(one, one)[0, 0] == 0.0


def test_sure_voices_that_contradict_each_other_make_the_mean_uncertain() -> None:
    found = uncertainty_map(
        [Voice((everywhere(1.0, 0.0),), share=0.5), Voice((everywhere(0.0, 1.0),), share=0.5)]
    )
    assert found.entropy.min() == 255
    assert found.disagreement is not None
    assert found.disagreement.min() == 255
    alone = uncertainty_map([Voice((everywhere(1.0, 0.0),))])
    assert alone.entropy.max() == 0
    assert alone.disagreement is None


def test_a_second_look_that_sees_something_else_adds_uncertainty() -> None:
    one, other = everywhere(0.9, 0.1), everywhere(0.1, 0.9)
    assert uncertainty_map([Voice((one,))]).entropy[0, 0] == round(0.469 * 255)
    assert uncertainty_map([Voice((one, other))]).entropy[0, 0] == 255


def test_a_temperature_makes_less_sure_and_changes_no_class() -> None:
    warm = tempered(everywhere(0.9, 0.1), 2.0)
    assert warm[0, 0, 0] == pytest.approx(3 / 4, abs=2e-3)  # square roots of 9 to 1
    assert uncertainty_map([Voice((everywhere(0.9, 0.1),), temperature=2.0)]).entropy[0, 0] == round(
        0.811 * 255
    )


def test_a_map_made_in_bands_has_every_row(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(3), size=(50, 40)).transpose(2, 0, 1).astype(np.float16)
    whole = uncertainty_map([Voice((chances,))]).entropy
    monkeypatch.setattr("core.learning.prediction.uncertainty._VALUES_AT_ONCE", 7 * 40 * 3)
    assert np.array_equal(uncertainty_map([Voice((chances,))]).entropy, whole)


def test_no_voice_is_refused() -> None:
    with pytest.raises(ValueError, match="one or two"):
        uncertainty_map([])


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=6), st.floats(0.4, 10.0))
def test_every_distribution_keeps_its_order_at_every_temperature(weights: list[float], t: float) -> None:
    chances = (np.array(weights) / sum(weights))[:, None]
    warm = tempered(chances, t)
    assert warm.sum() == pytest.approx(1.0, abs=1e-4)
    assert chances[warm.argmax()] == pytest.approx(chances.max(), abs=1e-5)


# --- regions ----------------------------------------------------------------------------------------------


def blobs(*spots: tuple[int, int, int, int], size_hw: tuple[int, int] = (300, 400)) -> np.ndarray:
    """Squares (x, y, side, doubt 0..255) on certainty."""
    found = np.zeros(size_hw, np.uint8)
    for x, y, side, doubt in spots:
        found[y : y + side, x : x + side] = doubt
    return found


def centres(regions) -> list[tuple[int, int]]:
    return [((r.box[0] + r.box[2]) // 2, (r.box[1] + r.box[3]) // 2) for r in regions]


def test_larger_and_more_doubtful_regions_come_first() -> None:
    found = doubtful_regions(blobs((20, 20, 30, 200), (200, 20, 60, 200), (200, 200, 30, 250)))
    assert centres(found) == [
        pytest.approx((230, 50), abs=2),
        pytest.approx((215, 215), abs=2),
        pytest.approx((35, 35), abs=2),
    ]
    assert [region.weight for region in found] == sorted((r.weight for r in found), reverse=True)
    peak = found[0].peak
    assert 200 <= peak[0] < 260
    assert 20 <= peak[1] < 80
    assert found[0].area == pytest.approx(3600, rel=0.15)


def test_thin_lines_along_borders_are_no_regions() -> None:
    lines = np.zeros((300, 400), np.uint8)
    lines[100:102] = 255
    lines[120:, 200:202] = 255
    assert doubtful_regions(lines) == ()


def test_what_is_labelled_is_not_shown_again() -> None:
    map_ = blobs((20, 20, 50, 255), (200, 200, 40, 255))
    settled = np.zeros(map_.shape, bool)
    settled[:100, :100] = True
    assert centres(doubtful_regions(map_, settled=settled)) == [pytest.approx((220, 220), abs=2)]
    assert doubtful_regions(map_, settled=np.ones(map_.shape, bool)) == ()


def test_disagreement_of_the_learners_comes_first() -> None:
    map_ = blobs((20, 20, 50, 200), (200, 200, 50, 190))
    apart = blobs((200, 200, 50, 255))
    assert centres(doubtful_regions(map_, apart))[0] == pytest.approx((225, 225), abs=2)


def test_specks_and_faint_doubt_are_left_alone() -> None:
    assert doubtful_regions(blobs((20, 20, 3, 255))) == ()
    assert doubtful_regions(blobs((20, 20, 60, 40))) == ()


def test_where_all_is_uncertain_the_worst_is_shown() -> None:
    map_ = np.full((300, 400), 180, np.uint8)
    map_[200:250, 300:350] = 255
    first, *_ = doubtful_regions(map_)
    assert centres([first]) == [pytest.approx((325, 225), abs=4)]
    assert first.area < 0.2 * map_.size


def test_large_maps_give_regions_in_their_own_pixels() -> None:
    (found,) = doubtful_regions(blobs((1000, 600, 200, 255), size_hw=(1500, 2000)))
    assert found.box == pytest.approx((1000, 600, 1200, 800), abs=25)
    assert found.mask.shape == (found.box[3] - found.box[1], found.box[2] - found.box[0])
    assert found.area == pytest.approx(40_000, rel=0.2)


# --- calibration ------------------------------------------------------------------------------------------


def test_the_calibration_error_of_a_hand_made_example() -> None:
    """Bin (0.6, 0.667]: two of four right at 0.65; bin (0.933, 1]: all of six right at 0.95."""
    reliability = Reliability()
    confidence = np.array([0.65] * 4 + [0.95] * 6)
    right = np.array([True, True, False, False] + [True] * 6)
    reliability.update(confidence, right)
    assert reliability.error() == pytest.approx(0.4 * abs(0.5 - 0.65) + 0.6 * abs(1.0 - 0.95))
    assert Reliability().error() is None


def test_certainty_that_is_always_right_has_no_error() -> None:
    reliability = Reliability()
    reliability.update(np.ones(10), np.ones(10, bool))
    reliability.update(np.zeros(5), np.zeros(5, bool))
    assert reliability.error() == 0.0


@pytest.mark.parametrize("known", [0.6, 1.0, 2.5, 6.0])
def test_a_known_temperature_is_found_again(known: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 4))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (chances.cumsum(axis=1) > rng.random((len(chances), 1))).argmax(axis=1)
    assert fit_temperature(logits * known, truth) == pytest.approx(known, rel=0.06)


def test_temperatures_of_flawless_and_hopeless_samples_stay_within_bounds() -> None:
    logits = np.array([[4.0, 0.0]] * 50)
    assert fit_temperature(logits, np.zeros(50, np.intp)) == pytest.approx(COLDEST, rel=0.01)
    assert fit_temperature(logits, np.ones(50, np.intp)) == pytest.approx(HOTTEST, rel=0.01)


def overconfident(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An image that is right 70 times in 100 and says 97."""
    rng = np.random.default_rng(number)
    truth = rng.integers(0, 2, (60, 60)).astype(np.uint8)
    said = np.where(rng.random(truth.shape) < 0.7, truth, 1 - truth)
    chances = np.where(said == np.arange(2)[:, None, None], 0.97, 0.03)
    truth[:10] = UNLABELLED
    return chances.astype(np.float16), truth


def test_an_overconfident_network_is_cooled_down_to_what_it_gets_right() -> None:
    sample = PixelSample()
    for number in range(4):
        sample.add(*overconfident(number), key=f"{number}.png")
    found = sample.calibration()
    assert found is not None
    assert found.pixels == 4 * 2048
    assert found.error_before == pytest.approx(0.27, abs=0.02)
    assert found.error < 0.03
    assert found.temperature == pytest.approx(np.log(0.97 / 0.03) / np.log(0.7 / 0.3), rel=0.1)


def test_too_few_pixels_say_nothing() -> None:
    sample = PixelSample()
    assert sample.calibration() is None
    chances, truth = overconfident(0)
    truth[1:] = UNLABELLED
    sample.add(chances, truth, key="0.png")
    assert sample.calibration() is None
