"""U-Net."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH, FEATURE_ENCODERS
from core.models.specs import ModelSpec, OptionSpec

UNET: Final = (
    ModelSpec(
        name="unet",
        title="U-Net",
        family="U-Net",
        paper="Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation,"
        " MICCAI 2015, arXiv:1505.04597",
        year=2015,
        parameters=5_198_482,
        encoders=FEATURE_ENCODERS,
        size_multiple=32,
        build_from="core.models.unet:unet",
        activation_bytes=779,
        macs_per_pixel=37_040,
        options=(
            OptionSpec(
                name="width",
                help="decoder channels at full resolution; doubled at each coarser stride",
                default=16,
                minimum=2,
                maximum=64,
            ),
            OptionSpec(
                name="norm",
                help="normalisation of decoder and plain encoder: batch, or group for batches under 8",
                default="batch",
                choices=("batch", "group"),
            ),
            ENCODER_WIDTH,
        ),
    ),
)
