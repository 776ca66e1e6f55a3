"""What families that start as VGG16 share: the thirteen convolutions at any width, and its classifier.

Networks that unpool what VGG pooled (SegNet, DeconvNet) put batch normalisation behind each of its
convolutions and remember which corner of every 2x2 window the maximum came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from core.models.encoders import VGG_CONVOLUTIONS, VGGEncoder
from core.models.network import SegmentationNetwork
from core.models.normalization import SYMMETRIC
from core.models.registry import encoder_spec
from core.models.upsampling import max_pool


def vgg16(name: str, *, width: int, output_stride: int = 32) -> VGGEncoder:
    """VGG16 for the encoder "vgg16"; for "plain" the same with `width` channels in place of its 64."""
    plain = name == "plain"
    convolutions = VGG_CONVOLUTIONS["vgg16"]
    encoder = VGGEncoder(
        encoder_spec(name), convolutions, output_stride=output_stride, width=width if plain else 64
    )
    if plain:
        encoder.normalization = SYMMETRIC
    return encoder


def take_classifier(layers: Iterable[nn.Conv2d], left: Mapping[str, Tensor]) -> None:
    """Fill fc6 and fc7 from what an encoder left over of VGG's weights, where they are VGG's own width."""
    for layer, name in zip(layers, ("classifier.0", "classifier.3"), strict=True):
        weight, bias = left.get(f"{name}.weight"), left.get(f"{name}.bias")
        own = layer.state_dict()
        if weight is None or bias is None or weight.numel() != own["weight"].numel():
            return
        if bias.shape != own["bias"].shape:
            return
        own["weight"].copy_(weight.reshape_as(own["weight"]))
        own["bias"].copy_(bias)


class NormalizedVGG(SegmentationNetwork):
    """Base of networks on VGG16 with batch normalisation that undo its pools.

    The norms belong to the network and not to the encoder: published weights have none, so they learn from
    the first step on, also while the encoder is frozen.
    """

    encoder: VGGEncoder

    def __init__(self, encoder: VGGEncoder, classes: int) -> None:
        super().__init__(encoder, classes)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(layer.out_channels) for layer in encoder.features if isinstance(layer, nn.Conv2d)
        )

    def contract(
        self, x: Tensor, dropouts: Mapping[int, nn.Module] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The last pool (N, 512, H/32, W/32), and where each of the five had its maxima, fine to coarse.

        Args:
            x: (N, 3, H, W).
            dropouts: what follows a pool, by its number, 1..5.
        """
        places: list[Tensor] = []
        norms = iter(self.norms)
        for layer in self.encoder.features:
            if isinstance(layer, nn.MaxPool2d):
                x, corners = max_pool(x)
                places.append(corners)
                x = dropouts[len(places)](x) if dropouts and len(places) in dropouts else x
            else:
                x = layer(x)
                x = next(norms)(x) if isinstance(layer, nn.Conv2d) else x
        return x, places
