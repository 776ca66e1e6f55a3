"""From the first polygon of a new project to the first overlay, by what the person did before.

`python -m tests.bench.first_overlay [--image FILE] [--pauses 0 60] [--times 3]`

An engine in a process of its own opens a project in which nothing is labelled, and one image is watched.
After the pause, which is what a person takes to look at the image and to draw, the labels of one polygon
arrive: a disc in the middle, the rest undrawn. The clock runs from there to the overlay. The pauses take
turns, each with a new engine. With none of them the labels find an engine that has just loaded torch, and
nothing else.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TypeVar

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import cv2
import numpy as np
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState
from core.learning.commands import LabelsChanged, LearnLive, OpenProject, Watch
from core.learning.events import EngineReady, Event, Failed, Prediction
from core.learning.labels.packed_mask import PackedMask
from core.learning.process import EngineProcess
from core.project.project import Project
from core.project.sample import sample_folder
from tests.bench.machine import describe

E = TypeVar("E", bound=Event)
KEY = "images/0.png"


def project_of(image: Path, root: Path) -> np.ndarray:
    """A project of this image; returns the labels of one polygon in it."""
    with Image.open(image) as pixels:
        (root / "images").mkdir(parents=True)
        pixels.convert("RGB").save(root / KEY)
        width, height = pixels.size
    Project.create(root, classes=("background", "object"), background="background").close()
    drawn = np.full((height, width), UNLABELLED, np.uint8)
    cv2.circle(drawn, (width // 2, height // 2), min(width, height) // 8, 1, -1)
    return drawn


def wait_for(engine: EngineProcess, kind: type[E]) -> E:
    while True:
        event = engine.receive(1.0)
        if isinstance(event, Failed):
            raise SystemExit(f"{event.during}: {event.text}\n{event.detail}")
        if isinstance(event, kind):
            return event


def seconds_to_overlay(root: Path, drawn: np.ndarray, pause_s: float) -> float:
    engine = EngineProcess()
    engine.start()
    try:
        wait_for(engine, EngineReady)
        engine.send(LearnLive(on=True))
        engine.send(OpenProject(root=str(root)))
        engine.send(Watch(key=KEY, image_path=str(root / KEY)))
        time.sleep(pause_s)
        started = time.perf_counter()
        engine.send(
            LabelsChanged(
                key=KEY,
                image_path=str(root / KEY),
                revision=1,
                state=AnnotationState.IN_PROGRESS,
                mask=PackedMask.pack(drawn),
            )
        )
        wait_for(engine, Prediction)
        return time.perf_counter() - started
    finally:
        engine.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    first = min((sample_folder() / "images").rglob("*.png"))
    parser.add_argument("--image", type=Path, default=first)
    parser.add_argument("--pauses", type=float, nargs="+", default=[0.0, 60.0], help="seconds")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    print(describe("torch", "numpy"))
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    found: dict[float, list[float]] = {pause: [] for pause in options.pauses}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.times):
            for pause in options.pauses:
                root = Path(folder) / f"{number} {pause}"
                found[pause].append(seconds_to_overlay(root, project_of(options.image, root), pause))
                print(f"pause {pause:g} s: overlay after {found[pause][-1]:.2f} s", flush=True)
    for pause, seconds in found.items():
        print(f"pause {pause:g} s: median {median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f}")


if __name__ == "__main__":
    main()
