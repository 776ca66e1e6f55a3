"""Background between objects that nearly touch counts more: as the paper says, and in the loss of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.annotation.model import AnnotationState
from core.learning import sampler as sampling
from core.learning.augment import Augmenter
from core.learning.border_weights import SIGMA, border_strengths
from core.learning.config import TrainConfig
from core.learning.data import ChannelMap, LabelStore
from core.learning.events import Event, StepDone
from core.learning.losses import loss_sums
from core.learning.sampler import CropSampler
from core.learning.settings_text import configured
from core.learning.state import TrainState
from core.models.terms import Truth
from tests.learning.conftest import BACKGROUND, DISC, SQUARE, World


def cells(size: tuple[int, int] = (48, 60)) -> NDArray[np.uint8]:
    """Three cells of two classes with narrow gaps, on background; a strip of which nothing is known."""
    targets = np.zeros(size, np.uint8)
    cv2.circle(targets, (14, 20), 8, 1, -1)
    cv2.circle(targets, (34, 20), 9, 1, -1)
    cv2.circle(targets, (26, 38), 7, 2, -1)
    targets[:, 52:] = 255
    return targets


def by_brute_force(targets: NDArray[np.uint8], sigma: float) -> NDArray[np.float64]:
    """exp(-(d1 + d2)^2 / (2 sigma^2)) from all pairs of pixels."""
    objects = []
    for value in (1, 2):
        count, numbers = cv2.connectedComponents((targets == value).astype(np.uint8), connectivity=8)
        objects += [np.argwhere(numbers == number) for number in range(1, count)]
    found = np.zeros(targets.shape)
    for row, column in np.argwhere(targets == 0):
        distances = sorted(
            float(np.sqrt(((pixels - (row, column)) ** 2).sum(axis=1)).min()) for pixels in objects
        )
        if len(distances) > 1:
            found[row, column] = np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return found


@pytest.mark.parametrize("sigma", [SIGMA, 2.5])
def test_strengths_are_what_the_formula_gives_for_all_pairs_of_pixels(sigma: float) -> None:
    targets = cells()
    found = border_strengths(targets, 0, sigma) / 255
    assert np.abs(found - by_brute_force(targets, sigma)).max() < 0.003  # eight bits
    assert found[20, 24] > 0.4, "between two cells"
    assert not found[targets != 0].any()


def test_one_object_alone_has_no_border_to_another() -> None:
    targets = np.zeros((20, 20), np.uint8)
    targets[5:10, 5:10] = 1
    assert not border_strengths(targets, 0).any()
    assert not border_strengths(np.zeros((5, 5), np.uint8), 0).any()


def drawn(world: World, **settings: object) -> tuple[CropSampler, LabelStore]:
    """A sampler of one picture, labelled with cells."""
    picture = world.picture(0, cells().shape)
    channels = ChannelMap(world.store.classes)
    mask = np.array([BACKGROUND, DISC, SQUARE] + [255] * 253, np.uint8)[cells()]
    world.store.put(picture.key, picture.path, mask, AnnotationState.DONE)
    usual = {"scale": 1.0, "crop": 64, "margin": 1.0, "seed": 0, "weak_background": False, "borders": True}
    keys = world.store.labelled_keys()
    return CropSampler(world.store, channels, keys, **(usual | settings)), world.store  # type: ignore[arg-type]


def background_of(store: LabelStore) -> int | None:
    return ChannelMap(store.classes).background


def test_windows_hold_the_strengths_of_their_pixels_found_once_for_a_revision(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []

    def counted(targets: NDArray[np.uint8], background: int) -> NDArray[np.uint8]:
        asked.append(targets.shape)
        return border_strengths(targets, background)

    monkeypatch.setattr(sampling, "border_strengths", counted)
    sampler, store = drawn(world)
    for _ in range(3):
        windows = sampler.draw(2)
        assert windows is not None
        assert windows.borders is not None
        assert windows.borders.shape == windows.targets.shape
        assert windows.borders.any()
        assert not windows.borders[windows.targets != background_of(store)].any()
    assert len(asked) == 1
    key = store.labelled_keys()[0]
    labels = store.get(key)
    changed = labels.mask.copy()
    changed[0, 0] = DISC
    store.put(key, labels.image_path, changed, AnnotationState.DONE, 1)
    assert sampler.draw(2) is not None
    assert len(asked) == 2
    plain, _ = drawn(world, borders=False)
    windows = plain.draw(1)
    assert windows is not None
    assert windows.borders is None


def test_crops_carry_them_along_with_their_targets(world: World) -> None:
    sampler, _ = drawn(world, crop=32)
    windows = sampler.draw(3)
    assert windows is not None
    windows = replace(windows, borders=np.where(windows.targets == 1, 51, 0).astype(np.uint8))
    augmenter = Augmenter(None, device=torch.device("cpu"), seed=0, weak_weight=0.1)
    crops = augmenter(windows, 32)
    assert crops.borders is not None
    assert torch.allclose(crops.borders, (crops.targets == 1) * 0.2, atol=1e-5)


def test_they_are_added_to_the_class_weights_in_the_cross_entropy() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 48, 60)
    targets = torch.from_numpy(cells().astype(np.int64))[None]
    classes = torch.tensor([0.5, 2.0, 3.0])
    borders = 10.0 * torch.from_numpy(border_strengths(cells(), 0)).to(torch.float32)[None] / 255
    found = loss_sums(logits, Truth.of(targets, None, classes, borders)).loss()
    labelled = targets != 255
    each = torch.nn.functional.cross_entropy(logits, targets.clamp_max(2), reduction="none")
    weights = (classes[targets.clamp_max(2)] + borders) * labelled
    expected = (each * weights).sum() / weights.sum()
    assert torch.isclose(found.cross_entropy, expected)
    plain = loss_sums(logits, Truth.of(targets, None, classes)).loss()
    assert torch.isclose(found.dice, plain.dice)
    assert not torch.isclose(found.cross_entropy, plain.cross_entropy)


def test_a_run_is_told_by_its_setting(
    world: World, start: Callable[..., TrainState], run: Callable[[TrainState], list[Event]]
) -> None:
    assert TrainConfig().border_weight == 0.0
    wanted = configured(TrainConfig(), [("border_weight", "10")]).border_weight
    world.put_done(0, 1)
    losses = []
    for weight in (wanted, 0.0):
        state = start(steps=3, border_weight=weight, augment=False)
        losses.append([event.loss for event in run(state) if isinstance(event, StepDone)])
        shutil.rmtree(state.run.path)
    assert losses[0]
    assert np.isfinite(losses[0]).all()
    assert losses[0] != losses[1]
