"""Uncertainty from mirrored looks, from dropout left on, and from several networks."""

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
from core.learning.overlay.doubt_sources import PASSES, asked_again, check_source, dropouts
from core.learning.prediction.predict import Predictor
from core.learning.prediction.uncertainty import entropy, uncertainty_map
from core.learning.runs.ensemble_members import members_beside
from core.learning.runs.weights import header_for, save_weights
from core.models.registry import build

BACKGROUND, CELL = LabelClass(0, "background", "#000000"), LabelClass(3, "cell", "#ff0000")
CLASSES = ClassList((BACKGROUND, CELL), 0)


def network(seed: int = 0, *, drops: bool = False, classes: ClassList = CLASSES) -> Predictor:
    torch.manual_seed(seed)
    made = build("unet", classes=len(classes), encoder="plain", encoder_width=2, width=2)
    if drops:
        convolution = [name for name, part in made.named_modules() if isinstance(part, torch.nn.Conv2d)][-1]
        parent, _, own = convolution.rpartition(".")
        setattr(
            made.get_submodule(parent),
            own,
            torch.nn.Sequential(torch.nn.Dropout(0.5), made.get_submodule(convolution)),
        )
    header = header_for(made, classes=classes, tile=64, scale=1.0, metrics={}, data_digest="")
    return Predictor(made, header)


def save(path: Path, seed: int = 0, classes: ClassList = CLASSES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    predictor = network(seed, classes=classes)
    save_weights(path, predictor.network, predictor.header)
    return path


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def test_with_dropout_left_on_every_pass_is_another_look_and_the_network_is_as_before() -> None:
    predictor = network(drops=True)
    before = predictor.predict(picture()).confidence
    state = torch.random.get_rng_state()
    voice = asked_again("mc_dropout", predictor, picture())
    assert len(voice.looks) == PASSES
    assert not np.array_equal(voice.looks[0], voice.looks[1])
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(predictor.predict(picture()).confidence, before)
    again = asked_again("mc_dropout", predictor, picture())
    for one, other in zip(voice.looks, again.looks, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_instant_learner_alone_drops_units_of_its_head() -> None:
    torch.manual_seed(0)
    made = build("instant", classes=2, encoder="plain", encoder_width=2)
    torch.nn.init.normal_(made.head.weight)  # type: ignore[union-attr, arg-type]
    predictor = Predictor(made, header_for(made, classes=CLASSES, tile=64))
    one, other = asked_again("mc_dropout", predictor, picture(), passes=2).looks
    assert not np.array_equal(one, other)


def test_the_map_is_the_entropy_of_the_mean_of_all_passes() -> None:
    voice = asked_again("mc_dropout", network(drops=True), picture(), passes=4)
    mean = np.mean([look.astype(np.float32) for look in voice.looks], axis=0)
    found = uncertainty_map([voice]).entropy / 255
    assert np.abs(found - entropy(mean).clip(0, 1)).max() < 0.01


def test_families_with_dropout_can_be_asked_and_others_say_what_works() -> None:
    assert dropouts(network(drops=True).network)
    with pytest.raises(UsageError, match=r"unet has no dropout, .* choose tta or ensemble"):
        check_source("mc_dropout", network())
    with torch.device("meta"):
        assert dropouts(build("segnet", classes=2, dropout=50))
        assert not dropouts(build("segnet", classes=2))
        assert dropouts(build("pspnet", classes=2))


def test_an_ensemble_is_the_mean_of_its_members_each_at_its_own_temperature() -> None:
    turned = ClassList((CELL, BACKGROUND), 0)
    first, second = network(0), network(1, classes=turned)
    second.temperature = 2.0
    voice = asked_again("ensemble", first, picture(), others=[second])
    assert len(voice.looks) == 2
    logits = np.log(second.predict(picture(), probabilities=True).probabilities.astype(float))  # type: ignore[union-attr]
    softened = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=0)
    assert np.abs(voice.looks[1] - softened[::-1]).max() < 0.01


def test_an_ensemble_of_one_or_of_other_classes_is_refused() -> None:
    with pytest.raises(UsageError, match="needs the weights of two or more runs"):
        check_source("ensemble", network())
    other = ClassList((BACKGROUND, LabelClass(5, "crack", "#00ff00")), 0)
    with pytest.raises(UsageError, match="must know the same classes"):
        check_source("ensemble", network(), [network(classes=other)])


def test_the_other_runs_of_a_project_are_its_members(tmp_path: Path) -> None:
    other = ClassList((BACKGROUND, LabelClass(5, "crack", "#00ff00")), 0)
    runs = {name: save(tmp_path / name / "best.safetensors", seed) for seed, name in enumerate("abc")}
    save(tmp_path / "d" / "best.safetensors", classes=other)
    (tmp_path / "e").mkdir()
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "best.safetensors").write_bytes(b"broken")
    assert members_beside(tmp_path / "b", CLASSES) == [runs["c"], runs["a"]]


def test_the_command_line_writes_a_picture_of_the_uncertainty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, other = save(tmp_path / "one.safetensors"), save(tmp_path / "two.safetensors", 1)
    Image.fromarray(picture()).save(tmp_path / "a.png")
    predict = ["predict", str(weights), str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--device"]
    ensemble = [*predict, "cpu", "--json", "--uncertainty", "ensemble"]
    assert main([*ensemble, "--members", str(other)]) == 0
    (file,) = json.loads(capsys.readouterr().out)["uncertainty"]
    assert Path(file) == tmp_path / "out" / "uncertainty" / "a.png"
    voice = asked_again("ensemble", network(0), picture(), others=[network(1)])
    found = np.array(Image.open(file)).astype(int)
    assert np.abs(found - uncertainty_map([voice]).entropy).max() <= 1
    assert main(ensemble) != 0
    assert "needs the weights of two or more runs" in capsys.readouterr().err
    assert main([*predict, "cpu", "--uncertainty", "mc_dropout"]) != 0
    assert "unet has no dropout" in capsys.readouterr().err
    assert main([*predict, "cpu", "--uncertainty", "tta", "--again"]) == 0
