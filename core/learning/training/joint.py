"""Runs that the instant learner has a part in: alone, or first and last in a run of both learners.

With both, the instant learner is fitted first, in seconds, on the images the deep one will train on. Then the
deep one has the time that is left. At the end both are asked about the held-out images, alone and blended in
several shares; what scores best is saved, its instant part fitted once more, on everything that is labelled.
A run that is resumed fits the instant one again, from features that are kept, and goes on with a fit that was
interrupted: it comes out the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.errors import FileProblem, MaskloopError, TrainingError
from core.learning.config import FOREST_MODEL, INSTANT_MODEL
from core.learning.events import Checkpointed, Event, Finished, Notice, ScoredOn, StepDone
from core.learning.instant.crossfit import cross_fit, cross_fit_pieces
from core.learning.instant.head import FitStep
from core.learning.instant.kept_fit import KeptFit
from core.learning.instant.learner import FeaturesDone, InstantLearner
from core.learning.instant.pace import FEATURES_SHARE
from core.learning.instant.setup import instant_learner
from core.learning.machine.memory import why_given_up
from core.learning.prediction.predict import Predictor
from core.learning.runs.deep_part import DeepPart, best_deep_part, joined_weights, save_joined
from core.learning.runs.header import WeightsHeader
from core.learning.scores.counted import CountedImages
from core.learning.training.best_share import best_share
from core.learning.training.fit import (
    REPORT_S,
    SCORING,
    finished,
    fit,
    save_now,
    saved_at_last,
    timed,
    train_loop,
    until_saved,
)
from core.learning.training.forest_run import forest_run
from core.learning.training.record import Best
from core.learning.training.state import TrainState
from core.learning.validation.hold_out import TRAINING_IMAGES_SCORED
from core.learning.validation.validation import Score
from core.models.blend import BlendNetwork
from core.models.instant import InstantNetwork
from core.models.network import SegmentationNetwork
from core.models.registry import model_spec

HEAD: Final = "head.ckpt"
LAST_HEAD: Final = "last_head.ckpt"
"""Of a run's folder: a fit of the instant learner that is going on; and the last fit of a run of both."""
FITTING: Final = "fitting the instant learner"
KEPT_JOINED: Final = "what an earlier end of the run had joined is kept"
CROSS_FITTING: Final = "scoring it on images that were left out"
ALONE_SHARE: Final = 0.7
"""Of a time budget, what looking and fitting may take where the instant learner is alone; it is scored in the
rest."""
FIRST_SHARE: Final = 0.5
"""Likewise where it is not; the rest is the deep network's."""
JOIN_SHARE: Final = 0.3
"""Of a time budget at most, what is kept for the end of a run of both."""
JOIN_FITS: Final = 1.3
"""What the end takes, as a multiple of the first fit: fitting once more, and asking both about images."""


def events_of(
    state: TrainState, *, features: Path | None = None, live: bool = False, follow: bool = False
) -> Iterator[Event]:
    """What the run consists of, whichever learners have a part in it; see `core.learning.training.fit.fit`.

    Args:
        state: the run.
        features: folder where the instant learner's features are kept.
        live: another instant learner is at work beside the run: this one is wanted at the end only.
        follow: labels may change: a forest without a budget waits for that, and grows again.
    """
    if state.config.model == INSTANT_MODEL:
        return timed(state, _instant_alone(state, features))
    if state.config.model == FOREST_MODEL:
        return timed(state, forest_run(state, follow=follow))
    if state.config.join_instant:
        return timed(state, _both(state, features, live=live))
    return fit(state)


def _learner(
    state: TrainState, features: Path | None, network: InstantNetwork | None = None
) -> InstantLearner:
    """An instant learner of the run's labels, on the run's device."""
    seconds = state.budget.granted_s
    learner = instant_learner(
        state.store,
        state.config,
        scale=state.scale,
        device=state.device,
        notify=state.notify,
        network=network,
        folder=features,
        features_s=None if network is not None or seconds is None else FEATURES_SHARE * seconds,
        channels=state.channels,
        clock=lambda: state.clock.seconds,
    )
    learner.kept_fit = _kept_fit(state, HEAD)
    state.keeping.also = learner.keep_fit
    return learner


