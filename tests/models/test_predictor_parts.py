"""A part of an image is predicted ahead of the rest, and the whole takes up from there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.learning.prediction.kept_tiles import KeptTiles
from core.learning.prediction.predict import Predictor

BOX = (60, 35, 191, 120)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("scale", [1.0, 0.4, 2.0])
@pytest.mark.parametrize("box", [BOX, (0, 0, 40, 30), (250, 180, 300, 260), (0, 0, 300, 260)])
def test_a_part_is_what_the_whole_says_there(colour_network, colour_header, scale, box):
    image = noise(260, 300)
    header = replace(colour_header, scale=scale)
    predictor = Predictor(colour_network(blur=True), header, tile=96, overlap=32)
    whole = predictor.predict(image, probabilities=True)
    part = predictor.predict_part(image, box, KeptTiles(), probabilities=True)
    x0, y0, x1, y1 = box
    assert part.classes.shape == (y1 - y0, x1 - x0)
    assert part.probabilities is not None
    assert whole.probabilities is not None
    np.testing.assert_allclose(part.probabilities, whole.probabilities[:, y0:y1, x0:x1], atol=2e-3)
    assert (part.classes == whole.classes[y0:y1, x0:x1]).mean() > 0.999


def test_only_tiles_that_reach_into_it_are_computed_and_none_twice(colour_network, colour_header):
    image = noise(500, 500)
    network = colour_network(blur=True)
    predictor = Predictor(network, colour_header, tile=96, overlap=32)
    alone = predictor.predict(image, probabilities=True)
    passes, kept = len(network.seen), KeptTiles()
    network.seen.clear()

    predictor.predict_part(image, (200, 200, 260, 260), kept)
    assert 0 < len(network.seen) <= 4
    predictor.predict_part(image, (200, 200, 300, 260), kept)
    after = predictor.predict(image, probabilities=True, kept=kept)

    assert len(network.seen) == passes
    assert alone.probabilities is not None
    assert after.probabilities is not None
    np.testing.assert_array_equal(after.probabilities, alone.probabilities)  # to the last bit
    np.testing.assert_array_equal(after.confidence, alone.confidence)


def test_tiles_are_kept_within_a_budget_and_for_one_image(colour_network, colour_header):
    image = noise(300, 300)
    network = colour_network(blur=True)
    predictor = Predictor(network, colour_header, tile=96, overlap=32)
    kept = KeptTiles(budget_bytes=3 * 96 * 96 * 4)  # one tile
    kept.begin("this image")
    predictor.predict_part(image, (0, 0, 20, 20), kept)
    network.seen.clear()
    predictor.predict_part(image, (0, 0, 90, 20), kept)
    assert len(network.seen) == 1, "the first tile is kept, there is no room for the second"
    kept.begin("this image")
    kept.begin("another")
    network.seen.clear()
    predictor.predict_part(image, (0, 0, 20, 20), kept)
    assert len(network.seen) == 1
