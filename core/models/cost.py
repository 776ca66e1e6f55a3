"""What a network computes and keeps, roughly, before it is built: from the catalogue's figures. Torch-free.

It is the sum of its encoder, measured by itself at every output stride, and of its own part, measured on the
default encoder. The own part's weights go with powers of the options and of the channels that the encoder
hands over; what they compute goes with the weights and with the pixels of their maps, and the maps that
training keeps go with the square root of the weights. To count exactly takes torch
(`core.learning.explain.network`), which the window's process does without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt
from typing import Final

from core.models.registry import encoder_spec
from core.models.specs import PLAIN, ModelSpec, Option

_USUAL_STRIDE: Final = 32
"""Of an encoder's coarsest map."""
_COPIES: Final = 5
"""Of every parameter: value, gradient, two moments of AdamW, moving average."""
_WORKING: Final = 1.5
"""What convolutions need at work, on top of what is kept for the gradient."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a network or a part of it.

    Attributes:
        parameters: how many numbers it learns.
        activation_bytes: what training keeps per input pixel and image, in float32.
        macs_per_pixel: multiplications and additions of a forward pass per input pixel.
    """

    parameters: float
    activation_bytes: float
    macs_per_pixel: float


def macs_per_pixel(
    spec: ModelSpec, encoder: str | None = None, options: Mapping[str, Option] | None = None
) -> float:
    """Multiplications and additions of a forward pass per input pixel, within a factor of about 1.5."""
    return cost(spec, encoder, options).macs_per_pixel


def estimate_memory(
    spec: ModelSpec,
    crop: int,
    batch: int,
    encoder: str | None = None,
    options: Mapping[str, Option] | None = None,
) -> int:
    """Bytes a training step takes in float32, within a factor of about two; bf16 halves the activations."""
    found = cost(spec, encoder, options)
    return int(_COPIES * 4 * found.parameters + _WORKING * found.activation_bytes * crop * crop * batch)


def cost(spec: ModelSpec, encoder: str | None = None, options: Mapping[str, Option] | None = None) -> Cost:
    """Of a network with two classes.

    Args:
        spec: the network.
        encoder: of its encoders; None is its default.
        options: of its options; what they cannot be counts as the default.

    Raises:
        UsageError: an encoder it cannot stand on.
    """
    options = options or {}
    usual = encoder_cost(spec, spec.default_encoder)
    inside = encoder_cost(spec, spec.checked_encoder(encoder), options)
    powers = dict(spec.cost_by)
    weights = (inside.channels / usual.channels) ** spec.cost_by_channels * prod(
        option.multiple_in(options) ** powers[option.name] for option in spec.options if option.name in powers
    )
    pixels = (usual.stride / inside.stride) ** (2.0 * spec.cost_by_pixels)
    return Cost(
        parameters=inside.parameters + (spec.parameters - usual.parameters) * weights,
        activation_bytes=inside.activation_bytes + spec.activation_bytes * sqrt(weights) * pixels,
        macs_per_pixel=inside.macs_per_pixel + spec.macs_per_pixel * weights * pixels,
    )


@dataclass(frozen=True, slots=True)
class EncoderCost(Cost):
    """Of an encoder, with the channels and the stride of its coarsest map."""

    channels: float
    stride: int


def encoder_cost(spec: ModelSpec, name: str, options: Mapping[str, Option] | None = None) -> EncoderCost:
    """Of the encoder of this name, as it is in this network; nothing where all of it is the network's own."""
    options = options or {}
    if name == PLAIN and not spec.plain_as:
        return EncoderCost(0, 0, 0, channels=1, stride=_USUAL_STRIDE)
    shape = encoder_spec(spec.plain_as if name == PLAIN else name)
    known = dict(zip((16, 8), shape.dilated, strict=False))
    known[_USUAL_STRIDE] = shape.activation_bytes, shape.macs_per_pixel
    stride, wider = _USUAL_STRIDE, 1.0
    for option in spec.options:
        if option.name == "output_stride":
            chosen = option.number_in(options)
            stride = chosen if chosen in known else int(option.default)
        elif option.name == spec.widened_by and option.belongs_to(name):
            wider = option.number_in(options) / shape.width
    kept, computed = known[stride]
    return EncoderCost(
        parameters=shape.parameters * wider**2,
        activation_bytes=kept * wider,
        macs_per_pixel=computed * wider**2,
        channels=shape.channels * wider,
        stride=stride,
    )
