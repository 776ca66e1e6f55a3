"""What every segmentation network here is: an encoder, whatever follows it, and how it wants its pixels.

A network is trained and asked the same way whatever its family:

- `network(normalize(pixels))` gives logits (N, classes, H, W) at the input's size, for any H and W;
- `encoder_parameters()` and `decoder_parameters()` split the parameters by learning rate;
- `stages()` and `enter_stage(name)` say in which parts it wants to be trained (most have one stage);
- `training_output(x)` and `loss_terms(output, truth)` are what training asks instead of `network(x)`: some
  networks are trained on more than their scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoders import Encoder
from core.models.normalization import Normalization
from core.models.pretrained import Notify, load_encoder_weights
from core.models.specs import Option
from core.models.terms import LossTerm, TrainingOutput, Truth

ONE_STAGE: Final = ("all",)


class Normalize(nn.Module):
    """The network's view of RGB pixels 0..255: the one place where normalisation is applied."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        self.reverse = normalization.order == "bgr"
        self.scale = normalization.scale
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalization.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """RGB pixels (N, 3, H, W), uint8 or float, 0..255, in the type of the module: float32, or cast."""
        if self.reverse:
            pixels = pixels.flip(1)
        return (pixels.to(self.mean.dtype) * self.scale - self.mean) / self.std


class SegmentationNetwork(nn.Module, ABC):
    """Base of all networks: pads to what the encoder can halve, and crops back.

    Attributes:
        encoder: the (pretrained) feature extractor.
        architecture, encoder_name, options: how the registry built it; what weights files carry.
        size_multiple: input sides are padded to a multiple of this inside `forward`.
    """

    size_multiple: int = 32

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classes = classes
        self.architecture = ""
        self.encoder_name = encoder.name
        self._options: dict[str, Option] = {}
        self._encoder_frozen = False

    @property
    def options(self) -> dict[str, Option]:
        """Options that `registry.build` needs to build this network again."""
        return dict(self._options)

    def describe(self, *, architecture: str, options: Mapping[str, Option]) -> None:
        """Remember how the registry built this network."""
        self.architecture = architecture
        self._options = dict(options)

    @property
    def normalization(self) -> Normalization:
        """How pixels must be normalised; it comes with the encoder's weights."""
        return self.encoder.normalization

    @normalization.setter
    def normalization(self, value: Normalization) -> None:
        self.encoder.normalization = value

    @property
    def pretrained(self) -> bool:
        """Whether the encoder has learned weights: only then does freezing it first make sense."""
        return self.encoder.pretrained

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W) for a normalised x whose H and W are multiples of `size_multiple`."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W) for a normalised x (N, 3, H, W) of any size."""
        height, width = x.shape[-2:]
        padded = self.padded(x)
        logits = self.logits(padded)
        return logits if padded is x else logits[..., :height, :width]

    def padded(self, x: Tensor) -> Tensor:
        """An x (N, 3, H, W) with its last rows and columns repeated up to multiples of `size_multiple`."""
        missing_h, missing_w = (-side % self.size_multiple for side in x.shape[-2:])
        if missing_h == 0 and missing_w == 0:
            return x
        # "replicate" and not "reflect": it also works where the padding is wider than the image.
        return F.pad(x, (0, missing_w, 0, missing_h), mode="replicate")

    def surroundings(self, side: int) -> tuple[int, int]:
        """Pixels before and after a tile of this side that its scores come from; most networks want none."""
        del side
        return 0, 0

    def inner_scores(self, x: Tensor) -> Tensor:
        """Scores of a normalised tile, and perhaps some behind it, whose `surroundings` x has around it."""
        scores: Tensor = self(x)
        return scores

    def share_batches(self, shares: int) -> None:
        """Each of so many processes will compute its part of every batch; 1: all of it."""
        del shares

    def look_at(self, images: Sequence[Tensor]) -> None:
        """Before anything is learned: some of the images it will be learned from, normalised (1, 3, H, W)."""
        del images

    def training_output(self, x: Tensor) -> TrainingOutput:
        """The scores of `forward`, and whatever else is trained beside them."""
        return TrainingOutput(self(x))

    def loss_terms(self, output: TrainingOutput, truth: Truth) -> Mapping[str, LossTerm]:
        """Terms of the loss beside that of the scores, in float32, by name; most networks have none."""
        del output, truth
        return {}

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that were (or could be) pretrained; they learn at the lower rate."""
        return self.encoder.parameters()

    def decoder_parameters(self) -> Iterator[nn.Parameter]:
        """All the other parameters."""
        pretrained = {id(parameter) for parameter in self.encoder_parameters()}
        return (parameter for parameter in self.parameters() if id(parameter) not in pretrained)

    @property
    def score_layer(self) -> nn.Conv2d | None:
        """The layer whose bias goes into every pixel's scores, one number a class; None if there is none."""
        return None

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """All layers whose outputs are scores of the classes, those of skips and auxiliary heads too."""
        return () if self.score_layer is None else (self.score_layer,)

    def load_encoder_weights(self, source: str, notify: Notify | None = None) -> None:
        """Fill the encoder from "default" (what the registry names), "none", or a file's path."""
        load_encoder_weights(self.encoder, source, notify)

    def freeze_encoder(self, frozen: bool) -> None:
        """Stop (or let) the encoder learn; while frozen its batch statistics do not move either."""
        self._encoder_frozen = frozen
        for parameter in self.encoder_parameters():
            parameter.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> SegmentationNetwork:
        """As torch's, except that a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self._encoder_frozen:
            self.encoder.eval()
        return self

    def stages(self) -> tuple[str, ...]:
        """Parts of a training run, in order; the loop gives each a share of the budget."""
        return ONE_STAGE

    def enter_stage(self, name: str) -> None:
        """Switch to a stage of `stages()`. Parameters stay the same objects; averaged copies enter too."""
        if name not in self.stages():
            raise ValueError(f"{self.architecture} has no stage {name!r}; it has {', '.join(self.stages())}")
