"""SegNet: the decoder puts every value back to where the encoder's max pool took it from.

Badrinarayanan, Kendall and Cipolla 2017 (arXiv:1511.00561). The encoder is VGG16's thirteen convolutions with
batch normalisation; of its maps only the places of the maxima go to the decoder, which mirrors it: unpool,
then as many 3x3 convolutions as the encoder has at that resolution. The last one is the classifier. The
29.5 M parameters it is said to have for eleven classes count the running statistics: it learns 29,445,643.

With dropout behind the three deepest units of encoder and decoder it is Bayesian SegNet (Kendall,
Badrinarayanan and Cipolla 2015, arXiv:1511.02680); 50 percent there.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from core.models.encoders import VGGEncoder
from core.models.layers import convolution_3x3
from core.models.upsampling import max_unpool
from core.models.vgg import NormalizedVGG, vgg16

CONVOLUTIONS = (3, 3, 3, 2, 2)
"""Of the decoder's units, coarse to fine: VGG16's, mirrored."""
BAYESIAN = 3
"""Units with dropout in each half, from the middle."""


class SegNet(NormalizedVGG):
    """VGG16 with batch normalisation, and its mirror image with max-unpooling. No skips."""

    def __init__(self, encoder: VGGEncoder, *, classes: int, dropout: float) -> None:
        super().__init__(encoder, classes)
        channels = encoder.channels[:0:-1]  # 512, 512, 256, 128, 64
        self.units = nn.ModuleList(
            _unit([before] * count + [after])
            for (before, after), count in zip(pairwise(channels), CONVOLUTIONS, strict=False)
        )
        finest = channels[-1]
        self.units.append(_unit([finest] * CONVOLUTIONS[-1]))
        self.head = nn.Conv2d(finest, classes, kernel_size=3, padding=1)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias
        self.dropout = nn.Dropout(dropout)

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        deepest = range(6 - BAYESIAN, 6)
        x, places = self.contract(x, dict.fromkeys(deepest, self.dropout))  # (N, 512, H/32, W/32)
        for index, (unit, corners) in enumerate(zip(self.units, reversed(places), strict=True)):
            x = unit(max_unpool(x, corners))  # (N, 512, H/16, W/16), ..., (N, 64, H, W)
            x = self.dropout(x) if index < BAYESIAN else x
        scores: Tensor = self.head(x)
        return scores


def _unit(channels: list[int]) -> nn.Sequential:
    """3x3 convolutions through these channels, each with batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [convolution_3x3(before, after), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def segnet(*, classes: int, encoder: str, dropout: int, encoder_width: int) -> SegNet:
    """Build for the registry."""
    return SegNet(vgg16(encoder, width=encoder_width), classes=classes, dropout=dropout / 100)
