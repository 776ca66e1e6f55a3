"""Classes of few pixels: what weights and crops do for them, to be chosen for a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.learning.config import TrainConfig
from core.learning.events import Event
from core.learning.labels.data import ChannelMap, LabelStore
from core.learning.training.fit import TrainState
from core.learning.training.losses import balanced_class_weights
from core.learning.training.sampler import CropSampler

SIDE = 96
CLASSES = ClassList(
    (
        LabelClass(0, "background", "#000000"),
        LabelClass(1, "field", "#00ff00"),
        LabelClass(2, "speck", "#ff0000"),
    ),
    0,
)

TWO = ClassList(CLASSES.classes[:2], 0)


def sampler_of(store: LabelStore, *, rare_crops: float = 0.5) -> CropSampler:
    """Of all labelled images, in crops of 32 pixels."""
    return CropSampler(
        store,
        ChannelMap(store.classes),
        store.labelled_keys(),
        scale=1.0,
        crop=32,
        margin=1.0,
        seed=0,
        weak_background=False,
        rare_crops=rare_crops,
    )


@pytest.fixture
def specks(tmp_path: Path) -> LabelStore:
    """Pictures half background, half field, with one speck of 9 x 9 pixels: a hundredth of the picture."""
    store = LabelStore(CLASSES)
    for number in range(4):
        rng = np.random.default_rng(number)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[:, SIDE // 2 :] = 1
        x, y = rng.integers(8, SIDE - 17, 2)
        mask[y : y + 9, x : x + 9] = 2
        pixels = rng.normal(np.array([90, 150, 120])[mask], 18.0).clip(0, 255).astype(np.uint8)
        pixels = np.stack([pixels, pixels, np.where(mask == 2, 250, pixels)], axis=-1)
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        store.put(path.name, path, mask, AnnotationState.DONE)
    return store


def test_weights_of_classes_can_be_none_rooted_or_full() -> None:
    pixels = [[10_000, 10_000, 100]]
    assert balanced_class_weights(pixels, 50.0, "none").tolist() == [1, 1, 1]
    assert balanced_class_weights(pixels, 50.0, "inverse_sqrt").tolist() == [1, 1, 10]
    assert balanced_class_weights(pixels, 500.0, "median_frequency").tolist() == [1, 1, 100]
    assert balanced_class_weights(pixels, 5.0, "median_frequency").tolist() == [1, 1, 5]


def test_the_frequency_of_a_class_is_that_in_the_labelled_pixels_of_the_images_that_show_it(
    tmp_path: Path,
) -> None:
    store = LabelStore(TWO)
    masks = np.zeros((3, 10, 10), np.uint8)
    masks[0, 0] = 1  # ten pixels, in one of three images
    masks[2, :5] = UNLABELLED
    for number, mask in enumerate(masks):
        store.put(f"{number}.png", tmp_path / f"{number}.png", mask, AnnotationState.DONE)
    pixels = sampler_of(store).class_pixels
    assert pixels.tolist() == [[90, 10], [100, 0], [50, 0]]

    # Eigen and Fergus by hand; of an even number of frequencies the median is the mean of the middle two.
    often, seldom = (90 + 100 + 50) / (100 + 100 + 50), 10 / 100
    median = (often + seldom) / 2
    found = balanced_class_weights(pixels, 50.0, "median_frequency")
    np.testing.assert_allclose(found, [median / often, median / seldom], rtol=1e-6)

    # The others know counts alone.
    found = balanced_class_weights(pixels, 50.0, "inverse_sqrt")
    np.testing.assert_allclose(found, [np.sqrt(125 / 240), np.sqrt(125 / 10)], rtol=1e-6)


@pytest.mark.parametrize("rare_crops, least, most", [(0.0, 0, 8), (0.5, 60, 130), (1.0, 130, 200)])
def test_crops_go_to_rare_classes_as_often_as_is_wanted(
    specks: LabelStore, rare_crops: float, least: int, most: int
) -> None:
    windows = sampler_of(specks, rare_crops=rare_crops).draw(200)
    assert windows is not None
    assert least <= int((windows.seed_targets == 2).sum()) <= most


@pytest.mark.parametrize(("how", "power"), [("inverse_sqrt", 0.5), ("median_frequency", 1.0)])
def test_rooted_weights_fall_during_a_run_and_full_ones_stay(
    specks: LabelStore, config: Callable[..., TrainConfig], tmp_path: Path, how: str, power: float
) -> None:
    chosen = config(crop=32, batch=4, steps=4, class_weights=how)
    state = TrainState.create(chosen, specks, tmp_path / "run", lambda _event: None)
    list(state.keep_up(0.0))
    first = state.class_weights.clone()
    assert first.tolist()[2] == pytest.approx(5.0)
    list(state.keep_up(1.0))
    torch.testing.assert_close(state.class_weights, first**power)


def test_a_rare_class_is_found_with_weights_and_crops_and_missed_without(
    specks: LabelStore,
    config: Callable[..., object],
    run: Callable[[TrainState], list[Event]],
    tmp_path: Path,
) -> None:
    found: dict[str, float] = {}  # share of the speck's pixels, after a few seconds of training
    for name, settings in {
        "nothing": {"class_weights": "none", "rare_crops": 0.0},
        "both": {"class_weights": "inverse_sqrt", "rare_crops": 0.5},
    }.items():
        chosen = config(crop=32, batch=4, steps=40, dice=0.0, augment=False, **settings)
        state = TrainState.create(chosen, specks, tmp_path / name, lambda _event: None)  # type: ignore[arg-type]
        run(state)
        key = specks.labelled_keys()[0]
        seen = state.predictor().predict(specks.pixels(key)).classes
        found[name] = float((seen == 2)[specks.get(key).mask == 2].mean())
    assert found["nothing"] < 0.1
    assert found["both"] > 0.5
