"""The controller's helpers: which predictions are kept, and how an interrupted run goes on."""

from __future__ import annotations

import numpy as np
import pytest

from app.prediction_cache import PredictionCache
from app.run_recovery import RunRecovery
from core.annotation.model import ClassList
from core.learning.config import TrainConfig
from core.learning.events import Checkpointed, PackedMask, Prediction, StepDone, Train, TrainingStarted


def prediction(key: str, version: int = 1, side: int = 10) -> Prediction:
    packed = PackedMask.pack(np.zeros((side, side), np.uint8))
    return Prediction(
        key=key,
        revision=0,
        weights_version=version,
        classes=packed,
        confidence=packed,
        source="",
        seconds=0.0,
    )


def test_the_images_seen_last_keep_their_predictions() -> None:
    cache = PredictionCache(most_bytes=600)  # three predictions of 200 bytes
    for key in "abc":
        assert cache.offer(prediction(key))
    assert cache.get("a") is not None  # seen again: b is the oldest now
    cache.offer(prediction("d"))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    cache.offer(prediction("huge", side=100))
    assert cache.get("huge") is not None
    assert cache.get("d") is None


def test_replacing_and_forgetting_frees_the_room() -> None:
    cache = PredictionCache(most_bytes=400)
    for version in range(1, 6):
        assert cache.offer(prediction("a", version))
    cache.offer(prediction("b"))
    assert cache.get("a") is not None
    cache.forget("a")
    cache.forget("a")
    cache.offer(prediction("c"))
    assert [key for key in "abc" if cache.get(key)] == ["b", "c"]
    cache.clear()
    assert not [key for key in "abc" if cache.get(key)]


def started(run: str) -> TrainingStarted:
    return TrainingStarted(
        run=run,
        model="unet",
        encoder=None,
        device="CPU",
        classes=ClassList(),
        train_images=(),
        validation_images=(),
        weak_background=False,
    )


def step(seconds: float, budget_s: float | None) -> StepDone:
    return StepDone(
        step=1, seconds=seconds, loss=1.0, lr=0.1, steps=None, time_budget_s=budget_s, images_per_s=1.0
    )


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


@pytest.mark.parametrize("steps, seconds", [(100, None), (None, None)])
def test_other_budgets_stay_as_they_are(steps: int | None, seconds: float | None) -> None:
    recovery = RunRecovery()
    config = TrainConfig(steps=steps, seconds=seconds)
    recovery.requested(Train(config=config))
    recovery.on_event(started("/runs/1"))
    recovery.on_event(step(20.0, None))
    recovery.on_event(Checkpointed(run="/runs/1", step=9, best=True))
    again = recovery.after_crash(0.0)
    assert again is not None
    assert again.command == Train(config=config, resume_run="/runs/1")


def test_a_time_budget_counts_what_was_saved_over_several_crashes() -> None:
    recovery = RunRecovery()
    recovery.requested(Train(config=TrainConfig(seconds=100.0)))
    recovery.on_event(started("/runs/1"))
    recovery.on_event(step(60.0, 100.0))
    recovery.on_event(Checkpointed(run="/runs/1", step=9, best=True))
    recovery.on_event(step(64.0, 100.0))
    first = recovery.after_crash(0.0)
    assert first is not None
    assert first.command.config.seconds == pytest.approx(40.0)
    recovery.on_event(started("/runs/1"))
    recovery.on_event(step(90.0, 100.0))
    recovery.on_event(Checkpointed(run="/runs/1", step=15, best=True))
    recovery.on_event(step(99.9, 100.0))
    second = recovery.after_crash(100.0)
    assert second is not None
    assert second.command.config.seconds == pytest.approx(10.0)
