"""Small images and labelme files to make projects of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Snapshot = dict[str, tuple[bytes, int]]

SQUARE = [[2, 2], [9, 2], [9, 9], [2, 9]]


def make_image(path: Path, *, size_hw: tuple[int, int] = (12, 16), value: int = 90) -> Path:
    """A grey image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size_hw, 3), value, np.uint8)).save(path)
    return path


def make_labelme(path: Path, image: str, *labels: str, **changes: Any) -> Path:
    """A labelme JSON with one square for each label."""
    shapes = [
        {"label": label, "points": SQUARE, "group_id": None, "shape_type": "polygon", "flags": {}}
        for label in labels
    ]
    record = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": 12,
        "imageWidth": 16,
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def snapshot_of(folder: Path) -> Snapshot:
    """Content and modification time of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def new_image() -> Callable[..., Path]:
    return make_image


@pytest.fixture
def new_labelme() -> Callable[..., Path]:
    return make_labelme


@pytest.fixture
def snapshot() -> Callable[[Path], Snapshot]:
    return snapshot_of


@pytest.fixture
def labelme_folder(tmp_path: Path) -> Path:
    """Three images; two annotated by labelme, with a labels.txt."""
    folder = tmp_path / "plants"
    for stem in ("a", "b", "c"):
        make_image(folder / f"{stem}.png")
    make_labelme(folder / "a.json", "a.png", "leaf", "stem")
    make_labelme(folder / "b.json", "b.png", "leaf", "__ignore__", "_background_", "root")
    (folder / "labels.txt").write_text("__ignore__\n_background_\nstem\nleaf\nflower\n")
    return folder
