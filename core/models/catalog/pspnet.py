"""PSPNet."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH
from core.models.catalog.context import DEEP_ENCODERS, NORM, output_stride, width
from core.models.specs import ModelSpec

PSPNET: Final = (
    ModelSpec(
        name="pspnet",
        title="PSPNet",
        family="PSPNet",
        paper="Zhao, Shi, Qi, Wang, Jia: Pyramid Scene Parsing Network, CVPR 2017, arXiv:1612.01105",
        year=2016,
        parameters=48_942_660,
        encoders=DEEP_ENCODERS,
        size_multiple=32,
        drops=True,
        build_from="core.models.pspnet:pspnet",
        activation_bytes=457,
        macs_per_pixel=296_129,
        cost_by=(("width", 1.0),),
        cost_by_channels=1.0,
        cost_by_pixels=1.0,
        options=(width("channels before the classifier", 512), NORM, output_stride(8), ENCODER_WIDTH),
    ),
)
