"""How closely the instant learner can look at images in the time there is: measured, not assumed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import torch

from core.learning.config import TrainConfig
from core.learning.instant.features import FeatureCache
from core.learning.instant.learner import is_looked_at
from core.learning.labels.data import LabelStore, scaled_size
from core.models.instant import CHEAPER_VIEWS, VIEWS, InstantNetwork, zooms
from core.models.network import SegmentationNetwork

FEATURES_SHARE: Final = 0.4
"""Of a run's time budget, what looking at the labelled images should take at most."""
PROBE: Final = 320
"""Side of the picture the encoder's speed is measured on."""
PROBES: Final = 6
"""That count, after one that does not."""


def pixels_to_see(store: LabelStore, cache: FeatureCache) -> int:
    """Pixels, as the network gets them, of all labelled images whose features are not kept yet."""
    new = (key for key in store.labelled_keys() if not cache.holds(key))
    return _pixels_of(store, new, cache.scale)


def _pixels_of(store: LabelStore, keys: Iterable[str], scale: float) -> int:
    """Together, as the network gets them; images so large that they are left out do not count."""
    sizes = (store.get(key).mask.shape for key in keys)
    return sum(math.prod(scaled_size(hw, scale)) for hw in sizes if is_looked_at(hw, scale))


@torch.inference_mode()
def seconds_per_pixel(network: InstantNetwork, device: torch.device) -> float:
    """What the encoder takes for one pixel of one view, at present, on this device."""
    encoder = network.encoder.to(device).eval()
    picture = torch.zeros((1, 3, PROBE, PROBE), device=device).to(memory_format=torch.channels_last)
    float(encoder(picture)[-1].sum())  # waits for the device
    started = time.perf_counter()
    for _ in range(PROBES):
        float(encoder(picture)[-1].sum())
    # The mean: on a busy machine the fastest of them ran while nobody else did.
    return (time.perf_counter() - started) / PROBES / PROBE**2


def work(views: str) -> float:
    """Pixels that go through the encoder for each pixel of a picture."""
    return sum(zoom**2 for zoom in zooms(views))


def paced(
    network: SegmentationNetwork, config: TrainConfig, store: LabelStore, device: torch.device
) -> tuple[SegmentationNetwork, TrainConfig]:
    """The instant learner's network with views that fit into the run's seconds, and a config of it.

    Any other network, and one without a time budget or whose views were chosen, stays as it is.
    """
    chosen = "views" in dict(config.model_options)
    if not isinstance(network, InstantNetwork) or config.seconds is None or chosen:
        return network, config
    assert config.image_scale is not None
    pixels = _pixels_of(store, store.labelled_keys(), config.image_scale)
    views = affordable_views(network, device, pixels, FEATURES_SHARE * config.seconds)
    network = network.cpu()
    if views == network.views:
        return network, config
    return (
        InstantNetwork.with_encoder_of(network, views),
        replace(config, model_options=(*config.model_options, ("views", views))),
    )


def affordable_views(
    network: InstantNetwork, device: torch.device, pixels: int, seconds: float, pace: float | None = None
) -> str:
    """The views that show most of so many pixels in so many seconds; the cheapest ones where none do.

    Args:
        network: whose encoder looks, first at its own views.
        device: where.
        pixels: of all pictures together.
        seconds: for looking at them.
        pace: as `seconds_per_pixel` gives it; None: it is measured, which takes as long as a small image.
    """
    if pace is None:
        pace = seconds_per_pixel(network, device)
    for views in (VIEWS, *CHEAPER_VIEWS):
        if pace * pixels * work(views) <= seconds:
            return views
    return CHEAPER_VIEWS[-1]
