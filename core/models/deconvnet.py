"""DeconvNet: VGG16 with its classifier, and the whole of it backwards by unpooling and deconvolution.

Noh, Hong and Han 2015 (arXiv:1505.04366). Every (de)convolution has batch normalisation and ReLU. fc6 is a
7x7 convolution without padding, so that a tile of 224 x 224 becomes a single vector of 4096 numbers between
the two halves (figure 2). Larger inputs give a map of such vectors.

The authors ask it for scores of object proposals, box by box, and train it on single objects first; here it
sees whole images from the start. fc6 and fc7 may be narrower than 4096, and fc6's window smaller than 7. And
the norms of fc6, fc7 and fc6's mirror image keep to their running statistics while a batch has fewer than
FEWEST vectors there: the authors had 64 crops of one vector each, and of two or four crops mean and variance
say nothing.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoders import VGGEncoder
from core.models.pretrained import Notify, load_encoder_weights
from core.models.upsampling import max_unpool
from core.models.vgg import NormalizedVGG, take_classifier, vgg16

STRIDE: Final = 32
FEWEST: Final = 32
"""Vectors in a batch from which their own mean and variance are taken: a variance of 32 numbers is right to
about a quarter."""


class SteadyBatchNorm(nn.BatchNorm2d):
    """Batch normalisation that takes its running statistics, and leaves them, where a batch has few values.

    Until there has been a larger batch those are 0 and 1, and nothing is normalised.

    Args:
        fewest: values a channel, N * h * w, with which it is as any batch normalisation.

    Attributes:
        shares: the parts of a batch of which x is one: there are as many processes.
    """

    def __init__(self, channels: int, *, fewest: int) -> None:
        super().__init__(channels)
        self.fewest = fewest
        self.shares = 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w), as it came."""
        if not self.training or self.shares * x.numel() // x.shape[1] >= self.fewest:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class DeconvNet(NormalizedVGG):
    """Convolution network, two fully connected layers as convolutions, deconvolution network.

    Args:
        fc: channels of fc6 and fc7.
        window: side of fc6's kernel; nothing smaller than 32 times as many pixels goes through.
    """

    def __init__(self, encoder: VGGEncoder, *, classes: int, fc: int, window: int) -> None:
        super().__init__(encoder, classes)
        self.smallest = STRIDE * window
        *_, first, second, third, fourth, deepest = encoder.channels  # 64, 128, 256, 512, 512
        self.fc6 = nn.Conv2d(deepest, fc, kernel_size=window)
        self.fc7 = nn.Conv2d(fc, fc, kernel_size=1)
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
        self.classifier_norms = nn.ModuleList(SteadyBatchNorm(fc, fewest=FEWEST) for _ in range(2))
        steady = SteadyBatchNorm(deepest, fewest=FEWEST * window**2)  # each vector becomes a window
        self.deconv_fc6 = _deconvolution(fc, deepest, kernel=window, padding=0, norm=steady)
        self.units = nn.ModuleList(
            [
                _unit(deepest, deepest, deepest, fourth),  # deconv5
                _unit(fourth, fourth, fourth, third),
                _unit(third, third, third, second),
                _unit(second, second, first),
                _unit(first, first, first),  # deconv1
            ]
        )
        self.head = nn.Conv2d(first, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W) of x of any size; what is smaller than fc6's window is made as large."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, max(0, self.smallest - width), 0, max(0, self.smallest - height)), mode="replicate")
        return super().forward(x)[..., :height, :width]

    def share_batches(self, shares: int) -> None:
        """Whether a batch is large enough to be normalised by goes by the whole of it."""
        for module in self.modules():
            if isinstance(module, SteadyBatchNorm):
                module.shares = shares

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W); shapes are of 224 x 224."""
        x, places = self.contract(x)  # (N, 512, 7, 7)
        for layer, norm in zip((self.fc6, self.fc7), self.classifier_norms, strict=True):
            x = F.relu(norm(layer(x)))  # (N, 4096, 1, 1)
        x = self.deconv_fc6(x)  # (N, 512, 7, 7)
        for unit, corners in zip(self.units, reversed(places), strict=True):
            x = unit(max_unpool(x, corners))  # (N, 512, 14, 14), ..., (N, 64, 224, 224)
        scores: Tensor = self.head(x)
        return scores

    def load_encoder_weights(self, source: str, notify: Notify | None = None) -> None:
        """Fill the encoder, and fc6 and fc7 as well where they are VGG's own size and in the file."""
        take_classifier((self.fc6, self.fc7), load_encoder_weights(self.encoder, source, notify))


def _unit(*channels: int) -> nn.Sequential:
    """3x3 deconvolutions of stride 1 through these channels."""
    return nn.Sequential(
        *(_deconvolution(before, after, kernel=3, padding=1) for before, after in pairwise(channels))
    )


def _deconvolution(
    inputs: int, outputs: int, *, kernel: int, padding: int, norm: nn.Module | None = None
) -> nn.Sequential:
    """A transposed convolution of stride 1 with batch normalisation and ReLU."""
    layer = nn.ConvTranspose2d(inputs, outputs, kernel, padding=padding, bias=False)
    # A transposed convolution's outputs see as many inputs as its "fan out" says.
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(layer, norm or nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def deconvnet(*, classes: int, encoder: str, fc: int, window: int, encoder_width: int) -> DeconvNet:
    """Build for the registry."""
    return DeconvNet(vgg16(encoder, width=encoder_width), classes=classes, fc=fc, window=window)
