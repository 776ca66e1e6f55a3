"""Pictures with known regions, and real nuclei with their truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


def overlap_of(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((found & truth).sum() / max((found | truth).sum(), 1))


@pytest.fixture
def iou() -> Callable[..., float]:
    return overlap_of


@pytest.fixture
def disc() -> Callable[..., tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """A bright disc on a darker, slightly noisy ground, and its mask."""

    def make(
        size_hw: tuple[int, int] = (120, 160),
        center: tuple[float, float] = (80.0, 60.0),
        radius: float = 25.0,
        noise: float = 2.0,
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        rows, columns = np.mgrid[: size_hw[0], : size_hw[1]]
        inside = (columns + 0.5 - center[0]) ** 2 + (rows + 0.5 - center[1]) ** 2 <= radius**2
        levels = np.where(inside, 180.0, 60.0) + np.random.default_rng(0).normal(0, noise, size_hw)
        grey = np.clip(levels, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), inside

    return make


@pytest.fixture
def nuclei(shared_data: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Real images with one nucleus each, two of every tenth image."""
    cases = []
    for path in sorted((shared_data / "nuclei" / "images").glob("*.png"))[::10]:
        image = np.asarray(Image.open(path).convert("RGB"))
        names = np.asarray(Image.open(path.parent.parent / "instances" / path.name))
        sizes = np.bincount(names.ravel())
        sizes[0] = 0
        cases += [(image, names == name) for name in np.argsort(-sizes)[:2] if sizes[name] > 60]
    return cases


@pytest.fixture
def nuclei_images(shared_data: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Real images with all their nuclei numbered."""
    paths = sorted((shared_data / "nuclei" / "images").glob("*.png"))[::10]
    return [
        (
            np.asarray(Image.open(path).convert("RGB")),
            np.asarray(Image.open(path.parent.parent / "instances" / path.name)).astype(np.int64),
        )
        for path in paths
    ]
