"""From a correction to an overlay that has learned it (t1), and to one that is better for it (t2).

`python tests/bench/latency.py [--data FOLDER --set nerve] [--side 1024] [--corrections 30] [--train]`

Five completely labelled images, the engine in this process as it is in its own. Then images nobody has
labelled are watched one after the other, and what the overlay has wrong in them is corrected shape by
shape, as `annotator.py` does it. After each correction the engine works until it has nothing left to do:

- t1: from the command to the first overlay of that image whose learner was fitted to it;
- t2: to the first overlay in which at least 10 % less of the *unlabelled* pixels of that image are wrong
  than in the last overlay before the correction, and not in the next two updates either.

With `--train` a U-Net trains meanwhile, and its overlays get better without corrections, too: before each
correction the same time passes without one, and t2 must be better by 10 % beyond what that gave. Without
`--data` the images are the bundled sample's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does, before torch is loaded

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.annotation.model import UNLABELLED, AnnotationState, ClassList
from core.learning.commands import LabelsChanged, LearnLive, OpenProject, Stop, Train, Watch
from core.learning.config import TrainConfig
from core.learning.engine.engine import Engine
from core.learning.events import Event, Failed, Prediction, StepDone
from core.learning.inbox import Inbox
from core.learning.labels.packed_mask import PackedMask
from core.project.project import Project
from core.project.sample import sample_folder
from tests.bench.annotator import PACES, Annotator
from tests.bench.data_sets import SETS, load, spread
from tests.bench.machine import describe, quantile

WAIT_AT_MOST_S: Final = 120.0
BETTER: Final = 0.9
"""Of the error before, what t2's overlay may have."""
UPDATES: Final = 3
NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Update:
    """An overlay: when it came, and the classes it shows (H, W)."""

    at_s: float
    classes: NDArray[np.uint8]


