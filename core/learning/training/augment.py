"""Random views of the same labels: one warp and a few changes of light, for a whole batch on the device.

Flips, zoom, rotation, shift and a light elastic deformation are composed into one sampling grid, so that
pixels are interpolated once. Targets are taken from the nearest pixel and are 255 outside the window. All
random numbers come from one generator, whose state a checkpoint keeps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from core.annotation.model import UNLABELLED
from core.learning.config import TrainConfig
from core.learning.training.distributed import Place
from core.learning.training.sampler import Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """Ranges of the random changes.

    Attributes:
        zoom: largest magnification; its inverse is the smallest. 1 or more.
        rotation_deg: to either side.
        shift: of the crop's side, to either side.
        elastic: largest displacement, of the crop's side.
        turns: any quarter turn and upside down, not only left-right flips.
        brightness: of 255, to either side. contrast, gamma: largest factor; its inverse is the smallest.
        tint: largest change of a colour channel's gain; images without colour keep none.
        noise: largest standard deviation, of 255. blur: share of crops that are blurred or sharpened.
    """

    zoom: float = 1.6
    rotation_deg: float = 15.0
    shift: float = 0.1
    elastic: float = 0.03
    turns: bool = False
    brightness: float = 0.12
    contrast: float = 1.35
    gamma: float = 1.4
    tint: float = 0.08
    noise: float = 0.03
    blur: float = 0.3

    @classmethod
    def of(cls, config: TrainConfig) -> AugmentSettings | None:
        """What a configuration asks for; None: crops are taken as they are."""
        if not config.augment:
            return None
        usual, light = cls(), config.light
        return cls(
            zoom=config.zoom,
            rotation_deg=config.rotation_deg,
            elastic=config.elastic,
            turns=config.turns,
            brightness=usual.brightness * light,
            contrast=usual.contrast**light,
            gamma=usual.gamma**light,
            tint=usual.tint * light,
            noise=usual.noise * light,
            blur=usual.blur * light,
        )

    @property
    def window_margin(self) -> float:
        """Side of the windows that fill a crop at the widest view, as a multiple of the crop's."""
        # Corners beyond it are rare (widest zoom and rotation together) and are mirrored.
        return 0.5 * (1 + self.zoom) * (1.4 if self.turns or self.rotation_deg > 30 else 1.25)


@dataclass(frozen=True, slots=True)
class Crops:
    """A batch for the network.

    Attributes:
        pixels: RGB (N, 3, S, S), float32, 0..255, channels last in memory.
        targets: channels (N, S, S), int64, 255 where nothing is known.
        weights: (N, S, S), float32, of the targets; None if all are 1.
        seeds: x, y (N, 2), int64, of the pixel each crop was drawn for.
        borders: (N, S, S), float32, 0..1: `core.learning.labels.border_weights`; None if they are not wanted.
    """

    pixels: Tensor
    targets: Tensor
    weights: Tensor | None
    seeds: Tensor
    borders: Tensor | None = None


