"""SegNet and DeconvNet, which undo VGG16's max pools."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH, FC
from core.models.specs import ModelSpec, OptionSpec, PublishedSize

UNPOOLING: Final = (
    ModelSpec(
        name="segnet",
        title="SegNet",
        family="SegNet",
        paper="Badrinarayanan, Kendall, Cipolla: SegNet: A Deep Convolutional Encoder-Decoder Architecture"
        " for Image Segmentation, PAMI 2017, arXiv:1511.00561",
        year=2015,
        parameters=29_440_450,
        encoders=("vgg16", "plain"),
        size_multiple=32,
        build_from="core.models.segnet:segnet",
        activation_bytes=3_114,
        macs_per_pixel=305_280,
        cost_by_channels=2.0,
        plain_as="vgg16",
        options=(
            OptionSpec(
                name="dropout",
                help="percent of the features of the six deepest units left out while learning; 50 makes it"
                " Bayesian SegNet",
                default=0,
                minimum=0,
                maximum=90,
            ),
            ENCODER_WIDTH,
        ),
    ),
    ModelSpec(
        name="deconvnet",
        title="DeconvNet",
        family="DeconvNet",
        paper="Noh, Hong, Han: Learning Deconvolution Network for Semantic Segmentation, ICCV 2015,"
        " arXiv:1505.04366",
        year=2015,
        parameters=81_912_386,
        encoders=("vgg16", "plain"),
        size_multiple=32,
        build_from="core.models.deconvnet:deconvnet",
        activation_bytes=3_634,
        macs_per_pixel=342_165,
        cost_by_channels=2.0,
        plain_as="vgg16",
        least_crop=224,  # what fc6's window makes of smaller ones, repeating their last rows and columns
        least_crop_by="window",
        options=(
            FC,
            OptionSpec(
                name="window",
                help="side of fc6's kernel: smaller crops than 32 times as many pixels are made as large; 7"
                " in the paper",
                default=7,
                minimum=1,
                maximum=7,
            ),
            ENCODER_WIDTH,
        ),
        published=PublishedSize(
            parameters=252_000_000, rounding=1_000_000, classes=21, options=(("fc", 4096),)
        ),
    ),
)
