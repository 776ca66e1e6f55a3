"""Two networks that have learned the same classes, asked together: the instant learner and a deep one.

Their log-probabilities are averaged, which is the geometric mean of what they think likely: where one of them
is sure that a pixel is *not* of a class, the other cannot talk it into it.
"""

from __future__ import annotations

import json

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UsageError
from core.models.encoders import Encoder
from core.models.instant import InstantNetwork, instant
from core.models.network import Normalize, SegmentationNetwork
from core.models.normalization import Normalization
from core.models.registry import build


class BlendNetwork(SegmentationNetwork):
    """A share of the instant network's opinion, the rest of the deep one's.

    Args:
        deep, instant: trained networks of the same classes; the blend takes pixels as the deep one does.
        share: of the instant one, percent.
        mirrored: look at the picture's mirror image as well: it costs as much again, and both networks err
            less (docs/decisions/0013).
    """

    size_multiple = 64

    def __init__(
        self, deep: SegmentationNetwork, instant: InstantNetwork, share: int, *, mirrored: bool = False
    ) -> None:
        if deep.classes != instant.classes:
            raise ValueError(f"{deep.classes} and {instant.classes} classes cannot be blended")
        super().__init__(deep.encoder, deep.classes)
        del self._modules["encoder"]  # it is the deep network's, and saved once
        self.deep = deep
        self.instant = instant
        self.share = share
        self.mirrored = mirrored
        about = {"name": deep.architecture, "encoder": deep.encoder_name, "options": deep.options}
        self.describe(
            architecture="blend",
            options={
                "deep": json.dumps(about, sort_keys=True),
                "instant_encoder": instant.encoder_name,
                "hidden": instant.hidden.out_features,
                "views": instant.views,
                "share": share,
                "mirrored": int(mirrored),
            },
        )

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        """The deep network's."""
        return self.deep.encoder

    @property
    def score_layers(self) -> tuple[nn.Conv2d, ...]:
        """The deep network's; the instant one's scores come from no convolution."""
        return self.deep.score_layers

    def logits(self, x: Tensor) -> Tensor:
        """Log-probabilities (N, classes, H, W), up to a constant of each pixel."""
        both = self._blended(x)
        if self.mirrored:
            both = 0.5 * (both + self._blended(x.flip(-1)).flip(-1))
        return both

    def _blended(self, x: Tensor) -> Tensor:
        share = self.share / 100.0
        deep = F.log_softmax(self.deep(x), dim=1)
        normalize = Normalize(self.instant.normalization).to(x)
        quick = F.log_softmax(self.instant(normalize(pixels_of(x, self.normalization))), dim=1)
        return (1.0 - share) * deep + share * quick


def pixels_of(x: Tensor, normalization: Normalization) -> Tensor:
    """RGB pixels (N, 3, H, W), float, 0..255, of what `Normalize` made of them."""
    std = torch.tensor(normalization.std, device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
    mean = torch.tensor(normalization.mean, device=x.device, dtype=x.dtype).view(1, 3, 1, 1)
    pixels = (x * std + mean) / normalization.scale
    return pixels.flip(1) if normalization.order == "bgr" else pixels


def blend(
    *,
    classes: int,
    encoder: str,
    deep: str,
    instant_encoder: str,
    hidden: int,
    views: str,
    share: int,
    mirrored: int,
) -> BlendNetwork:
    """Build for the registry: networks with random weights, to be filled from a file.

    Raises:
        UsageError: `deep` describes no network.
    """
    del encoder  # `deep` names it
    try:
        about = json.loads(deep)
        network = build(about["name"], classes=classes, encoder=about["encoder"], **about["options"])
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"a blend is made by training with both learners ({error})") from error
    quick = instant(classes=classes, encoder=instant_encoder, hidden=hidden, views=views, encoder_width=1)
    return BlendNetwork(network, quick, share, mirrored=bool(mirrored))