class Augmenter:
    """Turns windows into crops on a device; with `settings` None it only cuts out their middle.

    Attributes:
        generator: where all random numbers come from.
        place: of several processes with the same generator, each draws for the whole batch and takes the
            numbers of its own part.
    """

    def __init__(
        self, settings: AugmentSettings | None, *, device: torch.device, seed: int, weak_weight: float
    ) -> None:
        self.settings = settings
        self.device = device
        self.place = Place()
        self.generator = torch.Generator(device)
        self.generator.manual_seed(seed)
        self._weak_weight = weak_weight

    def __call__(self, windows: Windows, crop: int) -> Crops:
        """Crops of side `crop`, each with at least one known target."""
        to_device = self._to_device
        # (N, W, W, 3) seen as (N, 3, W, W) is channels last already.
        pixels = to_device(torch.from_numpy(windows.pixels)).permute(0, 3, 1, 2).to(torch.float32)
        planes = to_device(torch.from_numpy(windows.targets)).unsqueeze(1).to(torch.float32)
        if windows.weak is not None:
            weak = to_device(torch.from_numpy(windows.weak)).unsqueeze(1).to(torch.float32)
            planes = torch.cat([planes, weak], dim=1)
        if windows.borders is not None:
            borders = to_device(torch.from_numpy(windows.borders)).unsqueeze(1).to(torch.float32) / 255.0
            planes = torch.cat([planes, borders], dim=1)
        seeds = to_device(torch.from_numpy(windows.seeds))
        grid, landed = self._grid(seeds, crop, windows.pixels.shape[1])
        pixels = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        # Shifted by 255, so that the zeros outside the window come back as "nothing known".
        planes[:, :1] -= UNLABELLED
        planes = F.grid_sample(planes, grid, mode="nearest", padding_mode="zeros", align_corners=False)
        targets = (planes[:, 0] + UNLABELLED).round().to(torch.int64)  # (N, S, S)
        targets = _with_seeds(targets, landed, to_device(torch.from_numpy(windows.seed_targets)))
        weights = None if windows.weak is None else 1.0 - (1.0 - self._weak_weight) * planes[:, 1]
        if self.settings is not None:
            pixels = self._relit(pixels, self.settings)
        near = None if windows.borders is None else planes[:, -1]
        if near is not None and windows.weak is not None:
            near = near * (1.0 - planes[:, 1])  # what only stands in for background is not labelled
        return Crops(pixels.contiguous(memory_format=torch.channels_last), targets, weights, landed, near)

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _uniform(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Tensor:
        whole = torch.rand(self._of_all(shape), generator=self.generator, device=self.device)
        return self._own(whole) * (high - low) + low

    def _normal(self, *shape: int) -> Tensor:
        return self._own(torch.randn(self._of_all(shape), generator=self.generator, device=self.device))

    def _of_all(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.place.world * shape[0], *shape[1:]

    def _own(self, numbers: Tensor) -> Tensor:
        count = len(numbers) // self.place.world
        return numbers[self.place.rank * count :][:count]

    def _either(self, count: int) -> Tensor:
        """-1 or 1."""
        return torch.where(self._uniform(count) < 0, -1.0, 1.0)

    def _grid(self, seeds: Tensor, crop: int, window: int) -> tuple[Tensor, Tensor]:
        """Where each crop pixel comes from, and where each seed went.

        Returns:
            Sampling grid (N, S, S, 2) in the window's -1..1, and the seeds' x, y (N, 2), int64, in the crop.
        """
        count = len(seeds)
        settings = self.settings
        if settings is None:
            to_source = torch.eye(2, device=self.device).expand(count, 2, 2)
            shift = torch.zeros(count, 2, device=self.device)
        else:
            to_source = self._random_matrices(count, settings)
            shift = self._uniform(count, 2) * settings.shift * crop
        # A crop pixel at o (from the crop's centre) shows the window's pixel at to_source (o - shift).
        # `solve` itself would wait for a GPU, to see whether a matrix is singular; these are not.
        seeds_in_crop = torch.linalg.solve_ex(to_source, seeds.unsqueeze(-1)).result.squeeze(-1)
        limit = crop / 2 - 2
        shift = (seeds_in_crop + shift).clamp(-limit, limit) - seeds_in_crop
        landed = (seeds_in_crop + shift + crop / 2).floor().to(torch.int64).clamp(0, crop - 1)
        axis = torch.arange(crop, device=self.device, dtype=torch.float32) + 0.5 - crop / 2
        offsets = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)  # (S, S, 2): x, y
        moved = offsets.view(1, -1, 2) - shift.unsqueeze(1)  # (N, S * S, 2)
        grid = (moved @ to_source.transpose(1, 2)).view(count, crop, crop, 2)
        if settings is not None and settings.elastic > 0:
            coarse = self._uniform(count, 2, 6, 6) * settings.elastic * crop
            smooth = F.interpolate(coarse, size=(crop, crop), mode="bilinear", align_corners=True)
            grid = grid + smooth.permute(0, 2, 3, 1)
        return grid / (window / 2), landed

    def _random_matrices(self, count: int, settings: AugmentSettings) -> Tensor:
        """Matrices (N, 2, 2) from crop to window offsets: zoom, rotation, flips, quarter turns."""
        zoom = torch.exp(self._uniform(count) * math.log(settings.zoom))
        angle = self._uniform(count) * math.radians(settings.rotation_deg)
        flip_x = self._either(count)
        flip_y = torch.ones_like(flip_x)
        if settings.turns:
            flip_y = self._either(count)
            angle = angle + (self._uniform(count, low=0.0, high=4.0).floor() * (math.pi / 2))
        cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        return torch.stack([cos * flip_x, -sin * flip_y, sin * flip_x, cos * flip_y], dim=1).view(-1, 2, 2)

    def _relit(self, pixels: Tensor, settings: AugmentSettings) -> Tensor:
        """Brightness, contrast, gamma, tint, blur or sharpening, noise; each crop its own, 0..255."""
        count, _, height, width = pixels.shape
        blend = self._uniform(count, 1, 1, 1, low=-0.7, high=1.0)
        blend = blend * (self._uniform(count, 1, 1, 1, low=0.0) < settings.blur)
        smooth = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
        pixels = torch.lerp(pixels, smooth, blend)
        coloured = (pixels[:, :1] - pixels[:, 1:2]).abs().amax(dim=(1, 2, 3), keepdim=True) > 1.0
        gain = torch.exp(self._uniform(count, 1, 1, 1) * math.log(settings.contrast))
        gain = gain * (1.0 + self._uniform(count, 3, 1, 1) * settings.tint * coloured)
        mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
        lift = self._uniform(count, 1, 1, 1) * settings.brightness * 255.0
        sigma = self._uniform(count, 1, 1, 1, low=0.0) * settings.noise * 255.0
        noise = self._normal(count, 1, height, width) * sigma
        pixels = (pixels - mean) * gain + (mean + lift) + noise
        exponent = torch.exp(self._uniform(count, 1, 1, 1) * math.log(settings.gamma))
        return 255.0 * (pixels / 255.0).clamp(0.0, 1.0).pow(exponent)


def _with_seeds(targets: Tensor, landed: Tensor, seed_targets: Tensor) -> Tensor:
    """Write the seed into crops that lost all their targets: a single pixel can fall between the samples."""
    rows = torch.arange(len(targets), device=targets.device)
    empty = (targets == UNLABELLED).flatten(1).all(dim=1)
    x, y = landed[:, 0], landed[:, 1]
    targets[rows, y, x] = torch.where(empty, seed_targets, targets[rows, y, x])
    return targets
