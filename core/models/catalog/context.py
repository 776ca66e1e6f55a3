"""Options and encoders of the networks that look far around: DeepLab, PSPNet, RefineNet, Gated-SCNN."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.models.catalog.common import SMP_DILATABLE
from core.models.specs import OptionSpec

DEEP_ENCODERS: Final = (
    "resnet50",
    "resnet101",
    "resnet34",
    "resnet18",
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite3",
    "efficientnet_b0",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "regnety_016",
    "plain",
    *SMP_DILATABLE,
)
DEEPER_ENCODERS: Final = ("resnet101", *(name for name in DEEP_ENCODERS if name != "resnet101"))
NORM: Final = OptionSpec(
    name="norm",
    help="normalisation of decoder and plain encoder: batch, or group for batches under 8; frozen: group, and"
    " the encoder's batch norms stay as they were pretrained",
    default="batch",
    choices=("batch", "group", "frozen"),
)
ENCODER_NORM: Final = replace(
    NORM,
    help="normalisation: batch; frozen: the encoder's batch norms stay as they were pretrained; group, for"
    " batches under 8: of the encoder plain",
    plain_only=("group",),
    plain_why="and this decoder has nothing that normalises",
)
"""Of networks whose decoder has no normalisation."""
CONVOLUTION: Final = OptionSpec(
    name="convolution",
    help="3x3 convolutions behind the encoder: plain, or separable with about a ninth of the weights",
    default="separable",
    choices=("plain", "separable"),
)


def output_stride(default: int) -> OptionSpec:
    """How far the encoder reduces the image."""
    return OptionSpec(
        name="output_stride",
        help="of the encoder's coarsest maps: 8, 16 or 32; finer maps take more time and memory",
        default=default,
        minimum=8,
        maximum=32,
        numbers=(8, 16, 32),
    )


def width(what: str, default: int) -> OptionSpec:
    """Channels behind the encoder."""
    return OptionSpec(name="width", help=what, default=default, minimum=4, maximum=1024)
