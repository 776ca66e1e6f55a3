"""Runs of both learners that go on after their end, which had joined both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.annotation.model import AnnotationState
from core.learning.events import Checkpointed, Finished, Notice, Validated
from core.learning.instant import head, learner, points, setup
from core.learning.labels.revisions import read_seen
from core.learning.prediction.predict import Predictor
from core.learning.runs.deep_part import best_deep_part
from core.learning.runs.header import read_header
from core.learning.runs.weights import load_weights, save_weights
from core.learning.scores.counted import CountedImages
from core.learning.training import joint
from core.learning.training.fit import save_now
from core.learning.training.joint import events_of
from core.learning.training.judged_again import judge_best_again
from core.learning.validation.validation import Score

SQUARE = 7
HELD_OUT = ("1.png",)


@pytest.fixture(autouse=True)
def _short_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "STEPS", 5)
    monkeypatch.setattr(head, "BATCH", 256)
    monkeypatch.setattr(points, "POINTS_PER_IMAGE", 1024)


@pytest.fixture
def _plain_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled one takes seconds; networks on it cannot be read again, which some tests need."""
    monkeypatch.setattr(setup, "DEFAULT_ENCODER", "plain")


def _joined_with(monkeypatch, *shares: int, miou: float | None = None) -> None:
    """The ends of a run find these shares the best, one after the other, with that score."""
    left = iter(shares)

    def decided(state, *_args):
        yield from ()
        names = state.channels.classes.names
        score = replace(Score.of(CountedImages(len(names)), names), miou=miou)
        return next(left), None if miou is None else score

    monkeypatch.setattr(joint, "best_share", decided)


def test_the_deep_network_alone_takes_the_place_of_what_an_earlier_end_has_joined(
    world, start, resume, monkeypatch
) -> None:
    _joined_with(monkeypatch, 50, 0)
    world.put_done(1, 2, 3)
    state = start(steps=5, join_instant=True, held_out=HELD_OUT)
    list(events_of(state))
    assert read_header(state.run.best_weights).architecture == "blend"
    deep = best_deep_part(state.run).network.state_dict()
    again = resume(steps=6)
    told = [event.text for event in events_of(again) if isinstance(event, Notice)]
    assert told[-1] == "kept: U-Net alone, which scored best"
    network, header = load_weights(state.run.best_weights)
    assert header.architecture == network.architecture == "unet"
    assert network.state_dict().keys() == deep.keys()


def test_who_keeps_the_deep_network_alone_knows_what_it_has_not_learned_from(
    world, start, resume, monkeypatch
) -> None:
    _joined_with(monkeypatch, 100, 0)
    world.put_done(1, 2, 3)
    state = start(steps=2, join_instant=True, held_out=HELD_OUT)
    list(events_of(state))
    assert read_seen(state.run.path).held_out == (), "the instant learner has seen all"
    list(events_of(resume(steps=3)))
    header = read_header(state.run.best_weights)
    assert header.architecture == "unet"
    assert header.data_digest == world.store.digest(["2.png", "3.png"])
    assert read_seen(state.run.path).held_out == HELD_OUT


@pytest.mark.parametrize(("share", "kept"), [(50, "blend"), (100, "instant")])
def test_of_a_run_of_both_that_goes_on_the_deep_network_is_judged_again(
    world, start, resume, monkeypatch, share, kept
) -> None:
    """Were it the file of both, all that the deep one learns from then on would have to beat that."""
    _joined_with(monkeypatch, share)
    world.put_done(1, 2, 3)
    list(events_of(start(steps=5, join_instant=True, held_out=HELD_OUT)))
    state = resume(steps=9)
    before = state.run.best_weights.read_bytes()
    assert read_header(state.run.best_weights).architecture == kept
    picture = world.picture(1)
    world.store.put(picture.key, picture.path, np.full_like(picture.mask, SQUARE), AnnotationState.DONE)
    judge_best_again(state)
    deep = best_deep_part(state.run)
    assert deep.network.architecture == "unet"
    score = state.validator.score_again(Predictor(deep.network, deep.header))
    assert state.best.compared == pytest.approx(score.miou)
    assert state.run.best_weights.read_bytes() == before, "whoever predicts has both until the run's end"


