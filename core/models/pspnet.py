"""PSPNet: a dilated encoder and averages over ever smaller parts of its map.

Zhao et al. 2016 (arXiv:1612.01105). The averages over 1, 2 x 2, 3 x 3 and 6 x 6 parts say what kind of scene
it is, and where in it. An auxiliary head on the last but one stage, with 0.4 of the loss, helps deep encoders
to learn. The average of the whole map is not normalised (see `context.Pooled`), and a ResNet here begins with
its usual 7x7 convolution, the authors' with three of 3x3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from core.models.auxiliary import AuxiliaryHead, SupervisedNetwork
from core.models.context import Pooled, conv_norm_relu_3x3, resized
from core.models.encoders import Encoder, build_encoder
from core.models.layers import Norm, decoder_norm

BINS: Final = (1, 2, 3, 6)
DROPOUT: Final = 0.1
AUXILIARY: Final = "auxiliary"


class PSPNet(SupervisedNetwork):
    """Encoder, pyramid pooling, a 3x3 convolution to `width` channels, score layer."""

    auxiliary_factor = 0.4

    def __init__(self, encoder: Encoder, *, classes: int, width: int, norm: Norm) -> None:
        super().__init__(encoder, classes)
        *_, middle, deepest = encoder.channels
        part = max(1, deepest // len(BINS))
        self.pyramid = nn.ModuleList(Pooled(deepest, part, norm, bins=bins) for bins in BINS)
        self.joined = conv_norm_relu_3x3(deepest + part * len(BINS), width, norm)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias
        self.auxiliary = AuxiliaryHead(middle, classes, norm, width=max(1, width // 2), dropout=DROPOUT)

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """The classifier and the auxiliary head's."""
        return (self.head, self.auxiliary.score_layer)

    def scores(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores (N, classes, H, W), and in training the auxiliary head's (N, classes, H/8, W/8)."""
        *_, middle, deepest = self.encoder(x)  # (N, 1024, H/8, W/8), (N, 2048, H/8, W/8)
        seen = torch.cat([deepest, *(pooled(deepest) for pooled in self.pyramid)], dim=1)  # (N, 4096, ...)
        scores = resized(self.head(self.dropout(self.joined(seen))), x.shape[-2:])
        return scores, {AUXILIARY: self.auxiliary(middle)} if self.training else {}


def pspnet(
    *, classes: int, encoder: str, width: int, norm: Norm, output_stride: int, encoder_width: int
) -> PSPNet:
    """Build for the registry."""
    features = build_encoder(encoder, width=encoder_width, norm=norm, output_stride=output_stride)
    return PSPNet(features, classes=classes, width=width, norm=decoder_norm(norm))
