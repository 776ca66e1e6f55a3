"""Fully connected conditional random field by mean field: borders of a prediction follow the image's colours.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011
(arXiv:1210.5644). Every pixel is joined with every other by two Gaussian kernels, of place and colour and of
place alone, and pays where their classes differ (Potts). As in the authors' code the kernels are normalised
symmetrically, and a pixel's own share in them stays in.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.postprocess.permutohedral import PermutohedralLattice
from core.postprocess.pipeline import DenseCrf

_FLOOR = 1e-5
"""A class that a network gives no chance at all can still win against every neighbour."""
_REACH = 4.0
"""The spatial kernel ends after so many standard deviations."""


@torch.inference_mode()
def dense_crf(
    probabilities: NDArray[np.floating],
    image: NDArray[np.uint8],
    settings: DenseCrf,
    *,
    device: torch.device | str = "cpu",
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """The probabilities of all classes after mean field.

    Needs about 0.5 GB a megapixel, and for a megapixel and three classes 4 seconds of one core.

    Args:
        probabilities: (C, H, W), adding up to 1 over C.
        image: (H, W, 3) RGB.
        settings: what neighbours count.
        device: where to compute.
        between: called before every longer piece of work; what it raises ends the work.

    Returns:
        (C, H, W) float32.
    """
    chances = torch.from_numpy(probabilities).to(device, torch.float32).clamp_min(_FLOOR)
    logs = chances.log()
    likely = chances / chances.sum(dim=0)
    between()
    kernels: list[tuple[Callable[[Tensor], Tensor], float]] = []
    if settings.weight:
        pixels = torch.from_numpy(image).to(device)
        kernels.append((normalized(Bilateral(pixels, settings.sxy, settings.srgb), pixels), settings.weight))
    if settings.spatial_weight:
        spatial = Spatial(settings.spatial)
        kernels.append((normalized(spatial, likely[0]), settings.spatial_weight))
    for _ in range(settings.iterations):
        scores = logs.clone()
        for kernel, weight in kernels:
            between()
            scores += weight * kernel(likely)
        likely = scores.softmax(dim=0)
    return np.asarray(likely.cpu().numpy(), np.float32)


class Bilateral:
    """Sums over all pixels, weighted by nearness in place and colour.

    Args:
        image: (H, W, 3) uint8.
        sxy, srgb: standard deviations, pixels and 0..255.
    """

    def __init__(self, image: Tensor, sxy: float, srgb: float) -> None:
        height, width = image.shape[:2]
        features = torch.empty(height, width, 5, device=image.device)
        features[..., 0] = torch.arange(width, device=image.device) / sxy
        features[..., 1] = (torch.arange(height, device=image.device) / sxy)[:, None]
        features[..., 2:] = image / srgb
        self._lattice = PermutohedralLattice(features.view(-1, 5))

    def __call__(self, planes: Tensor) -> Tensor:
        """Of planes (C, H, W) float32, up to a common factor."""
        flat = planes.flatten(1).t().contiguous()
        return self._lattice.filter(flat).t().reshape(planes.shape)


class Spatial:
    """Sums over the pixels around, weighted by nearness; `sigma` in pixels."""

    def __init__(self, sigma: float) -> None:
        self._radius = ceil(_REACH * sigma)
        offsets = torch.arange(-self._radius, self._radius + 1, dtype=torch.float32)
        self._taps = torch.exp(-0.5 * (offsets / sigma) ** 2)

    def __call__(self, planes: Tensor) -> Tensor:
        """Of planes (C, H, W) float32; beyond the image there is nothing."""
        if planes.device.type == "cpu":  # ten times as fast there
            taps = self._taps.numpy()
            blurred = [
                cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_CONSTANT)
                for plane in planes.contiguous().numpy()
            ]
            return torch.from_numpy(np.stack(blurred))
        taps_there = self._taps.to(planes.device)
        across = F.conv2d(planes[:, None], taps_there.view(1, 1, 1, -1), padding=(0, self._radius))
        return F.conv2d(across, taps_there.view(1, 1, -1, 1), padding=(self._radius, 0))[:, 0]


def normalized(kernel: Callable[[Tensor], Tensor], like: Tensor) -> Callable[[Tensor], Tensor]:
    """The kernel K of pixels as D^-1/2 K D^-1/2, where D is what it makes of ones; `like` is (H, W, ...)."""
    ones = torch.ones(1, *like.shape[:2], device=like.device)
    scale = kernel(ones).clamp_min(1e-20).rsqrt()

    def scaled(planes: Tensor) -> Tensor:
        return kernel(planes * scale) * scale

    return scaled