def _kept_fit(state: TrainState, name: str) -> KeptFit:
    return KeptFit(state.run.path / name, every_s=state.config.checkpoint_every_s)


def _finished(state: TrainState) -> Finished:
    """The last event, with the score of what is kept; errors as `finished`.

    A run that was stopped, or has lost a process, may go on, also with a fit.
    """
    ended = finished(state)
    if ended.reason != "stopped":
        for name in (HEAD, LAST_HEAD):
            _kept_fit(state, name).forget()
    joined = joined_weights(state.run, state.header())
    metrics = {} if joined is None else joined.metrics
    miou, per_class = metrics.get("miou"), metrics.get("per_class_iou")
    if not (isinstance(miou, float) and isinstance(per_class, dict)):
        return ended
    scores = {name: iou for name, iou in per_class.items() if iou is None or isinstance(iou, float)}
    return replace(ended, best_miou=miou, per_class_iou=scores)


# --- the instant learner alone ----------------------------------------------------------------------------


def _instant_alone(state: TrainState, features: Path | None) -> Iterator[Event]:
    network = state.learner.network
    assert isinstance(network, InstantNetwork)
    learner = _learner(state, features, network)
    learner.restart()  # a run that goes on begins where it did, and takes up the fit that was kept
    for event in _fitted_and_scored(state, learner):
        yield event
        yield from state.intake.take_in_classes()
        learner.channels = state.channels


def _fitted_and_scored(state: TrainState, learner: InstantLearner) -> Iterator[Event]:
    yield state.started()
    yield from save_now(state)
    granted_s = state.budget.granted_s
    seconds = None if granted_s is None else ALONE_SHARE * granted_s
    steps = 0
    for event in _fitted(state, learner, seconds, state.budget.steps):
        if isinstance(event, StepDone):
            steps = event.step
        yield event
    if not learner.version:
        if not state.stop_requested:
            raise TrainingError("no labelled pixel is left to learn from; draw some and train again")
        yield _finished(state)
        return
    # A head of a few steps takes no earlier one's place.
    if not learner.ended_early or state.best.step is None:
        state.step = steps
        yield from _scored(state, learner)
    yield from save_now(state)
    yield from saved_at_last(state)
    yield _finished(state)


def _scored(state: TrainState, learner: InstantLearner) -> Iterator[Event]:
    """The head is what the run leaves behind, with a score if there is time for one."""
    state.learner.ema.network.load_state_dict(learner.network.state_dict())
    yield from save_now(state)
    score, on = yield from _cross_fitted(state, learner)
    if score is None:
        state.best = Best(step=state.step, saved=False, on=on)  # weights without a score are weights
        return
    if state.best.step is not None:
        state.best.void()  # that was an earlier head's, which learned from less
    yield state.note_score(score, comparable=score, on=on)


def _cross_fitted(
    state: TrainState, learner: InstantLearner
) -> Generator[Event, None, tuple[Score | None, ScoredOn]]:
    """The score of heads on images they never saw; where that cannot be, of the head on its own images.

    None: the process is to end.
    """
    score: Score | None = None
    pieces, told_s, told = cross_fit_pieces(len(learner.keys)), state.clock.seconds, False
    for number, piece in enumerate(cross_fit(learner, state.store)):
        score = piece
        if state.stop_requested:
            break
        if state.clock.seconds - told_s >= REPORT_S and number < pieces:
            told_s, told = state.clock.seconds, True
            yield Notice(text=CROSS_FITTING, progress=number / pieces)
    if told:
        yield Notice(text=CROSS_FITTING, progress=1.0)
    if score is not None:
        return score, "cross-fit"
    return (yield from _scored_on_its_own(state, learner)), "training"


