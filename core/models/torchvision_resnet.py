"""torchvision's dilated residual networks, as they stand in its segmentation networks."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from core.models.encoders import Encoder
from core.models.normalization import IMAGENET
from core.models.specs import EncoderSpec

PUBLISHED_WIDTH: Final = 64
_BLOCKS: Final = {"tv_resnet50": (3, 4, 6, 3), "tv_resnet101": (3, 4, 23, 3)}


class _Body(ResNet):  # type: ignore[misc, unused-ignore]  # torchvision has no types
    """torchvision's ResNet of bottlenecks, its four stages `width` / 64 as wide, without the classifier."""

    def __init__(self, blocks: tuple[int, ...], *, width: int, dilated: list[bool]) -> None:
        self.width = width
        super().__init__(Bottleneck, list(blocks), replace_stride_with_dilation=dilated)
        del self.avgpool
        del self.fc

    def _make_layer(self, block: Any, planes: int, *args: Any, **options: Any) -> nn.Sequential:
        planes = planes * self.width // PUBLISHED_WIDTH
        layers: nn.Sequential = super()._make_layer(block, planes, *args, **options)
        return layers


class TorchvisionResNet(Encoder):
    """ResNet-50 or ResNet-101 under the names that torchvision's segmentation networks give their tensors.

    Its weights therefore come from those networks, which have seen COCO and not only ImageNet. torchvision
    dilates a stage from its second block on and leaves the first with the dilation of the stage before, so
    that every weight sees what it was trained to see.
    """

    def __init__(self, spec: EncoderSpec, *, output_stride: int, width: int = PUBLISHED_WIDTH) -> None:
        channels = (3, 64, *(width * factor for factor in (4, 8, 16, 32)))
        super().__init__(spec.name, channels, IMAGENET, output_stride=output_stride)
        dilated = [stride > output_stride for stride in (8, 16, 32)]
        self.backbone = _Body(_BLOCKS[spec.name], width=width, dilated=dilated)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image, the first convolution's map, and the four stages'."""
        body = self.backbone
        first = body.relu(body.bn1(body.conv1(x)))  # (N, 64, H/2, W/2)
        maps = [x, first]
        x = body.maxpool(first)
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            maps.append(x)
        return maps  # ..., (N, 4 width, H/4, W/4), ..., (N, 32 width, H/32, W/32)
