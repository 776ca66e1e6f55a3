"""Measures what the catalogue says about networks and encoders: `python -m tests.models.figures NAME...`.

`python -m tests.models.figures smp > core/models/catalog/smp_rows.py` measures the encoders of
segmentation_models_pytorch anew, after an update of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.models.cost import cost
from core.models.encoders import build_encoder
from core.models.registry import build, encoder_specs, model_spec
from core.models.smp_encoder import SmpEncoder
from core.models.specs import EncoderSpec

SIDE = 256
SMP_HEAD = '''"""What `python -m tests.models.figures smp` measured of segmentation_models_pytorch."""

from typing import Final

ROWS: Final[tuple[tuple[str, str, int, int, int, int], ...]] = (
    # name, weights, parameters, activation bytes and multiplications a pixel, channels of the coarsest map
'''
SMP_DILATED = """DILATED: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    # activation bytes and multiplications with output strides of 16 and 8, of encoders that can be dilated
"""


@dataclass(frozen=True)
class Figures:
    """Of a module: what it learns, and per input pixel what training keeps and a forward pass computes."""

    parameters: int
    activation_bytes: int
    macs_per_pixel: int


def measure(module: nn.Module, side: int = SIDE) -> Figures:
    """Figures of a network on images of this side; on the meta device nothing is really computed."""
    module = module.to("meta").train()
    own = {tensor.untyped_storage()._cdata for tensor in [*module.parameters(), *module.buffers()]}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:
            kept[storage] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = module(torch.empty(2, 3, side, side, device="meta"))
    activations = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del result
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.empty(1, 3, side, side, device="meta"))
    return Figures(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        activation_bytes=round(activations / (2 * side**2)),
        macs_per_pixel=round(counter.get_total_flops() / 2 / side**2),
    )


def of_model(name: str) -> Figures:
    """Of a model with its defaults and two classes, less what its encoder keeps and computes."""
    whole = measure(build(name, classes=2))
    spec = model_spec(name)
    encoder = cost(replace(spec, activation_bytes=0, macs_per_pixel=0))
    return Figures(
        parameters=whole.parameters,
        activation_bytes=max(0, whole.activation_bytes - round(encoder.activation_bytes)),
        macs_per_pixel=max(0, whole.macs_per_pixel - round(encoder.macs_per_pixel)),
    )


def dilated(encoder: Callable[[int], nn.Module]) -> tuple[tuple[int, int], ...]:
    """Activation bytes and multiplications of an encoder that is built with output strides of 16 and 8."""
    found = [measure(encoder(stride)) for stride in (16, 8)]
    return tuple((figures.activation_bytes, figures.macs_per_pixel) for figures in found)


def smp_catalogue() -> str:
    """`core/models/catalog/smp_rows.py`: a row for each encoder of segmentation_models_pytorch."""
    from segmentation_models_pytorch import encoders as smp

    rows, finer = [], []
    for name in smp.get_encoder_names():
        settings = smp.encoders[name]["pretrained_settings"]
        weights = "imagenet" if "imagenet" in settings else next(iter(settings))
        spec = EncoderSpec(
            name=f"smp:{name}",
            title=name,
            licence="",
            source="smp",
            parameters=0,
            activation_bytes=0,
            macs_per_pixel=0,
            origin=f"{name}/{weights}",
        )
        usual = _on_meta(spec)
        found = measure(usual)
        figures = (found.parameters, found.activation_bytes, found.macs_per_pixel, usual.channels[-1])
        numbers = ", ".join(f"{figure:_}" for figure in figures)
        rows.append(f'    ("{name}", "{weights}", {numbers}),\n')
        if _dilatable(spec):
            pairs = (f"({kept:_}, {computed:_})" for kept, computed in dilated(partial(_on_meta, spec)))
            finer.append(f'    "{name}": ({", ".join(pairs)}),\n')
    return SMP_HEAD + "".join(rows) + ")\n" + SMP_DILATED + "".join(finer) + "}\n"


def _on_meta(spec: EncoderSpec, output_stride: int = 32) -> SmpEncoder:
    """Without its numbers, the largest of which are gigabytes."""
    if spec.name.startswith("smp:mit_"):  # reads a number from a tensor while it is built
        return SmpEncoder(spec, output_stride=output_stride).to("meta")
    with torch.device("meta"):
        return SmpEncoder(spec, output_stride=output_stride)


def _dilatable(spec: EncoderSpec) -> bool:
    """Whether output strides of 16 and 8 give maps at those, whose weights see what they were trained on."""
    if spec.name.startswith("smp:mit_"):  # their attention looks at maps reduced by strides, which would go
        return False
    try:
        for stride in (16, 8):
            coarsest = _on_meta(spec, stride).eval()(torch.empty(1, 3, 64, 64, device="meta"))[-1]
            if coarsest.shape[-1] != 64 // stride:
                return False
    except (ValueError, RuntimeError, NotImplementedError):
        return False
    return True


def main(names: list[str]) -> None:
    """Print the figures of models and encoders, or the whole catalogue of smp's encoders."""
    if names == ["smp"]:
        print(smp_catalogue(), end="")
        return
    for name in names:
        if name in {spec.name for spec in encoder_specs()}:
            build_dilated = partial(_with_stride, name)
            print(name, measure(build_encoder(name)), "dilated", dilated(build_dilated))
        else:
            print(name, of_model(name))


def _with_stride(name: str, output_stride: int) -> nn.Module:
    return build_encoder(name, output_stride=output_stride)


if __name__ == "__main__":
    main(sys.argv[1:])
