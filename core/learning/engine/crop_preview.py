"""What a run would see of one image: crops as the network gets them, with their labels."""

from __future__ import annotations

import torch

from core.errors import FileProblem
from core.learning.answers import CropsPreviewed
from core.learning.commands import PreviewCrops
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.settings.preset import resolve
from core.learning.training.augment import Augmenter, AugmentSettings
from core.learning.training.sampler import CropSampler
from core.learning.validation.hold_out import plan_validation

COUNT = 8


def preview_crops(command: PreviewCrops, store: LabelStore | None) -> CropsPreviewed:
    """Draw crops of one image by the rules of a run; what is in the way is said in `problem`."""
    key = command.key
    if store is None or key not in store or not store.get(key).has_labels:
        return CropsPreviewed(key=key, problem="Nothing is labelled in this image yet: draw something first.")
    config = resolve(command.config, "cuda" if _on_gpu(command) else "cpu", store)
    assert config.crop is not None
    assert config.image_scale is not None
    settings = AugmentSettings.of(config)
    channels = ChannelMap(store.classes)
    try:
        store.pixels(key, config.image_scale)
    except FileProblem as problem:
        return CropsPreviewed(key=key, problem=str(problem))
    sampler = CropSampler(
        store,
        channels,
        [key],
        scale=config.image_scale,
        crop=config.crop,
        margin=1.0 if settings is None else settings.window_margin,
        seed=command.seed,
        weak_background=config.weak_background > 0,
        rare_crops=config.rare_crops,
        only=key,
    )
    sampler.hold_out([other for other in plan_validation(store, config).held_out if other != key])
    windows = sampler.draw(COUNT)
    if windows is None:
        return CropsPreviewed(key=key, problem="No labelled pixel of this image is left at the chosen scale.")
    augment = Augmenter(
        settings, device=torch.device("cpu"), seed=command.seed, weak_weight=config.weak_background
    )
    crops = augment(windows, config.crop)
    pixels = crops.pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    targets = channels.to_indices(crops.targets.to(torch.uint8).numpy())
    return CropsPreviewed(
        key=key,
        count=len(targets),
        side=config.crop,
        scale=config.image_scale,
        pixels=pixels.numpy().tobytes(),
        labels=targets.tobytes(),
    )


def _on_gpu(command: PreviewCrops) -> bool:
    return command.config.device != "cpu" and torch.cuda.is_available()
