"""Refuses settings no run could make sense of, before anything is built. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Final

from core.errors import UsageError
from core.learning.config import TrainConfig
from core.learning.settings.loss_recipe import LossRecipe
from core.models.registry import model_spec

SMALLEST_CROP: Final = 32
CROP_MULTIPLE: Final = 32
"""Most encoders halve a crop five times; networks whose maps fit other sizes take those as well."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a field may be: a number, finite unless `endless`; None (by preset, no limit) is always fine."""

    least: float
    most: float = inf
    least_itself: bool = True
    endless: bool = False

    def sentence(self, field: str, value: float) -> str | None:
        """What is wrong with the value; None if nothing is."""
        possible = self.least <= value <= self.most and (self.endless or isfinite(value))
        if possible and (self.least_itself or value != self.least):
            return None
        if value == self.most:  # inf, where nothing else is too much
            limit = "finite"
        elif not value > self.least:  # nor is what is not a number
            limit = f"at least {self.least:g}" if self.least_itself else f"above {self.least:g}"
        else:
            limit = f"at most {self.most:g}"
        return f"{field} is {value:g}; it must be {limit}"


RANGES: Final = {
    "crop": Range(SMALLEST_CROP, 4096),
    "batch": Range(1, 4096),
    "steps": Range(1),
    "seconds": Range(0, least_itself=False, endless=True),  # a run that goes on until it is stopped
    "seed": Range(0, 2**63 - 1),
    "image_scale": Range(0.01, 4),
    "lr": Range(0, 1, least_itself=False),
    "encoder_lr_factor": Range(0),
    "weight_decay": Range(0),
    "warmup": Range(0, 1),
    "freeze": Range(0, 1),
    "coarse_share": Range(0.01, 0.99),
    "schedule_steps": Range(1),
    "clip_norm": Range(0, least_itself=False),
    "dice": Range(0),
    "focal_gamma": Range(0, 10),
    "tversky_beta": Range(0, 1),
    "auxiliary": Range(0, 100),
    "border_weight": Range(0, 1000),
    "border_sigma": Range(0.1, 100),
    "momentum": Range(0, 0.9999),
    "class_weight_cap": Range(1),
    "rare_crops": Range(0, 1),
    "zoom": Range(1, 4),
    "rotation_deg": Range(0, 180),
    "elastic": Range(0, 0.2),
    "light": Range(0, 2),
    "folds": Range(2, 100),
    "weak_background": Range(0, 0.99),  # as much as a label, it would be taken for one
    "ema": Range(0, 0.99999),
    "validate_every_s": Range(0),
    "patience": Range(1),
    "checkpoint_every_s": Range(0),
    "threads": Range(1, 1024),
}


def check_sensible(config: TrainConfig) -> None:
    """Raise UsageError, which names the field and the nearest value that works."""
    spec = model_spec(config.network)
    if spec.trained_by != "person":
        raise UsageError(f"{spec.name} comes out of runs of both learners: train with the model auto instead")
    for field, allowed in RANGES.items():
        value = getattr(config, field)
        problem = None if value is None else allowed.sentence(field, value)
        if problem is not None:
            raise UsageError(problem)
    if not any(factor for _, factor in LossRecipe.of(config).terms):
        raise UsageError(f"loss is {config.loss} and dice is 0; nothing is left to learn from: add ce")
    crop, multiple = config.crop, min(CROP_MULTIPLE, model_spec(config.network).size_multiple)
    if crop is not None and crop % multiple:
        below = crop // multiple * multiple
        nearest = f"such as {below} or {below + multiple}"
        raise UsageError(f"crop is {crop}; it must be a multiple of {multiple}, {nearest}")
