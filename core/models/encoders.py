"""Feature extractors: what they look like to a decoder.

Every encoder gives a list of six feature maps, at strides 1, 2, 4, 8, 16 and 32. At stride 1 the pretrained
ones give the normalised image itself. Where their weights come from is told by `pretrained.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from torch import Tensor, nn

from core.models.layers import Norm, double_conv
from core.models.normalization import IMAGENET, SYMMETRIC, Normalization
from core.models.registry import encoder_spec
from core.models.specs import EncoderSpec

STRIDES: Final = (1, 2, 4, 8, 16, 32)
VGG_CONVOLUTIONS: Final = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions before each pool (configurations D and E of the paper)."""


class Encoder(nn.Module, ABC):
    """Feature maps (N, channels[k], H / STRIDES[k], W / STRIDES[k]) of x (N, 3, H, W).

    Attributes:
        name: the registry's.
        channels: of the six maps.
        normalization: what x must have gone through; loading weights may change it.
        pretrained: whether weights were loaded.
    """

    def __init__(self, name: str, channels: tuple[int, ...], normalization: Normalization) -> None:
        super().__init__()
        self.name = name
        self.channels = channels
        self.normalization = normalization
        self.pretrained = False

    @property
    def published(self) -> nn.Module:
        """The module whose parameter names are those of published weights."""
        return self

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """The six maps, fine to coarse. H and W must be multiples of 32."""


class TimmEncoder(Encoder):
    """A classification network of timm without its head."""

    def __init__(self, spec: EncoderSpec) -> None:
        import timm  # takes seconds to import, which networks without it need not wait for

        body: Any = timm.create_model(spec.origin, pretrained=False, features_only=True)
        config = body.pretrained_cfg
        super().__init__(
            spec.name,
            (3, *body.feature_info.channels()),
            Normalization(mean=tuple(config["mean"]), std=tuple(config["std"])),
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

    `features` has torchvision's numbering, so that weights under `features.N.weight` fit as they are.
    """

    def __init__(self, spec: EncoderSpec, convolutions: tuple[int, ...]) -> None:
        channels = (3, 64, 128, 256, 512, 512)
        super().__init__(spec.name, channels, IMAGENET)
        layers: list[nn.Module] = []
        for before, after, count in zip(channels, channels[1:], convolutions, strict=False):
            for inputs in (before, *[after] * (count - 1)):
                convolution = nn.Conv2d(inputs, after, kernel_size=3, padding=1)
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                layers += [convolution, nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image and the five pools."""
        maps = [x]
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        return maps  # (N, 3, H, W), (N, 64, H/2, W/2), ..., (N, 512, H/32, W/32)


class PlainEncoder(Encoder):
    """The contracting path of U-Net with same padding: two 3x3 convolutions a level, then a 2x2 pool.

    For images that look like nothing a pretrained network has seen, and for people who want no pretraining.
    Its map at stride 1 is learned too.
    """

    def __init__(self, width: int, norm: Norm = "batch") -> None:
        channels = tuple(width * factor for factor in (1, 2, 4, 8, 16, 16))
        super().__init__("plain", channels, SYMMETRIC)
        inputs = (3, *channels[:-1])
        self.levels = nn.ModuleList(
            double_conv(before, after, norm) for before, after in zip(inputs, channels, strict=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What each level has convolved, before the next pool."""
        maps: list[Tensor] = []
        for level in self.levels:
            x = level(self.pool(x) if maps else x)
            maps.append(x)
        return maps


def build_encoder(name: str, *, width: int = 16, norm: Norm = "batch") -> Encoder:
    """The encoder of this name with random weights; `width` and `norm` shape the plain one only."""
    spec = encoder_spec(name)
    if spec.source == "none":
        return PlainEncoder(width, norm)
    if spec.source == "torchvision":
        return VGGEncoder(spec, VGG_CONVOLUTIONS[name])
    return TimmEncoder(spec)
