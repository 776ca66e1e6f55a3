"""What the head of the image in view makes of corrections, beside the learner's own head (decision 13).

`python -m tests.bench.head_in_view --data FOLDER --set nerve [--labelled 5] [--regions] [--watched 3]`

Some images are labelled, completely or by one region of each class. Then others are corrected one after the
other, as `annotator.py` does it, by what the learner's own head shows of them. Both heads learn the same
corrections, so both answer for the same pixels: those of the image that nobody has labelled. Nothing is
timed, and the result depends on the seed alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.images.pages import stamp
from core.learning.config import TrainConfig
from core.learning.instant.in_view import HeadInView
from core.learning.instant.learner import InstantLearner
from core.learning.instant.setup import instant_learner
from core.learning.labels.data import LabelStore
from core.learning.prediction.class_maps import PredictedMap
from core.learning.prediction.predict import choose_device
from core.learning.settings.preset import resolve
from tests.bench.annotator import PACES, Annotator
from tests.bench.data_sets import SETS, DataSet, Pair, load
from tests.bench.machine import describe

FIRST_STEPS: Final = 300
STEPS: Final = 40
"""Of the fit after a correction."""
A_TENTH: Final = 0.1


@dataclass(frozen=True, slots=True)
class Shown:
    """What one head shows after a correction.

    Attributes:
        error: share of the unlabelled pixels that are wrong, of what it was before the first correction.
        step: the same, of what this head had wrong of them before this correction.
        labels: share of the labelled pixels that are wrong.
    """

    error: float
    step: float
    labels: float


class Scene:
    """A learner that knows some images, and a person who corrects others.

    Args:
        data_set: its classes and images.
        options: of the command line.
        folder: for features.
    """

    def __init__(self, data_set: DataSet, options: argparse.Namespace, folder: Path) -> None:
        shuffled = list(data_set.train)
        np.random.default_rng(options.seed).shuffle(shuffled)  # type: ignore[arg-type]
        labelled = shuffled[: options.labelled]
        self.watched = shuffled[options.labelled :][: options.watched]
        self._pairs = {pair.name: pair for pair in (*labelled, *self.watched)}
        self.truths = {name: pair.truth() for name, pair in self._pairs.items()}
        self._person = Annotator(self.truths, PACES["fast"], options.seed)
        self._store = LabelStore(_classes(data_set))
        for pair in labelled:
            self._label(pair, regions=options.regions)
        config = TrainConfig()
        device = choose_device("auto")
        scale = resolve(config, "cuda" if device.type == "cuda" else "cpu", self._store).image_scale
        assert scale is not None
        self._learner = instant_learner(
            self._store, config, scale=scale, device=device, notify=lambda event: None, folder=folder
        )
        _all(self._learner.update(steps=FIRST_STEPS))

    def correct(self, pair: Pair, count: int) -> Iterator[tuple[Shown, Shown]]:
        """Correct an image so many times; after each, what the learner's head shows and what the other."""
        key, truth = pair.name, self.truths[pair.name]
        view = HeadInView(key, self._store)
        first = self._says(self._learner, pair)
        self._person.open(key)
        before = first.classes, first.classes
        for _ in range(count):
            if self._person.correct_nearest(key, before[0]) is None:
                return
            mask = self._person.labels[key]
            self._store.put(key, pair.image_path, mask.copy(), AnnotationState.IN_PROGRESS)
            _all(view.fitted(self._learner))
            _all(self._learner.update(steps=STEPS))
            now = tuple(self._says(who, pair).classes for who in (self._learner, view.learner(self._learner)))
            learner, other = (
                _shown(truth, mask, first.classes, was, is_now)
                for was, is_now in zip(before, now, strict=True)
            )
            yield learner, other
            before = now[0], now[1]

    def _label(self, pair: Pair, *, regions: bool) -> None:
        if not regions:
            self._store.put(pair.name, pair.image_path, self.truths[pair.name], AnnotationState.DONE)
            return
        self._person.open(pair.name)
        _all(self._person.largest_regions(pair.name))
        mask = self._person.labels[pair.name]
        self._store.put(pair.name, pair.image_path, mask, AnnotationState.IN_PROGRESS)

    def _says(self, who: InstantLearner, pair: Pair) -> PredictedMap:
        features = self._learner.cache.get(pair.name, stamp(pair.image_path), pair.image)
        return who.predict(features)


def _classes(data_set: DataSet) -> ClassList:
    names = data_set.classes
    background = None if data_set.background is None else names.index(data_set.background)
    return ClassList(
        tuple(LabelClass(index, name, "#808080") for index, name in enumerate(names)), background=background
    )


def _all(pieces: Iterable[object]) -> None:
    for _ in pieces:
        pass


def _shown(
    truth: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    first: NDArray[np.uint8],
    was: NDArray[np.uint8],
    now: NDArray[np.uint8],
) -> Shown:
    known = truth != UNLABELLED
    free = (mask == UNLABELLED) & known
    at_first, before, after = (float((classes != truth)[free].mean()) for classes in (first, was, now))
    drawn = known & ~free
    return Shown(_ratio(after, at_first), _ratio(after, before), float((now != truth)[drawn].mean()))


def _ratio(now: float, before: float) -> float:
    return now / before if before else 1.0


def _told(name: str, shown: Sequence[Shown]) -> str:
    errors = np.array([each.error for each in shown])
    steps = np.array([each.step for each in shown])
    better, worse = int((steps <= 1 - A_TENTH).sum()), int((steps >= 1 + A_TENTH).sum())
    return (
        f"{name}: error elsewhere {errors.mean():.2f} (median {np.median(errors):.2f}) of that before; of"
        f" {len(shown)} corrections {better} made it a tenth smaller, {worse} a tenth larger; wrong where"
        f" it is labelled {np.mean([each.labels for each in shown]):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--set", choices=SETS, default="nerve")
    parser.add_argument("--labelled", type=int, default=5)
    parser.add_argument("--regions", action="store_true", help="label one region of each class, no more")
    parser.add_argument("--watched", type=int, default=3)
    parser.add_argument("--corrections", type=int, default=5, help="of each image")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe("torch", "numpy", "opencv-python-headless"), flush=True)
    answers: list[tuple[Shown, Shown]] = []
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(load(options.set, options.data), options, Path(folder))
        for pair in scene.watched:
            for learner, other in scene.correct(pair, options.corrections):
                answers.append((learner, other))
                print(f"  {pair.name}: {learner.error:.2f}, {other.error:.2f}", flush=True)
    kind = "by one region of each class" if options.regions else "completely"
    print(f"{options.set}, {options.labelled} images labelled {kind}, seed {options.seed}")
    print(_told("the learner's head", [learner for learner, _ in answers]))
    print(_told("the head in view  ", [other for _, other in answers]))


if __name__ == "__main__":
    main()
