"""Options and encoder lists that several families share."""

from __future__ import annotations

from typing import Final

from core.models.catalog.smp import SMP_ENCODERS
from core.models.specs import OptionSpec

ENCODER_WIDTH: Final = OptionSpec(
    name="encoder_width",
    help="channels of the plain encoder at full resolution; doubled at each of the next four strides",
    default=16,
    minimum=2,
    maximum=64,
    plain_only=None,
)
FC: Final = OptionSpec(
    name="fc",
    help="channels of fc6 and fc7; 4096 is the paper's width and takes over VGG's pretrained classifier",
    default=1024,
    minimum=16,
    maximum=4096,
)
UPSAMPLING: Final = OptionSpec(
    name="upsampling",
    help="how the decoder doubles the resolution; unpooling with the encoder plain only",
    default="nearest",
    choices=("nearest", "bilinear", "bicubic", "transposed", "unpooling", "resize_convolution"),
    plain_only=("unpooling",),
    plain_why="which needs an encoder with max pools to undo",
)
SMP_NAMES: Final = tuple(encoder.name for encoder in SMP_ENCODERS)
SMP_DILATABLE: Final = tuple(encoder.name for encoder in SMP_ENCODERS if 8 in encoder.output_strides)
FEATURE_ENCODERS: Final = (
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite3",
    "efficientnet_b0",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "resnet18",
    "resnet34",
    "resnet50",
    "regnety_016",
    "plain",
)
