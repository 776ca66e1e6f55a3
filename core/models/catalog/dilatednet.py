"""DilatedNet."""

from __future__ import annotations

from typing import Final

from core.models.catalog.common import ENCODER_WIDTH, FC
from core.models.specs import ModelSpec, OptionSpec

DILATEDNET: Final = (
    ModelSpec(
        name="dilatednet",
        title="DilatedNet",
        family="DilatedNet",
        paper="Yu, Koltun: Multi-Scale Context Aggregation by Dilated Convolutions, ICLR 2016,"
        " arXiv:1511.07122",
        year=2016,
        parameters=41_457_746,
        encoders=("vgg16", "plain"),
        size_multiple=8,
        normalized=False,
        drops=True,
        build_from="core.models.dilatednet:dilatednet",
        activation_bytes=429,
        macs_per_pixel=500_772,
        cost_by=(("fc", 0.85),),
        cost_by_channels=1.0,
        plain_as="vgg16",
        options=(
            FC,
            OptionSpec(
                name="context",
                help="the module behind the front end: basic, large with more maps a layer, or none",
                default="basic",
                choices=("basic", "large", "none"),
            ),
            OptionSpec(
                name="training",
                help="staged: the front end first, then the context module on top; at_once: both together",
                default="staged",
                choices=("staged", "at_once"),
            ),
            OptionSpec(
                name="stage",
                help="how far training in stages has come; weights saved in the middle of a run remember it",
                default="context",
                choices=("front_end", "context"),
                noted=True,
            ),
            ENCODER_WIDTH,
        ),
    ),
)
