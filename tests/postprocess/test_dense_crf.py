"""The dense CRF against sums over all pairs of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.postprocess.dense_crf import Bilateral, Spatial, dense_crf, normalized
from core.postprocess.pipeline import DenseCrf

SIZE = (24, 40)


def scene() -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.intp]]:
    """A picture of three classes with some noise, doubtful probabilities (3, H, W), and the truth."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    truth = ((x - 12) ** 2 + (y - 12) ** 2 < 64).astype(np.intp) + 2 * (x > 28)
    colors = np.array([[60, 60, 80], [160, 120, 90], [90, 180, 160]])[truth]
    image = (colors + random.normal(0, 6, (*SIZE, 3))).clip(0, 255).astype(np.uint8)
    logits = random.normal(0, 1.2, (3, *SIZE)) + 2 * np.stack([truth == k for k in range(3)])
    chances = np.exp(logits)
    return image, (chances / chances.sum(axis=0)).astype(np.float16), truth


def all_pairs(image: NDArray[np.uint8], settings: DenseCrf) -> tuple[NDArray[np.float64], ...]:
    """Both kernels (HW, HW), normalised symmetrically."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    places = np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)
    colors = image.reshape(-1, 3).astype(float)
    apart = ((places[:, None] - places) ** 2).sum(axis=-1)
    unlike = ((colors[:, None] - colors) ** 2).sum(axis=-1)
    kernels = (
        np.exp(-apart / (2 * settings.sxy**2) - unlike / (2 * settings.srgb**2)),
        np.exp(-apart / (2 * settings.spatial**2)),
    )
    return tuple(k / np.sqrt(np.outer(k.sum(axis=1), k.sum(axis=1))) for k in kernels)


def by_brute_force(
    probabilities: NDArray[np.floating], image: NDArray[np.uint8], settings: DenseCrf
) -> NDArray[np.float64]:
    bilateral, spatial = all_pairs(image, settings)
    logs = np.log(probabilities.reshape(3, -1).astype(float).clip(1e-5))
    likely = np.exp(logs) / np.exp(logs).sum(axis=0)
    for _ in range(settings.iterations):
        scores = logs + settings.weight * likely @ bilateral + settings.spatial_weight * likely @ spatial
        likely = np.exp(scores - scores.max(axis=0))
        likely /= likely.sum(axis=0)
    return likely.reshape(3, *SIZE)


@pytest.mark.parametrize(
    "settings",
    [
        DenseCrf(),
        DenseCrf(sxy=10, srgb=20),
        DenseCrf(sxy=5, srgb=10, iterations=10),
        DenseCrf(sxy=8, srgb=15, spatial_weight=0),
        DenseCrf(weight=0, spatial=2),
    ],
)
def test_the_crf_is_what_sums_over_all_pairs_of_pixels_give(settings: DenseCrf) -> None:
    image, probabilities, _ = scene()
    found = dense_crf(probabilities, image, settings)
    expected = by_brute_force(probabilities, image, settings)
    assert np.abs(found - expected).mean() < 0.003  # the lattice is an approximation
    assert np.abs(found - expected).max() < 0.15
    assert (found.argmax(axis=0) == expected.argmax(axis=0)).mean() > 0.998


def test_both_filters_are_close_to_the_sums_they_stand_for() -> None:
    image, probabilities, _ = scene()
    settings = DenseCrf(sxy=10, srgb=20)
    planes = torch.from_numpy(probabilities.astype(np.float32))
    filters = Bilateral(torch.from_numpy(image), settings.sxy, settings.srgb), Spatial(settings.spatial)
    for kernel, pairs, tolerance in zip(filters, all_pairs(image, settings), (0.03, 1e-3), strict=True):
        found = normalized(kernel, planes[0])(planes).numpy().reshape(3, -1)
        expected = probabilities.reshape(3, -1).astype(float) @ pairs
        assert (np.abs(found - expected) / expected).mean() < tolerance


def test_noise_goes_and_borders_follow_the_colours() -> None:
    image, probabilities, truth = scene()
    assert (probabilities.argmax(axis=0) == truth).mean() < 0.85
    found = dense_crf(probabilities, image, DenseCrf(sxy=10, srgb=20))
    assert (found.argmax(axis=0) == truth).mean() > 0.995
    assert np.allclose(found.sum(axis=0), 1.0, atol=1e-5)


def test_a_crf_can_be_left_between_two_pieces_of_work() -> None:
    class MoreUrgentError(Exception):
        pass

    def leave() -> None:
        raise MoreUrgentError

    image, probabilities, _ = scene()
    with pytest.raises(MoreUrgentError):
        dense_crf(probabilities, image, DenseCrf(), between=leave)
