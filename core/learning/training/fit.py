"""The training loop: a generator of events that a command line, a test or the engine drives.

::

    state = TrainState.create(config, store, run_dir, notify)      or TrainState.resume(...)
    for event in fit(state):
        ...                         between two events the store may change; state.request_stop() ends the run

Training time runs only while the generator does: whoever stops asking for events has paused the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Final, TypeVar

import torch

from core.errors import LostProcessError, MaskloopError, StorageError, TrainingError
from core.learning.events import Checkpointed, Event, Finished, Notice, StepDone
from core.learning.machine.late_reading import LateReading
from core.learning.machine.memory import is_out_of_memory, why_given_up
from core.learning.runs.run_status import RunState
from core.learning.training.losses import loss_sums, losses_at
from core.learning.training.sharing import announce_step, refuse_to_shrink, share_state
from core.learning.training.state import TrainState
from core.learning.training.team import Order
from core.models.terms import Truth

__all__ = [
    "TrainState",
    "finished",
    "fit",
    "last_score",
    "save_now",
    "saved_at_last",
    "timed",
    "train_loop",
    "until_saved",
]

REPORT_S = 0.25
"""Time between two StepDone events, at least."""
WAIT_S: Final = 0.2
"""A piece of waiting for room on the disk, after which whoever drives the run may do something else."""
WAITS: Final = 25
"""So many of them between two attempts to save a result."""
SCORING: Final = "scoring the network image by image"
SAVED_AGAIN: Final = "the training state can be saved again, and all of it is"

R = TypeVar("R")


def fit(state: TrainState) -> Iterator[Event]:
    """Train until the budget is spent or a stop is requested.

    Raises:
        TrainingError: the loss stays not finite, memory is short even at the smallest size, or the last
            label was removed; what was learned until then is saved.
        StorageError: the last save of the run failed, and failed again for `state.keeping.patience_s`.
    """
    return timed(state, _deep_alone(state))


def _deep_alone(state: TrainState) -> Iterator[Event]:
    yield from train_loop(state)
    yield finished(state)


def timed(state: TrainState, events: Iterator[Event]) -> Iterator[Event]:
    """Let the run's clock run while these events are made, and note down what they say."""
    while True:
        state.clock.start()
        try:
            with state.randomness.own():
                event = next(events, None)
        except Exception as error:
            state.record.log(f"ended at step {state.step}: {error}")
            # Anything else was a crash: the run is offered to go on.
            if isinstance(error, MaskloopError) and not isinstance(error, LostProcessError):
                state.record.status("failed", step=state.step, seconds=state.clock.seconds)
            raise
        finally:
            state.clock.stop()
        if event is None:
            return
        if isinstance(event, Notice) and event.progress is None:
            state.record.log(event.text)
        yield event


def train_loop(state: TrainState, *, begun: bool = False) -> Iterator[Event]:
    """The deep learner's part of a run, from its first event to its last score.

    Args:
        state: the run.
        begun: the caller has said that it started, and saved it.
    """
    share_state(state)
    if not begun:
        yield state.started()
        yield from save_now(state)  # a run that exists can be resumed
    while not state.over():
        if state.validator.due(state.clock.seconds, state.step):
            yield from _validate(state)
            continue
        yield from state.keep_up()
        try:
            announce_step(state)
            shortage = step(state)
            if shortage is not None:
                yield state.step_down(shortage)
                continue
        except TrainingError:
            yield from save_now(state)  # it says that what was learned is saved
            raise
        if state.report_due(REPORT_S) or state.over():
            yield from _report(state)
        if state.keeping.due():
            yield from save_now(state)
    yield from last_score(state)


def step(state: TrainState) -> str | None:
    """One optimizer step; or, where memory is short, none, and torch's words about it."""
    try:
        _learn(state)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # Only the text leaves: the error's traceback holds the tensors that filled the memory.
        shortage = str(error).partition("\n")[0]
    else:
        return None
    refuse_to_shrink(state, shortage)
    return shortage


