"""Scores that a network gives of its intermediate maps while it is trained, and the loss of them.

An auxiliary head behind a middle stage (PSPNet) or behind each decoder level (deep supervision; Lee et al.
2015, arXiv:1409.5185) brings the gradient there by a short way. Predicting does without.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from core.models.context import conv_norm_relu_3x3, resized
from core.models.layers import Norm
from core.models.network import SegmentationNetwork
from core.models.terms import LossTerm, TrainingOutput, Truth, cross_entropy_term


class SupervisedNetwork(SegmentationNetwork):
    """A network with auxiliary scores.

    Attributes:
        auxiliary_factor: what the cross-entropy of each counts beside the loss of the scores.
    """

    auxiliary_factor: float = 0.4

    @abstractmethod
    def scores(self, x: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Scores (N, classes, H, W) of x (N, 3, H, W), and the auxiliary ones (N, classes, h, w) by name.

        The latter only in training. H and W are multiples of `size_multiple`.
        """

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        return self.scores(x)[0]

    def training_output(self, x: Tensor) -> TrainingOutput:
        """The scores, and the auxiliary ones at the same size."""
        height, width = x.shape[-2:]
        padded = self.padded(x)
        scores, auxiliaries = self.scores(padded)
        extras = {
            name: resized(other, padded.shape[-2:])[..., :height, :width]
            for name, other in auxiliaries.items()
        }
        return TrainingOutput(scores[..., :height, :width], extras)

    def loss_terms(self, output: TrainingOutput, truth: Truth) -> Mapping[str, LossTerm]:
        """Cross-entropy of the auxiliary scores."""
        return {
            name: cross_entropy_term(other, truth, self.auxiliary_factor)
            for name, other in output.extras.items()
        }


class AuxiliaryHead(nn.Sequential):
    """Scores (N, classes, h, w) of a map (N, inputs, h, w): 3x3 convolution, dropout, 1x1 convolution."""

    def __init__(self, inputs: int, classes: int, norm: Norm, *, width: int, dropout: float = 0.1) -> None:
        super().__init__(
            conv_norm_relu_3x3(inputs, width, norm),
            nn.Dropout(dropout),
            nn.Conv2d(width, classes, kernel_size=1),
        )

    @property
    def score_layer(self) -> nn.Conv2d:
        """The 1x1 convolution."""
        return last_convolution(self)


def last_convolution(head: nn.Sequential) -> nn.Conv2d:
    """The layer that a head ends in."""
    layer = head[-1]
    assert isinstance(layer, nn.Conv2d)
    return layer
