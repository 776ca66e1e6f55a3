"""Small pictures with discs in them, their labels, and a network that learns them in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.learning.config import TrainConfig
from core.learning.events import Event
from core.learning.instant.features import FeatureCache
from core.learning.instant.learner import InstantLearner
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.training.fit import TrainState, fit
from core.models.encoders import build_encoder
from core.models.instant import InstantNetwork

BACKGROUND, DISC, SQUARE = 0, 3, 7
"""Mask values with gaps, as a project has them that has lost classes."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks are faster without threads, and far faster where other programs run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Picture:
    """An image on disk and its complete mask."""

    key: str
    path: Path
    mask: NDArray[np.uint8]


@dataclass
class World:
    """Pictures of bright discs and dark squares on noise, and a store to put their labels into."""

    folder: Path
    store: LabelStore

    def picture(self, number: int, size_hw: tuple[int, int] = (72, 96)) -> Picture:
        """Picture `number`, always the same."""
        rng = np.random.default_rng(number)
        height, width = size_hw
        mask = np.full(size_hw, BACKGROUND, np.uint8)
        pixels = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
        radius = min(size_hw) // 6
        at = int(rng.integers(radius, width // 2 - radius)), int(rng.integers(radius, height - radius))
        cv2.circle(mask, at, radius, DISC, -1)
        left = int(rng.integers(width // 2, width - 2 * radius))
        top = int(rng.integers(0, height - 2 * radius))
        mask[top : top + 2 * radius, left : left + 2 * radius] = SQUARE
        pixels[mask == DISC] += 100
        pixels[mask == SQUARE] -= 80
        path = self.folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        return Picture(path.name, path, mask)

    def put_done(self, *numbers: int) -> None:
        """Complete labels."""
        for number in numbers:
            picture = self.picture(number)
            self.store.put(picture.key, picture.path, picture.mask, AnnotationState.DONE)

    def put_drawn(self, number: int, *classes: int) -> None:
        """Only the shapes of these classes are drawn; the image is in progress."""
        picture = self.picture(number)
        mask = np.where(np.isin(picture.mask, classes), picture.mask, UNLABELLED).astype(np.uint8)
        self.store.put(picture.key, picture.path, mask, AnnotationState.IN_PROGRESS)


def three_classes(*, background: bool = True) -> ClassList:
    """Background, disc and square, the background not in front."""
    discs = LabelClass(DISC, "disc", "#ff0000")
    squares = LabelClass(SQUARE, "square", "#0000ff")
    if not background:
        return ClassList((discs, squares))
    return ClassList((discs, LabelClass(BACKGROUND, "background", "#000000"), squares), BACKGROUND)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """No labels yet."""
    folder = tmp_path / "images"
    folder.mkdir()
    return World(folder, LabelStore(three_classes()))


@pytest.fixture
def network() -> InstantNetwork:
    """Of the instant learner, on a plain encoder; its head knows nothing."""
    torch.manual_seed(0)
    return InstantNetwork(build_encoder("plain", width=8), classes=3, hidden=32).eval()


@pytest.fixture
def feature_cache(network: InstantNetwork, tmp_path: Path) -> FeatureCache:
    """Of its features."""
    return FeatureCache(network, torch.device("cpu"), scale=1.0, folder=tmp_path / "features")


@pytest.fixture
def learner(world: World, network: InstantNetwork, feature_cache: FeatureCache) -> InstantLearner:
    """Of the world's labels, which it has not looked at."""
    return InstantLearner(
        world.store,
        network,
        feature_cache,
        ChannelMap(world.store.classes),
        torch.device("cpu"),
        weak_background=0.1,
    )


def tiny_config(**changes: object) -> TrainConfig:
    """A network of some thousand parameters that takes a few milliseconds a step."""
    settings: dict[str, object] = {
        "encoder": "plain",
        "model_options": (("encoder_width", 4), ("width", 4)),
        "crop": 64,
        "batch": 2,
        "lr": 5e-3,
        "image_scale": 1.0,
        "device": "cpu",
        "validation": "none",
    }
    return TrainConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def config() -> Callable[..., TrainConfig]:
    """`tiny_config`, to be changed by keyword."""
    return tiny_config


@pytest.fixture
def start(world: World, tmp_path: Path) -> Callable[..., TrainState]:
    """Start a run on the world's labels, its configuration changed by keyword."""

    def create(**changes: object) -> TrainState:
        return TrainState.create(tiny_config(**changes), world.store, tmp_path / "run", _quiet)

    return create


@pytest.fixture
def resume(world: World, tmp_path: Path) -> Callable[..., TrainState]:
    """Go on with that run; `steps`, `seconds` as on the command line."""

    def again(**changes: object) -> TrainState:
        return TrainState.resume(tmp_path / "run", world.store, TrainConfig(**changes), _quiet)  # type: ignore[arg-type]

    return again


def _quiet(_event: Event) -> None:
    pass


def run_to_end(state: TrainState) -> list[Event]:
    """All events of a run."""
    return list(fit(state))


@pytest.fixture
def run() -> Callable[[TrainState], list[Event]]:
    """`run_to_end`."""
    return run_to_end
