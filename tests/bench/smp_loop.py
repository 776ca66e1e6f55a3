"""segmentation_models_pytorch's own training loop, as its examples use it, on our network and our images.

`TrainEpoch` of that library drives forward, loss, backward and step; images and masks come from a `Dataset`
of random crops behind torch's `DataLoader`. Images are decoded beforehand, so that disks do not count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from segmentation_models_pytorch.utils.losses import CrossEntropyLoss
from segmentation_models_pytorch.utils.train import TrainEpoch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from core.annotation.model import UNLABELLED
from core.learning.labels.data import ChannelMap, LabelStore, resized_mask
from core.models.network import Normalize, SegmentationNetwork


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """One random crop of an image, mirrored half of the time: pixels (3, S, S) 0..255 and channels (S, S)."""

    def __init__(self, store: LabelStore, *, scale: float, crop: int) -> None:
        channels = ChannelMap(store.classes)
        self._crop = crop
        self._pairs = [
            (
                self._padded(store.pixels(key, scale), 0),
                self._padded(channels.to_channels(resized_mask(store.get(key).mask, scale)), UNLABELLED),
            )
            for key in store.labelled_keys()
        ]

    def _padded(self, array: NDArray[np.uint8], value: int) -> NDArray[np.uint8]:
        margins = [(0, max(0, self._crop - side)) for side in array.shape[:2]]
        return np.pad(array, [*margins, *[(0, 0)] * (array.ndim - 2)], constant_values=value)

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        image, mask = self._pairs[number]
        top, left = (int(torch.randint(side - self._crop + 1, ())) for side in mask.shape)
        window = slice(top, top + self._crop), slice(left, left + self._crop)
        step = -1 if torch.rand(()) < 0.5 else 1
        pixels = np.ascontiguousarray(image[window][:, ::step].transpose(2, 0, 1), dtype=np.float32)
        return torch.from_numpy(pixels), torch.from_numpy(mask[window][:, ::step].astype(np.int64))


class _WithNormalization(nn.Module):
    """The network for pixels 0..255, as the loop hands them over."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.normalize = Normalize(network.normalization)
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalize(pixels))
        return logits


class SmpLoop:
    """That loop with a network of ours; `run(steps)` is as many of its steps.

    Args:
        network: as it is built, not yet on the device.
        store: the labels.
        scale: factor images are resized by.
        crop: side of a crop, pixels.
        batch: crops a step.
        lr: rate of Adam.
        workers: loading processes.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        store: LabelStore,
        device: torch.device,
        *,
        scale: float,
        crop: int,
        batch: int,
        lr: float,
        workers: int,
    ) -> None:
        self._crops = Crops(store, scale=scale, crop=crop)
        self._batch = batch
        self._workers = workers
        module = _WithNormalization(network)
        self._epoch = TrainEpoch(
            module,
            CrossEntropyLoss(ignore_index=UNLABELLED),
            [],
            torch.optim.Adam(module.parameters(), lr=lr),
            device=str(device),
            verbose=False,
        )

    def run(self, steps: int) -> None:
        """Train on `steps` batches."""
        self._epoch.run(self._batches(steps))

    def _batches(self, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        drawn = RandomSampler(self._crops, replacement=True, num_samples=steps * self._batch)
        yield from DataLoader(
            self._crops,
            batch_size=self._batch,
            sampler=drawn,
            num_workers=self._workers,
            pin_memory=torch.cuda.is_available(),
        )
