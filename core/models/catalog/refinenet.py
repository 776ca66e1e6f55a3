"""RefineNet."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH
from core.models.catalog.context import DEEP_ENCODERS, ENCODER_NORM, width
from core.models.specs import ModelSpec, OptionSpec

REFINENET: Final = (
    ModelSpec(
        name="refinenet",
        title="RefineNet",
        family="RefineNet",
        paper="Lin, Milan, Shen, Reid: RefineNet: Multi-Path Refinement Networks for High-Resolution Semantic"
        " Segmentation, CVPR 2017, arXiv:1611.06612",
        year=2016,
        parameters=90_758_978,
        encoders=DEEP_ENCODERS,
        size_multiple=32,
        build_from="core.models.refinenet:refinenet",
        activation_bytes=1_766,
        macs_per_pixel=743_328,
        cost_by=(("width", 1.9),),
        cost_by_channels=0.05,
        options=(
            width("channels of the cascades; of the coarsest twice as many", 256),
            ENCODER_NORM,
            OptionSpec(
                name="dropout",
                help="percent of the two coarsest maps that is dropped while learning",
                default=50,
                minimum=0,
                maximum=90,
            ),
            ENCODER_WIDTH,
        ),
    ),
)
