"""What the window asks about runs that are over: which labels they saw, what they see in one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED
from core.errors import MaskloopError
from core.images.reader import read_image
from core.learning.commands import CompareLabels, PredictWithRun
from core.learning.data import LabelStore
from core.learning.events import Event, ImageRole, LabelsCompared, RunPrediction
from core.learning.header import WeightsHeader
from core.learning.metrics import ConfusionMatrix
from core.learning.packed_mask import PackedMask
from core.learning.predict import Predictor, choose_device
from core.learning.revisions import SeenLabels, Unseen, labels_now, read_seen
from core.learning.runs import RunFolder
from core.learning.weights import load_weights


class RunQuestions:
    """Answers one question at a time; nothing is kept between them.

    Args:
        send: passes an event to the window.
    """

    def __init__(self, send: Callable[[Event], None]) -> None:
        self._send = send

    def answer(self, question: CompareLabels | PredictWithRun, store: LabelStore | None) -> None:
        """Answer a question about a project's runs; what goes wrong with one run is its answer."""
        if isinstance(question, PredictWithRun):
            self._send(_prediction(question, store))
        elif store is not None:
            now = labels_now(store)
            self._send(LabelsCompared(unseen={run: _unseen(Path(run), now) for run in question.runs}))


def _unseen(run: Path, now: dict[str, str]) -> Unseen | None:
    seen = _seen(run)
    return None if seen is None else Unseen.between(seen.images, now)


def _seen(run: Path) -> SeenLabels | None:
    """What a run has seen; None where it cannot be told."""
    try:
        return read_seen(run)
    except MaskloopError:
        return None


def _prediction(question: PredictWithRun, store: LabelStore | None) -> RunPrediction:
    known = store is not None and question.key in store
    labels = store.get(question.key).mask if known and store is not None else None
    run = RunFolder(Path(question.run))
    answer = RunPrediction(
        run=question.run,
        key=question.key,
        labels=None if labels is None else PackedMask.pack(labels),
        role=_role(_seen(run.path), question.key),
    )
    try:
        if not run.best_weights.is_file():
            raise MaskloopError("there are no weights: it was never scored, or the file was deleted")
        network, header = load_weights(run.best_weights)
        found = Predictor(network, header, choose_device()).predict(read_image(Path(question.image_path)))
    except MaskloopError as error:
        return replace(answer, problem=str(error))
    miou = None if store is None else _miou(labels, found.classes, header, store)
    return replace(answer, prediction=PackedMask.pack(found.classes), classes=header.classes, miou=miou)


def _role(seen: SeenLabels | None, key: str) -> ImageRole:
    """What the image was to the run."""
    if seen is None:
        return "unknown"
    if key in seen.held_out:
        return "held out"
    return "learned" if key in seen.images else "new"


def _miou(
    labels: NDArray[np.uint8] | None, found: NDArray[np.uint8], header: WeightsHeader, store: LabelStore
) -> float | None:
    """The score on this one image; None without labels, or where the run means other classes."""
    theirs, ours = ({(c.index, c.name) for c in classes} for classes in (header.classes, store.classes))
    if labels is None or labels.shape != found.shape or theirs != ours:
        return None
    confusion = ConfusionMatrix(header.classes.indices)
    known = np.isin(labels, header.classes.indices)
    confusion.update(np.where(known, labels, UNLABELLED).astype(np.uint8), found)
    return confusion.miou()
