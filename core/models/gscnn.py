"""Gated-SCNN: a second stream that only knows shapes (Takikawa et al. 2019, arXiv:1907.05740).

The regular stream is a dilated encoder. The shape stream begins with its first convolution and the image's
gradients, stays at that resolution with few channels, and asks the regular stream three times, through a
gate, what of its edges matters. What it finds, a map of edges, joins the atrous pyramid over the regular
stream, behind which DeepLab v3+'s decoder gives the scores.

It learns from more than the scores: predicted edges against those of the labels, and scores and edges against
each other (`edges.py`). The authors' regular stream is a WideResNet whose first convolution has the image's
size; the encoders here begin at half of it, and so does the shape stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.context import AtrousPyramid, conv_norm_relu_1x1, resized
from core.models.deeplab import RATES_V3, LowLevelDecoder, rates_at
from core.models.edges import edge_term, image_gradients, slope_term, sure_edge_term
from core.models.encoders import Encoder, build_encoder
from core.models.layers import Norm, convolution_3x3, decoder_norm, normalization_layer
from core.models.network import SegmentationNetwork
from core.models.terms import LossTerm, TrainingOutput, Truth

EDGE_FACTOR: Final = 20.0
SLOPE_FACTOR: Final = 1.0
SURE_EDGE_FACTOR: Final = 1.0
"""The paper's lambda 1, 3 and 4, beside cross-entropy with 1."""
EDGES: Final = "edges"
GATED_MAPS: Final = (2, 3, 5)
"""Of the encoder's six, those the gates look at: strides 4 and 8, and the last."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with normalisation, added to what came in."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            convolution_3x3(channels, channels),
            normalization_layer(norm, channels),
            nn.ReLU(inplace=True),
            convolution_3x3(channels, channels),
            normalization_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w), as it came."""
        return F.relu(x + self.seen(x))


class GatedConvolution(nn.Module):
    """Weighs shapes by what the regular stream knows: s -> w(s alpha + s), alpha in 0..1 for each pixel.

    Alpha is a 1x1 convolution of both streams behind a sigmoid. A sum of one of each, for a 1x1 convolution
    and bilinear upsampling may change places: the regular stream's many channels stay at its own resolution.
    """

    def __init__(self, channels: int, regular: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.of_shapes = nn.Conv2d(channels, 1, kernel_size=1, bias=False)
        self.of_regular = nn.Conv2d(regular, 1, kernel_size=1, bias=False)
        self.normalized = normalization_layer(norm, 1)
        self.weighed = nn.Conv2d(channels, outputs, kernel_size=1)

    def forward(self, shapes: Tensor, regular: Tensor) -> Tensor:
        """(N, channels, H/2, W/2) and (N, regular, h, w) -> (N, outputs, H/2, W/2)."""
        both = self.of_shapes(shapes) + resized(self.of_regular(regular), shapes.shape[-2:])
        alpha = torch.sigmoid(self.normalized(both))  # (N, 1, H/2, W/2)
        weighed: Tensor = self.weighed(shapes * alpha + shapes)
        return weighed


class ShapeStream(nn.Module):
    """Edges from the first convolution's map, the image's gradients and three looks at the other stream."""

    def __init__(self, first: int, gated: tuple[int, ...], *, width: int, norm: Norm) -> None:
        super().__init__()
        widths = [max(1, width >> halvings) for halvings in range(len(gated) + 1)]  # 64, 32, 16, 8
        self.first = nn.Conv2d(first + 1, widths[0], kernel_size=1)
        self.blocks = nn.ModuleList(ResidualBlock(channels, norm) for channels in widths[:-1])
        self.gates = nn.ModuleList(
            GatedConvolution(channels, regular, after, norm)
            for channels, regular, after in zip(widths, gated, widths[1:], strict=False)
        )
        self.head = nn.Conv2d(widths[-1], 1, kernel_size=1)

    def forward(self, first: Tensor, gradients: Tensor, gated: list[Tensor]) -> Tensor:
        """Edge logits (N, 1, H/2, W/2), from maps (N, first, H/2, W/2), (N, 1, H/2, W/2) and coarser ones."""
        x = self.first(torch.cat([first, gradients], dim=1))
        for block, gate, regular in zip(self.blocks, self.gates, gated, strict=True):
            x = gate(block(x), regular)
        edges: Tensor = self.head(x)
        return edges


class GatedSCNN(SegmentationNetwork):
    """Regular stream, shape stream, fusion."""

    def __init__(self, encoder: Encoder, *, classes: int, width: int, norm: Norm) -> None:
        super().__init__(encoder, classes)
        channels = encoder.channels
        gated = tuple(channels[index] for index in GATED_MAPS)
        self.shapes = ShapeStream(channels[1], gated, width=max(8, width // 4), norm=norm)
        self.edge_features = conv_norm_relu_1x1(1, width, norm)
        self.pyramid = AtrousPyramid(
            channels[-1], width, norm, rates=rates_at(encoder, RATES_V3, 16), extra=width
        )
        self.decoder = LowLevelDecoder(channels[2], width, norm, "plain")
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    @property
    def score_layer(self) -> nn.Conv2d:
        """The classifier."""
        return self.head

    def scores_and_edges(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, classes, H, W) and edge logits (N, 1, H, W); H and W multiples of `size_multiple`."""
        maps = self.encoder(x)
        _, first, low, *_, deepest = maps  # (N, 64, H/2, W/2), (N, 256, H/4, W/4), (N, 2048, H/8, W/8)
        gradients = F.avg_pool2d(image_gradients(x), kernel_size=2)  # (N, 1, H/2, W/2)
        edges = self.shapes(first, gradients, [maps[index] for index in GATED_MAPS])
        of_edges = self.edge_features(resized(torch.sigmoid(edges), deepest.shape[-2:]))
        fused = self.pyramid(deepest, of_edges)  # (N, 256, H/8, W/8)
        scores = self.head(self.decoder(fused, low))  # (N, classes, H/4, W/4)
        return resized(scores, x.shape[-2:]), resized(edges, x.shape[-2:])

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        return self.scores_and_edges(x)[0]

    def training_output(self, x: Tensor) -> TrainingOutput:
        """The scores, and the edges under EDGES."""
        height, width = x.shape[-2:]
        scores, edges = self.scores_and_edges(self.padded(x))
        return TrainingOutput(scores[..., :height, :width], {EDGES: edges[..., :height, :width]})

    def loss_terms(self, output: TrainingOutput, truth: Truth) -> Mapping[str, LossTerm]:
        """Edges against labels, slopes of the scores against labels, scores where edges are sure."""
        edges = output.extras[EDGES]
        return {
            EDGES: edge_term(edges, truth, EDGE_FACTOR),
            "slopes": slope_term(output.logits, truth, SLOPE_FACTOR),
            "sure edges": sure_edge_term(output.logits, edges, truth, SURE_EDGE_FACTOR),
        }


def gscnn(
    *, classes: int, encoder: str, width: int, norm: Norm, output_stride: int, encoder_width: int
) -> GatedSCNN:
    """Build for the registry."""
    features = build_encoder(encoder, width=encoder_width, norm=norm, output_stride=output_stride)
    return GatedSCNN(features, classes=classes, width=width, norm=decoder_norm(norm))
