"""Feature extractors: what they look like to a decoder.

Every encoder gives a list of six feature maps, at strides 1, 2, 4, 8, 16 and 32. At stride 1 the pretrained
ones give the normalised image itself. Built with a smaller output stride, the maps beyond it keep its stride:
what would have halved them again does not, and the convolutions behind are dilated instead, so that every
weight sees the pixels it was trained to see (Chen et al. 2017, arXiv:1706.05587). Where weights come from is
told by `pretrained.py`; they fit every output stride.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from torch import Tensor, nn

from core.errors import UsageError
from core.models.downloads import importing_hub_client
from core.models.layers import Norm, double_conv, freeze_batch_norms
from core.models.normalization import IMAGENET, SYMMETRIC, Normalization
from core.models.registry import encoder_spec, encoder_specs
from core.models.specs import EncoderSpec

STRIDES: Final = (1, 2, 4, 8, 16, 32)
VGG_CONVOLUTIONS: Final = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions before each pool (configurations D and E of the paper)."""


class Encoder(nn.Module, ABC):
    """Feature maps (N, channels[k], H / strides[k], W / strides[k]) of x (N, 3, H, W).

    Attributes:
        name: the registry's.
        channels: of the six maps.
        output_stride: of the coarsest map.
        strides: of the six maps; those of `STRIDES`, none above the output stride.
        normalization: what x must have gone through; loading weights may change it.
        pretrained: whether weights were loaded.
    """

    def __init__(
        self, name: str, channels: tuple[int, ...], normalization: Normalization, *, output_stride: int = 32
    ) -> None:
        super().__init__()
        self.name = name
        self.channels = channels
        self.output_stride = output_stride
        self.strides = tuple(min(stride, output_stride) for stride in STRIDES)
        self.normalization = normalization
        self.pretrained = False

    @property
    def published(self) -> nn.Module:
        """The module whose parameter names are those of published weights."""
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """The six maps, fine to coarse. H and W must be multiples of the output stride."""


class TimmEncoder(Encoder):
    """A classification network of timm without its head."""

    def __init__(self, spec: EncoderSpec, *, output_stride: int) -> None:
        with importing_hub_client():
            import timm  # takes seconds to import, which networks without it need not wait for

        body: Any = timm.create_model(
            spec.origin, pretrained=False, features_only=True, output_stride=output_stride
        )
        config = body.pretrained_cfg
        super().__init__(
            spec.name,
            (3, *body.feature_info.channels()),
            Normalization(mean=tuple(config["mean"]), std=tuple(config["std"])),
            output_stride=output_stride,
        )
        self.body: nn.Module = body

    @property
    def published(self) -> nn.Module:
        """The network of timm itself."""
        return self.body

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image and the five maps of the body."""
        return [x, *self.body(x)]


class VGGEncoder(Encoder):
    """The convolutions of VGG (Simonyan and Zisserman 2014, arXiv:1409.1556); its maps are its five pools.

    `features` has torchvision's numbering, so that weights under `features.N.weight` fit as they are. A pool
    beyond the output stride is left out, and its map is what it would have pooled.
    """

    def __init__(
        self, spec: EncoderSpec, convolutions: tuple[int, ...], *, output_stride: int, width: int = 64
    ) -> None:
        channels = (3, width, 2 * width, 4 * width, 8 * width, 8 * width)
        super().__init__(spec.name, channels, IMAGENET, output_stride=output_stride)
        layers: list[nn.Module] = []
        self.ends: list[int] = []  # of the five blocks, within `features`
        for level, count in enumerate(convolutions):
            before, after = channels[level : level + 2]
            dilation = STRIDES[level] // self.strides[level]
            for inputs in (before, *[after] * (count - 1)):
                convolution = nn.Conv2d(inputs, after, 3, padding=dilation, dilation=dilation)
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                layers += [convolution, nn.ReLU(inplace=True)]
            self.ends.append(len(layers))
            layers.append(nn.MaxPool2d(2) if STRIDES[level + 1] <= output_stride else nn.Identity())
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image and the five pools."""
        maps = [x]
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.ends:
                maps.append(x)
        return maps  # (N, 3, H, W), (N, 64, H/2, W/2), ..., (N, 512, H/32, W/32)


class PlainEncoder(Encoder):
    """The contracting path of U-Net with same padding: two 3x3 convolutions a level, then a 2x2 pool.

    For images that look like nothing a pretrained network has seen, and for people who want no pretraining.
    Its map at stride 1 is learned too.
    """

    def __init__(self, width: int, norm: Norm = "batch", *, output_stride: int = 32) -> None:
        channels = tuple(width * factor for factor in (1, 2, 4, 8, 16, 16))
        super().__init__("plain", channels, SYMMETRIC, output_stride=output_stride)
        inputs = (3, *channels[:-1])
        dilations = [full // own for full, own in zip(STRIDES, self.strides, strict=True)]
        self.levels = nn.ModuleList(
            double_conv(before, after, norm, dilation=dilation)
            for before, after, dilation in zip(inputs, channels, dilations, strict=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What each level has convolved, before the next pool."""
        maps: list[Tensor] = []
        for level, stride in zip(self.levels, STRIDES, strict=False):  # a U-Net may drop the coarsest
            x = level(self.pool(x) if 1 < stride <= self.output_stride else x)
            maps.append(x)
        return maps


def build_encoder(name: str, *, width: int = 16, norm: Norm = "batch", output_stride: int = 32) -> Encoder:
    """The encoder of this name with random weights.

    Args:
        name: of the registry.
        width: of the plain encoder at full resolution.
        norm: "batch"; "frozen" for batch normalisation that keeps what weights say; "group" for the plain
            encoder, the others being what they were pretrained as.
        output_stride: 32, 16 or 8; of the coarsest maps.

    Raises:
        UsageError: an encoder that is unknown, or that cannot have this output stride.
    """
    spec = encoder_spec(name)
    if not spec.output_strides:
        raise UsageError(f"the encoder {name!r} has no maps for a decoder; it belongs to one model alone")
    if output_stride not in spec.output_strides:
        able = [
            other.name
            for other in encoder_specs()
            if output_stride in other.output_strides and other.source != "smp"  # they are dozens
        ]
        raise UsageError(
            f"the encoder {name!r} cannot have an output stride of {output_stride};"
            + (f" these can: {', '.join(able)}" if able else " it can be 8, 16 or 32")
        )
    encoder = _build(spec, width=width, norm=norm, output_stride=output_stride)
    if norm == "frozen":
        freeze_batch_norms(encoder)
    return encoder


def _build(spec: EncoderSpec, *, width: int, norm: Norm, output_stride: int) -> Encoder:
    if spec.source == "none":
        return PlainEncoder(width, norm, output_stride=output_stride)
    if spec.source == "smp":
        from core.models.smp_encoder import SmpEncoder

        return SmpEncoder(spec, output_stride=output_stride)
    if spec.name.startswith("tv_"):
        from core.models.torchvision_resnet import TorchvisionResNet

        return TorchvisionResNet(spec, output_stride=output_stride)
    if spec.source == "torchvision":
        return VGGEncoder(spec, VGG_CONVOLUTIONS[spec.name], output_stride=output_stride)
    return TimmEncoder(spec, output_stride=output_stride)
