"""An instant learner for a project's labels: network, encoder weights, cache; and a rehearsal of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import numpy as np
import torch

from core.learning.config import DEFAULT_ENCODER, INSTANT_MODEL, TrainConfig
from core.learning.events import Event, Notice
from core.learning.instant.features import FeatureCache
from core.learning.instant.head import RATE, HeadFit, PointSet
from core.learning.instant.learner import InstantLearner
from core.learning.instant.pace import PROBE, affordable_views, pixels_to_see, seconds_per_pixel
from core.learning.instant.points import collect_points
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.machine.randomness import Randomness
from core.models.instant import InstantNetwork
from core.models.registry import build

REHEARSED_POINTS: Final = 256
REHEARSED_STEPS: Final = 2


def instant_network(
    classes: int, encoder: str | None, source: str, notify: Callable[[Event], None]
) -> InstantNetwork:
    """A network whose encoder has its weights and whose head knows nothing.

    Raises:
        UsageError: an encoder it cannot stand on.
        EncoderDownloadError, WeightsFileError: of the encoder's weights.
    """
    network = build(INSTANT_MODEL, classes=classes, encoder=encoder)
    assert isinstance(network, InstantNetwork)
    network.load_encoder_weights(source, lambda text, progress: notify(Notice(text=text, progress=progress)))
    return network.eval()


def instant_learner(
    store: LabelStore,
    config: TrainConfig,
    *,
    scale: float,
    device: torch.device,
    notify: Callable[[Event], None],
    network: InstantNetwork | None = None,
    cache: FeatureCache | None = None,
    folder: Path | None = None,
    features_s: float | None = None,
    pace: float | None = None,
    channels: ChannelMap | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> InstantLearner:
    """A learner that has not looked at the labels yet.

    Args:
        store: the labels.
        config: of which count seed and weak background.
        scale: factor images are resized by.
        device: for encoder and head.
        notify: hears of a download.
        network: to use instead of one on the bundled encoder.
        cache: of features of the same encoder at the same scale, to use instead of a new one.
        folder: where a new cache keeps what memory does not hold.
        features_s: seconds in which it should be done looking at the labelled images; where the network's
            views take longer, another one on its encoder looks less closely. None: as long as it takes.
        pace: as `seconds_per_pixel` gives it, if it was measured before.
        channels: what the network's outputs mean; by default the project's classes as they are now.
        clock: of an update's time, seconds.
    """
    channels = ChannelMap(store.classes) if channels is None else channels
    randomness = Randomness.seeded(config.seed, device)
    if network is None:
        with randomness.own():
            network = instant_network(len(channels.classes), DEFAULT_ENCODER, "default", notify)
    network = network.to(device).to(memory_format=torch.channels_last)

    def warn(text: str) -> None:
        notify(Notice(text=text, level="warning"))

    cache = cache or FeatureCache(network, device, scale=scale, folder=folder, notify=warn)
    if features_s is not None:
        views = affordable_views(network, device, pixels_to_see(store, cache), features_s, pace)
        if views != network.views:
            with randomness.own():
                network = InstantNetwork.with_encoder_of(network, views).to(device)
            cache = FeatureCache(network, device, scale=scale, folder=folder, notify=warn)
    return InstantLearner(
        store,
        network,
        cache,
        channels,
        device,
        weak_background=config.weak_background,
        seed=config.seed,
        randomness=randomness,
        clock=clock,
    )


def rehearsal(device: torch.device, notify: Callable[[Event], None]) -> Generator[None, None, float]:
    """Look at an empty picture and tell its halves apart, so that the first labels find everything loaded.

    What encoders and torch's optimizers stand on takes as long to import as torch itself, and the first
    picture and the first step take longer than all that follow. A person who has drawn the first polygon
    would wait for it.

    Args:
        device: for encoder and head.
        notify: hears of a download.

    Returns:
        What `seconds_per_pixel` measured.

    Raises:
        EncoderDownloadError, WeightsFileError: of the encoder's weights.
    """
    randomness = Randomness.seeded(0, device)
    with randomness.own():
        network = instant_network(2, DEFAULT_ENCODER, "default", notify)
    network = network.to(device).to(memory_format=torch.channels_last)
    yield
    features = FeatureCache(network, device, scale=1.0).compute(np.zeros((PROBE, PROBE, 3), np.uint8))
    yield
    halves = np.zeros((PROBE, PROBE), np.uint8)
    halves[PROBE // 2 :] = 1
    points = collect_points(features, halves, count=REHEARSED_POINTS, weak=None, background=None, seed=0)
    chosen = PointSet([points], device=device)
    network.standardize(*chosen.standardization())
    for _ in randomness.through(HeadFit(network, chosen, steps=REHEARSED_STEPS, rate=RATE)):
        yield
    return seconds_per_pixel(network, device)
