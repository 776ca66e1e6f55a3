"""What a person gets from a training run."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.images.reader import read_image
from core.learning.events import Checkpointed, Finished, Notice, StepDone, TrainingStarted, Validated
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.header import read_header
from core.learning.training.fit import fit, save_now

BACKGROUND, DISC, SQUARE = 0, 3, 7
"""Mask values of the test world's classes."""


def _only(kind, events):
    return [event for event in events if isinstance(event, kind)]


def _iou(predictor: Predictor, picture, value: int) -> float:
    found = predictor.predict(read_image(picture.path)).classes == value
    true = picture.mask == value
    return (found & true).sum() / (found | true).sum()


def _put_strokes(world, number: int, *values: int, pixels: int = 60) -> None:
    """Label a few scattered pixels of each class."""
    picture = world.picture(number)
    mask = np.full_like(picture.mask, UNLABELLED)
    for value in values:
        rows, columns = np.nonzero(picture.mask == value)
        some = np.linspace(0, len(rows) - 1, pixels).astype(int)
        mask[rows[some], columns[some]] = value
    world.store.put(picture.key, picture.path, mask, AnnotationState.IN_PROGRESS)


def test_it_finds_discs_and_squares_in_a_picture_it_has_never_seen(world, start, run) -> None:
    world.put_done(1, 2, 3, 4)
    state = start(steps=150)
    finished = run(state)[-1]
    assert isinstance(finished, Finished)
    assert (finished.steps, finished.reason, finished.resumed_step) == (150, "budget", None)
    assert finished.best_miou > 0.6
    assert set(finished.per_class_iou) == {"background", "disc", "square"}
    predictor = open_predictor(state.run.best_weights, device="cpu")
    for value in (DISC, SQUARE):
        assert _iou(predictor, world.picture(50), value) > 0.5


def test_a_few_strokes_on_each_picture_are_enough(world, start, run) -> None:
    for number in (1, 2, 3):
        _put_strokes(world, number, BACKGROUND, DISC, SQUARE)
    state = start(steps=150)
    run(state)
    predictor = open_predictor(state.run.best_weights, device="cpu")
    assert _iou(predictor, world.picture(50), DISC) > 0.4


def test_a_single_shape_on_one_image_gives_a_useful_overlay(world, start, run) -> None:
    world.put_drawn(1, DISC)
    state = start(steps=80)
    events = run(state)
    assert _only(TrainingStarted, events)[0].weak_background
    found = state.predictor().predict(read_image(world.picture(1).path)).classes
    disc = world.picture(1).mask == DISC
    assert (found[disc] == DISC).mean() > 0.8
    assert (found[~disc] == DISC).mean() < 0.3


def test_real_background_ends_the_weak_one_and_that_is_told(world, start) -> None:
    world.put_drawn(1, DISC)
    state = start(steps=12)
    told = []
    for event in fit(state):
        if isinstance(event, TrainingStarted):
            world.put_drawn(2, DISC, BACKGROUND)
        told += [event.text] if isinstance(event, Notice) else []
    assert not state.sampler.weak_background
    assert state.class_weights is not None
    assert told == ["background is labelled now: undrawn pixels no longer stand in for it"]


def test_labels_drawn_while_it_trains_are_learned_without_a_restart(world, start) -> None:
    _put_strokes(world, 1, BACKGROUND, DISC)
    state = start(steps=160, augment=False)
    drawn = False
    for event in fit(state):
        if isinstance(event, StepDone | Checkpointed) and state.step >= 5 and not drawn:
            drawn = True
            assert _iou(state.predictor(), world.picture(2), SQUARE) < 0.3
            world.put_done(2, 3)
    assert drawn
    assert "2.png" in state.sampler.keys
    assert _iou(state.predictor(), world.picture(2), SQUARE) > 0.5


