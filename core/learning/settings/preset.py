"""What "fast", "balanced" and "best" mean on this machine and for these images. Torch-free.

A preset decides the crop's side, the batch, the rate, and at which scale images are seen. The scale matters
most when minutes count: a 256-pixel crop of an ultrasound image at full size shows a piece of tissue, at half
size the whole picture, and the same step covers four times the area.

On a CPU the crops and batches of the recipes are those of the default network. A network that computes more
per pixel gets fewer and smaller ones, so that a run of minutes still has some hundred steps, and if it is
trained in stages, its finest stage gets half of the run (of two, two thirds). Crops are no smaller than pays
for the network (`ModelSpec.least_crop`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from core.learning.config import DEFAULT_ENCODER, DEFAULT_MODEL, Optimizer, Preset, TrainConfig
from core.learning.labels.data import ImageLabels, LabelStore
from core.learning.settings.budget import COARSE_SHARE
from core.models.cost import estimate_memory, macs_per_pixel
from core.models.registry import model_spec
from core.models.specs import ModelSpec

Device: TypeAlias = Literal["cpu", "cuda"]

SCALES: Final = (1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125)
NARROWEST: Final = 16.0
"""Regions are not shrunk below this width, in pixels: thinner ones lose their shape, and their IoU."""
MEASURED_IMAGES: Final = 24
"""Of each class."""
UNNORMALIZED_RATE: Final = 0.3
"""Learning rate of networks without normalisation layers, as a share of the preset's."""
BORDER_WEIGHTS: Final = {"unet_paper": 10.0}
"""Weight of background between objects where they nearly touch, of networks whose paper has one."""
OPTIMIZER_RATES: Final[dict[Optimizer, float]] = {"adamw": 1.0, "sgd": 10.0, "rmsprop": 1.0}
"""Rates that do about the same, as multiples of AdamW's: SGD's steps are as long as the gradients are."""
DEAREST_STEP: Final = 2.2
"""On a CPU, what a step may compute as a multiple of the default network's. Dense convolutions run faster
there than the default encoder's depthwise ones: so much more computing takes not much more time."""
SMALLEST_CROP: Final = 128
DEAR_COARSE_SHARE: Final = 0.5


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


def resolve(
    config: TrainConfig, device: Device, store: LabelStore, widths: RegionWidths | None = None
) -> TrainConfig:
    """Fill in what is left to the preset: model, crop, batch, lr, image_scale and the like.

    `widths` are for whoever asks again and again: only what is new among the labels is measured then.
    """
    filled, view = without_images(config, device)
    if filled.image_scale is not None:
        return filled
    assert filled.crop is not None
    return replace(filled, image_scale=choose_scale(store, filled.crop, view, widths))


def without_images(config: TrainConfig, device: Device) -> tuple[TrainConfig, float]:
    """As `resolve`, but for the scale, which the images decide; and how much of one a crop should show."""
    spec = model_spec(config.network)
    recipe = RECIPES[device, config.preset]
    least = max(SMALLEST_CROP, least_crop(config))
    recipe = replace(recipe, crop=max(recipe.crop, least))
    coarse_share = COARSE_SHARE
    cost = relative_cost(config)
    if device == "cpu" and cost > DEAREST_STEP:
        recipe = lightened(
            recipe,
            cost,
            crop=config.crop,
            batch=config.batch,
            least_crop=least,
            least_batch=spec.least_batch,
        )
        coarse_share = DEAR_COARSE_SHARE
    filled = replace(
        config,
        model=config.network,
        crop=recipe.crop if config.crop is None else config.crop,
        batch=recipe.batch if config.batch is None else config.batch,
        lr=recipe.lr * usual_rate(config, spec) if config.lr is None else config.lr,
        coarse_share=coarse_share if config.coarse_share is None else config.coarse_share,
        border_weight=BORDER_WEIGHTS.get(spec.name, 0.0)
        if config.border_weight is None
        else config.border_weight,
    )
    return filled, recipe.view


def usual_rate(config: TrainConfig, spec: ModelSpec) -> float:
    """As a multiple of the preset's rate."""
    share = 1.0 if spec.normalized else UNNORMALIZED_RATE
    return share * OPTIMIZER_RATES[config.optimizer]


PROMISES: Final[dict[Preset, str]] = {
    "fast": "the first useful overlay soonest, coarser edges",
    "balanced": "good masks after a few minutes",
    "best": "the finest detail, slower",
}


