"""The instant learner's network: frozen features of a pretrained encoder at several scales, and a small head.

Only the head learns, pixel by pixel, so that it is fitted in seconds on features computed once per image.
Zoomed views of the picture (2, 1 and 1/2 by default; the first costs three quarters of the time) go through
the encoder; all maps of one stride, counted in pixels of the picture, form a group:

====== ================================================ =========
stride maps (view / stride in the view)                 channels*
====== ================================================ =========
4      2/2 and 2/4 and 1/2 pooled, 2/8, 1/4, 1/2:2      136
8      2/16, 1/8, half/4                                176
16     2/32, 1/16, half/8                               472
32     1/32, half/16                                    432
64     half/32                                          320
====== ================================================ =========

(*) on EfficientNet-Lite0. The head is two layers of 1x1 convolutions on the stride-4 grid. Its first layer
and bilinear upsampling are both linear, so it is applied to each group at the group's own resolution and the
results are upsampled and added: the same numbers for a tenth of the arithmetic.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.encoders import STRIDES, Encoder, build_encoder
from core.models.network import SegmentationNetwork

GRID: Final = 4
"""Stride of the grid on which pixels are classified; their scores are upsampled to full size."""
VIEWS: Final = "2,1,0.5"
CHEAPER_VIEWS: Final = ("1,0.5", "0.5")
"""A fifth and a twentieth of the work."""
DROPOUT: Final = 0.5
"""Of the head's hidden units: docs/decisions/0013 has what that gives."""


class InstantNetwork(SegmentationNetwork):
    """Frozen encoder, multi-scale features, a head of one hidden layer.

    Args:
        views: zooms at which the picture is looked at, as `VIEWS`.

    Attributes:
        feature_channels: of each group of `features`, fine to coarse; their sum is the head's input width.
        mean, std: of every feature over the labelled pixels; the head sees standardised features.
    """

    size_multiple = 64  # the view at half size needs a multiple of 32
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        classes: int,
        hidden: int,
        views: str = VIEWS,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__(encoder, classes)
        self.views = views
        self._zooms = zooms(views)
        self.feature_channels = _group_channels(encoder, self._zooms)
        inputs = sum(self.feature_channels)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.hidden = nn.Linear(inputs, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, classes)
        super().freeze_encoder(frozen=True)

    @classmethod
    def with_encoder_of(cls, other: InstantNetwork, views: str) -> InstantNetwork:
        """A network on the same encoder, that looks at other views; its head knows nothing."""
        network = cls(
            other.encoder,
            classes=other.classes,
            hidden=other.hidden.out_features,
            views=views,
            dropout=other.dropout.p,
        )
        network.describe(architecture=other.architecture, options={**other.options, "views": views})
        return network.eval()

    def freeze_encoder(self, frozen: bool) -> None:
        """The encoder of this network never learns."""
        del frozen

    def take_head(self, other: InstantNetwork) -> None:
        """Know what another network's head knows, on features of the same views."""
        with torch.no_grad():
            self.standardize(other.mean, other.std)
            for mine, theirs in zip(self.head_parameters(), other.head_parameters(), strict=True):
                mine.copy_(theirs)

    def standardize(self, mean: Tensor, std: Tensor) -> None:
        """Set what the head subtracts from and divides each feature by, (inputs,) each."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-3))

    def features(self, x: Tensor) -> list[Tensor]:
        """Groups of maps (N, feature_channels[k], H / (4 * 2**k), W / (4 * 2**k)) of a normalised x."""
        groups: dict[int, list[Tensor]] = defaultdict(list)
        for view in self._zooms:
            maps = self.encoder(_zoomed(x, view))[1:]
            for stride, maps_of_stride in zip(STRIDES[1:], maps, strict=True):
                on_picture = stride / view
                if on_picture < GRID:
                    # What is finer than the grid is averaged: one number of a 2x2 block would alias.
                    maps_of_stride = F.avg_pool2d(maps_of_stride, int(GRID / on_picture))
                groups[max(GRID, int(on_picture))].append(maps_of_stride)
        return [torch.cat(groups[stride], dim=1) for stride in sorted(groups)]

    def grid_logits(self, groups: Sequence[Tensor]) -> Tensor:
        """Scores (N, classes, H/4, W/4) from what `features` gave."""
        weight = self.hidden.weight / self.std  # (hidden, inputs)
        bias = self.hidden.bias - weight @ self.mean
        hidden: Tensor | None = None
        for group, part in zip(groups, torch.split(weight, list(self.feature_channels), dim=1), strict=True):
            scores = F.conv2d(group.to(part.dtype), part[:, :, None, None])
            if hidden is None:
                hidden = scores + bias[:, None, None]
            else:
                hidden = hidden + F.interpolate(scores, size=hidden.shape[-2:], mode="bilinear")
        assert hidden is not None
        hidden = self.dropout(F.relu(hidden))
        return F.conv2d(hidden, self.head.weight[:, :, None, None], self.head.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Scores (N, classes, H, W)."""
        scores = self.grid_logits(self.features(x))  # (N, classes, H/4, W/4)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear")

    def hidden_units(self, features: Tensor) -> Tensor:
        """Hidden units (P, hidden) of single pixels' features (P, inputs), as `point_features` gives them."""
        return F.relu(self.hidden((features.to(self.mean.dtype) - self.mean) / self.std))

    def point_logits(self, features: Tensor) -> Tensor:
        """Scores (P, classes) of the same."""
        scores: Tensor = self.head(self.dropout(self.hidden_units(features)))
        return scores

    def logits_of_some(self, parts: Tensor, kept: Tensor) -> Tensor:
        """Scores (K * P, classes), float32, of points in K parts, each of which sees some of the inputs only.

        What they see counts for more by as much as there is less of it (inverted dropout).

        Args:
            parts: (K, P, seen), standardised; its type is the one that the large product is computed in.
            kept: (K, seen), int64: which of the inputs each part sees.
        """
        more = self.hidden.in_features / kept.shape[1]
        weights = [(self.hidden.weight.index_select(1, seen) * more).to(parts.dtype) for seen in kept]
        products = [part @ weight.T for part, weight in zip(parts, weights, strict=True)]
        hidden = F.relu(torch.cat(products).to(self.mean.dtype) + self.hidden.bias)
        if self.dropout.training:
            hidden = _dropped(hidden, self.dropout.p)
        scores: Tensor = self.head(hidden)
        return scores

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """What learns."""
        yield from self.hidden.parameters()
        yield from self.head.parameters()


