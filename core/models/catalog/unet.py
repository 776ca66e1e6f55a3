"""U-Net."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH, FEATURE_ENCODERS, SMP_NAMES, UPSAMPLING
from core.models.specs import ModelSpec, OptionSpec, PublishedSize

_PAPER: Final = (
    "Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation,"
    " MICCAI 2015, arXiv:1505.04597"
)

UNET: Final = (
    ModelSpec(
        name="unet",
        title="U-Net",
        family="U-Net",
        paper=_PAPER,
        year=2015,
        parameters=5_198_482,
        encoders=(*FEATURE_ENCODERS, *SMP_NAMES),
        size_multiple=32,
        build_from="core.models.unet:unet",
        activation_bytes=779,
        macs_per_pixel=37_040,
        cost_by=(("width", 1.8),),
        cost_by_channels=0.3,
        options=(
            OptionSpec(
                name="width",
                help="decoder channels at full resolution; doubled at each coarser stride",
                default=16,
                minimum=2,
                maximum=64,
            ),
            OptionSpec(
                name="depth",
                help="halvings of the resolution; fewer than five with the encoder plain only",
                default=5,
                minimum=1,
                maximum=5,
                plain_only=(1, 2, 3, 4),
                plain_why="which an encoder that comes as a whole cannot take",
            ),
            OptionSpec(
                name="norm",
                help="normalisation of decoder and plain encoder: batch, or group for batches under 8;"
                " frozen: group, and the encoder's batch norms stay as they were pretrained",
                default="batch",
                choices=("batch", "group", "frozen"),
            ),
            UPSAMPLING,
            OptionSpec(
                name="skips",
                help="what becomes of the encoder's finer maps: concatenate, add, or none for no skips",
                default="concatenate",
                choices=("concatenate", "add", "none"),
            ),
            OptionSpec(
                name="convolution",
                help="of the decoder: plain, or separable with about a ninth of the weights",
                default="plain",
                choices=("plain", "separable"),
            ),
            OptionSpec(
                name="dilation",
                help="distance of the nine points of the decoder's convolutions, pixels",
                default=1,
                minimum=1,
                maximum=8,
            ),
            OptionSpec(
                name="dropout",
                help="percent of the decoder's channels that are left out while learning",
                default=0,
                minimum=0,
                maximum=90,
            ),
            OptionSpec(
                name="supervised",
                help="decoder levels before the last that give scores of their own while learning, each with"
                " 0.4 of the loss: deep supervision; at most one less than depth",
                default=0,
                minimum=0,
                maximum=4,
            ),
            ENCODER_WIDTH,
        ),
    ),
    ModelSpec(
        name="unet_paper",
        title="U-Net (as published)",
        family="U-Net",
        paper=_PAPER,
        year=2015,
        parameters=31_031_810,
        encoders=("plain",),
        size_multiple=1,
        normalized=False,
        build_from="core.models.unet_paper:unet_paper",
        # Per pixel of the output, of crops of 256: the surroundings of small ones cost the most.
        activation_bytes=6_743,
        macs_per_pixel=1_197_745,
        cost_by=(("width", 2.0), ("depth", 2.0)),
        plain_as="",
        # Of a tile of 444 pixels for 256 a third gets scores, of one of 316 for 128 a sixth: one crop of the
        # former costs as much as two of the latter, and teaches twice as much. The authors' batch is one.
        least_crop=256,
        least_crop_by="depth",
        least_batch=1,
        # Of the figure's layers; the paper states none.
        published=PublishedSize(parameters=31_000_000, rounding=100_000, classes=2),
        options=(
            OptionSpec(
                name="width",
                help="root width: channels of the first level, doubled at each of the next; 64 in the paper",
                default=64,
                minimum=2,
                maximum=128,
            ),
            OptionSpec(
                name="depth",
                help="max pools; with 4 the scores of 388 pixels need a tile of 572",
                default=4,
                minimum=1,
                maximum=6,
            ),
            OptionSpec(
                name="dropout",
                help="percent of the features at the end of the contracting path left out while learning",
                default=50,
                minimum=0,
                maximum=90,
            ),
        ),
    ),
)