def _learn(state: TrainState) -> None:
    """One batch, in pieces if memory has been short: gradients add up, then the weights move."""
    learner, team = state.learner, state.team
    windows = state.next_windows()
    own = team.own(windows)
    loss_sum = torch.zeros((), device=learner.device)
    at_seeds = []
    learner.optimizer.zero_grad(set_to_none=True)
    for piece in own.pieces(learner.load.piece):
        crops = learner.crops(piece)
        with learner.autocast(), team.shared_statistics():
            output = learner.network.training_output(learner.normalize(crops.pixels))
        borders = None if crops.borders is None else (state.config.border_weight or 0.0) * crops.borders
        truth = Truth.of(crops.targets, crops.weights, state.class_weights, borders)
        terms = learner.network.loss_terms(output, truth) if learner.recipe.auxiliary else None
        sums = loss_sums(output.logits, truth, learner.recipe, terms)
        share = len(piece.keys) / len(own.keys)
        loss = team.total(sums).loss(learner.recipe).total * share
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += loss.detach()
        at_seeds.append(losses_at(output.logits, crops.targets, crops.seeds))
    state.sampler.hear(windows, LateReading(team.gathered(torch.cat(at_seeds))))
    team.sum_gradients(learner.network.parameters())
    state.count_step(loss_sum, learner.apply_gradients())


def _report(state: TrainState) -> Iterator[Event]:
    """Read the losses; where they are no numbers, or too high for too long, go back to what was saved."""
    steps = state.tally.steps
    loss, finite, rows = state.tally.read()
    if not finite:
        yield _back(state, "the loss was not a number")
        return
    watch = state.keeping.watch
    watch.hear(loss, steps)
    if watch.diverged:
        yield _back(state, f"the loss rose to {loss:.3g} from {watch.usual:.3g}")
        return
    state.record.losses(rows)
    yield StepDone(
        step=state.step,
        seconds=state.clock.seconds,
        loss=loss,
        lr=state.learner.lr,
        steps=state.budget.steps,
        time_budget_s=state.given_s,
        images_per_s=steps * state.batch / state.seconds_since_report(),
        memory_bytes=torch.cuda.max_memory_allocated(state.device) if state.device.type == "cuda" else None,
    )
    state.reported()


def _back(state: TrainState, what: str) -> Notice:
    """The weights saved last, in all processes."""
    notice = state.keeping.go_back(what)
    share_state(state)
    return notice


def _validate(state: TrainState) -> Iterator[Event]:
    """Score the averaged weights now and then; the best ones are saved at once."""
    if state.tally.steps:
        yield from _report(state)
    if state.keeping.unsaved_steps and state.keeping.due(state.validator.expected_s):
        yield from save_now(state)
    try:
        scoring = state.validator.scoring(state.predictor(), state.clock.seconds, state.step)
        score = yield from _in_turns(state, scoring)
    except (MaskloopError, MemoryError, RuntimeError) as error:
        unscored = _unscored(error)
        state.validator.put_off(state.clock.seconds, state.step)
        yield unscored
        return
    validated = state.note_score(score, comparable=score)
    yield from state.problems()
    yield validated
    if validated.best:
        yield from save_now(state)
    if state.progress.patience.spent:
        yield Notice(text=state.progress.patience.sentence)
    state.reported()


def _in_turns(state: TrainState, scoring: Generator[float, None, R]) -> Generator[Event, None, R]:
    """A score image by image: between two of them whoever drives the run may predict what is looked at."""
    told_s, told = state.clock.seconds, False
    while True:
        try:
            share = next(scoring)
        except StopIteration as end:
            result: R = end.value
            if told:
                yield Notice(text=SCORING, progress=1.0)
            return result
        if state.clock.seconds - told_s >= REPORT_S:
            told_s, told = state.clock.seconds, True
            yield Notice(text=SCORING, progress=share)


def save_now(state: TrainState) -> Iterator[Event]:
    """Write the checkpoint, and best weights that are not on disk yet; training survives a full disk.

    Also for whoever holds a run between two of its events and may never go on.
    """
    keeping = state.keeping
    if keeping.closed:
        return
    if state.tally.steps:
        yield from _report(state)
    if keeping.watch.doubtful and not state.over():
        keeping.hold_best()
        return  # what is on disk is better
    if not state.learner.is_finite():
        yield _back(state, "the weights were no numbers any more")
        return
    try:
        best = keeping.save()
    except StorageError as error:
        if not keeping.trouble_told:
            keeping.trouble_told = True
            goes_on = "" if state.over() else "training goes on, and "
            yield Notice(text=f"{error}; {goes_on}saving is tried again", level="warning")
        return
    if keeping.trouble_told:
        keeping.trouble_told = False
        yield Notice(text=SAVED_AGAIN)
    yield Checkpointed(run=str(state.run.path), step=state.step, best=best)
    state.reported()