def point_features(groups: Sequence[Tensor], points_xy: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Features (P, inputs) at points of one picture, interpolated between the cells of each group.

    Args:
        groups: of `InstantNetwork.features`, for one picture: (1, C, h, w) each.
        points_xy: (P, 2), float; pixel centres are at whole numbers.
        size_hw: of the picture that went in, padding included.
    """
    size = torch.tensor([size_hw[1], size_hw[0]], dtype=torch.float32, device=points_xy.device)
    at = ((points_xy + 0.5) / size * 2.0 - 1.0)[None, None]  # (1, 1, P, 2), -1..1
    sampled = [
        F.grid_sample(group.float(), at, mode="bilinear", padding_mode="border", align_corners=False)
        for group in groups
    ]
    return torch.cat(sampled, dim=1)[0, :, 0].T  # (P, inputs)


def _dropped(x: Tensor, share: float) -> Tensor:
    """Dropout by a random byte for each number: on a CPU, torch's own takes a fifth of a step of the head."""
    words = torch.empty(math.ceil(x.numel() / 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].view_as(x) >= round(256 * share)
    return x * kept / (1.0 - share)


def _zoomed(x: Tensor, view: float) -> Tensor:
    if view == 1.0:
        return x
    if view < 1.0:
        return F.avg_pool2d(x, int(1 / view))
    return F.interpolate(x, scale_factor=view, mode="bilinear")


def zooms(views: str) -> tuple[float, ...]:
    """The factors that a list like `VIEWS` names."""
    return tuple(float(view) for view in views.split(","))


def _group_channels(encoder: Encoder, views: Sequence[float]) -> tuple[int, ...]:
    channels: dict[int, int] = defaultdict(int)
    for view in views:
        for stride, count in zip(STRIDES[1:], encoder.channels[1:], strict=True):
            channels[max(GRID, int(stride / view))] += count
    return tuple(channels[stride] for stride in sorted(channels))


def instant(*, classes: int, encoder: str, hidden: int, views: str, encoder_width: int) -> InstantNetwork:
    """Build for the registry."""
    made = build_encoder(encoder, width=encoder_width)
    return InstantNetwork(made, classes=classes, hidden=hidden, views=views)
