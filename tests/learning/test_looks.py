"""Several looks at one image, averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import ClassList, LabelClass
from core.learning.machine.pieces import drained
from core.learning.prediction.folder_job import PredictionJob
from core.learning.prediction.folder_prediction import FolderPrediction
from core.learning.prediction.looks import LOOKS, Averaging, looked_again
from core.learning.prediction.postprocessed import postprocessed
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.weights import header_for, save_weights
from core.learning.validation.evaluate import LabelledPixels, evaluate
from core.models.registry import build
from core.postprocess.pipeline import Pipeline
from core.project.mask_file import read_index_mask

CLASSES = ClassList((LabelClass(0, "background", "#000000"), LabelClass(3, "cell", "#ff0000")), 0)
VALUES = np.array([0, 3], np.uint8)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(1)
    network = build("unet", classes=2, encoder="plain", encoder_width=2, width=2)
    header = header_for(network, classes=CLASSES, tile=64, scale=1.0, metrics={}, data_digest="")
    return Predictor(network, header)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def shares(predictor: Predictor, image: NDArray[np.uint8]) -> NDArray[np.float16]:
    found = predictor.predict(image, probabilities=True).probabilities
    assert found is not None
    return found


def test_every_look_is_another_one_and_leads_back() -> None:
    image = picture()
    seen = {look.of(image).tobytes() for look in LOOKS}
    assert len(seen) == 8
    assert (LOOKS[0].of(image) == image).all()
    assert (LOOKS[1].of(image) == image[:, ::-1]).all()
    for look in LOOKS:
        maps = np.moveaxis(look.of(image), -1, 0)
        np.testing.assert_array_equal(np.moveaxis(look.back(maps), 0, -1), image)


def test_the_answer_is_the_mean_of_what_is_said_in_each(predictor: Predictor) -> None:
    image = picture()
    plain = predictor.predict(image, probabilities=True)
    mirrored = shares(predictor, np.ascontiguousarray(image[:, ::-1]))[:, :, ::-1]
    upside_down = shares(predictor, np.ascontiguousarray(image[::-1]))[:, ::-1]
    assert plain.probabilities is not None
    mean = np.mean([plain.probabilities, mirrored, upside_down], axis=0, dtype=np.float32)
    found = drained(looked_again(predictor, image, plain, 3))
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities, mean, atol=1e-3)
    np.testing.assert_array_equal(found.classes, VALUES[mean.argmax(axis=0)])
    np.testing.assert_allclose(found.confidence / 255, mean.max(axis=0), atol=3e-3)
    assert drained(looked_again(predictor, image, plain, 1)) is plain


def test_eight_looks_do_not_mind_how_the_image_lies(predictor: Predictor) -> None:
    image = picture()[:, :40]  # so that every look has the same grid
    turned = np.ascontiguousarray(np.rot90(image))
    found, other = (
        drained(looked_again(predictor, each, predictor.predict(each, probabilities=True), 8))
        for each in (image, turned)
    )
    assert found.probabilities is not None
    assert other.probabilities is not None
    np.testing.assert_allclose(np.rot90(found.probabilities, axes=(1, 2)), other.probabilities, atol=2e-3)


def test_the_temperature_is_of_the_mean() -> None:
    mean = Averaging(np.array([[[0.9]], [[0.1]]]))
    mean.add(np.array([[[0.5]], [[0.5]]]))
    found = mean.map(VALUES, temperature=2.0)
    sure = 0.7**0.5 / (0.7**0.5 + 0.3**0.5)
    assert found.confidence[0, 0] == round(255 * sure)
    assert found.classes[0, 0] == 0


def test_scores_and_files_are_of_all_looks(predictor: Predictor, tmp_path: Path) -> None:
    image = picture()
    weights = tmp_path / "net.safetensors"
    save_weights(weights, predictor.network, predictor.header)
    (tmp_path / "in").mkdir()
    Image.fromarray(image).save(tmp_path / "in" / "a.png")
    expected = drained(
        looked_again(predictor, image, predictor.predict(image, probabilities=True), 4)
    ).classes
    assert (expected != predictor.predict(image).classes).any(), "else nothing is tested"
    job = PredictionJob(
        images=(str(tmp_path / "in"),),
        out=str(tmp_path / "out"),
        format="masks",
        weights=str(weights),
        post="tta=4",
    )
    work = FolderPrediction(job, device="cpu")
    try:
        assert [done.outcome for done in work.steps() if done is not None] == ["predicted"]
    finally:
        work.close()
    np.testing.assert_array_equal(read_index_mask(tmp_path / "out" / "a.png"), expected)
    pair = LabelledPixels(image, expected)
    score = evaluate(open_predictor(weights, device="cpu"), [pair], post=Pipeline.parsed("tta=4"))
    assert score.pixel_accuracy == 1.0
    assert score.post == "tta=4"


def test_other_steps_work_on_the_mean(predictor: Predictor) -> None:
    image = picture()
    found = drained(looked_again(predictor, image, predictor.predict(image, probabilities=True), 2))
    both, clean = (
        postprocessed(Pipeline.parsed(text), found, image, CLASSES).classes
        for text in ("tta=2;min_region=20", "min_region=20")
    )
    np.testing.assert_array_equal(both, clean)
    assert postprocessed(Pipeline.parsed("tta=2"), found, image, CLASSES) is found
