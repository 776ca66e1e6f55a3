"""From a correction to an overlay that has learned it, with the instant learner in the engine.

`python tests/bench/latency.py [--side 1024] [--images 10] [--corrections 12] [--train]`

A copy of the bundled sample, its images enlarged to `--side`, every one of them labelled (the sample's
masks; unlabelled images get those of a neighbour, which is fine for time). The engine runs in this
process, as it does in its own. One by one a disc is labelled somewhere in the image that is watched; t1
is the time from the command to the first prediction of that image whose head was fitted to it. With
`--train` a U-Net trains meanwhile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import cv2
import numpy as np
from machine import describe, quantile

from core.annotation.model import AnnotationState
from core.learning.config import TrainConfig
from core.learning.engine import Engine
from core.learning.events import (
    Event,
    LabelsChanged,
    LearnLive,
    OpenProject,
    PackedMask,
    Prediction,
    StepDone,
    Stop,
    Train,
    Watch,
)
from core.learning.inbox import Inbox
from core.project.project import Project
from core.project.sample import copy_sample

SEEN_AT_MOST_S = 120.0


class Bench:
    """The engine and what it said, with the time of each event."""

    def __init__(self, root: Path) -> None:
        self.events: list[tuple[float, Event]] = []
        self.engine = Engine(lambda event: self.events.append((time.perf_counter(), event)), Inbox())
        self.engine.handle(LearnLive(on=True))
        self.engine.handle(OpenProject(root=str(root)))

    def idle(self) -> None:
        """Work until there is nothing left to do."""
        end = time.perf_counter() + SEEN_AT_MOST_S
        while self.engine.tick() and time.perf_counter() < end:
            pass

    def until_seen(self, key: str, revision: int) -> float:
        """Work until a prediction knows these labels; its time."""
        start = len(self.events)
        end = time.perf_counter() + SEEN_AT_MOST_S
        while time.perf_counter() < end:
            self.engine.tick()
            for at, event in self.events[start:]:
                if isinstance(event, Prediction) and event.key == key and event.revision >= revision:
                    return at
        raise SystemExit(f"no prediction within {SEEN_AT_MOST_S:.0f} s")


def enlarged_sample(root: Path, side: int, images: int) -> dict[str, np.ndarray]:
    """Enlarge the sample's images in place; masks by key for the first `images` of them."""
    copy_sample(root)
    masks: dict[str, np.ndarray] = {}
    with Project.open(root) as project:
        entries = project.images()[:images]
        known = {each.entry.key: each.mask for each in project.labelled()}
    spare = list(known.values())
    for number, entry in enumerate(entries):
        picture = cv2.imread(str(entry.image_path))
        cv2.imwrite(str(entry.image_path), cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC))
        if entry.annotation_path.exists():
            entry.annotation_path.unlink()
        mask = known.get(entry.key, spare[number % len(spare)])
        masks[entry.key] = cv2.resize(mask, (side, side), interpolation=cv2.INTER_NEAREST)
    return masks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--corrections", type=int, default=12)
    parser.add_argument("--train", action="store_true")
    arguments = parser.parse_args()
    print(describe("torch", "numpy", "opencv-python-headless"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        masks = enlarged_sample(root, arguments.side, arguments.images)
        bench = Bench(root)
        paths = {key: str(root / key) for key in masks}
        for key, mask in masks.items():
            bench.engine.handle(_labels(key, paths[key], mask, 1))
        watched = next(iter(masks))
        started = time.perf_counter()
        bench.engine.handle(Watch(key=watched, image_path=paths[watched]))
        first_s = bench.until_seen(watched, 1) - started
        print(f"first overlay after opening, {len(masks)} labelled images: {first_s:.1f} s")
        bench.idle()
        print(f"nothing left to do after {time.perf_counter() - started:.1f} s")
        if arguments.train:
            bench.engine.handle(Train(config=TrainConfig(model="unet", device="cpu")))
            while not any(isinstance(event, StepDone) for _, event in bench.events):
                bench.engine.tick()
        times = []
        rng = np.random.default_rng(0)
        for revision in range(2, 2 + arguments.corrections):
            mask = masks[watched]
            at = tuple(int(value) for value in rng.integers(mask.shape[0] // 4, 3 * mask.shape[0] // 4, 2))
            cv2.circle(mask, at, mask.shape[0] // 40, int(rng.integers(0, 3)), -1)
            started = time.perf_counter()
            bench.engine.handle(_labels(watched, paths[watched], mask, revision))
            times.append(bench.until_seen(watched, revision) - started)
        if arguments.train:
            bench.engine.handle(Stop())
        name = f"{arguments.side} x {arguments.side}, {len(masks)} images"
        name += ", a U-Net training" if arguments.train else ""
        print(
            f"t1, {name}: p50 {quantile(times, 0.5):.2f} s, p95 {quantile(times, 0.95):.2f} s"
            f" ({len(times)} corrections; {min(times):.2f} to {max(times):.2f} s)"
        )


def _labels(key: str, path: str, mask: np.ndarray, revision: int) -> LabelsChanged:
    return LabelsChanged(
        key=key, image_path=path, revision=revision, state=AnnotationState.DONE, mask=PackedMask.pack(mask)
    )


if __name__ == "__main__":
    main()
