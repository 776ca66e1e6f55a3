"""Memory that runs out beside the training or at its start, in Python's words and in torch's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.annotation.model import AnnotationState
from core.cli.main import main
from core.learning.config import TrainConfig
from core.learning.events import Event, Finished, Notice
from core.learning.instant import setup
from core.learning.machine.memory import why_given_up
from core.learning.training.fit import TrainState
from core.learning.training.joint import events_of
from core.learning.training.judged_again import judge_best_again
from core.learning.training.outfit import CARD_FULL
from tests.tiny import squares_project

CARD = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB\nSee documentation")
COMPUTER = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
SHORTAGES = pytest.mark.parametrize(
    ("error", "why"),
    [
        (CARD, "the graphics card is out of memory"),
        (COMPUTER, "the computer is out of memory"),
        (MemoryError(), "the computer is out of memory"),
    ],
    ids=["card", "computer", "python"],
)


def _raises(error: Exception) -> Callable[..., None]:
    def short(*_: object, **__: object) -> None:
        raise error

    return short


def _short_once(error: Exception, does: Callable[..., object]) -> Callable[..., object]:
    failures = iter([error])

    def short(*arguments: object, **named: object) -> object:
        for failure in failures:
            raise failure
        return does(*arguments, **named)

    return short


def _texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@SHORTAGES
def test_a_validation_is_left_out_and_the_run_goes_on(world, start, run, monkeypatch, error, why) -> None:
    world.put_done(1, 2)
    state = start(steps=3)
    monkeypatch.setattr("core.learning.prediction.predict.Predictor.__init__", _raises(error))
    events = run(state)
    assert f"this validation was left out: {why}" in _texts(events)
    assert isinstance(events[-1], Finished)
    assert events[-1].steps == 3
    assert state.run.best_weights.is_file()


@SHORTAGES
def test_best_weights_that_cannot_be_asked_again_lose_their_claim(
    world, start, run, monkeypatch, error, why
) -> None:
    world.put_done(1, 2, 3)
    state = start(steps=1, held_out=("1.png",))
    run(state)
    picture = world.picture(1)
    world.store.put(picture.key, picture.path, np.zeros_like(picture.mask), AnnotationState.DONE)
    told: list[Event] = []
    state.notify = told.append
    monkeypatch.setattr("core.learning.training.judged_again.best_deep_part", _raises(error))
    judge_best_again(state)
    assert not state.best.claimed
    assert f"({why})" in _texts(told)[0]


@SHORTAGES
def test_the_deep_network_learns_alone_without_room_for_the_instant_learner(
    world, start, monkeypatch, error, why
) -> None:
    world.put_done(1, 2)
    state = start(steps=2, join_instant=True)
    monkeypatch.setattr("core.learning.training.joint.instant_learner", _raises(error))
    events = list(events_of(state))
    assert f"the deep network learns alone: {why}" in _texts(events)
    assert isinstance(events[-1], Finished)
    assert events[-1].steps == 2


def test_the_deep_network_is_kept_where_there_is_no_room_to_join_both(world, start, monkeypatch) -> None:
    monkeypatch.setattr(setup, "DEFAULT_ENCODER", "plain")
    monkeypatch.setattr("core.learning.instant.learner.STEPS", 20)
    world.put_done(1, 2)
    state = start(steps=2, join_instant=True)
    monkeypatch.setattr("core.learning.training.joint.best_share", _raises(CARD))
    events = list(events_of(state))
    assert "the deep network is kept alone: the graphics card is out of memory" in _texts(events)
    assert isinstance(events[-1], Finished)


def test_other_errors_still_end_a_run(world, start, run, monkeypatch) -> None:
    world.put_done(1, 2)
    broken = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    monkeypatch.setattr("core.learning.prediction.predict.Predictor.__init__", _raises(broken))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        run(start(steps=3))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        why_given_up(broken)


def test_where_the_graphics_card_is_full_a_run_begins_on_the_cpu(
    world, config, tmp_path, run, monkeypatch
) -> None:
    world.put_done(1, 2)
    told: list[Event] = []
    with monkeypatch.context() as full:
        full.setattr("core.learning.training.learner.Ema", _short_once(CARD, _ema()))
        state = TrainState.create(config(steps=2, device="auto"), world.store, tmp_path / "run", told.append)
    assert _texts(told) == [CARD_FULL]
    assert state.device.type == "cpu"
    assert state.run.config.device == "auto", "when it goes on it tries the card again"
    assert run(state)[-1].steps == 2

    told.clear()
    with monkeypatch.context() as full:
        full.setattr("core.learning.training.learner.Ema", _short_once(CARD, _ema()))
        again = TrainState.resume(tmp_path / "run", world.store, TrainConfig(steps=4), told.append)
    assert CARD_FULL in _texts(told)
    assert again.device.type == "cpu"
    assert run(again)[-1].steps == 4


def test_a_run_that_begins_again_while_the_card_is_full_tries_it_later(
    world, config, tmp_path, monkeypatch
) -> None:
    """It was cut short before its first checkpoint."""
    world.put_done(1, 2)
    told: list[Event] = []
    TrainState.create(config(steps=2, device="auto"), world.store, tmp_path / "run", told.append)
    monkeypatch.setattr("core.learning.training.learner.Ema", _short_once(CARD, _ema()))
    state = TrainState.resume(tmp_path / "run", world.store, TrainConfig(), told.append)
    assert _texts(told) == [CARD_FULL]
    assert (state.resumed_step, state.device.type) == (0, "cpu")
    assert state.run.config.device == "auto"


def _ema() -> Callable[..., object]:
    from core.learning.training.learner import Ema

    return Ema


@SHORTAGES
def test_the_command_line_tells_it_in_one_line(tmp_path, monkeypatch, capsys, error, why) -> None:
    root = tmp_path / "squares"
    squares_project(root, [(8, 8, 39, 39), (8, 8, 39, 40)], side=64, labelled=2)
    narrow = ["--encoder", "plain", "--option", "width=4", "--option", "encoder_width=4", "--crop", "64"]
    command = ["train", str(root), "--model", "unet", *narrow, "--steps", "2"]
    with monkeypatch.context() as full:
        full.setattr("core.learning.training.learner.Ema", _raises(error))
        assert main(command) == 1
    said = capsys.readouterr().err
    assert said.count("maskloop: there is not enough memory to begin") == 1
    assert "Traceback" not in said
    assert list((root / "runs").iterdir()) == [], "a run that never began leaves nothing behind"
    monkeypatch.setattr("core.cli.train._to_the_end", _raises(error))
    assert main(command) == 1
    assert f"maskloop: {why}; close other programs" in capsys.readouterr().err