def _scored_on_its_own(state: TrainState, learner: InstantLearner) -> Generator[Event, None, Score | None]:
    """The head's score on some of the images it learned from; None: the process is to end."""
    counted = CountedImages(len(state.channels.classes))
    keys = learner.keys
    keys = keys[:: max(1, -(-len(keys) // TRAINING_IMAGES_SCORED))]
    for number, key in enumerate(keys):
        if not state.keeping.patience_s:
            return None
        if key in state.store:  # else it went in a pause
            with contextlib.suppress(FileProblem):
                found = state.channels.to_channels(learner.predict_labelled(key).classes)
                labels = state.store.get(key)
                truth = state.channels.to_channels(labels.mask)
                if found.shape == truth.shape:
                    counted.update(truth, found, key=key, digest=labels.digest)
        yield Notice(text=SCORING, progress=(number + 1) / len(keys))
    return Score.of(counted, state.channels.classes.names)


def _fitted(
    state: TrainState,
    learner: InstantLearner,
    seconds: float | None = None,
    steps: int | None = None,
    *,
    to_its_end: bool = False,
) -> Iterator[Event]:
    """Features and fit, in so many seconds and steps at most, told in a line of progress and in losses.

    A stop that is requested ends it at once, unless it should come `to_its_end` and the run may wait.
    """
    told_s = float("-inf")
    for piece in learner.update(steps=steps, seconds=seconds):
        if state.stop_requested and (not to_its_end or state.keeping.ends_at_once):
            learner.end()
        due = state.clock.seconds - told_s >= REPORT_S
        if isinstance(piece, FeaturesDone) and (due or piece.done == piece.images):
            text = "looking at the labelled images"
            yield Notice(text=text, progress=piece.done / piece.images)
        elif isinstance(piece, FitStep) and (due or piece.step == piece.steps):
            yield _step_done(state, piece)
        else:
            continue
        told_s = state.clock.seconds
    for problem in learner.problems:
        yield Notice(text=f"left out of training: {problem}", level="warning")
    learner.problems.clear()


def _step_done(state: TrainState, piece: FitStep) -> StepDone:
    return StepDone(
        step=piece.step,
        seconds=state.clock.seconds,
        loss=float(piece.loss),
        lr=piece.rate,
        steps=piece.steps,
        time_budget_s=state.budget.seconds,
        images_per_s=0.0,
    )


# --- both -------------------------------------------------------------------------------------------------


def _both(state: TrainState, features: Path | None, *, live: bool) -> Iterator[Event]:
    granted_s = state.budget.granted_s
    yield state.started()
    yield from save_now(state)  # looking at the images may take a while, and nothing of it is lost
    seconds = float("inf") if granted_s is None else granted_s
    kept_s = (JOIN_SHARE / 2 if live else JOIN_SHARE) * seconds
    try:
        learner = _learner(state, features)
        learner.held_out = frozenset(state.validator.plan.held_out)
        if not live:
            yield from _fitted_aside(state, learner, FIRST_SHARE * seconds)
            if learner.version and not learner.ended_early:  # features are kept, and cost nothing at the end
                kept_s = min(kept_s, JOIN_FITS * learner.fit_s)
    except (MaskloopError, MemoryError, RuntimeError) as error:
        yield Notice(text=f"the deep network learns alone: {why_given_up(error)}", level="warning")
        yield from train_loop(state, begun=True)
        yield _finished(state)
        return
    state.set_aside(kept_s)
    yield from train_loop(state, begun=True)
    yield from _joined(state, learner, float("inf") if seconds == float("inf") else kept_s)
    yield _finished(state)


def _joined(state: TrainState, learner: InstantLearner, seconds: float) -> Iterator[Event]:
    """Save what scores best of deep, instant and blended; a fit takes so many seconds at most.

    Not where the run `ends_at_once`, which it may be told at any time: the deep network's weights are saved
    and scored, and what an earlier end of the run has joined stays unless they are better.
    """
    if state.keeping.ends_at_once:
        return
    learner.held_out = frozenset(state.validator.plan.held_out)  # some may have come late
    in_a_hurry = state.stop_requested and not state.step  # stopped before the deep one began
    if in_a_hurry and learner.ended_early and state.run.deep_weights.is_file():
        return  # one that was fitted longer is kept
    try:
        if learner.stale and not in_a_hurry:
            if learner.ended_early:
                learner.restart()  # it goes on with the fit that was kept
            yield from _fitted_aside(state, learner, seconds, to_its_end=True)
        if not learner.version or state.keeping.ends_at_once:
            return
        part = best_deep_part(state.run)
        deep, header = part.network, part.header
        share, score = yield from best_share(state, learner, Predictor(deep, header, state.device))
        if state.keeping.ends_at_once:
            return
        deep_alone = f"kept: {model_spec(deep.architecture).title} alone, which scored best"
        if not share and part.whole:
            yield Notice(text=deep_alone)
            return
        # Else it would come out as it is.
        if share and (learner.held_out or learner.version > 1) and not in_a_hurry:
            learner.held_out = frozenset()
            learner.kept_fit = _kept_fit(state, LAST_HEAD)
            learner.restart()
            yield from _fitted_aside(state, learner, seconds, to_its_end=True)
            if state.keeping.ends_at_once:
                return
        network: SegmentationNetwork = learner.network.cpu()
        text = "kept: the instant learner alone, "
        text += "which scored best" if state.step else "for there was no time for the deep network"
        if not share:  # an earlier end of the run had joined it
            network, text = deep.cpu(), deep_alone
        elif share < 100:
            # Scored without the mirror images, which would take a budget's seconds: it is a little better.
            network = BlendNetwork(deep.cpu(), learner.network.cpu(), share, mirrored=True)
            text = f"kept: {share} % instant learner, {100 - share} % {model_spec(deep.architecture).title}"
        yield from until_saved(state, lambda: _write(state, network, score, part))
    except (MaskloopError, MemoryError, RuntimeError) as error:
        joined = joined_weights(state.run, state.header())
        kept = "the deep network is kept alone" if joined is None else KEPT_JOINED
        yield Notice(text=f"{kept}: {why_given_up(error)}", level="warning")
        return
    state.keeping.closed = True  # the checkpoint knows the deep network's score, which it goes on from
    if score is not None:
        state.best.void()  # that was the deep network's, whose weights these replace
        validated = state.note_score(score, comparable=score)
        state.best.saved = True
        yield validated
    yield Notice(text=text)
    yield Checkpointed(run=str(state.run.path), step=state.step, best=True)


def _write(state: TrainState, network: SegmentationNetwork, score: Score | None, part: DeepPart) -> bool:
    """The run's best weights; beside them its deep part, where they are without it. Raises StorageError."""
    save_joined(state.run, network, _header(state, part.header, network, score), part)
    held_out = state.validator.plan.held_out if network is part.network else ()
    state.progress.saved(step=state.step, best=True, held_out=held_out)
    return True


def _fitted_aside(
    state: TrainState, learner: InstantLearner, seconds: float, *, to_its_end: bool = False
) -> Iterator[Event]:
    """As `_fitted`; but the steps that are counted are the deep learner's."""
    most_s = None if seconds == float("inf") else seconds
    for event in _fitted(state, learner, most_s, to_its_end=to_its_end):
        if isinstance(event, StepDone):
            share = event.step / (event.steps or 1)
            yield Notice(text=FITTING, progress=share)
        else:
            yield event


def _header(
    state: TrainState, deep: WeightsHeader, network: SegmentationNetwork, score: Score | None
) -> WeightsHeader:
    """What is true of the joined network, from what its deep part says about itself, and its score."""
    calibration = None if score is None else score.calibration
    return replace(
        deep,
        architecture=network.architecture,
        encoder=network.encoder_name,
        options=network.options,
        normalization=network.normalization,
        metrics={
            **deep.metrics,
            "miou": None if score is None else score.miou,
            "per_class_iou": {} if score is None else dict(score.per_class_iou),
            "pixel_accuracy": None if score is None else score.pixel_accuracy,
            "ece": None if calibration is None else calibration.error,
            "on": deep.metrics.get("on") if score is None else state.validator.plan.on,
        },
        temperature=1.0 if calibration is None else calibration.temperature,
        data_digest=deep.data_digest if network.architecture == deep.architecture else state.store.digest(),
    )
