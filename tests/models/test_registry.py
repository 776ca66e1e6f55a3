"""The registry tells what can be trained, without torch, and refuses what makes no sense."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.errors import UsageError
from core.models import registry
from core.models.cost import cost, estimate_memory, macs_per_pixel
from core.models.encoders import build_encoder
from core.models.registry import build, encoder_specs, model_spec, model_specs
from core.models.specs import PLAIN, Option, OptionSpec
from tests.models.figures import measure


def test_the_window_can_list_models_and_read_headers_without_torch():
    code = (
        "import sys, core.models.registry, core.learning.runs.header;"
        "print([name for name in ('torch', 'timm', 'safetensors') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "spec", [s for s in encoder_specs() if s.output_strides and s.source != "smp"], ids=lambda s: s.name
)
def test_every_encoder_has_its_stated_size_and_six_strides(spec: registry.EncoderSpec):
    with torch.device("meta"):
        encoder = build_encoder(spec.name)
        maps = encoder(torch.empty(1, 3, 64, 96))
    assert sum(p.numel() for p in encoder.parameters()) == spec.parameters
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, (1, 2, 4, 8, 16, 32), strict=True)
    ]


def test_fcn_on_vgg16_has_the_papers_size():
    """Long et al. report 134 M parameters for 21 classes."""
    with torch.device("meta"):
        network = build("fcn8s", classes=21, fc=4096)
    vgg = 14_714_688
    fc6, fc7 = 512 * 49 * 4096 + 4096, 4096 * 4096 + 4096
    scores = 21 * (4096 + 1) + 21 * (512 + 1) + 21 * (256 + 1)
    upsampling = 2 * 21 * 21 * 4 * 4
    assert sum(p.numel() for p in network.parameters()) == vgg + fc6 + fc7 + scores + upsampling


@pytest.mark.parametrize("name", ["unet", "fcn8s"])
def test_the_memory_estimate_is_near_what_training_keeps(name: str):
    network = build(name, classes=2)
    own = {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers()]}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network(torch.randn(2, 3, 64, 64))
    assert logits.requires_grad
    weights = 5 * 4 * sum(p.numel() for p in network.parameters())
    estimate = estimate_memory(model_spec(name), crop=64, batch=2)
    assert weights + sum(kept.values()) <= estimate <= weights + 2 * sum(kept.values())


STEPPED = [spec for spec in model_specs() if spec.family not in ("Instant", "Classical")]
"""Models that learn from crops, step by step."""


@pytest.mark.parametrize(
    ("name", "encoder", "options"),
    [
        ("deeplabv2", "tf_efficientnet_lite0", {}),
        ("pspnet", "resnet18", {}),
        ("gscnn", "mobilenetv3_large_100", {"output_stride": 16}),
        ("segnet", "plain", {}),
        ("deconvnet", "plain", {}),
        ("unet", "plain", {"encoder_width": 64}),
        ("fcn_resnet50", None, {"width": 32}),
        ("fcdensenet103", None, {"depth": 1}),
    ],
)
def test_the_memory_estimate_knows_encoder_and_options(name: str, encoder: str | None, options: dict):
    with torch.device("meta"):
        found = measure(build(name, classes=2, encoder=encoder, **options))
    counted = 5 * 4 * found.parameters + 1.5 * found.activation_bytes * 4 * 256**2
    told = estimate_memory(model_spec(name), 256, 4, encoder, options)
    assert 1 / 2 < told / counted < 2


def counted(name: str, side: int, encoder: str | None = None, **options: Option) -> float:
    """Multiplications and additions of a forward pass, per pixel of an image of this side."""
    with torch.device("meta"):  # some are large
        network = build(name, classes=2, encoder=encoder, **options).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2 / side**2


@pytest.mark.parametrize("spec", model_specs(), ids=lambda spec: spec.name)
def test_the_cost_of_every_model_on_every_encoder_can_be_told(spec: registry.ModelSpec):
    costs = [cost(spec, encoder) for encoder in spec.encoders]
    assert all(each.parameters > 0 and each.macs_per_pixel >= 0 for each in costs)
    assert costs[0].parameters == spec.parameters


@pytest.mark.parametrize("name", [spec.name for spec in model_specs() if spec.macs_per_pixel])
def test_the_cost_of_a_pixel_is_counted(name: str):
    side = max(128, model_spec(name).least_crop)
    assert macs_per_pixel(model_spec(name)) == pytest.approx(counted(name, side), rel=0.02)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        (spec.name, encoder)
        for spec in STEPPED
        for encoder in spec.encoders[1:]
        if encoder in ("tf_efficientnet_lite0", "mobilenetv3_large_100", "vgg19", "plain", "smp:resnet18")
    ],
)
def test_what_another_encoder_makes_of_the_cost_is_about_what_is_counted(name: str, encoder: str):
    told = macs_per_pixel(model_spec(name), encoder)
    assert 1 / 1.45 < told / counted(name, 256, encoder) < 1.45


def _sizes(option: OptionSpec) -> tuple[int, ...]:
    """Some values of an option that a network's size goes with; its default is counted above."""
    usual = int(option.default) or option.usual
    others = tuple(number for number in option.numbers if number != usual)
    return others or ((3, 5) if option.name == "depth" else (usual // 2, 2 * usual))


@pytest.mark.parametrize(
    ("name", "option", "encoder"),
    [
        (spec.name, option, PLAIN if option.name == "encoder_width" else None)
        for spec in STEPPED
        for option in spec.options
        if option.name in ("output_stride", spec.widened_by, *dict(spec.cost_by))
    ],
    ids=lambda value: value.name if isinstance(value, OptionSpec) else value,
)
def test_what_options_make_of_the_cost_is_about_what_is_counted(name: str, option: str, encoder: str | None):
    spec = model_spec(name)
    for value in _sizes(option):
        told = macs_per_pixel(spec, encoder, {option.name: value})
        assert 1 / 1.45 < told / counted(name, 256, encoder, **{option.name: value}) < 1.45, value


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="'unet' is registered already"):
        registry.register(model_spec("unet"))
    with pytest.raises(ValueError, match="'vgg16' is registered already"):
        registry.register_encoder(registry.encoder_spec("vgg16"))
    with pytest.raises(ValueError, match="unknown encoders: nothing"):
        registry.register(replace(model_spec("unet"), name="other", encoders=("nothing",)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "unett"}, "there is no model 'unett'; known are unet"),
        ({"encoder": "vgg16"}, "unet cannot stand on the encoder 'vgg16'; choose tf_efficientnet_lite0"),
        ({"classes": 0}, "1 to 255 classes, not 0"),
        ({"width": 1}, "option width is 1; it must be a whole number from 2 to 64"),
        ({"width": "wide"}, "option width is 'wide'"),
        ({"width": 4.5}, "option width is 4.5"),
        ({"width": True}, "option width is True"),
        ({"norm": "layer"}, "option norm is 'layer'; it can be batch, group, frozen"),
        ({"levels": 4}, "unet has no option 'levels'; it has width, depth, norm, upsampling"),
        ({"name": "pspnet", "output_stride": 12}, "option output_stride is 12; it can be 8, 16, 32"),
        ({"encoder_width": 8}, "belongs to the encoder plain, not to tf_efficientnet_lite0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(arguments: dict, message: str):
    with pytest.raises(UsageError) as error:
        build(**({"name": "unet", "classes": 2} | arguments))
    assert message in str(error.value)


def test_options_from_a_command_line_are_text():
    network = build("unet", classes=2, encoder="plain", width="2", encoder_width="4")
    defaults = {option.name: option.default for option in model_spec("unet").options}
    assert network.options == defaults | {"width": 2, "encoder_width": 4}
