"""Networks whose decoder sees a pretrained encoder's maps at one mean and spread.

Where maps of several resolutions are joined without a normalisation of their own, those of the largest
numbers drown the others: EfficientNet-Lite0's spread is 6 to 7 at strides 2 to 16, a decoder level's about 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from core.models.encoders import Encoder
from core.models.network import SegmentationNetwork

SMALLEST_SPREAD: Final = 1e-2
"""Of a map's channel: one that never changes must not become noise."""


class StandardizedMaps(SegmentationNetwork):
    """Looks at some images before it learns, and keeps mean and spread of every channel of every map.

    Of an encoder that starts from nothing they stay 0 and 1: its maps will be others.
    """

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__(encoder, classes)
        for halvings, channels in enumerate(encoder.channels[1:], start=1):
            self.register_buffer(f"map_mean_{halvings}", torch.zeros(channels))
            self.register_buffer(f"map_std_{halvings}", torch.ones(channels))

    @torch.no_grad()
    def look_at(self, images: Sequence[Tensor]) -> None:
        """Find mean and spread of every map of a pretrained encoder, by which the decoder sees it.

        Pretrained maps differ in spread, by six times and more from what a decoder level gives: where they
        meet, the finer maps would drown the coarser ones, which know what is where.
        """
        if not self.pretrained or not images:
            return
        was_training = self.training
        self.eval()
        sums: dict[int, list[Tensor]] = {}
        for image in images:
            for halvings, found in enumerate(self.encoder(self.padded(image))[1:], start=1):
                values = found.double().transpose(0, 1).flatten(1)  # (C, N * h * w)
                added = [values.sum(1), values.square().sum(1), torch.tensor(float(values.shape[1]))]
                before = sums.get(halvings)
                sums[halvings] = (
                    added if before is None else [a + b for a, b in zip(before, added, strict=True)]
                )
        for halvings, (total, squares, count) in sums.items():
            mean = total / count
            std = (squares / count - mean.square()).clamp_min(SMALLEST_SPREAD**2).sqrt()
            getattr(self, f"map_mean_{halvings}").copy_(mean)
            getattr(self, f"map_std_{halvings}").copy_(std)
        self.train(was_training)

    def standardized_maps(self, x: Tensor, *, finest: int = 0) -> list[Tensor]:
        """The encoder's maps from `finest` halvings on, of mean 0 and spread 1 if images were looked at.

        The map at full resolution comes as it is.
        """
        return [
            self._standardized(halvings, found) if halvings else found
            for halvings, found in enumerate(self.encoder(x))
            if halvings >= finest
        ]

    def _standardized(self, halvings: int, found: Tensor) -> Tensor:
        mean, std = getattr(self, f"map_mean_{halvings}"), getattr(self, f"map_std_{halvings}")
        standardized: Tensor = (found - mean[:, None, None]) / std[:, None, None]
        return standardized

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *others: Any) -> None:
        """Weights of before maps were standardised say nothing of their spread: they learned without it."""
        for name, value in self.named_buffers(recurse=False):
            state_dict.setdefault(prefix + name, value)
        super()._load_from_state_dict(state_dict, prefix, *others)
