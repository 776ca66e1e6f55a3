"""Runs that the instant learner has a part in."""

from __future__ import annotations

import errno

import pytest
import torch

from core.errors import StorageError
from core.images.reader import read_image
from core.learning.events import Finished, Notice, StepDone, TrainingStarted, Validated
from core.learning.instant import crossfit, head, learner, points, setup
from core.learning.instant.head import FitStep
from core.learning.instant.learner import InstantLearner
from core.learning.machine.clock import Clock
from core.learning.prediction.predict import Predictor, open_predictor
from core.learning.runs.deep_part import save_joined
from core.learning.runs.header import read_header
from core.learning.runs.weights import load_weights
from core.learning.scores import calibration
from core.learning.scores.metrics import ConfusionMatrix
from core.learning.training import best_share, joint
from core.learning.training.fit import save_now
from core.learning.training.joint import events_of
from core.learning.training.state import TrainState
from tests.learning.conftest import tiny_config

DISC, SQUARE = 3, 7


@pytest.fixture(autouse=True)
def _short_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "STEPS", 100)
    monkeypatch.setattr(crossfit, "STEPS", 40)
    monkeypatch.setattr(head, "BATCH", 256)
    monkeypatch.setattr(points, "POINTS_PER_IMAGE", 1024)


@pytest.fixture
def _plain_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled one takes seconds for what a test need not see."""
    monkeypatch.setattr(setup, "DEFAULT_ENCODER", "plain")


def _iou(path, picture, value: int) -> float:
    found = open_predictor(path, device="cpu").predict(read_image(picture.path)).classes == value
    true = picture.mask == value
    return (found & true).sum() / (found | true).sum()


def _miou(state, picture) -> float:
    """Of the weights a run leaves behind."""
    found = open_predictor(state.run.best_weights, device="cpu").predict(read_image(picture.path)).classes
    confusion = ConfusionMatrix(state.channels.classes.indices)
    confusion.update(picture.mask, found)
    return confusion.miou()


def test_the_instant_learner_alone_is_scored_on_images_its_judges_never_saw(world, start) -> None:
    world.put_done(1, 2, 3, 4, 5, 6)
    state = start(model="instant", model_options=(("encoder_width", 8),))
    events = list(events_of(state))
    assert isinstance(events[0], TrainingStarted)
    assert events[0].train_images == tuple(sorted(f"{number}.png" for number in range(1, 7)))
    (score,) = [event for event in events if isinstance(event, Validated)]
    assert (score.on, score.images) == ("cross-fit", 6)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.best_miou == score.miou
    assert read_header(state.run.best_weights).architecture == "instant"
    for value in (DISC, SQUARE):
        assert _iou(state.run.best_weights, world.picture(50), value) > 0.4


def test_both_learners_leave_what_scored_best_on_held_out_images(world, start) -> None:
    world.put_done(*range(1, 8))
    state = start(steps=30, join_instant=True)
    events = list(events_of(state))
    finished = events[-1]
    assert isinstance(finished, Finished)
    kept = [event.text for event in events if isinstance(event, Notice) and event.text.startswith("kept: ")]
    assert len(kept) == 1
    header = read_header(state.run.best_weights)
    assert header.architecture in ("blend", "instant")
    assert header.metrics["miou"] == finished.best_miou
    scores = [event.miou for event in events if isinstance(event, Validated)]
    assert finished.best_miou == scores[-1]
    for value in (DISC, SQUARE):
        assert _iou(state.run.best_weights, world.picture(50), value) > 0.5


@pytest.mark.usefixtures("_plain_encoder")
def test_few_labels_are_blended_evenly(world, start) -> None:
    world.put_done(1, 2)
    state = start(steps=5, join_instant=True)
    events = list(events_of(state))
    kept = [event.text for event in events if isinstance(event, Notice) and "kept" in event.text]
    assert kept == ["kept: 50 % instant learner, 50 % U-Net"]
    *of_the_deep_one, of_both = [event for event in events if isinstance(event, Validated)]
    assert (of_both.on, of_both.images) == ("training", 2)
    assert of_both.miou != of_the_deep_one[-1].miou
    assert of_both.miou == events[-1].best_miou == state.run.best_miou
    assert of_both.miou == read_header(state.run.best_weights).metrics["miou"]


@pytest.mark.usefixtures("_plain_encoder")
@pytest.mark.parametrize("room", [True, False])
def test_what_joins_both_waits_for_room_on_the_disk(world, start, monkeypatch, room: bool) -> None:
    waits = []

    def refused(run, *rest) -> None:
        if not room or len(waits) < 5:
            raise StorageError.from_os_error(
                run.best_weights, OSError(errno.ENOSPC, "No space left on device")
            )
        save_joined(run, *rest)

    monkeypatch.setattr(joint, "save_joined", refused)
    monkeypatch.setattr("core.learning.training.fit.WAIT_S", 0.0)
    world.put_done(1, 2)
    state = start(steps=3, join_instant=True)
    state.keeping.patience_s = 60.0 if room else 1e-9  # 0: the run has to end at once
    told = []
    for event in events_of(state):
        if isinstance(event, Notice):
            told.append(event.text)
            if "held in memory" in event.text:
                waits.append(event.text)
    assert any("the disk is full" in text and "held in memory" in text for text in told) is room
    kept = read_header(state.run.best_weights).architecture
    if room:
        assert told[-1] == "kept: 50 % instant learner, 50 % U-Net"
        assert kept == "blend"
    else:
        assert told[-1].startswith("the deep network is kept alone: ")
        assert "the disk is full" in told[-1]
        assert kept == "unet"


@pytest.mark.usefixtures("_plain_encoder")
def test_without_time_for_the_deep_network_the_score_is_the_instant_learners(
    world, start, monkeypatch
) -> None:
    monkeypatch.setattr(joint, "FIRST_SHARE", 1e3)  # its fit takes longer than the whole run was given
    world.put_done(1)
    state = start(seconds=0.01, join_instant=True, model_options=(("encoder_width", 8),))
    events = list(events_of(state))
    assert events[-1].steps == 0
    kept = [event.text for event in events if isinstance(event, Notice) and "kept" in event.text]
    assert kept == ["kept: the instant learner alone, for there was no time for the deep network"]
    header = read_header(state.run.best_weights)
    assert header.architecture == "instant"
    assert (
        header.metrics["miou"]
        == events[-1].best_miou
        == pytest.approx(_miou(state, world.picture(1)), abs=0.01)
    )


@pytest.mark.usefixtures("_plain_encoder")
def test_the_error_of_its_confidence_is_that_of_the_blend(world, start) -> None:
    world.put_done(*range(1, 8))
    state = start(steps=10, join_instant=True, validation="auto")
    scores = [event for event in events_of(state) if isinstance(event, Validated)]
    header = read_header(state.run.best_weights)
    assert header.architecture in ("blend", "instant")
    assert scores[-1].calibration is not None
    assert header.metrics["ece"] == pytest.approx(scores[-1].calibration.error)
    assert header.temperature == pytest.approx(scores[-1].calibration.temperature)


def test_scoring_the_instant_learner_lets_others_have_their_turn(
    world, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint, "REPORT_S", 0.0)
    monkeypatch.setattr(learner, "STEPS", 5)
    monkeypatch.setattr(crossfit, "STEPS", 5)
    world.put_done(1, 2, 3)
    events = list(events_of(start(model="instant", model_options=(("encoder_width", 8),))))
    shares = [e.progress for e in events if isinstance(e, Notice) and e.text == joint.CROSS_FITTING]
    assert len(shares) > 15
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_instant_learner_alone_does_as_many_steps_as_are_asked_for(world, start) -> None:
    world.put_done(1, 2, 3)
    events = list(events_of(start(model="instant", steps=7, model_options=(("encoder_width", 8),))))
    assert [e for e in events if isinstance(e, StepDone)][-1].step == 7
    assert events[-1].steps == 7


@pytest.mark.usefixtures("_plain_encoder")
def test_comparing_both_learners_lets_others_have_their_turn(
    world, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_share, "REPORT_S", 0.0)
    monkeypatch.setattr(best_share, "_VALUES_AT_ONCE", 3 * 96 * 24)  # a picture of 72 rows in three parts
    world.put_done(*range(1, 8))
    state = start(steps=5, join_instant=True, validation="auto")
    events = list(events_of(state))
    shares = [e.progress for e in events if isinstance(e, Notice) and e.text == best_share.COMPARING]
    assert len(shares) > 3 * len(state.validator.plan.held_out)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.usefixtures("_plain_encoder")
def test_an_image_that_goes_while_both_are_compared_is_passed_over(
    world, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(best_share, "REPORT_S", 0.0)
    world.put_done(*range(17, 26))
    state = start(steps=5, join_instant=True, validation="auto")
    first, *_, last = state.validator.plan.keys
    assert first != last
    told = []
    for event in events_of(state):
        if isinstance(event, Notice) and event.text == best_share.COMPARING:
            world.store.remove(last)
        told += [event.text] if isinstance(event, Notice) and event.level == "warning" else []
    assert first in world.store
    assert not told


@pytest.mark.usefixtures("_plain_encoder")
def test_probabilities_of_a_huge_image_are_never_held_as_a_whole(
    world, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "MOST_PIXELS", 72 * 96 - 1)
    asked = []
    predicting = Predictor.predicting

    def noted(self, image, *, probabilities=False):
        asked.append(probabilities)
        return predicting(self, image, probabilities=probabilities)

    monkeypatch.setattr(Predictor, "predicting", noted)
    world.put_done(*range(1, 8))
    events = list(events_of(start(steps=5, join_instant=True, validation="auto")))
    assert asked
    assert not any(asked)
    kept = [event.text for event in events if isinstance(event, Notice) and "kept" in event.text]
    assert kept == ["kept: 50 % instant learner, 50 % U-Net"]


@pytest.mark.usefixtures("_plain_encoder")
@pytest.mark.parametrize(("numbers", "fits"), [((1, 2), 1), (range(1, 8), 2)])
def test_both_learners_keep_to_a_time_budget(world, start, monkeypatch, numbers, fits) -> None:
    """However slow the computer is; and nothing is fitted again where no image was held out."""
    given: list[float | None] = []
    update = InstantLearner.update

    def noted(self, *, steps=None, seconds=None):
        given.append(seconds)
        return update(self, steps=steps, seconds=seconds)

    monkeypatch.setattr(InstantLearner, "update", noted)
    world.put_done(*numbers)
    assert isinstance(list(events_of(start(seconds=4.0, join_instant=True, validation="auto")))[-1], Finished)
    assert len(given) == fits
    assert all(
        seconds is not None and seconds <= share for seconds, share in zip(given, (2.0, 1.2), strict=False)
    )


def test_a_run_that_goes_on_shares_out_what_it_was_given_now(world, start, resume, monkeypatch) -> None:
    aside: list[float] = []
    monkeypatch.setattr(TrainState, "set_aside", lambda _state, seconds: aside.append(seconds))
    world.put_done(1, 2)
    began = start(seconds=900.0, join_instant=True)
    began.clock = Clock(900.0)
    for _ in save_now(began):
        pass
    # On for a minute; killed at once, and taken up once more.
    for asked in ({"seconds": 60.0}, {}):
        state = resume(**asked)
        assert state.budget.seconds == pytest.approx(960.0)
        assert state.validator.time_budget_s == pytest.approx(60.0)
        events = events_of(state, live=True)
        while not aside:
            next(events)
        events.close()
        assert aside.pop() == pytest.approx(joint.JOIN_SHARE / 2 * 60.0)


def _weights(state) -> dict[str, torch.Tensor]:
    network, _ = load_weights(state.run.best_weights)
    return network.state_dict()


@pytest.mark.parametrize("stopped", [False, True])
def test_the_instant_learners_fit_goes_on_where_its_run_was_cut_short(
    world, tmp_path, start, resume, monkeypatch, stopped: bool
) -> None:
    """By a kill in its fit, or by a stop, which ends the fit at once."""
    monkeypatch.setattr(joint, "REPORT_S", 0.0)
    monkeypatch.setattr(learner, "STEPS", 30)
    monkeypatch.setattr(crossfit, "STEPS", 5)
    alone = {"model": "instant", "model_options": (("encoder_width", 8),), "checkpoint_every_s": 0.0}
    world.put_done(1, 2, 3)
    whole = TrainState.create(tiny_config(**alone), world.store, tmp_path / "whole", lambda _event: None)
    list(events_of(whole))

    cut = start(**alone)
    for event in events_of(cut):
        if isinstance(event, StepDone) and event.step == 10:
            if not stopped:
                break
            cut.request_stop()
    assert cut.run.best_weights.is_file() == stopped
    assert (cut.run.path / joint.HEAD).is_file()

    again = resume()
    steps = [event.step for event in events_of(again) if isinstance(event, StepDone)]
    assert steps == list(range(12 if stopped else 10, 31))
    assert not (again.run.path / joint.HEAD).exists()
    after, before = _weights(again), _weights(whole)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.usefixtures("_plain_encoder")
def test_who_stops_a_run_of_both_in_its_first_fit_waits_for_no_other(world, start, monkeypatch) -> None:
    fits = []
    update = InstantLearner.update

    def noted(self, **given):
        fits.append(0)
        for piece in update(self, **given):
            fits[-1] += isinstance(piece, FitStep)
            yield piece

    monkeypatch.setattr(InstantLearner, "update", noted)
    world.put_done(*range(1, 8))
    state = start(steps=5, join_instant=True, held_out=("1.png",))
    for event in events_of(state):
        if isinstance(event, Notice) and event.text == joint.FITTING:
            state.request_stop()
    assert isinstance(event, Finished)
    assert (event.reason, event.steps) == ("stopped", 0)
    assert len(fits) == 1
    assert fits[0] < 100
    assert read_header(state.run.best_weights).architecture == "instant"
