"""DilatedNet: VGG16 that keeps a resolution of 1/8, and a context module of ever wider dilated convolutions.

Yu and Koltun 2016 (arXiv:1511.07122). The front end is VGG16 without its last two pools; what follows them
is dilated instead, by 2 in conv5 and by 4 in fc6. The context module takes the scores of the classes and
gives better ones: 3x3 convolutions dilated by 1, 1, 2, 4, 8, 16 and 1, and a 1x1. It starts as the identity,
without which the authors found it hard to train (section 3).

Three differences. Maps are padded inside (the authors mirror 186 pixels around the image and pad nothing in
the front end). The authors train the front end, then the module alone on what the front end gives, and only
for Cityscapes both together in the end; here the module's stage goes on training the front end with it, as
that third stage does, and both can be trained together from the start. And fc6 and fc7 may be narrower than
4096, which VGG's classifier needs, not the task.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoders import VGGEncoder
from core.models.network import ONE_STAGE, SegmentationNetwork
from core.models.pretrained import Notify, load_encoder_weights
from core.models.specs import Option
from core.models.vgg import take_classifier, vgg16

Context: TypeAlias = Literal["basic", "large", "none"]

STAGES: Final = ("front_end", "context")
DILATIONS: Final = (1, 1, 2, 4, 8, 16, 1)
LARGE: Final = (2, 2, 4, 8, 16, 32, 32)
"""Maps of the large module's layers, as multiples of the classes; the basic one has as many as classes."""
OUTPUT_STRIDE: Final = 8
NOISE: Final = 1e-3
"""Spread of the large module's other weights, which breaks the symmetry of maps that start alike. Far below
the identity's own, 1/32 and more, as the authors ask; they give no number."""


class ContextModule(nn.Module):
    """Seven dilated 3x3 convolutions with ReLU and a 1x1 one; each output sees 67 x 67 scores around it."""

    def __init__(self, classes: int, *, large: bool) -> None:
        super().__init__()
        widths = LARGE if large else (1,) * len(DILATIONS)
        channels = [classes, *(width * classes for width in widths)]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, padding=dilation, dilation=dilation)
            for (before, after), dilation in zip(pairwise(channels), DILATIONS, strict=True)
        )
        self.last = nn.Conv2d(channels[-1], classes, kernel_size=1)
        for layer in (*self.layers, self.last):
            assert isinstance(layer, nn.Conv2d)
            _init_identity(layer, classes, noise=NOISE if large else 0.0)

    def forward(self, scores: Tensor) -> Tensor:
        """Scores (N, classes, h, w) to better ones."""
        for layer in self.layers:
            scores = F.relu(layer(scores))
        better: Tensor = self.last(scores)
        return better


class DilatedNet(SegmentationNetwork):
    """Front end on VGG16, context module, bilinear upsampling by 8.

    Trained in stages it starts as the front end alone; the context module gets no gradient until it is
    entered.
    """

    encoder: VGGEncoder
    size_multiple = OUTPUT_STRIDE

    def __init__(
        self, encoder: VGGEncoder, *, classes: int, fc: int, context: Context, at_once: bool
    ) -> None:
        super().__init__(encoder, classes)
        self.stage = STAGES[0] if context == "none" else STAGES[-1]
        self.at_once = at_once
        self.fc6 = nn.Conv2d(encoder.channels[-1], fc, kernel_size=7, padding=12, dilation=4)
        self.fc7 = nn.Conv2d(fc, fc, kernel_size=1)
        self.dropout = nn.Dropout(0.5)
        self.score = nn.Conv2d(fc, classes, kernel_size=1)
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.score.weight, std=0.01)
        for layer in (self.fc6, self.fc7, self.score):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
        self.context = None if context == "none" else ContextModule(classes, large=context == "large")

    @property
    def options(self) -> dict[str, Option]:
        """As the registry built it, and how far training in stages has come."""
        return super().options | {"stage": self.stage}

    def stages(self) -> tuple[str, ...]:
        """The front end, then the context module on top of it; or all at once."""
        return ONE_STAGE if self.at_once or self.context is None else STAGES

    def enter_stage(self, name: str) -> None:
        """Predict with the parts of this stage from now on."""
        super().enter_stage(name)
        if self.stages() != ONE_STAGE:
            self.stage = name

    @property
    def score_layer(self) -> nn.Conv2d:
        """The front end's, which every stage begins with."""
        return self.score

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """The front end's, and the one the context module ends in; what lies between refines scores."""
        return (self.score,) if self.context is None else (self.score, self.context.last)

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W) of the current stage."""
        x = self.encoder(x)[-1]  # (N, 512, H/8, W/8)
        x = self.dropout(F.relu(self.fc6(x)))  # (N, fc, H/8, W/8)
        x = self.dropout(F.relu(self.fc7(x)))
        scores: Tensor = self.score(x)  # (N, classes, H/8, W/8)
        if self.context is not None and self.stage == STAGES[-1]:
            scores = self.context(scores)
        return F.interpolate(scores, scale_factor=8.0, mode="bilinear", align_corners=False)

    def load_encoder_weights(self, source: str, notify: Notify | None = None) -> None:
        """Fill the encoder, and fc6 and fc7 as well where they are VGG's own width and in the file."""
        take_classifier((self.fc6, self.fc7), load_encoder_weights(self.encoder, source, notify))


def _init_identity(layer: nn.Conv2d, classes: int, *, noise: float) -> None:
    """Make a convolution pass each class's maps on to the same class's (equations 4 and 5).

    The weight from map a of c to map b of d, of C classes, is C / d in the middle of the kernel where
    floor(a C / c) = floor(b C / d), and noise elsewhere. A score is shared out among the maps of its class
    and added up again at the end. Of as many maps as classes that is equation 4: 1 where a = b.
    """
    nn.init.normal_(layer.weight, std=noise)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
    inputs = torch.arange(layer.in_channels) * classes // layer.in_channels
    outputs = torch.arange(layer.out_channels) * classes // layer.out_channels
    same = outputs.unsqueeze(1) == inputs
    middle = layer.kernel_size[0] // 2
    with torch.no_grad():
        layer.weight[..., middle, middle].masked_fill_(same, classes / layer.out_channels)


def dilatednet(
    *,
    classes: int,
    encoder: str,
    fc: int,
    context: Context,
    training: Literal["staged", "at_once"],
    stage: str,
    encoder_width: int,
) -> DilatedNet:
    """Build for the registry."""
    features = vgg16(encoder, width=encoder_width, output_stride=OUTPUT_STRIDE)
    network = DilatedNet(features, classes=classes, fc=fc, context=context, at_once=training == "at_once")
    if network.stages() != ONE_STAGE:
        network.enter_stage(stage)
    return network
