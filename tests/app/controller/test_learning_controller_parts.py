"""The controller's helpers: which predictions are kept, and how an interrupted run goes on."""

from __future__ import annotations

import numpy as np
import pytest

from app.learning.prediction_cache import PredictionCache
from app.learning.run_recovery import RunRecovery
from core.learning.commands import Train
from core.learning.config import TrainConfig
from core.learning.engine.exit import EXIT_DEVICE_LOST, sentence_for_exit
from core.learning.events import Checkpointed, Prediction
from tests.app.engine_events import prediction, started


def predicted(key: str, version: int = 1, side: int = 10, revision: int = 0) -> Prediction:
    return prediction(key, np.zeros((side, side), np.uint8), weights_version=version, revision=revision)


def test_the_images_seen_last_keep_their_predictions() -> None:
    cache = PredictionCache(most_bytes=600)  # three predictions of 200 bytes
    for key in "abc":
        assert cache.offer(predicted(key))
    assert cache.get("a") is not None  # seen again: b is the oldest now
    cache.offer(predicted("d"))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    cache.offer(predicted("huge", side=100))
    assert cache.get("huge") is not None
    assert cache.get("d") is None


def test_an_older_prediction_does_not_replace_a_newer_one() -> None:
    cache = PredictionCache()
    newest = predicted("a", version=5, revision=3)
    assert cache.offer(newest)
    assert not cache.offer(predicted("a", version=4, revision=4))
    assert not cache.offer(predicted("a", version=5, revision=2))
    assert cache.get("a") is newest
    assert cache.offer(predicted("a", version=6, revision=2)), "another learner has its say now"


def test_a_prediction_is_as_old_as_it_is_also_when_it_is_shown_again() -> None:
    seconds = 10.0
    cache = PredictionCache(clock=lambda: seconds)
    assert cache.age_s("a") == 0.0
    cache.offer(predicted("a", version=2))
    seconds = 25.0
    cache.offer(predicted("b", version=2))
    cache.offer(predicted("a", version=1))
    assert cache.get("a") is not None
    assert (cache.age_s("a"), cache.age_s("b")) == (15.0, 0.0)
    cache.offer(predicted("a", version=3))
    assert cache.age_s("a") == 0.0


def test_replacing_and_forgetting_frees_the_room() -> None:
    cache = PredictionCache(most_bytes=400)
    for version in range(1, 6):
        assert cache.offer(predicted("a", version))
    cache.offer(predicted("b"))
    assert cache.get("a") is not None
    cache.forget("a")
    cache.forget("a")
    cache.offer(predicted("c"))
    assert [key for key in "abc" if cache.get(key)] == ["b", "c"]
    cache.clear()
    assert not [key for key in "abc" if cache.get(key)]


def test_nothing_is_resumed_when_nobody_trained() -> None:
    assert RunRecovery().after_crash(0.0) is None


def test_a_run_without_a_checkpoint_starts_again() -> None:
    recovery = RunRecovery()
    command = Train(config=TrainConfig(steps=5))
    recovery.requested(command)
    recovery.on_event(started("/runs/1"))
    again = recovery.after_crash(0.0)
    assert again is not None
    assert again.command == command
    assert "starts again" in again.sentence


def test_a_resumed_run_that_crashes_early_is_resumed_again_a_minute_later() -> None:
    recovery = RunRecovery()
    recovery.requested(Train(config=TrainConfig(), resume_run="/runs/1"))
    for crash_s in (0.0, 100.0, 200.0):
        again = recovery.after_crash(crash_s)
        assert again is not None
        assert again.command.resume_run == "/runs/1"
    assert recovery.after_crash(230.0) is None
    recovery.requested(Train(config=TrainConfig()))
    assert recovery.after_crash(231.0) is not None


@pytest.mark.parametrize("as_chosen", [False, True])
@pytest.mark.parametrize("steps, seconds", [(100, None), (None, None), (None, 100.0)])
def test_the_checkpoint_knows_what_is_left_of_a_budget(
    steps: int | None, seconds: float | None, as_chosen: bool
) -> None:
    recovery = RunRecovery()
    recovery.requested(Train(config=TrainConfig(steps=steps, seconds=seconds, seed=3), as_chosen=as_chosen))
    recovery.on_event(started("/runs/1"))
    recovery.on_event(Checkpointed(run="/runs/1", step=9, best=True))
    for crash_s in (0.0, 100.0):
        again = recovery.after_crash(crash_s)
        assert again is not None
        rest = TrainConfig(seed=3)
        assert again.command == Train(config=rest, resume_run="/runs/1", as_chosen=as_chosen)
        recovery.on_event(started("/runs/1"))
        recovery.on_event(Checkpointed(run="/runs/1", step=15, best=True))


@pytest.mark.parametrize(
    "saved, sentence", [(None, "The fold begins again."), (40, "Training goes on from step 40.")]
)
def test_a_fold_goes_on_from_a_checkpoint_of_its_own(saved: int | None, sentence: str) -> None:
    recovery = RunRecovery()
    recovery.requested(Train(config=TrainConfig(folds=3, steps=500)))
    recovery.on_event(started("/runs/fold1"))
    recovery.on_event(Checkpointed(run="/runs/fold1", step=500, best=True))
    recovery.on_event(started("/runs/fold2"))
    if saved is not None:
        recovery.on_event(Checkpointed(run="/runs/fold2", step=saved, best=False))
    again = recovery.after_crash(100.0)
    assert again is not None
    assert (again.sentence, again.command.resume_run) == (sentence, "/runs/fold2")
    assert again.command.config == TrainConfig(folds=3)


def test_time_that_was_added_is_asked_for_again_until_it_is_in_a_checkpoint() -> None:
    recovery = RunRecovery()
    command = Train(config=TrainConfig(seconds=60.0), resume_run="/runs/1")
    recovery.requested(command)
    recovery.on_event(started("/runs/1"))
    again = recovery.after_crash(0.0)
    assert again is not None
    assert again.command == command


def test_a_lost_graphics_card_gets_another_chance_and_then_the_run_goes_on_on_the_cpu() -> None:
    recovery, lost = RunRecovery(), sentence_for_exit(EXIT_DEVICE_LOST)
    recovery.requested(Train(config=TrainConfig(steps=50)))
    devices = []
    for crash_s in (0.0, 5.0):
        recovery.on_event(started("/runs/1"))
        recovery.on_event(Checkpointed(run="/runs/1", step=9, best=True))
        again = recovery.after_crash(crash_s, lost)
        assert again is not None
        devices.append((again.command.config.device, again.sentence))
    assert devices == [
        ("auto", "Training goes on from step 9."),
        ("cpu", "Training goes on on the CPU from step 9."),
    ]
    assert recovery.after_crash(10.0, lost) is None
