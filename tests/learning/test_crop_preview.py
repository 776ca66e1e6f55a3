"""Crops for the person: what the engine draws of one image, by the settings of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.answers import CropsPreviewed
from core.learning.commands import LabelsChanged, PreviewCrops
from core.learning.config import TrainConfig
from tests import tiny
from tests.learning.engine_bench import SIDE, EngineBench, squares_bench

CONFIG = replace(tiny.TINY, crop=32)


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    bench = squares_bench(tmp_path / "squares")
    bench.open()
    return bench


def asked(bench: EngineBench, number: int = 0, config: TrainConfig = CONFIG, seed: int = 0) -> CropsPreviewed:
    bench.do(PreviewCrops(key=bench.entries[number].key, config=config, seed=seed))
    return bench.got(CropsPreviewed)[-1]


def test_crops_come_with_their_labels(bench: EngineBench) -> None:
    crops = asked(bench)
    assert (crops.side, crops.problem) == (32, "")
    shape = crops.count, crops.side, crops.side
    pixels = np.frombuffer(crops.pixels, np.uint8).reshape(*shape, 3)
    labels = np.frombuffer(crops.labels, np.uint8).reshape(shape)
    assert set(np.unique(labels)) <= {0, 1, 255}
    # The squares are bright: their labels moved with them.
    assert pixels[labels == 1].mean() > pixels[labels == 0].mean() + 60


def test_again_shows_others_and_the_same_seed_the_same(bench: EngineBench) -> None:
    assert asked(bench).pixels == asked(bench).pixels
    assert asked(bench, seed=1).pixels != asked(bench).pixels


def test_settings_count(bench: EngineBench) -> None:
    plain = asked(bench, config=replace(CONFIG, augment=False, crop=64))
    pixels = np.frombuffer(plain.pixels, np.uint8).reshape(plain.count, SIDE, SIDE, 3)
    assert {40, 220} <= set(np.unique(pixels)) <= {40, 130, 220}  # no noise, no change of light
    assert asked(bench, config=replace(CONFIG, turns=True)).pixels != asked(bench).pixels


def test_what_is_in_the_way_is_said(bench: EngineBench) -> None:
    assert "draw something first" in asked(bench, number=3).problem
    (bench.root / "images" / "1.png").unlink()
    assert "1.png" in asked(bench, number=1).problem


def begun(bench: EngineBench, number: int, background_rows: int = 0) -> LabelsChanged:
    """An image in progress: its square is drawn, and background in its first rows."""
    mask = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    mask[10 + number : 40, 10:40] = 1
    mask[:background_rows] = 0
    return replace(bench.labels(number, mask, 1), state=AnnotationState.IN_PROGRESS)


@pytest.mark.parametrize(
    ("others", "background_rows", "stands_in"),
    [
        ("done", 0, False),  # they say what background is
        ("begun", 0, True),
        ("begun", 13, True),  # enough of it for this image, and too little for all of them
    ],
)
def test_undrawn_pixels_stand_in_for_background_where_they_would_in_a_run(
    bench: EngineBench, others: str, background_rows: int, stands_in: bool
) -> None:
    if others == "begun":
        bench.do(*(begun(bench, number) for number in range(3)))
    bench.do(begun(bench, 3, background_rows))
    crops = asked(bench, 3, replace(CONFIG, augment=False, crop=SIDE))
    labels = np.frombuffer(crops.labels, np.uint8).reshape(crops.count, SIDE, SIDE)
    assert (labels[:, background_rows:] == 0).any() == stands_in
