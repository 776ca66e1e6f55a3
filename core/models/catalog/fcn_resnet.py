"""FCN on a dilated ResNet, as torchvision has it."""

from __future__ import annotations

from typing import Final

from core.models.catalog.context import output_stride
from core.models.specs import ModelSpec, OptionSpec, PublishedSize

_WIDTH: Final = OptionSpec(
    name="width",
    help="channels of the encoder's first stage; there are pretrained weights for 64 only",
    default=64,
    minimum=4,
    maximum=128,
)
_NORM: Final = OptionSpec(
    name="norm",
    help="batch, or frozen: the encoder's batch norms stay as they were pretrained, for small batches",
    default="batch",
    choices=("batch", "frozen"),
)
_AUXILIARY: Final = OptionSpec(
    name="auxiliary",
    help="a second head on the stage before the last, for training only: yes or no",
    default="yes",
    choices=("yes", "no"),
)


def _fcn_resnet(
    depth: int, *, parameters: int, published: int, activation_bytes: int, macs: int
) -> ModelSpec:
    """The network on a ResNet of this depth; `published` counts it with 21 classes."""
    return ModelSpec(
        name=f"fcn_resnet{depth}",
        title=f"FCN-ResNet{depth}",
        family="FCN",
        paper="Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015,"
        " arXiv:1411.4038; on the dilated ResNet of torchvision's fcn_resnet" + str(depth),
        year=2015,
        parameters=parameters,
        encoders=(f"tv_resnet{depth}",),
        size_multiple=32,
        drops=True,
        build_from="core.models.fcn_resnet:fcn_resnet",
        activation_bytes=activation_bytes,
        macs_per_pixel=macs,
        cost_by_channels=2.0,
        cost_by_pixels=1.0,
        widened_by="width",
        options=(_WIDTH, _NORM, output_stride(8), _AUXILIARY),
        published=PublishedSize(parameters=published, rounding=1, classes=21),
    )


FCN_RESNET: Final = (
    _fcn_resnet(50, parameters=35_307_588, published=35_322_218, activation_bytes=192, macs=147_472),
    _fcn_resnet(101, parameters=54_299_716, published=54_314_346, activation_bytes=192, macs=147_472),
)
