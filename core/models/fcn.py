"""FCN-32s, FCN-16s and FCN-8s: a classifier made convolutional, with skips from finer pools.

Long, Shelhamer and Darrell 2015 (arXiv:1411.4038), extended in arXiv:1605.06211. As in the paper: fc6 is a
7x7 convolution and fc7 a 1x1, dropout 0.5 after each; score layers are 1x1 and start at zero; skips are
added, not concatenated; the x2 upsamplings start bilinear and learn, the last one stays bilinear.

Two differences. The authors pad the input by 100 pixels and crop the maps into register; here the input is
padded to a multiple of 32, every upsampling has kernel 2 x stride and padding stride / 2, and maps fit
without cropping. As transposed convolutions they see zeros beyond the edge of their maps, so that scores fade
towards the border; the authors' margin keeps that out of the image. And fc6 and fc7 may be narrower than
4096, which VGG's classifier needs, not the task.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoders import Encoder, build_encoder
from core.models.layers import bilinear_kernel
from core.models.network import ONE_STAGE, SegmentationNetwork
from core.models.pretrained import Notify, load_encoder_weights
from core.models.specs import Option
from core.models.vgg import take_classifier

STAGES: Final = ("fcn32s", "fcn16s", "fcn8s")
POOL4_SCALE: Final = 0.01
POOL3_SCALE: Final = 0.0001
"""Skip scales for training all streams at once (arXiv:1605.06211, 4.3): pools grow as they get finer."""


class FCN(SegmentationNetwork):
    """A fully convolutional network whose finest skip is pool3 (8s), pool4 (16s) or none (32s).

    Trained in stages it starts as FCN-32s; a stage that is entered adds one skip, whose score layer is still
    zero, so that the prediction carries on from where it was. Layers of later stages get no gradient.
    """

    def __init__(self, encoder: Encoder, *, classes: int, finest: str, fc: int, at_once: bool) -> None:
        super().__init__(encoder, classes)
        self.finest = finest
        self.at_once = at_once
        self.stage = finest
        skips = STAGES.index(finest)
        *_, pool3, pool4, pool5 = encoder.channels
        self.fc6 = _he_initialised(nn.Conv2d(pool5, fc, kernel_size=7, padding=3))
        self.fc7 = _he_initialised(nn.Conv2d(fc, fc, kernel_size=1))
        self.dropout = nn.Dropout(0.5)
        self.score = _score_layer(fc, classes)
        # One module per skip, coarse to fine, however far training has come: the optimizer and the averaged
        # copy keep their parameters when a stage is entered.
        self.score_skips = nn.ModuleList(_score_layer(pool, classes) for pool in (pool4, pool3)[:skips])
        self.up_skips = nn.ModuleList(_upsampling(classes) for _ in range(skips))

    @property
    def options(self) -> dict[str, Option]:
        """As the registry built it, and how far training in stages has come."""
        options = super().options
        return options | {"stage": self.stage} if "stage" in options else options

    def stages(self) -> tuple[str, ...]:
        """From FCN-32s up to this one; a single stage when all streams are trained at once."""
        return ONE_STAGE if self.at_once else STAGES[: STAGES.index(self.finest) + 1]

    def enter_stage(self, name: str) -> None:
        """Predict with the skips of this stage from now on."""
        super().enter_stage(name)
        self.stage = self.finest if self.at_once else name

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W) of the current stage."""
        *_, pool3, pool4, pool5 = self.encoder(x)
        x = self.dropout(F.relu(self.fc6(pool5)))  # (N, fc, H/32, W/32)
        x = self.dropout(F.relu(self.fc7(x)))
        scores: Tensor = self.score(x)  # (N, classes, H/32, W/32)
        level = STAGES.index(self.stage)
        scales = (POOL4_SCALE, POOL3_SCALE) if self.at_once else (1.0, 1.0)
        for index, (pool, scale) in enumerate(zip((pool4, pool3)[:level], scales, strict=False)):
            scores = self.up_skips[index](scores) + self.score_skips[index](pool * scale)
        return _upsample(scores, factor=32 >> level)  # (N, classes, H, W)

    @property
    def score_layer(self) -> nn.Conv2d:
        """The coarsest stream's, which every stage begins with."""
        return self.score

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """All streams', coarse to fine."""
        return (self.score, *self.score_skips)

    def load_encoder_weights(self, source: str, notify: Notify | None = None) -> None:
        """Fill the encoder, and fc6 and fc7 as well where they are VGG's own width and in the file."""
        take_classifier((self.fc6, self.fc7), load_encoder_weights(self.encoder, source, notify))


def _upsample(scores: Tensor, *, factor: int) -> Tensor:
    """Bilinear upsampling as a transposed convolution, each class by itself, that does not learn."""
    classes = scores.shape[1]
    kernel = bilinear_kernel(factor).to(scores).expand(classes, 1, -1, -1)
    return F.conv_transpose2d(scores, kernel, stride=factor, padding=factor // 2, groups=classes)


def _he_initialised(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
    return layer


def _upsampling(classes: int) -> nn.ConvTranspose2d:
    """Upsampling by two that starts bilinear, each class by itself, and learns."""
    layer = nn.ConvTranspose2d(classes, classes, kernel_size=4, stride=2, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(classes), range(classes)] = bilinear_kernel(2)
    return layer


def _score_layer(inputs: int, classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, classes, kernel_size=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # it has a bias
    return layer


def _build(
    finest: str,
    *,
    classes: int,
    encoder: str,
    fc: int,
    encoder_width: int,
    training: str = "staged",
    stage: str | None = None,
) -> FCN:
    features = build_encoder(encoder, width=encoder_width)
    network = FCN(features, classes=classes, finest=finest, fc=fc, at_once=training == "at_once")
    if stage is not None and not network.at_once:
        network.enter_stage(stage)
    return network


def fcn32s(**options: Any) -> FCN:
    """Build for the registry, which has checked the options."""
    return _build("fcn32s", **options)


def fcn16s(**options: Any) -> FCN:
    """Build for the registry, which has checked the options."""
    return _build("fcn16s", **options)


def fcn8s(**options: Any) -> FCN:
    """Build for the registry, which has checked the options."""
    return _build("fcn8s", **options)
