"""What the window asks about runs that are over: which labels they saw, what they see in one image.

A prediction is made in pieces, a pass of the network each, between which everything else has its turn. Huge
images are read in rows; their maps come back reduced, since a window shows them small.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, ClassList
from core.errors import MaskloopError
from core.images.reader import HUGE_PIXELS
from core.images.rows import open_rows
from core.learning.answers import ImageRole, LabelsCompared, RunPrediction
from core.learning.commands import CompareLabels, PredictWithRun
from core.learning.events import Event
from core.learning.labels.data import LabelStore
from core.learning.labels.packed_mask import PackedMask
from core.learning.labels.revisions import SeenLabels, Unseen, labels_now, read_seen
from core.learning.prediction.predict import Predictor, choose_device
from core.learning.runs.run_folder import RunFolder
from core.learning.runs.weights import load_weights
from core.learning.scores.metrics import ConfusionMatrix

SHARE_BESIDE_TRAINING: Final = 0.5
"""Of the time while a run trains: somebody waits for the answer."""
REDUCED_SIDE: Final = 2048
"""Maps of huge images are thinned out to at most so many pixels a side."""


class RunQuestions:
    """Answers questions, predictions one after the other; nothing is kept between them.

    Args:
        send: passes an event to the window.
        clock: monotonic, seconds.
    """

    def __init__(self, send: Callable[[Event], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._waiting: list[tuple[PredictWithRun, LabelStore | None]] = []
        self._work: Iterator[None] | None = None
        self._not_before_s = float("-inf")

    def answer(self, question: CompareLabels | PredictWithRun, store: LabelStore | None) -> None:
        """Take a question about a project's runs; what goes wrong with one run is its answer.

        Labels are compared at once; a prediction comes in the next `tick`s. Whoever asks about another image
        does not look at the one before any more.
        """
        if isinstance(question, CompareLabels):
            if store is not None:
                now = labels_now(store)
                self._send(LabelsCompared(unseen={run: _unseen(Path(run), now) for run in question.runs}))
            return
        if any(waiting.key != question.key for waiting, _ in self._waiting):
            self.forget()
        if self._waiting and self._waiting[0][0].run == question.run:
            self._work = None
        self._waiting = [(other, known) for other, known in self._waiting if other.run != question.run]
        self._waiting.append((question, store))

    def forget(self) -> None:
        """Another image or project: nobody waits for the answers."""
        self._waiting, self._work = [], None

    def tick(self, *, training: bool) -> bool:
        """Do one piece of work; False when there is none, or a run has to have its turn first."""
        if not self._waiting or (training and self._clock() < self._not_before_s):
            return False
        started_s = self._clock()
        if self._work is None:
            self._work = self._predicted(*self._waiting[0])
        try:
            next(self._work)
        except StopIteration:
            self._next()
        except BaseException:
            self._next()
            raise
        ended_s = self._clock()
        self._not_before_s = ended_s + (ended_s - started_s) * (1.0 / SHARE_BESIDE_TRAINING - 1.0)
        return True

    def _next(self) -> None:
        self._waiting, self._work = self._waiting[1:], None

    def _predicted(self, question: PredictWithRun, store: LabelStore | None) -> Iterator[None]:
        """Answer one question, piece by piece."""
        known = store is not None and question.key in store
        labels = store.get(question.key).mask if known and store is not None else None
        run = RunFolder(Path(question.run))
        answer = RunPrediction(
            run=question.run,
            key=question.key,
            labels=None if labels is None else PackedMask.pack(_thinned(labels)),
            role=_role(_seen(run.path), question.key),
        )
        try:
            if not run.best_weights.is_file():
                raise MaskloopError("there are no weights: it was never scored, or the file was deleted")
            network, header = load_weights(run.best_weights)
            yield None
            with open_rows(Path(question.image_path)) as picture:
                found = _Found.of(picture.size_hw, labels, header.classes, store)
                for part in Predictor(network, header, choose_device()).stepwise(picture):
                    if part is not None:
                        found.add(part.top, part.classes)
                    yield None
        except MaskloopError as error:
            self._send(replace(answer, problem=str(error)))
            return
        prediction = PackedMask.pack(found.reduced)
        self._send(replace(answer, prediction=prediction, classes=header.classes, miou=found.miou))


@dataclass(slots=True)
class _Found:
    """A prediction as its rows come: thinned out where the image is huge, and counted against the labels.

    Attributes:
        reduced: class indices (h, w), uint8.
    """

    reduced: NDArray[np.uint8]
    _labels: NDArray[np.uint8] | None
    _step: int
    _indices: tuple[int, ...]
    _confusion: ConfusionMatrix

    @classmethod
    def of(
        cls,
        size_hw: tuple[int, int],
        labels: NDArray[np.uint8] | None,
        classes: ClassList,
        store: LabelStore | None,
    ) -> _Found:
        """Of an image of this size; it is counted only where the run means the project's classes."""
        ours = set() if store is None else {(c.index, c.name) for c in store.classes}
        counts = (
            labels is not None and labels.shape == size_hw and {(c.index, c.name) for c in classes} == ours
        )
        step = _step_of(size_hw)
        reduced = np.empty((-(-size_hw[0] // step), -(-size_hw[1] // step)), np.uint8)
        return cls(
            reduced, labels if counts else None, step, classes.indices, ConfusionMatrix(classes.indices)
        )

    def add(self, top: int, classes: NDArray[np.uint8]) -> None:
        """Take in rows (n, W) from `top` on; the top again, where memory ran out and it begins anew."""
        if top == 0:
            self._confusion = ConfusionMatrix(self._indices)
        first = -(-top // self._step)
        thin = classes[first * self._step - top :: self._step, :: self._step]
        self.reduced[first : first + len(thin)] = thin
        if self._labels is not None:
            truth = self._labels[top : top + len(classes)]
            known = np.isin(truth, self._indices)
            self._confusion.update(np.where(known, truth, UNLABELLED).astype(np.uint8), classes)

    @property
    def miou(self) -> float | None:
        """The score on this one image; None without labels, or where the run means other classes."""
        return None if self._labels is None else self._confusion.miou()


def _step_of(size_hw: tuple[int, ...]) -> int:
    return -(-max(size_hw) // REDUCED_SIDE) if size_hw[0] * size_hw[1] > HUGE_PIXELS else 1


def _thinned(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    step = _step_of(mask.shape)
    return mask[::step, ::step]


def _unseen(run: Path, now: dict[str, str]) -> Unseen | None:
    seen = _seen(run)
    return None if seen is None else Unseen.between(seen.images, now)


def _seen(run: Path) -> SeenLabels | None:
    """What a run has seen; None where it cannot be told."""
    try:
        return read_seen(run)
    except MaskloopError:
        return None


def _role(seen: SeenLabels | None, key: str) -> ImageRole:
    """What the image was to the run."""
    if seen is None:
        return "unknown"
    if key in seen.held_out:
        return "held out"
    return "learned" if key in seen.images else "new"
