"""FC-DenseNet with 56, 67 and 103 layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.models.specs import ModelSpec, OptionSpec, PublishedSize

_GROWTH: Final = OptionSpec(
    name="growth", help="new maps of every layer; the paper's by default", default=16, minimum=2, maximum=48
)
_DEPTH: Final = OptionSpec(
    name="depth",
    help="layers of every block, with fewer of which it is quick to try; 0: the paper's",
    default=0,
    minimum=0,
    maximum=15,
)
_STEM: Final = OptionSpec(
    name="stem", help="maps of the first convolution; 48 in the paper", default=48, minimum=4, maximum=96
)
_DROPOUT: Final = OptionSpec(
    name="dropout",
    help="percent of every layer's features left out while learning; 20 in the paper",
    default=20,
    minimum=0,
    maximum=90,
)


def _densenet(
    layers: int,
    *,
    growth: int,
    depth: int,
    parameters: int,
    activation_bytes: int,
    macs: int,
    published: PublishedSize | None = None,
) -> ModelSpec:
    """FC-DenseNet of so many layers; `depth` in a block, as far as the cost goes."""
    return ModelSpec(
        name=f"fcdensenet{layers}",
        title=f"FC-DenseNet{layers}",
        family="FC-DenseNet",
        paper="Jegou, Drozdzal, Vazquez, Romero, Bengio: The One Hundred Layers Tiramisu: Fully"
        " Convolutional DenseNets for Semantic Segmentation, CVPR Workshops 2017, arXiv:1611.09326",
        year=2016,
        parameters=parameters,
        encoders=("plain",),
        size_multiple=32,
        build_from=f"core.models.densenet:fcdensenet{layers}",
        activation_bytes=activation_bytes,
        macs_per_pixel=macs,
        cost_by=(("growth", 1.6), ("stem", 0.25), ("depth", 1.6)),
        plain_as="",
        options=(replace(_GROWTH, default=growth), replace(_DEPTH, usual=depth), _STEM, _DROPOUT),
        published=published,
    )


DENSENET: Final = (
    # The paper's 9.4 M is what it comes to with the running statistics of the batch norms.
    _densenet(103, growth=16, depth=5, parameters=9_316_546, activation_bytes=24_009, macs=397_739),
    _densenet(
        67,
        growth=16,
        depth=5,
        parameters=3_458_274,
        activation_bytes=25_692,
        macs=413_975,
        published=PublishedSize(parameters=3_500_000, rounding=100_000, classes=11),
    ),
    # 1.4 M by any count; the paper says 1.5 M. Layer by layer in docs/models.md.
    _densenet(56, growth=12, depth=4, parameters=1_373_522, activation_bytes=15_108, macs=175_986),
)
