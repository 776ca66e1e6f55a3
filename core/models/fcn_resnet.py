"""FCN on a dilated ResNet: the network that torchvision calls fcn_resnet50 and fcn_resnet101.

One map at stride 8, a 3x3 convolution to a quarter of its channels, a 1x1 score layer, and bilinear
upsampling: where FCN-8s gains detail from finer pools, dilation keeps it in the map itself. An auxiliary
head of the same kind on the stage before helps to learn; torchvision counts its loss half.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor, nn
from torchvision.models.segmentation.fcn import FCNHead

from core.errors import UsageError
from core.models.auxiliary import SupervisedNetwork, last_convolution
from core.models.context import resized
from core.models.encoders import Encoder
from core.models.layers import Norm, freeze_batch_norms
from core.models.pretrained import Notify, load_encoder_weights
from core.models.registry import encoder_spec
from core.models.torchvision_resnet import PUBLISHED_WIDTH, TorchvisionResNet

AUXILIARY: Final = "auxiliary"
HEADS: Final = {"classifier": "classifier", AUXILIARY: "aux_classifier"}
"""The heads' names here, and torchvision's."""


class FCNResNet(SupervisedNetwork):
    """torchvision's FCN; `auxiliary` is None where it is left out."""

    auxiliary_factor = 0.5

    def __init__(self, encoder: Encoder, *, classes: int, auxiliary: bool) -> None:
        super().__init__(encoder, classes)
        *_, middle, deepest = encoder.channels
        self.classifier = FCNHead(deepest, classes)
        self.auxiliary = FCNHead(middle, classes) if auxiliary else None

    @property
    def score_layer(self) -> nn.Conv2d:
        """The last convolution of the head."""
        return last_convolution(self.classifier)

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """Both heads'."""
        heads = (self.classifier,) if self.auxiliary is None else (self.classifier, self.auxiliary)
        return tuple(last_convolution(head) for head in heads)

    def scores(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores (N, classes, H, W), and in training the auxiliary head's (N, classes, H/8, W/8)."""
        *_, middle, deepest = self.encoder(x)  # (N, 1024, H/8, W/8), (N, 2048, H/8, W/8)
        scores = resized(self.classifier(deepest), x.shape[-2:])
        if self.auxiliary is None or not self.training:
            return scores, {}
        return scores, {AUXILIARY: self.auxiliary(middle)}

    def load_encoder_weights(self, source: str, notify: Notify | None = None) -> None:
        """Fill the encoder, and both heads up to their score layers where the file has them.

        Raises:
            UsageError: there are no such weights for a network of this width.
        """
        width = self.encoder.channels[2] // 4
        if source == "default" and width != PUBLISHED_WIDTH:
            raise UsageError(
                f"{self.architecture}: option width is {width}, for which there are no pretrained weights:"
                f" choose {PUBLISHED_WIDTH}, or encoder weights 'none'"
            )
        left = load_encoder_weights(self.encoder, source, notify)
        for own, theirs in HEADS.items():
            head = getattr(self, own)
            if head is None:
                continue
            places = {
                name: place for name, place in head.state_dict().items() if not name.startswith("4.")
            }  # 4: the score layer, of other classes
            found = {name: left.get(f"{theirs}.{name}") for name in places}
            if all(value is not None and value.shape == places[name].shape for name, value in found.items()):
                for name, value in found.items():
                    places[name].copy_(value)


def fcn_resnet(
    *, classes: int, encoder: str, width: int, norm: Norm, output_stride: int, auxiliary: str
) -> FCNResNet:
    """Build for the registry."""
    features = TorchvisionResNet(encoder_spec(encoder), output_stride=output_stride, width=width)
    if norm == "frozen":
        freeze_batch_norms(features)
    return FCNResNet(features, classes=classes, auxiliary=auxiliary == "yes")