@pytest.mark.usefixtures("_plain_encoder")
def test_a_run_that_is_held_after_its_last_score_keeps_what_has_that_score(
    world, start, resume, monkeypatch
) -> None:
    _joined_with(monkeypatch, 50, miou=0.99)
    world.put_done(1, 2, 3)
    state = start(steps=5, join_instant=True, held_out=HELD_OUT)
    of_the_deep_one = None
    for event in events_of(state):
        if isinstance(event, Validated):
            if event.miou == 0.99:
                joined = state.run.best_weights.read_bytes()
                list(save_now(state))  # as a pause does, or a window that is closed
                break
            of_the_deep_one = event.miou
    assert state.run.best_weights.read_bytes() == joined
    assert read_header(state.run.best_weights).architecture == "blend"
    assert resume(steps=9).best.compared == of_the_deep_one, "which is what further steps have to beat"


@pytest.mark.parametrize(("share", "better"), [(50, False), (100, False), (100, True)])
def test_what_both_came_to_stays_until_the_deep_network_is_better(
    world, start, resume, monkeypatch, share: int, better: bool
) -> None:
    """However a run that goes on is ended: only its end joins both again."""
    _joined_with(monkeypatch, share, share, miou=0.01 if better else 0.99)
    world.put_done(1, 2, 3)
    first = start(steps=2, join_instant=True, held_out=HELD_OUT)
    list(events_of(first))
    joined = first.run.best_weights.read_bytes()
    state = resume(steps=40)
    before = state.best.compared
    for event in events_of(state):
        if isinstance(event, Checkpointed) and state.best.compared > before:
            break
    assert event.best is better
    assert (state.run.best_weights.read_bytes() != joined) is better
    assert state.run.deep_weights.is_file() is not better
    part = best_deep_part(state.run)
    assert part.whole is better
    assert part.header.metrics["miou"] == state.best.miou
    deep, ema = part.network.state_dict(), state.learner.ema.network.state_dict()
    assert all(torch.equal(deep[name], ema[name]) for name in deep)
    assert read_header(state.run.best_weights).metrics["miou"] == pytest.approx(state.run.best_miou)

    list(events_of(resume(steps=state.step)))
    assert read_header(state.run.best_weights).architecture == ("blend" if share == 50 else "instant")
    assert state.run.deep_weights.is_file() is (share == 100)


def test_a_deep_network_that_an_older_version_left_beside_a_blend_is_not_gone_on_with(
    world, start, resume, monkeypatch
) -> None:
    """It was put aside when the instant learner was best alone, and stayed when both were joined later."""
    _joined_with(monkeypatch, 100, 50)
    world.put_done(1, 2, 3)
    run = start(steps=2, join_instant=True, held_out=HELD_OUT).run
    list(events_of(resume(steps=2)))
    older, its_header = load_weights(run.deep_weights)
    list(events_of(resume(steps=40)))
    blend, header = load_weights(run.best_weights)
    assert header.metrics["step"] > its_header.metrics["step"]
    save_weights(run.deep_weights, older, its_header)
    part = best_deep_part(run)
    assert part.header.metrics["step"] == header.metrics["step"]
    deep, found = blend.deep.state_dict(), part.network.state_dict()
    assert all(torch.equal(deep[name], found[name]) for name in deep)


@pytest.mark.parametrize(
    ("fails", "told"),
    [
        ("_learner", "the deep network learns alone: the computer is out of memory"),
        ("best_share", "what an earlier end of the run had joined is kept: the computer is out of memory"),
    ],
)
def test_where_both_cannot_be_joined_again_the_score_is_that_of_what_is_kept(
    world, start, resume, monkeypatch, fails: str, told: str
) -> None:
    _joined_with(monkeypatch, 50, miou=0.99)
    world.put_done(1, 2, 3)
    run = start(steps=2, join_instant=True, held_out=HELD_OUT).run
    list(events_of(resume(steps=2)))
    joined = run.best_weights.read_bytes()

    def full(*_args: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(joint, fails, full)
    events = list(events_of(resume(steps=4)))
    assert told in [event.text for event in events if isinstance(event, Notice)]
    assert run.best_weights.read_bytes() == joined
    assert isinstance(events[-1], Finished)
    assert events[-1].best_miou == 0.99
