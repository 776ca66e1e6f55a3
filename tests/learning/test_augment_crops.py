"""Crops: image and labels stay together whatever the warp does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.annotation.model import UNLABELLED
from core.learning.config import TrainConfig
from core.learning.training.augment import Augmenter, AugmentSettings
from core.learning.training.sampler import Windows

CPU = torch.device("cpu")
STILL = {"brightness": 0.0, "contrast": 1.0, "gamma": 1.0, "tint": 0.0, "noise": 0.0, "blur": 0.0}
"""Only the warp, no change of light."""


def _windows(side: int = 96, count: int = 3, *, weak: bool = False) -> Windows:
    """A bright rectangle, labelled 1, on dark ground, labelled 0; a seed within the rectangle."""
    targets = np.zeros((count, side, side), np.uint8)
    targets[:, side // 3 : side // 2, side // 4 : side // 2] = 1
    pixels = np.repeat(np.where(targets == 1, 220, 40).astype(np.uint8)[..., None], 3, axis=3)
    seed = np.array([side * 0.375 - side / 2, side * 0.4 - side / 2], np.float32)
    return Windows(
        pixels,
        targets,
        targets == 0 if weak else None,
        np.tile(seed, (count, 1)),
        np.ones(count, np.int64),
        tuple("abcdefgh"[:count]),
    )


def _augmenter(settings: AugmentSettings | None, seed: int = 0) -> Augmenter:
    return Augmenter(settings, device=CPU, seed=seed, weak_weight=0.1)


def test_without_augmentation_a_crop_is_the_middle_of_its_window() -> None:
    windows = _windows()
    crops = _augmenter(None)(windows, 64)
    middle = slice(16, 80)
    np.testing.assert_array_equal(crops.targets.numpy(), windows.targets[:, middle, middle])
    np.testing.assert_allclose(
        crops.pixels.numpy(), windows.pixels[:, middle, middle].transpose(0, 3, 1, 2), atol=1e-2
    )
    assert crops.weights is None
    assert crops.pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("turns", [False, True])
def test_pixels_and_targets_move_together(turns: bool) -> None:
    augment = _augmenter(AugmentSettings(turns=turns, **STILL))
    for _ in range(10):
        crops = augment(_windows(), 64)
        bright = crops.pixels[:, 0] > 130
        known = crops.targets != UNLABELLED
        agree = (bright == (crops.targets == 1))[known].float().mean()
        assert agree > 0.995  # but for the interpolated border


def test_beyond_the_window_nothing_is_known() -> None:
    augment = _augmenter(AugmentSettings(zoom=3.0, **STILL))
    shares = [(augment(_windows(side=64), 64).targets == UNLABELLED).float().mean().item() for _ in range(5)]
    assert max(shares) > 0.2
    assert set(torch.unique(augment(_windows(side=64), 64).targets).tolist()) <= {0, 1, UNLABELLED}


def test_no_crop_comes_without_a_target_not_even_for_a_single_labelled_pixel() -> None:
    windows = _windows(side=128, count=8)
    windows.targets[:] = UNLABELLED
    seed = np.array([-50.5, 40.5], np.float32)  # far from the middle, where most warps would lose it
    windows.targets[:, int(64 + seed[1]), int(64 + seed[0])] = 1
    windows.seeds[:] = seed
    augment = _augmenter(AugmentSettings(zoom=2.0, rotation_deg=180.0))
    for _ in range(10):
        targets = augment(windows, 64).targets
        assert (targets == 1).flatten(1).any(dim=1).all()


def test_the_same_generator_state_gives_the_same_crops() -> None:
    augment = _augmenter(AugmentSettings())
    augment(_windows(), 64)
    state = augment.generator.get_state()
    expected = augment(_windows(), 64)
    other = _augmenter(AugmentSettings(), seed=5)
    other.generator.set_state(state)
    found = other(_windows(), 64)
    assert torch.equal(found.pixels, expected.pixels)
    assert torch.equal(found.targets, expected.targets)
    assert not torch.equal(augment(_windows(), 64).pixels, expected.pixels)


def test_weak_targets_weigh_less() -> None:
    crops = _augmenter(AugmentSettings())(_windows(weak=True), 64)
    assert crops.weights is not None
    inside = crops.targets == 1
    assert torch.allclose(crops.weights[inside], torch.tensor(1.0))
    assert torch.allclose(crops.weights[crops.targets == 0], torch.tensor(0.1))


def test_grey_images_stay_grey_and_all_stay_in_range() -> None:
    augment = _augmenter(AugmentSettings())
    for _ in range(5):
        pixels = augment(_windows(), 64).pixels
        assert torch.allclose(pixels[:, 0], pixels[:, 2], atol=1e-3)
        assert 0.0 <= pixels.min() <= pixels.max() <= 255.0


def test_light_changes_from_crop_to_crop() -> None:
    pixels = _augmenter(AugmentSettings(blur=0.0, noise=0.0))(_windows(count=8), 64).pixels
    assert pixels.mean(dim=(1, 2, 3)).std() > 3


def test_a_configuration_says_how_far_crops_vary() -> None:
    assert AugmentSettings.of(TrainConfig()) == AugmentSettings()
    assert AugmentSettings.of(TrainConfig(augment=False, turns=True)) is None
    chosen = AugmentSettings.of(TrainConfig(turns=True, zoom=1.1, rotation_deg=5.0, elastic=0.01))
    assert chosen == AugmentSettings(turns=True, zoom=1.1, rotation_deg=5.0, elastic=0.01)


def test_no_light_zoom_rotation_and_bending_leave_flips_and_shifts_only() -> None:
    still = AugmentSettings.of(TrainConfig(zoom=1.0, rotation_deg=0.0, elastic=0.0, light=0.0))
    crops = _augmenter(still)(_windows(), 64)
    assert crops.pixels.aminmax() == (pytest.approx(40.0, abs=0.01), pytest.approx(220.0, abs=0.01))
    sizes = (crops.targets == 1).sum(dim=(1, 2))  # of a rectangle of 16 x 24
    assert ((sizes - 16 * 24).abs() <= 16 + 24).all()
    stronger = AugmentSettings.of(TrainConfig(light=2.0))
    assert stronger is not None
    assert stronger.brightness == pytest.approx(2 * AugmentSettings().brightness)
    assert stronger.contrast == pytest.approx(AugmentSettings().contrast ** 2)
