"""`maskloop models` tells what can be trained, and all that can be chosen about it."""

from __future__ import annotations

import json

import pytest

from core.cli.main import main
from core.errors import UsageError
from core.learning.config import TrainConfig
from core.learning.settings.settings_text import configured
from core.models.registry import model_spec, model_specs


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["models", *arguments]) == 0
    return capsys.readouterr().out


def test_the_table_has_a_line_for_every_model(capsys: pytest.CaptureFixture[str]):
    head, *lines = told(capsys).partition("\n\n")[0].splitlines()
    assert head.split() == ["name", "family", "paper", "parameters", "encoder", "licence", "memory", "tile"]
    assert [line.split()[0] for line in lines] == [spec.name for spec in model_specs()]
    (unet,) = (line for line in lines if line.startswith("unet "))
    for part in ("U-Net", "Ronneberger et al. 2015", "5.2 M", "tf_efficientnet_lite0", "Apache-2.0", " GB"):
        assert part in unet
    assert unet.endswith("  32")


def test_one_model_is_told_in_full(capsys: pytest.CaptureFixture[str]):
    """Each part that can be varied, with its default and what it can be; each encoder with its licence."""
    page = told(capsys, "unet")
    assert "arXiv:1505.04597" in page
    assert "GB with default options for 4 crops of 256 x 256" in page
    for line in (
        "upsampling nearest nearest, bilinear, bicubic, transposed, unpooling, resize_convolution",
        "skips concatenate concatenate, add, none",
        "convolution plain plain, separable",
        "norm batch batch, group, frozen",
        "dilation 1 1 to 8",
        "dropout 0 0 to 90",
        "width 16 2 to 64",
        "depth 5 1 to 5",
        "resnet50 23.5 M 1.6 GB timm Apache-2.0",
    ):
        assert line in [" ".join(own.split()) for own in page.splitlines()]


@pytest.mark.parametrize("name", [spec.name for spec in model_specs()])
def test_a_page_names_every_option_and_encoder(name: str, capsys: pytest.CaptureFixture[str]):
    spec, page = model_spec(name), told(capsys, name)
    words = {line.split()[0] for line in page.splitlines() if line.strip()}
    chosen = [option.name for option in spec.options if not option.noted]
    assert set(chosen) <= words
    assert "stage" not in words
    assert set(spec.encoders) <= words
    about = json.loads(told(capsys, name, "--json"))
    assert (about["name"], about["tile_multiple"]) == (name, spec.size_multiple)
    assert [encoder["name"] for encoder in about["encoders"]] == list(spec.encoders)
    assert [option["name"] for option in about["options"]] == chosen


@pytest.mark.parametrize(
    ("name", "encoder", "size", "cell"),
    [
        ("unet", "plain", 2_360_432, "2.4 M"),
        ("deconvnet", "plain", 919_668, "0.9 M"),
        ("unet_paper", "plain", None, "-"),
        ("random_forest", "hand_made", 0, "0.0 M"),
        ("deconvnet", "vgg16", 14_714_688, "14.7 M"),
    ],
)
def test_an_encoder_is_told_as_large_as_it_is_in_the_network(
    name: str, encoder: str, size: int | None, cell: str, capsys: pytest.CaptureFixture[str]
):
    encoders = json.loads(told(capsys, name, "--json"))["encoders"]
    assert [row["parameters"] for row in encoders if row["name"] == encoder] == [size]
    (row,) = (line for line in told(capsys, name).splitlines() if line.startswith(f"  {encoder} "))
    assert f"  {cell}  " in row


def test_an_unknown_model_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]):
    assert main(["models", "unett"]) == 2
    said = capsys.readouterr().err
    assert "there is no model 'unett'; known are unet, unet_paper, fcn8s" in said


def test_a_part_of_the_network_among_the_settings_is_shown_its_place():
    with pytest.raises(UsageError, match="of the network: --option upsampling=bilinear"):
        configured(TrainConfig(), [("upsampling", "bilinear")])
