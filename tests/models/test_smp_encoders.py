"""The encoders of segmentation_models_pytorch: all of them, under families that can stand on them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import UsageError, WeightsFileError
from core.models import registry
from core.models.encoders import STRIDES, build_encoder
from core.models.normalization import Normalization
from core.models.pretrained import load_encoder_weights
from core.models.registry import build, encoder_spec, encoder_specs, model_spec

SMP = [spec for spec in encoder_specs() if spec.source == "smp"]
SMALL = ["smp:resnet18", "smp:mobilenet_v2", "smp:mit_b0", "smp:mobileone_s0", "smp:efficientnet-b0"]


def test_the_library_has_no_encoder_that_is_not_offered():
    from segmentation_models_pytorch import encoders

    assert {spec.name for spec in SMP} == {f"smp:{name}" for name in encoders.get_encoder_names()}
    for spec in SMP:
        name, _, weights = spec.origin.partition("/")
        assert weights in encoders.encoders[name]["pretrained_settings"]


def test_u_net_stands_on_all_and_dilated_networks_on_those_that_can_be_dilated():
    names = {spec.name for spec in SMP}
    assert names < set(model_spec("unet").encoders)
    dilatable = {spec.name for spec in SMP if 8 in spec.output_strides}
    assert {"smp:resnet18", "smp:efficientnet-b0"} < dilatable
    assert "smp:mit_b0" not in dilatable
    for family in ("deeplabv3plus", "pspnet"):
        assert names & set(model_spec(family).encoders) == dilatable


def test_licence_and_source_are_told():
    assert all(spec.licence and "smp-hub" in f"{spec.licence} smp-hub" for spec in SMP)
    assert "not for commercial use" in encoder_spec("smp:mit_b0").licence
    assert "CC-BY-NC-4.0" in encoder_spec("smp:resnext101_32x48d").licence


@pytest.mark.parametrize("name", SMALL)
def test_it_has_its_stated_size_and_six_maps(name: str):
    encoder = build_encoder(name).eval()
    assert sum(p.numel() for p in encoder.parameters()) == encoder_spec(name).parameters
    with torch.inference_mode():
        maps = encoder(torch.rand(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, STRIDES, strict=True)
    ]


@pytest.mark.parametrize(
    ("model", "encoder"),
    [("unet", "smp:mit_b0"), ("deeplabv3plus", "smp:mobilenet_v2"), ("pspnet", "smp:resnet18")],
)
def test_a_family_takes_any_image_and_learns_on_them(model: str, encoder: str):
    network = build(model, classes=3, encoder=encoder, width=8)
    network.training_output(torch.rand(2, 3, 64, 64)).logits.square().mean().backward()
    reached = [p.grad is not None and bool(p.grad.isfinite().all()) for p in network.encoder.parameters()]
    assert sum(reached) > 0.9 * len(reached)  # some end in layers that only their classifier uses
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 37, 50)).shape == (1, 3, 37, 50)


def test_an_encoder_that_cannot_be_dilated_is_refused_by_what_needs_it():
    with pytest.raises(UsageError) as error:
        build("deeplabv3plus", classes=2, encoder="smp:mit_b0")
    said = str(error.value)
    assert said.startswith("deeplabv3plus cannot stand on the encoder 'smp:mit_b0'; choose resnet50, ")
    assert "more such as smp:resnet18" in said
    assert len(said) < 400


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(UsageError, match="'smp:resnet18' needs the Python package segmentation-models-"):
        build("unet", classes=2, encoder="smp:resnet18")


def test_an_encoder_that_the_installed_library_lacks_is_said(monkeypatch: pytest.MonkeyPatch):
    later = replace(encoder_spec("smp:resnet18"), origin="resnet19/imagenet")
    monkeypatch.setitem(registry._encoders, "smp:resnet18", later)
    with pytest.raises(UsageError, match="has no encoder resnet19 with weights imagenet"):
        build_encoder("smp:resnet18")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder from which the client of the hub takes its files; `config.json` is there."""
    settings = {"input_space": "BGR", "input_range": [0, 255], "mean": [1, 2, 3], "std": [4, 5, 6]}
    (tmp_path / "config.json").write_text(json.dumps(settings))

    def fetch(repository: str, filename: str, *, revision: str, **_: object) -> str:
        assert repository == "smp-hub/resnet18.imagenet"
        assert revision
        return str(tmp_path / filename)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    return tmp_path


def test_default_weights_come_from_the_hub_with_their_normalisation(hub: Path):
    torch.manual_seed(1)
    published = build_encoder("smp:resnet18").published.state_dict()
    save_file({**published, "fc.weight": torch.zeros(2, 512)}, hub / "model.safetensors")
    encoder = build_encoder("smp:resnet18")
    left = load_encoder_weights(encoder, "default")
    assert list(left) == ["fc.weight"]
    assert encoder.pretrained
    assert encoder.normalization == Normalization(order="bgr", scale=1.0, mean=(1, 2, 3), std=(4, 5, 6))
    assert all(torch.equal(published[name], value) for name, value in encoder.published.state_dict().items())


def test_weights_of_another_family_are_refused_in_one_sentence(hub: Path):
    save_file(build_encoder("smp:mobilenet_v2").published.state_dict(), hub / "model.safetensors")
    with pytest.raises(WeightsFileError, match="does not fit the encoder smp:resnet18: it has no tensor"):
        load_encoder_weights(build_encoder("smp:resnet18"), "default")
