"""labelme's own sample images: read without loss, and drawn as labelme drew them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.labelme_json import dumps, loads
from core.annotation.model import ClassList, LabelClass
from core.annotation.rasterize import rasterize

STEMS = ("2011_000003", "2011_000006", "2011_000025")


@pytest.fixture
def samples(shared_data: Path) -> Path:
    folder = shared_data / "labelme" / "semantic_segmentation"
    if not folder.is_dir():
        pytest.skip("labelme's sample images are not at hand")
    return folder


@pytest.mark.parametrize("stem", STEMS)
def test_class_masks_agree_with_labelmes_own(samples, stem, record_property) -> None:
    names = (samples / "data_dataset_voc" / "class_names.txt").read_text().splitlines()
    classes = ClassList(tuple(LabelClass(k, name, "#000000") for k, name in enumerate(names)), background=0)
    source = samples / "data_annotated" / f"{stem}.json"
    mask = rasterize(loads(source.read_bytes(), source), classes)

    by_number = np.load(samples / "data_dataset_voc" / "SegmentationClassNpy" / f"{stem}.npy")
    by_color = np.asarray(Image.open(samples / "data_dataset_voc" / "SegmentationClass" / f"{stem}.png"))
    for theirs in (np.where(by_number < 0, 255, by_number), by_color):
        agreement = float((mask == theirs).mean())
        record_property("agreement", agreement)
        print(f"{stem}: {agreement:.6f}")
        assert agreement >= 0.999
    assert set(np.unique(mask)) == set(np.unique(by_color))


@pytest.mark.parametrize("stem", STEMS)
def test_every_value_of_the_file_comes_through(samples, stem) -> None:
    source = samples / "data_annotated" / f"{stem}.json"
    before = json.loads(source.read_bytes())
    after = json.loads(dumps(loads(source.read_bytes(), source)))
    for key, value in before.items():
        if key != "shapes":
            assert after[key] == value
    for shape, written in zip(before["shapes"], after["shapes"], strict=True):
        assert {key: written[key] for key in shape} == shape