def promise(config: TrainConfig, device: Device) -> str:
    """What a preset does with detail, time and memory on this device, for people."""
    filled, _ = without_images(config, device)
    usual, _ = without_images(replace(config, preset="balanced"), device)
    assert filled.crop is not None
    assert filled.batch is not None
    work = _pixels_a_step(filled) / _pixels_a_step(usual)
    spec, own = model_spec(config.network), dict(config.model_options)
    memory = estimate_memory(spec, filled.crop, filled.batch, config.encoder, own)
    where = "memory" if device == "cpu" else "GPU memory"
    if config.preset == "balanced":
        time = ""
    elif work >= 1:
        time = f"; a step takes about {work:.1f} times as long as with Balanced"
    else:
        time = f"; a step takes about {work:.0%} of the time of Balanced"
    small = small_crop(config)
    return (
        f"{config.preset.capitalize()}: {PROMISES[config.preset]}. {filled.batch} crops of {filled.crop}"
        f" pixels a step, about {memory / 2**30:.1f} GB of {where}{time}.{f' {small}.' if small else ''}"
    )


def _pixels_a_step(config: TrainConfig) -> int:
    return (config.crop or 0) ** 2 * (config.batch or 0)


def relative_cost(config: TrainConfig) -> float:
    """What the network computes per pixel, as a multiple of what the default network does."""
    default = macs_per_pixel(model_spec(DEFAULT_MODEL), DEFAULT_ENCODER)
    return macs_per_pixel(model_spec(config.network), config.encoder, dict(config.model_options)) / default


def least_crop(config: TrainConfig) -> int:
    """Side of the smallest crop that pays, with the network's options; 0: there is none."""
    return model_spec(config.network).least_crop_with(dict(config.model_options))


def small_crop(config: TrainConfig) -> str:
    """A sentence about a chosen crop that is smaller than pays; "" for any other."""
    least = least_crop(config)
    if config.crop is None or config.crop >= least:
        return ""
    return (
        f"{model_spec(config.network).title} surrounds crops of {config.crop} pixels with made-up ones,"
        f" and is hardly faster for it: choose {least} or more"
    )


def lightened(
    recipe: Recipe, cost: float, *, crop: int | None, batch: int | None, least_crop: int, least_batch: int
) -> Recipe:
    """The recipe for a network that costs so many times more per pixel than the one it was made for.

    Args:
        recipe: for the default network.
        cost: see `relative_cost`.
        crop: what the person has chosen, which stays.
        batch: likewise.
        least_crop: the smallest that is chosen here.
        least_batch: likewise.
    """
    most = DEAREST_STEP * recipe.crop**2 * recipe.batch
    side, count = crop or recipe.crop, batch or recipe.batch
    while cost * side**2 * count > most:
        if batch is None and count > least_batch:
            count -= 1
        elif crop is None and side > least_crop:
            side -= 32
        else:
            break
    return replace(recipe, crop=side, batch=count)


def choose_scale(store: LabelStore, crop: int, view: float, widths: RegionWidths | None = None) -> float:
    """The largest reduction that shows the wanted part of an image and keeps narrow regions wide enough.

    Args:
        store: the labels.
        crop: side of the crops, pixels.
        view: see `Recipe`.
        widths: that were measured before.
    """
    labels = [store.get(key) for key in store.labelled_keys()]
    if not labels:
        return 1.0
    longest = float(np.median([max(image.mask.shape) for image in labels]))
    narrowest = narrowest_region(store, labels, widths)
    wanted = max(crop / (view * longest), NARROWEST / max(narrowest, 1.0))
    # A tenth less context is no reason to take the next finer scale.
    return min((scale for scale in SCALES if scale * 1.1 >= wanted), default=1.0)


class RegionWidths:
    """How wide the regions of each image and class are, measured once for labels that stay.

    Of a long strip four times the mean distance to its border is its width; of a disc two thirds of it. A
    region that fills its image shows no border, and is as wide as the image at least.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[int, float]] = {}

    def of(self, labels: ImageLabels, index: int) -> float:
        """Of one class's regions in an image that shows some, in image pixels."""
        version, width = self._known.get((labels.key, index), (-1, 0.0))
        if version != labels.version:
            width = _width(labels.mask == index)
            self._known[labels.key, index] = labels.version, width
        return width


def narrowest_region(
    store: LabelStore, labels: Iterable[ImageLabels], widths: RegionWidths | None = None
) -> float:
    """Typical width of the narrowest class's regions, in image pixels; the background does not count.

    Of each class up to MEASURED_IMAGES images that show it are measured, chosen by a hash of their names:
    the first ones of a folder may all be alike, and another image changes the choice by one at most.
    """
    widths = RegionWidths() if widths is None else widths
    mixed = sorted(labels, key=lambda image: hashlib.blake2b(image.key.encode(), digest_size=8).digest())
    typical = []
    for index in store.classes.indices:
        showing = [image for image in mixed if image.counts[index]][:MEASURED_IMAGES]
        if showing and index != store.classes.background:
            typical.append(float(np.median([widths.of(image, index) for image in showing])))
    return min(typical, default=1.0)


def _width(region: NDArray[np.bool_]) -> float:
    """Of a region (H, W), in pixels."""
    if region.all():
        return float(min(region.shape))
    distance = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 3)
    return 4.0 * float(distance[region].mean())
