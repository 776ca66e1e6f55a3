"""Gated-SCNN."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH
from core.models.catalog.context import DEEP_ENCODERS, NORM, output_stride, width
from core.models.specs import ModelSpec

GSCNN: Final = (
    ModelSpec(
        name="gscnn",
        title="Gated-SCNN",
        family="Gated-SCNN",
        paper="Takikawa, Acuna, Jampani, Fidler: Gated-SCNN: Gated Shape CNNs for Semantic Segmentation,"
        " ICCV 2019, arXiv:1907.05740",
        year=2019,
        parameters=40_520_473,
        encoders=DEEP_ENCODERS,
        size_multiple=32,
        build_from="core.models.gscnn:gscnn",
        activation_bytes=1_396,
        macs_per_pixel=342_998,
        cost_by=(("width", 1.2),),
        cost_by_channels=0.45,
        cost_by_pixels=0.45,
        options=(
            width("channels of the fusion; the shape stream begins with a quarter of them", 256),
            NORM,
            output_stride(8),
            ENCODER_WIDTH,
        ),
    ),
)
