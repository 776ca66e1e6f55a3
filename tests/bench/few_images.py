"""What the instant learner knows after some seconds, from a few labelled images, features included.

`python tests/bench/few_images.py --data FOLDER [--images 20] [--seconds 30] [--scale S] [--apart N]`

FOLDER holds `train` and `val`, each with `images` and `masks` (indexed PNGs by stem, 255 unlabelled); or
`images` and `masks` alone, of which every third is kept apart. The labelled images are spread evenly over
the training ones. The clock runs from the bare labels to a head that can be asked: building the network and
loading its encoder, looking at the images, fitting. Then the head is asked about the images kept apart.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import numpy as np
import torch
from machine import describe
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.images.reader import read_image
from core.learning.config import TrainConfig
from core.learning.instant.head import FitStep
from core.learning.instant.learner import FeaturesDone, InstantLearner
from core.learning.instant.setup import instant_learner
from core.learning.labels.data import LabelStore
from core.learning.prediction.predict import choose_device
from core.learning.scores.metrics import ConfusionMatrix
from core.learning.settings.preset import resolve

FEATURES_SHARE = 0.6
"""Of the seconds, what looking at the images may take."""

Labelled = tuple[Path, Path]
"""An image and its mask."""


def found_in(folder: Path) -> list[Labelled]:
    images = sorted(path for path in (folder / "images").iterdir() if path.is_file())
    pairs = [(path, folder / "masks" / f"{path.stem}.png") for path in images]
    return [(path, mask) for path, mask in pairs if mask.is_file()]


def divided(folder: Path) -> tuple[list[Labelled], list[Labelled]]:
    """Images to label, and images kept apart."""
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        return found_in(folder / "train"), found_in(folder / "val")
    all_of_them = found_in(folder)
    apart = all_of_them[1::3]
    return [pair for pair in all_of_them if pair not in apart], apart


def mask_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as mask:
        return np.asarray(mask, np.uint8)


def store_of(pairs: list[Labelled]) -> LabelStore:
    masks = {path: mask_of(mask) for path, mask in pairs}
    values = sorted({int(value) for mask in masks.values() for value in np.unique(mask)} - {UNLABELLED})
    store = LabelStore(ClassList(tuple(LabelClass(v, f"class {v}", "#808080") for v in values)))
    for path, mask in masks.items():
        store.put(path.name, path, mask, AnnotationState.DONE)
    return store


def fitted(store: LabelStore, seconds: float, scale: float | None) -> InstantLearner:
    """The learner after its seconds; prints where they went."""
    started = time.perf_counter()
    device = choose_device("auto")
    config = resolve(
        TrainConfig(model="instant", image_scale=scale), "cuda" if device.type == "cuda" else "cpu", store
    )
    assert config.image_scale is not None
    learner = instant_learner(
        store,
        config,
        scale=config.image_scale,
        device=device,
        notify=lambda event: None,
        features_s=FEATURES_SHARE * seconds,
    )
    built_s = looked_s = time.perf_counter() - started
    steps = 0
    for piece in learner.update(seconds=max(seconds - built_s, 1.0)):
        if isinstance(piece, FeaturesDone):
            looked_s = time.perf_counter() - started
        elif isinstance(piece, FitStep):
            steps = piece.step
    all_s = time.perf_counter() - started
    print(
        f"scale {config.image_scale:g}, views {learner.network.views}: network {built_s:.1f} s, features"
        f" {looked_s - built_s:.1f} s, fit {all_s - looked_s:.1f} s ({steps} steps), together {all_s:.1f} s"
        f" of {seconds:g} s"
    )
    return learner


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--scale", type=float, help="of the images; default: as the program chooses")
    parser.add_argument(
        "--apart", type=int, default=1000, help="how many of those kept apart are asked about"
    )
    parser.add_argument("--threads", type=int, help="of torch; default: as torch chooses")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    print(describe("torch", "timm", "numpy", "opencv-python-headless"))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    print(f"{torch.get_num_threads()} threads, load average before: {load}")
    train, apart = divided(arguments.data)
    apart = apart[:: -(-len(apart) // arguments.apart)]
    at = np.linspace(0, len(train) - 1, min(arguments.images, len(train))).astype(int)
    store = store_of([train[number] for number in at])
    learner = fitted(store, arguments.seconds, arguments.scale)
    confusion = ConfusionMatrix(len(store.classes))
    for image, mask in apart:
        found = learner.predict(learner.cache.compute(read_image(image))).classes
        confusion.update(learner.channels.to_channels(mask_of(mask)), learner.channels.to_channels(found))
    per_class = " ".join("-" if iou is None else f"{iou:.3f}" for iou in confusion.iou())
    print(
        f"{len(at)} labelled images, {len(apart)} kept apart: mIoU {confusion.miou() or 0.0:.3f}"
        f" ({per_class}), pixel accuracy {confusion.pixel_accuracy() or 0.0:.3f}"
    )


if __name__ == "__main__":
    main()
