"""The scores of `maskloop evaluate`."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import UsageError
from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.predict import Predictor
from core.learning.scores import calibration
from core.learning.validation.evaluate import LabelledPixels, evaluate


def labelled(channels: np.ndarray, truth_values: np.ndarray) -> LabelledPixels:
    pixels = np.zeros((*channels.shape, 3), np.uint8)
    pixels[..., 0] = channels * 100
    return LabelledPixels(pixels, truth_values)


@pytest.fixture
def predictor(colour_network, colour_header) -> Predictor:
    return Predictor(colour_network(), colour_header)


def test_a_network_that_is_right_scores_one(predictor: Predictor):
    channels = np.zeros((60, 80), np.int64)
    channels[20:40, 20:60] = 1
    truth = np.where(channels == 1, 3, 0).astype(np.uint8)
    truth[:5] = 255
    result = evaluate(predictor, iter([labelled(channels, truth)]), run="runs/first")
    found = result.as_dict()
    expected = {
        "miou": 1.0,
        "per_class_iou": {"background": 1.0, "nerve": 1.0, "vessel": None},
        "dice": 1.0,
        "pixel_accuracy": 1.0,
        "boundary_f1": 1.0,
        "images": 1,
        "model": "colour",
        "run": "runs/first",
        "interval_over": "parts",
        "confusion": {"classes": ["background", "nerve", "vessel"], "pixels": found["confusion"]["pixels"]},
    }
    assert {name: found[name] for name in expected} == expected
    assert [sum(row) for row in found["confusion"]["pixels"]] == [3600, 800, 0]
    assert found["miou_interval"] == (1.0, 1.0)
    assert "no pixel" in found["class_notes"]["vessel"]
    assert any("few" in note for note in found["notes"])
    json.dumps(found)


def test_images_are_pooled_before_anything_is_divided(predictor: Predictor):
    """A large image that is right and a small one that is wrong: 150 of 160 pixels, not a half."""
    right = labelled(np.ones((10, 15), np.int64), np.full((10, 15), 3, np.uint8))
    wrong = labelled(np.ones((2, 5), np.int64), np.full((2, 5), 7, np.uint8))
    result = evaluate(predictor, [right, wrong])
    assert result.pixel_accuracy == pytest.approx(150 / 160)
    assert result.per_class_iou == {"background": None, "nerve": pytest.approx(150 / 160), "vessel": 0.0}
    assert result.miou == pytest.approx(75 / 160)
    assert result.dice["nerve"] == pytest.approx(300 / 310)
    assert result.images == 2


def test_nothing_to_score_is_said(predictor: Predictor):
    unlabelled = labelled(np.ones((4, 4), np.int64), np.full((4, 4), 255, np.uint8))
    for pairs in ([], [unlabelled]):
        with pytest.raises(UsageError, match="none of the masks has a labelled pixel"):
            evaluate(predictor, pairs)


def test_masks_without_a_label_are_counted_apart(predictor: Predictor):
    channels = np.ones((40, 40), np.int64)
    channels[:, :20] = 0
    truth = np.where(channels == 1, 3, 0).astype(np.uint8)
    truth[::7, 20:] = 0
    known = labelled(channels, truth)
    unknown = labelled(channels, np.full_like(truth, 255))
    alone = evaluate(predictor, [known])
    result = evaluate(predictor, [unknown, known, unknown])
    assert (result.images, result.interval, result.interval_over) == (1, alone.interval, "parts")
    assert result.notes == (*alone.notes, "without a labelled pixel, and not scored: 2 of the masks")


def test_probabilities_of_images_that_are_too_large_are_not_kept(
    colour_network, colour_header, monkeypatch: pytest.MonkeyPatch
):
    predictor = Predictor(colour_network(), replace(colour_header, temperature=2.0))
    asked: list[bool] = []
    usual = Predictor.predict

    def predict(self: Predictor, image: np.ndarray, *, probabilities: bool = False) -> PredictedMap:
        asked.append(probabilities)
        return usual(self, image, probabilities=probabilities)

    monkeypatch.setattr(Predictor, "predict", predict)
    monkeypatch.setattr(calibration, "MOST_PIXELS", 100)
    small, large = (labelled(np.ones((n, n), np.int64), np.full((n, n), 3, np.uint8)) for n in (10, 20))
    assert evaluate(predictor, [small, large]).ece_uncalibrated is not None
    assert evaluate(predictor, [large]).ece_uncalibrated is None
    assert asked == [True, False, False]


def test_a_class_the_network_does_not_know_is_refused(predictor: Predictor):
    with pytest.raises(ValueError, match="the truth has the value 9"):
        evaluate(predictor, [labelled(np.ones((4, 4), np.int64), np.full((4, 4), 9, np.uint8))])
