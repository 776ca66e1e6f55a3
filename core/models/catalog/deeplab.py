"""DeepLab v2, v3 and v3+."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH
from core.models.catalog.context import (
    CONVOLUTION,
    DEEP_ENCODERS,
    DEEPER_ENCODERS,
    ENCODER_NORM,
    NORM,
    output_stride,
    width,
)
from core.models.specs import ModelSpec

_WIDTH: Final = width("channels of the pyramid's branches, and of what follows", 256)

DEEPLAB: Final = (
    ModelSpec(
        name="deeplabv2",
        title="DeepLab v2",
        family="DeepLab",
        paper="Chen, Papandreou, Kokkinos, Murphy, Yuille: DeepLab: Semantic Image Segmentation with Deep"
        " Convolutional Nets, Atrous Convolution, and Fully Connected CRFs, 2016, arXiv:1606.00915",
        year=2016,
        parameters=42_647_624,
        encoders=DEEPER_ENCODERS,
        size_multiple=32,
        build_from="core.models.deeplab:deeplabv2",
        activation_bytes=1,
        macs_per_pixel=2_304,
        cost_by_channels=1.0,
        cost_by_pixels=1.0,
        options=(ENCODER_NORM, output_stride(8), ENCODER_WIDTH),
    ),
    ModelSpec(
        name="deeplabv3",
        title="DeepLab v3",
        family="DeepLab",
        paper="Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image"
        " Segmentation, 2017, arXiv:1706.05587",
        year=2017,
        parameters=39_043_394,
        encoders=DEEP_ENCODERS,
        size_multiple=32,
        drops=True,
        build_from="core.models.deeplab:deeplabv3",
        activation_bytes=68,
        macs_per_pixel=58_634,
        cost_by=(("width", 1.0),),
        cost_by_channels=0.95,
        cost_by_pixels=1.0,
        options=(_WIDTH, NORM, output_stride(16), ENCODER_WIDTH),
    ),
    ModelSpec(
        name="deeplabv3plus",
        title="DeepLab v3+",
        family="DeepLab",
        paper="Chen, Zhu, Papandreou, Schroff, Adam: Encoder-Decoder with Atrous Separable Convolution for"
        " Semantic Image Segmentation, ECCV 2018, arXiv:1802.02611",
        year=2018,
        parameters=26_677_586,
        encoders=DEEP_ENCODERS,
        size_multiple=32,
        drops=True,
        build_from="core.models.deeplab:deeplabv3plus",
        activation_bytes=656,
        macs_per_pixel=19_771,
        cost_by=(("width", 1.5),),
        cost_by_channels=0.25,
        cost_by_pixels=0.2,
        options=(_WIDTH, NORM, CONVOLUTION, output_stride(16), ENCODER_WIDTH),
    ),
)
