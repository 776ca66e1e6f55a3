"""Predictions with post-processing: of folders into files, scored, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import ClassList, LabelClass
from core.cli.main import main
from core.errors import UsageError
from core.learning.prediction.folder_job import PredictionJob
from core.learning.prediction.folder_prediction import FolderPrediction
from core.learning.prediction.postprocessed import postprocessed
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.weights import header_for, save_weights
from core.learning.validation.evaluate import LabelledPixels, evaluate
from core.models.registry import build
from core.postprocess import apply
from core.postprocess.pipeline import Pipeline
from core.project.mask_file import read_index_mask

BACKGROUND = LabelClass(0, "background", "#000000")
CELL = LabelClass(3, "cell", "#ff0000")
CLASSES = ClassList((BACKGROUND, CELL), 0)
POST = "crf:sxy=10,srgb=30;min_region=9;fill_holes=9"


def save_network(path: Path, classes: ClassList = CLASSES) -> Path:
    torch.manual_seed(0)
    network = build("unet", classes=2, encoder="plain", encoder_width=2, width=2)
    # As undecided as can be, so that both classes are seen everywhere.
    predictor = Predictor(
        network, header_for(network, classes=classes, tile=64, scale=1.0, metrics={}, data_digest="")
    )
    shares = predictor.predict(picture(), probabilities=True).probabilities
    assert shares is not None
    last = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.bias[1] += float(np.median(np.log(shares[0].astype(float) / shares[1])))
    save_weights(
        path, network, header_for(network, classes=classes, tile=64, scale=1.0, metrics={}, data_digest="")
    )
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("weights") / "net.safetensors")


def picture(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    Image.fromarray(picture()).save(tmp_path / "in" / "a.png")
    return tmp_path / "in"


def processed(predictor: Predictor, pixels: NDArray[np.uint8], post: str = POST) -> NDArray[np.uint8]:
    found = predictor.predict(pixels, probabilities=True)
    done = postprocessed(Pipeline.parsed(post), found, pixels, CLASSES, temperature=predictor.temperature)
    return done.classes


def job(folder: Path, weights: Path, post: str = POST) -> PredictionJob:
    return PredictionJob(
        images=(str(folder),), out=str(folder.parent / "out"), format="masks", weights=str(weights), post=post
    )


def outcomes(wanted: PredictionJob) -> list[str]:
    work = FolderPrediction(wanted, device="cpu")
    try:
        return [image.problem or image.outcome for image in work.steps() if image is not None]
    finally:
        work.close()


def test_files_hold_what_is_left_after_post_processing(folder: Path, weights: Path) -> None:
    predictor = open_predictor(weights, device="cpu")
    expected = processed(predictor, picture())
    assert (expected != predictor.predict(picture()).classes).any()
    assert outcomes(job(folder, weights)) == ["predicted"]
    mask = folder.parent / "out" / "a.png"
    np.testing.assert_array_equal(read_index_mask(mask, classes=CLASSES), expected)
    # The same once more is known; another post-processing is not.
    assert outcomes(job(folder, weights)) == ["known"]
    assert outcomes(job(folder, weights, post="min_region=5")) == ["predicted"]
    assert outcomes(job(folder, weights, post="")) == ["predicted"]


def test_tiles_leave_no_trace(weights: Path) -> None:
    """A region that lies in two tiles is one region."""
    opened = open_predictor(weights, device="cpu")
    tiled = Predictor(opened.network, opened.header, tile=32, overlap=16)
    found = tiled.predict(picture(), probabilities=True)
    labels = postprocessed(Pipeline.parsed("min_region=40"), found, picture(), CLASSES).classes
    expected = apply.remove_small_regions(found.classes, 40, 0)
    np.testing.assert_array_equal(labels, expected)


def test_an_image_that_is_too_large_is_left_out_and_said(
    folder: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "MOST_CRF_PIXELS", 1000)
    (problem,) = outcomes(job(folder, weights))
    assert problem.startswith(str(folder / "a.png"))
    assert "crf needs the whole image in memory" in problem


def test_what_the_classes_do_not_allow_is_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    without = save_network(tmp_path / "net.safetensors", ClassList((BACKGROUND, CELL), None))
    with pytest.raises(UsageError, match="these classes have no background"):
        FolderPrediction(job(folder, without, post="watershed"), device="cpu")


def test_scores_are_of_what_is_left_after_post_processing(weights: Path) -> None:
    predictor = open_predictor(weights, device="cpu")
    truth = processed(predictor, picture())
    pairs = [LabelledPixels(picture(), truth)]
    plain = evaluate(predictor, pairs)
    after = evaluate(predictor, pairs, post=Pipeline.parsed(POST))
    assert after.pixel_accuracy == 1.0
    assert plain.pixel_accuracy is not None
    assert plain.pixel_accuracy < 1.0
    assert after.as_dict()["post"] == str(Pipeline.parsed(POST))
    assert after.ece != plain.ece
    assert after.ece_uncalibrated == plain.ece_uncalibrated or predictor.temperature == 1.0


def test_a_map_without_steps_is_the_network_s(weights: Path) -> None:
    found = open_predictor(weights, device="cpu").predict(picture())
    assert postprocessed(Pipeline(), found, picture(), CLASSES) is found


def test_the_command_line_takes_a_pipeline(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.parent / "masks"
    predict = ["predict", str(weights), str(folder), "--out", str(out), "--post", POST, "--device", "cpu"]
    assert main(predict) == 0
    expected = processed(open_predictor(weights, device="cpu"), picture())
    np.testing.assert_array_equal(read_index_mask(out / "a.png", classes=CLASSES), expected)
    capsys.readouterr()
    score = ["evaluate", str(weights), "--images", str(folder), "--masks", str(out), "--device", "cpu"]
    assert main([*score, "--post", POST, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pixel_accuracy"] == 1.0
    assert main([*predict, "--post", "crv"]) == 2
    assert "there is no post-processing step crv; is it crf?" in capsys.readouterr().err
