"""FCN-32s, FCN-16s and FCN-8s."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.models.catalog.common import ENCODER_WIDTH, FC
from core.models.specs import ModelSpec, OptionSpec, PublishedSize

_TRAINING: Final = OptionSpec(
    name="training",
    help="staged: coarse to fine, each from the last; at_once: all skips from the start, scaled down",
    default="staged",
    choices=("staged", "at_once"),
)
_STAGE_8S: Final = OptionSpec(
    name="stage",
    help="how far training in stages has come; weights saved in the middle of a run remember it",
    default="fcn8s",
    choices=("fcn32s", "fcn16s", "fcn8s"),
    noted=True,
)
_STAGE_16S: Final = replace(_STAGE_8S, default="fcn16s", choices=("fcn32s", "fcn16s"))
_FCN_PAPER: Final = (
    "Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation,"
    " CVPR 2015, arXiv:1411.4038"
)
_FCN_ENCODERS: Final = ("vgg16", "vgg19", "plain")


def _fcn(
    stride: int,
    *,
    parameters: int,
    activation_bytes: int,
    macs: int,
    options: tuple[OptionSpec, ...],
    published: PublishedSize | None = None,
) -> ModelSpec:
    """FCN with its finest scores at this stride."""
    return ModelSpec(
        name=f"fcn{stride}s",
        title=f"FCN-{stride}s",
        family="FCN",
        paper=_FCN_PAPER,
        year=2015,
        parameters=parameters,
        encoders=_FCN_ENCODERS,
        size_multiple=32,
        normalized=False,
        drops=True,
        build_from=f"core.models.fcn:fcn{stride}s",
        activation_bytes=activation_bytes,
        macs_per_pixel=macs,
        cost_by=(("fc", 1.1),),
        cost_by_channels=1.0,
        options=(*options, ENCODER_WIDTH),
        published=published,
    )


FCN: Final = (
    _fcn(8, parameters=41_459_142, activation_bytes=50, macs=26_134, options=(FC, _TRAINING, _STAGE_8S)),
    _fcn(16, parameters=41_458_564, activation_bytes=34, macs=26_126, options=(FC, _TRAINING, _STAGE_16S)),
    _fcn(
        32,
        parameters=41_457_474,
        activation_bytes=27,
        macs=26_122,
        options=(FC,),
        published=PublishedSize(
            parameters=134_000_000, rounding=1_000_000, classes=21, options=(("fc", 4096),)
        ),
    ),
)
