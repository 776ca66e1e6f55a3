"""What a run's best weights are worth after the labels they were scored on have changed.

A score is one on labels as they were. When somebody corrects a held-out image, weights of now and the best of
before would be compared on different truths, and the higher number might be the older truth's. So the best
weights are asked again, on the labels as they are now; of a run of both learners that goes on, the deep
network's, for it is those that the next ones have to beat. Not so on training images, nor on images in
progress, whose new labels are corrections of what newer weights got wrong and flatter older ones: there the
newest weights, which have seen the newest labels, take the place of the best.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from core.annotation.model import JsonValue
from core.errors import MaskloopError, StorageError
from core.learning.events import Notice
from core.learning.machine.memory import why_given_up
from core.learning.machine.randomness import Randomness
from core.learning.prediction.predict import Predictor
from core.learning.runs.deep_part import DeepPart, best_deep_part
from core.learning.runs.run_folder import JUDGED_AGAIN
from core.learning.runs.weights import save_weights
from core.learning.scores.calibration import Calibration

if TYPE_CHECKING:
    from core.learning.training.state import TrainState


def judge_best_again(state: TrainState) -> None:
    """Bring the best score up to date with the labels of the images it was taken on; tell what came out."""
    labels, best = state.validator.labels_digest(), state.best
    if best.step is None or best.labels is None or best.labels == labels:
        return
    before, best.labels = best.compared, labels
    if state.validator.plan.on != "validation" or state.validator.corrections:
        best.void()
        return
    started_s = time.perf_counter()
    try:
        part = _best_weights(state)
        score = state.validator.score_again(Predictor(part.network, part.header, state.device))
    except (MaskloopError, MemoryError, RuntimeError) as error:
        text = f"the best weights so far cannot be scored on them ({why_given_up(error)}),"
        text += " so these take their place"
        best.void()
    else:
        best.replace(score, score, on="validation")
        state.record.score(
            score,
            on="validation",
            step=best.step,
            seconds=state.clock.seconds,
            lr=state.learner.lr,
            anew=JUDGED_AGAIN,
        )
        if part.whole:
            _note_in_file(state, part, score.calibration)
        text = f"the best weights so far (step {best.step}) have mIoU {_number(score.miou)} on them now,"
        text += f" {_number(before)} before"
    state.validator.also_took(time.perf_counter() - started_s)
    text = f"held-out images or their labels have changed: {text}"
    state.record.log(text)
    state.notify(Notice(text=text))


def _best_weights(state: TrainState) -> DeepPart:
    """Raises MaskloopError: they are not on disk, or are damaged."""
    if not state.best.saved:
        raise MaskloopError("they could not be saved")
    with Randomness(state.device).own():  # a network is built, from random numbers that are the run's
        return best_deep_part(state.run)


def _note_in_file(state: TrainState, part: DeepPart, calibration: Calibration | None) -> None:
    """The weights' file says what they are worth, too, and how sure they may be."""
    best = state.best
    metrics: dict[str, JsonValue] = {
        **part.header.metrics,
        "miou": best.miou,
        "per_class_iou": dict(best.per_class_iou),
        "pixel_accuracy": best.pixel_accuracy,
        "ece": None if calibration is None else calibration.error,
        "on": best.on,
    }
    temperature = 1.0 if calibration is None else calibration.temperature
    header = replace(part.header, metrics=metrics, temperature=temperature)
    try:
        save_weights(state.run.best_weights, part.network, header)
    except StorageError as error:
        state.record.log(f"the new score could not be noted in the best weights: {error}")


def _number(miou: float | None) -> str:
    return "none" if miou is None else f"{miou:.2f}"
