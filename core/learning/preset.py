"""What "fast", "balanced" and "best" mean on this machine and for these images. Torch-free.

A preset decides the crop's side, the batch, the rate, and at which scale images are seen. The scale matters
most when minutes count: a 256-pixel crop of an ultrasound image at full size shows a piece of tissue, at half
size the whole picture, and the same step covers four times the area.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

import cv2
import numpy as np

from core.learning.config import Preset, TrainConfig
from core.learning.data import ImageLabels, LabelStore
from core.models.registry import model_spec

SCALES: Final = (1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125)
NARROWEST: Final = 16.0
"""Regions are not shrunk below this width, in pixels: thinner ones lose their shape, and their IoU."""
MEASURED_IMAGES: Final = 24
FAMILY_RATES: Final = {"FCN": 0.3}
"""Learning rates of families without normalisation layers, as a share of the preset's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One preset on one kind of device.

    Attributes:
        view: how much of an image's longer side a crop should show, as a factor (1: the whole, 0.5: half).
    """

    crop: int
    batch: int
    lr: float
    view: float


RECIPES: Final[dict[tuple[str, Preset], Recipe]] = {
    ("cpu", "fast"): Recipe(crop=192, batch=4, lr=1e-3, view=1.0),
    ("cpu", "balanced"): Recipe(crop=256, batch=4, lr=1e-3, view=1.0),
    ("cpu", "best"): Recipe(crop=320, batch=6, lr=1e-3, view=0.75),
    ("cuda", "fast"): Recipe(crop=256, batch=16, lr=1e-3, view=1.0),
    ("cuda", "balanced"): Recipe(crop=384, batch=16, lr=1e-3, view=0.75),
    ("cuda", "best"): Recipe(crop=512, batch=16, lr=1e-3, view=0.75),
}


def resolve(config: TrainConfig, device: Literal["cpu", "cuda"], store: LabelStore) -> TrainConfig:
    """Fill in what the configuration leaves to the preset: model, crop, batch, lr, image_scale."""
    recipe = RECIPES[device, config.preset]
    crop = recipe.crop if config.crop is None else config.crop
    scale = choose_scale(store, crop, recipe.view) if config.image_scale is None else config.image_scale
    return replace(
        config,
        model=config.network,
        crop=crop,
        batch=recipe.batch if config.batch is None else config.batch,
        lr=recipe.lr * FAMILY_RATES.get(model_spec(config.network).family, 1.0)
        if config.lr is None
        else config.lr,
        image_scale=scale,
    )


def choose_scale(store: LabelStore, crop: int, view: float) -> float:
    """The largest reduction that shows the wanted part of an image and keeps narrow regions wide enough.

    Args:
        store: the labels.
        crop: side of the crops, pixels.
        view: see `Recipe`.
    """
    labels = [store.get(key) for key in store.labelled_keys()]
    if not labels:
        return 1.0
    longest = float(np.median([max(image.mask.shape) for image in labels]))
    wanted = max(crop / (view * longest), NARROWEST / max(narrowest_region(store, labels), 1.0))
    # A tenth less context is no reason to take the next finer scale.
    return min((scale for scale in SCALES if scale * 1.1 >= wanted), default=1.0)


def narrowest_region(store: LabelStore, labels: Iterable[ImageLabels]) -> float:
    """Typical width of the narrowest class's regions, in image pixels; the background does not count.

    Of a long strip four times the mean distance to its border is its width; of a disc two thirds of it.
    """
    classes = [c.index for c in store.classes if c.index != store.classes.background]
    widths: dict[int, list[float]] = {index: [] for index in classes}
    for image in list(labels)[:MEASURED_IMAGES]:
        for index in classes:
            if image.counts[index]:
                region = (image.mask == index).astype(np.uint8)
                distance = cv2.distanceTransform(region, cv2.DIST_L2, 3)
                widths[index].append(4.0 * float(distance[region > 0].mean()))
    return min((float(np.median(found)) for found in widths.values() if found), default=1.0)