class Bench:
    """The engine, and the overlays of the watched image.

    Attributes:
        updates: since the image is watched.
    """

    def __init__(self, root: Path) -> None:
        self.updates: list[Update] = []
        self.trained = False
        self._root = root
        self._key = ""
        self._revisions: dict[str, int] = {}
        self.engine = Engine(self._take, Inbox())
        self.engine.handle(LearnLive(on=True))
        self.engine.handle(OpenProject(root=str(root)))

    def watch(self, key: str) -> None:
        """Look at this image until its first overlay is there."""
        if key != self._key:
            self._key = key
            self.updates.clear()
            self.engine.handle(Watch(key=key, image_path=str(self._root / key)))
        while not self.updates:
            self.engine.tick()

    def label(self, key: str, mask: NDArray[np.uint8], state: AnnotationState) -> None:
        """These are the image's labels from now on."""
        self._revisions[key] = self._revisions.get(key, 0) + 1
        self.engine.handle(
            LabelsChanged(
                key=key,
                image_path=str(self._root / key),
                revision=self._revisions[key],
                state=state,
                mask=PackedMask.pack(mask),
            )
        )

    def work(self, most_s: float = WAIT_AT_MOST_S) -> None:
        """Until there is nothing left to do, or for so long."""
        end = time.perf_counter() + most_s
        while time.perf_counter() < end and self.engine.tick():
            pass

    def _take(self, event: Event) -> None:
        if isinstance(event, Failed):
            raise SystemExit(f"{event.during}: {event.text}\n{event.detail}")
        self.trained |= isinstance(event, StepDone)
        if isinstance(event, Prediction) and event.key == self._key and self._is_current(event):
            self.updates.append(Update(time.perf_counter(), event.classes.unpack()))

    def _is_current(self, prediction: Prediction) -> bool:
        return prediction.revision == self._revisions.get(prediction.key, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one correction.

    Attributes:
        t1_s, t2_s: NEVER where there was no such overlay.
        first, last: error on unlabelled pixels of the first and the last overlay, as a share of that before.
    """

    t1_s: float
    t2_s: float
    first: float
    last: float


def answer(
    before: Update, after: Sequence[Update], began_s: float, wrong: Sequence[float], drift: Sequence[float]
) -> Answer:
    """Find t1 and t2.

    Args:
        before: the last overlay before the correction.
        after: those that learned it.
        began_s: when the correction was committed.
        wrong: share of unlabelled pixels that are wrong, in `before` and then in each of `after`.
        drift: for each of `after`, what the same wait without a correction leaves of the error.
    """
    if not after:
        return Answer(NEVER, NEVER, 1.0, 1.0)
    good = [now <= BETTER * wrong[0] * left for now, left in zip(wrong[1:], drift, strict=True)]
    # The last overlay stays on the screen: where no more come, it counts for those that would.
    reached = (n for n in range(len(good)) if all(good[n : n + UPDATES]))
    first = next(reached, None)
    return Answer(
        t1_s=after[0].at_s - began_s,
        t2_s=NEVER if first is None else after[first].at_s - began_s,
        first=wrong[1] / wrong[0],
        last=wrong[-1] / wrong[0],
    )


def drift_of(control: Sequence[Update], began_s: float, wrong: Sequence[float], wait_s: float) -> float:
    """What a wait without a correction leaves of the error: at most 1."""
    seen = [now for update, now in zip(control, wrong[1:], strict=True) if update.at_s - began_s <= wait_s]
    return min(1.0, seen[-1] / wrong[0]) if seen and wrong[0] else 1.0


def share_wrong(update: Update, truth: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Of the pixels `where` the truth is known."""
    return float((update.classes != truth)[where].mean())


class Images:
    """Pictures of one size in a project, and what is true of them, by key."""

    def __init__(self, root: Path, options: argparse.Namespace) -> None:
        count = options.labelled + options.watched
        if options.data is None:
            classes, background, pairs = _sample(count)
        else:
            data_set = load(options.set, options.data)
            classes, background = data_set.classes, data_set.background
            pairs = [(pair.image(), pair.truth()) for pair in spread(data_set.train, count)]
        (root / "images").mkdir(parents=True)
        self.truths: dict[str, NDArray[np.uint8]] = {}
        size = options.side, options.side
        for number, (pixels, truth) in enumerate(pairs):
            large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
            Image.fromarray(large).save(root / "images" / f"{number:02d}.png")
            large_truth = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST_EXACT)
            self.truths[f"images/{number:02d}.png"] = large_truth
        Project.create(root, classes=classes, background=background).close()
        # Labelled and watched ones take turns, as in a folder of which a part is done.
        keys = sorted(self.truths)
        self.labelled = keys[:: max(1, len(keys) // options.labelled)][: options.labelled]
        self.watched = [key for key in keys if key not in self.labelled]


def _sample(count: int) -> tuple[tuple[str, ...], str | None, list[tuple[NDArray[np.uint8], ...]]]:
    with Project.open(sample_folder(), lock=False) as project:
        classes: ClassList = project.classes
        background = None if classes.background is None else classes.by_index(classes.background)
        found = []
        for each in islice(project.labelled(), count):
            pixels = cv2.cvtColor(cv2.imread(str(each.entry.image_path)), cv2.COLOR_BGR2RGB)
            found.append((pixels, each.mask))
    return classes.names, None if background is None else background.name, found


def measure(bench: Bench, images: Images, options: argparse.Namespace) -> list[Answer]:
    """Correct image after image, so many times each."""
    person = Annotator({key: images.truths[key] for key in images.watched}, PACES["fast"], options.seed)
    each = -(-options.corrections // len(images.watched))
    answers: list[Answer] = []
    for key in images.watched:
        bench.watch(key)
        person.open(key)
        for _ in range(min(each, options.corrections - len(answers))):
            found = _one(bench, person, key, images.truths[key], options)
            if found is None:
                break  # nothing is wrong in this image any more
            answers.append(found)
    return answers


def _one(
    bench: Bench, person: Annotator, key: str, truth: NDArray[np.uint8], options: argparse.Namespace
) -> Answer | None:
    wait_s = options.wait if options.train else WAIT_AT_MOST_S
    control_began_s, control_from = time.perf_counter(), len(bench.updates)
    bench.work(wait_s)
    control = bench.updates[control_from - 1 :]
    before = bench.updates[-1]
    correction = person.correct_nearest(key, before.classes)
    if correction is None:
        return None
    mask = person.labels[key]
    where = (mask == UNLABELLED) & (truth != UNLABELLED)
    began_s, known = time.perf_counter(), len(bench.updates)
    bench.label(key, mask, AnnotationState.IN_PROGRESS)
    bench.work(wait_s)
    after = bench.updates[known:]
    wrong = [share_wrong(update, truth, where) for update in (before, *after)]
    idle = [share_wrong(update, truth, where) for update in control]
    if not wrong[0]:
        return None
    drift = [
        drift_of(control[1:], control_began_s, idle, update.at_s - began_s) if options.train else 1.0
        for update in after
    ]
    return answer(before, after, began_s, wrong, drift)


def _told(name: str, values: Sequence[float]) -> str:
    reached = [value for value in values if value < NEVER]
    p50, p95 = (quantile(values, share) for share in (0.5, 0.95))
    shown = ["not reached" if value == NEVER else f"{value:.2f} s" for value in (p50, p95)]
    text = f"{name}: p50 {shown[0]}, p95 {shown[1]}; {len(reached)} of {len(values)} reached"
    if reached:
        text += (
            f", these in {min(reached):.2f} to {max(reached):.2f} s, median {quantile(reached, 0.5):.2f} s"
        )
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=None, help="folder of the data sets")
    parser.add_argument("--set", choices=SETS, default="nerve")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--labelled", type=int, default=5)
    parser.add_argument("--watched", type=int, default=3)
    parser.add_argument("--corrections", type=int, default=30)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--wait", type=float, default=20.0, help="with --train, seconds after a correction")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    options = _options()
    print(describe("torch", "numpy", "opencv-python-headless"))
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        images = Images(root, options)
        bench = Bench(root)
        for key in images.labelled:
            bench.label(key, images.truths[key], AnnotationState.DONE)
        started = time.perf_counter()
        bench.watch(images.watched[0])
        first_s = bench.updates[0].at_s - started
        print(f"first overlay after opening, {len(images.labelled)} labelled images: {first_s:.1f} s")
        bench.work()
        print(f"nothing left to do after {time.perf_counter() - started:.1f} s")
        if options.train:
            bench.engine.handle(Train(config=TrainConfig(model="unet", device="cpu")))
            while not bench.trained:
                bench.engine.tick()
        answers = measure(bench, images, options)
        if options.train:
            bench.engine.handle(Stop())
            bench.work()
    training = ", a U-Net training" if options.train else ""
    print(f"{options.side} x {options.side}, {len(images.labelled)} labelled images{training}:")
    print(f"  {_told('t1', [each.t1_s for each in answers])}")
    print(f"  {_told('t2', [each.t2_s for each in answers])}")
    first, last = (np.median([getattr(each, name) for each in answers]) for name in ("first", "last"))
    print(
        "  error on unlabelled pixels of the corrected image, median, before the correction 1:"
        f" first overlay {first:.2f}, when the engine rests {last:.2f}"
    )
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