def test_events_tell_the_whole_run(world, start, run) -> None:
    world.put_done(1, 2, 3)
    state = start(steps=25)
    events = run(state)
    assert isinstance(events[0], TrainingStarted)
    assert isinstance(events[-1], Finished)
    assert events[0].train_images == ("1.png", "2.png", "3.png")
    assert (events[0].model, events[0].encoder, events[0].steps) == ("unet", "plain", 25)
    steps = [event.step for event in _only(StepDone, events)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 25
    assert all(np.isfinite(event.loss) and event.loss > 0 for event in _only(StepDone, events))
    assert state.weights_version == 25


def test_the_metrics_file_has_a_row_at_least_every_ten_steps(world, start, run) -> None:
    world.put_done(1, 2)
    state = start(steps=33)
    run(state)
    rows = state.run.read_metrics()
    losses = [row for row in rows if row["loss"] is not None]
    assert losses[0]["step"] <= 10
    assert all(b["step"] - a["step"] <= 10 for a, b in itertools.pairwise(losses))
    assert all({"step", "seconds", "loss", "lr", "val_miou"} <= set(row) for row in rows)
    scored = rows[-1]
    assert scored["step"] == 33
    assert 0.0 <= scored["val_miou"] <= 1.0
    assert scored["val_on"] == "training"
    assert 0.0 <= scored["val_iou:disc"] <= 1.0


def test_the_weights_say_what_they_are(world, start, run) -> None:
    world.put_done(1, 2)
    state = start(steps=6, image_scale=0.5, crop=32)
    finished = run(state)[-1]
    header = read_header(state.run.best_weights)
    assert (header.architecture, header.encoder) == ("unet", "plain")
    assert header.classes == world.store.classes
    assert (header.tile, header.scale) == (32, 0.5)
    assert header.metrics["miou"] == pytest.approx(finished.best_miou)
    assert header.metrics["on"] == "training"
    assert header.data_digest == world.store.digest()
    assert open_predictor(state.run.best_weights, device="cpu").predict(
        read_image(world.picture(9).path)
    ).classes.shape == (72, 96)


def test_a_stop_scores_saves_and_ends(world, start) -> None:
    world.put_done(1, 2)
    state = start()  # no budget: only a person ends it
    events = []
    for event in fit(state):
        events.append(event)
        if isinstance(event, StepDone):
            state.request_stop()
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "stopped"
    assert finished.steps >= 1
    assert _only(Validated, events)
    assert state.run.best_weights.is_file()
    assert state.run.last_checkpoint.is_file()


def test_a_stop_before_the_first_step_still_leaves_weights(world, start, run) -> None:
    world.put_done(1, 2)
    state = start(steps=100)
    state.request_stop()
    assert run(state)[-1].steps == 0
    assert state.run.best_weights.is_file()


def test_a_time_budget_is_kept(world, start, run, monkeypatch) -> None:
    world.put_done(1, 2)
    now = [0.0]
    monkeypatch.setattr("core.learning.machine.clock.time.perf_counter", lambda: now[0])
    state = start(seconds=1.0)
    output = type(state.learner.network).training_output

    def slow_step(network, x):
        now[0] += 0.1
        return output(network, x)

    monkeypatch.setattr(type(state.learner.network), "training_output", slow_step)
    finished = run(state)[-1]
    assert finished.seconds == pytest.approx(1.0, abs=0.11)
    assert finished.steps in (9, 10, 11)


def test_time_does_not_run_while_nobody_asks_for_events(world, start, monkeypatch) -> None:
    world.put_done(1)
    state = start(steps=5)
    now = [0.0]
    monkeypatch.setattr("core.learning.machine.clock.time.perf_counter", lambda: now[0])
    for _event in fit(state):
        now[0] += 1000.0  # a long pause between any two events
    assert state.clock.seconds == 0.0


def test_a_held_run_can_be_saved_between_two_events(world, start, resume) -> None:
    world.put_done(1, 2)
    state = start(steps=1000)
    events = fit(state)
    while state.step < 3:
        next(events)
    saved = list(save_now(state))
    assert isinstance(saved[-1], Checkpointed)
    assert resume().step == state.step


def test_renamed_classes_are_followed_and_new_ones_wait_for_the_next_run(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=12)
    notices = []
    for event in fit(state):
        notices += [event.text] if isinstance(event, Notice) and event.progress is None else []
        if isinstance(event, TrainingStarted):
            renamed = [
                LabelClass(c.index, "circle" if c.index == DISC else c.name, c.color)
                for c in world.store.classes
            ]
            world.store.set_classes(ClassList((*renamed, LabelClass(9, "star", "#ffffff")), BACKGROUND))
    assert notices == ["new classes (star) are learned from the next run on"]
    assert read_header(state.run.best_weights).classes.names == ("circle", "background", "square")


def test_an_encoder_without_pretraining_is_never_frozen_a_pretrained_one_at_first(world, start) -> None:
    world.put_done(1)
    state = start(steps=20, freeze=0.5)
    state.learner.prepare(0.1, endless=False)
    assert all(p.requires_grad for p in state.learner.network.encoder_parameters())
    state = start(steps=20, freeze=0.5, encoder="tf_efficientnet_lite0", model_options=(("width", 2),))
    network = state.learner.network
    state.learner.prepare(0.1, endless=False)
    assert not any(p.requires_grad for p in network.encoder_parameters())
    assert not any(module.training for module in network.encoder.modules())
    assert all(p.requires_grad for p in network.decoder_parameters())
    state.learner.prepare(0.6, endless=False)
    assert all(p.requires_grad for p in network.encoder_parameters())
    assert network.encoder.training
    state.learner.prepare(0.1, endless=False)  # a longer budget moves the share back: it stays free
    assert all(p.requires_grad for p in network.encoder_parameters())


def test_a_staged_network_goes_through_its_stages(world, start, run) -> None:
    world.put_done(1, 2)
    state = start(
        steps=12, model="fcn8s", encoder="plain", model_options=(("encoder_width", 4), ("fc", 16)), lr=1e-3
    )
    notices = [event.text for event in _only(Notice, run(state)) if event.progress is None]
    assert notices == ["fcn8s goes on as fcn16s", "fcn8s goes on as fcn8s"]
    assert read_header(state.run.best_weights).options.get("stage", "fcn8s") == "fcn8s"
    assert state.learner.ema.network.stage == "fcn8s"


def test_a_longer_budget_trains_the_last_stage_of_a_network_for_all_that_is_left(
    world, start, resume, run
) -> None:
    world.put_done(1, 2)
    small = {"model": "fcn8s", "encoder": "plain", "model_options": (("encoder_width", 4), ("fc", 16))}
    run(start(steps=8, lr=1e-3, coarse_share=0.75, **small))
    learner = resume(steps=16).learner
    rates = []
    for done in np.linspace(0.5, 1.0, 51):
        assert learner.prepare(float(done), endless=False) is None
        rates.append(learner.lr)
    assert learner.network.stage == "fcn8s"
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(5e-4, rel=0.05)
    assert top < 10
    assert all(a >= b for a, b in itertools.pairwise(rates[top:])), "the rates of earlier stages are over"
    again = resume(steps=16).learner
    again.restore(learner.state(), Path("of.this.test"))  # interrupted in the middle of it
    for done in (0.6, 0.8):
        again.prepare(done, endless=False)
        learner.prepare(done, endless=False)
        assert again.lr == learner.lr