def last_score(state: TrainState) -> Iterator[Event]:
    """The last score, on all validation images, and the last save."""
    if state.keeping.unsaved_steps:
        yield from save_now(state)  # whoever ended the run may not wait for the score
    if state.tally.steps:
        yield from _report(state)
    try:
        comparable, score = yield from _in_turns(state, state.validator.final_scoring(state.predictor()))
    except (MaskloopError, MemoryError, RuntimeError) as error:
        yield _unscored(error)
        if state.best.step is None:
            state.best.step, state.best.saved = state.step, False  # weights without a score are weights
    else:
        validated = state.note_score(score, comparable=comparable)
        yield from state.problems()
        yield validated
    yield from save_now(state)
    yield from saved_at_last(state)


def saved_at_last(state: TrainState) -> Iterator[Event]:
    """Where the last save has failed: try again, as `until_saved` does, and raise as it does."""
    if state.keeping.trouble_told:
        best = yield from until_saved(state, state.keeping.save)
        yield Checkpointed(run=str(state.run.path), step=state.step, best=best)


def until_saved(state: TrainState, save: Callable[[], bool]) -> Generator[Event, None, bool]:
    """Save; where that fails hold the result and try again, as long as `patience_s` or until a stop.

    Args:
        state: the run, at its end.
        save: raises StorageError where it fails.

    Returns:
        What `save` does.

    Raises:
        StorageError: it was in vain; what was saved before is untouched.
    """
    keeping, stopped, began_s = state.keeping, state.stop_requested, time.monotonic()
    told = ""
    while True:
        try:
            saved = save()
        except StorageError as error:
            keeping.trouble_told = True
            waited_s = time.monotonic() - began_s
            if waited_s >= keeping.patience_s or (state.stop_requested and not stopped):
                raise keeping.given_up(error) from error
            text = f"{error}; the result is held in memory, and saving it is tried again{_until(state)}"
            if text != told:
                told = text
                yield Notice(text=text, level="warning")
            yield from _held(state, text, waited_s / keeping.patience_s, stopped=stopped)
        else:
            if keeping.trouble_told:
                keeping.trouble_told = False
                yield Notice(text=SAVED_AGAIN)
            return saved


def _until(state: TrainState) -> str:
    patience_s = state.keeping.patience_s
    return f" for {patience_s / 60:.0f} minutes" if patience_s < float("inf") else " until you stop the run"


def _held(state: TrainState, text: str, share: float, *, stopped: bool) -> Iterator[Event]:
    """The time between two attempts to save, cut short by a stop; it is no training time."""
    for _ in range(WAITS):
        if (state.stop_requested and not stopped) or not state.keeping.patience_s:
            return
        state.clock.stop()
        time.sleep(WAIT_S)
        state.clock.start()
        yield Notice(text=text, level="warning", progress=share)


def _unscored(error: Exception) -> Notice:
    """Raises the error again where a run does not survive it."""
    return Notice(text=f"this validation was left out: {why_given_up(error)}", level="warning")


def finished(state: TrainState) -> Finished:
    """The last event of a run, which is noted down.

    Raises:
        LostProcessError: a process of the team is gone, maybe for long: the leader scores alone. What stops
            this one then is the launcher, which starts them again.
    """
    state.team.announce(Order.END)
    reason = state.progress.reason(stopped=state.stop_requested)
    ended: RunState = "stopped" if reason == "stopped" else "finished"
    state.record.status(ended, step=state.step, seconds=state.clock.seconds)
    state.record.log(f"finished after {state.step} steps and {state.clock.seconds:.0f} s ({reason})")
    return Finished(
        run=str(state.run.path),
        model=state.config.model,
        steps=state.step,
        seconds=state.clock.seconds,
        best_miou=state.best.miou,
        per_class_iou=state.best.per_class_iou,
        resumed_step=state.resumed_step,
        reason=reason,
    )
