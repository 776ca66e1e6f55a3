"""What is drawn is learned at once, with and without a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.annotation.model import UNLABELLED, AnnotationState, ClassList, LabelClass
from core.learning.commands import ClassesChanged, LearnLive, Train
from core.learning.events import Failed, Notice, Prediction, StepDone, WeightsGone
from core.learning.instant import live, maker
from core.learning.instant.features import FeatureCache
from core.learning.instant.head import REFIT_STEPS, FitStep
from core.learning.instant.learner import InstantLearner
from core.learning.prediction.blending import compared_mious, instant_share, mixed
from tests.learning.engine_bench import (
    SIDE,
    EngineBench,
    live_squares_bench,
    shrink_instant_learner,
    squares_bench,
)
from tests.tiny import TINY


@pytest.fixture(autouse=True)
def _small_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_instant_learner(monkeypatch, first_steps=60, more_fits=2, more_steps=10, scored_steps=20)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps of every fit of a learner."""
    noted: list[int] = []
    update = InstantLearner.update

    def counted(self, **budget) -> Iterator[object]:
        noted.append(0)
        for piece in update(self, **budget):
            noted[-1] += isinstance(piece, FitStep)
            yield piece

    monkeypatch.setattr(InstantLearner, "update", counted)
    return noted


@pytest.fixture
def bench(tmp_path: Path) -> EngineBench:
    return live_squares_bench(tmp_path / "squares")


def _square(prediction: Prediction) -> np.ndarray:
    return prediction.classes.unpack() == 1


def test_a_project_with_labels_shows_a_prediction_without_a_run(bench: EngineBench) -> None:
    bench.do(bench.watch(3))
    bench.run()
    bench.do(bench.watch(2))
    bench.run()
    last = bench.got(Prediction)[-1]
    assert (last.source, last.run) == ("Instant learner", None)
    assert last.miou is not None, "several labelled images: it is scored by cross-fitting"
    assert not bench.got(Failed)
    versions = [prediction.weights_version for prediction in bench.got(Prediction)]
    assert versions == sorted(versions)


def test_with_the_last_label_goes_what_was_predicted(bench: EngineBench) -> None:
    bench.do(bench.watch(3))
    bench.run()
    assert bench.got(Prediction)
    assert not bench.got(WeightsGone)
    nothing = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    begun = AnnotationState.UNLABELLED
    bench.do(*(replace(bench.labels(number, nothing, 2), state=begun) for number in range(4)))
    bench.run()
    assert len(bench.got(WeightsGone)) == 1
    square = np.zeros((SIDE, SIDE), np.uint8)
    square[10:40, 10:40] = 1
    bench.events.clear()
    bench.do(bench.labels(0, square, 3))
    bench.run()
    assert bench.got(Prediction)
    assert not bench.got(WeightsGone)


def test_a_first_polygon_that_is_undone_and_drawn_again_is_predicted_again(bench: EngineBench) -> None:
    """The learner was fitted once, and the next one is fitted once, too."""
    nothing = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    drawn = nothing.copy()
    drawn[10:40, 10:40] = 1
    bench.do(bench.watch(0))
    begun, empty = AnnotationState.IN_PROGRESS, AnnotationState.UNLABELLED
    bench.do(*(replace(bench.labels(number, nothing, 2), state=empty) for number in range(4)))
    bench.run()
    for revision in (3, 5):
        bench.events.clear()
        bench.do(replace(bench.labels(0, drawn, revision), state=begun))
        bench.run()
        assert bench.got(Prediction), f"after revision {revision}"
        bench.do(replace(bench.labels(0, nothing, revision + 1), state=empty))
        bench.run()
        assert bench.got(WeightsGone)


def test_while_background_is_guessed_no_more_fits_unlearn_what_nobody_drew(
    bench: EngineBench, fits: list[int]
) -> None:
    drawn = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    drawn[:20, :20] = 1
    begun = AnnotationState.IN_PROGRESS
    bench.do(*(replace(bench.labels(number, drawn, 2), state=begun) for number in range(4)))
    bench.do(bench.watch(0))
    bench.run()
    assert bench.got(Prediction)[-1].weak_background
    assert fits == [live.FIRST_STEPS]
    done = np.zeros((SIDE, SIDE), np.uint8)
    bench.do(bench.labels(1, done, 3))
    bench.run()
    assert not bench.got(Prediction)[-1].weak_background
    assert fits[1:] == [REFIT_STEPS] + [live.MORE_STEPS] * live.MORE_FITS


def test_it_is_said_while_undrawn_pixels_stand_in_for_background(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.run()
    assert not bench.got(Prediction)[-1].weak_background, "done images say what background is"
    drawn = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    drawn[:20, :20] = 1
    begun = AnnotationState.IN_PROGRESS
    bench.do(*(replace(bench.labels(number, drawn, 2), state=begun) for number in range(4)))
    bench.run()
    assert bench.got(Prediction)[-1].weak_background


def test_a_correction_shows_in_the_image_that_is_watched(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.run()
    before = bench.got(Prediction)[-1]
    bench.events.clear()
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    nothing[:20, :20] = 1
    bench.do(*(bench.labels(number, nothing, 2) for number in range(4)))
    bench.run()
    after = bench.got(Prediction)[-1]
    assert after.revision == 2
    assert after.weights_version > before.weights_version
    assert _square(after)[4:16, 4:16].mean() > 0.8
    first = bench.got(Prediction)[0]
    assert first.revision == 2, "nothing is shown that does not know the correction"


def test_a_slow_processor_does_fewer_steps_before_a_correction_shows_and_the_rest_after(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch, fits: list[int]
) -> None:
    bench.do(bench.watch(0))
    bench.run()
    learner = bench.engine._instant.learner
    assert learner is not None
    readings = itertools.count()
    monkeypatch.setattr(live, "AT_ONCE_S", 0.8)
    learner.clock = lambda: 0.1 * next(readings)
    fits.clear()
    bench.do(bench.labels(0, np.ones((SIDE, SIDE), np.uint8), 2))
    bench.run()
    at_once, *more = fits
    assert 1 <= at_once <= live.AT_ONCE_S / 0.1 < REFIT_STEPS
    assert more == [live.MORE_STEPS] * live.MORE_FITS


def test_somebody_who_draws_faster_than_a_fit_still_sees_what_was_learned(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.run()
    bench.events.clear()
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for stroke in range(10):
        mask[stroke * 6 : stroke * 6 + 6, :] = 1
        bench.do(bench.labels(0, mask, 2 + stroke))
        before = len(bench.got(Prediction))
        for _ in range(REFIT_STEPS // 2):  # half a fit, and features and points
            bench.engine.tick()
        for prediction in bench.got(Prediction)[before:]:
            assert prediction.revision < 2 + stroke, "the last stroke was not learned yet"
    seen = bench.got(Prediction)
    assert len(seen) >= 2
    revisions = [prediction.revision for prediction in seen]
    assert revisions == sorted(set(revisions)), "each knows more strokes than the last"
    versions = [prediction.weights_version for prediction in seen]
    assert versions == sorted(set(versions)), "each is of a fit of its own"
    bench.run()
    assert bench.got(Prediction)[-1].revision == 11
    assert not bench.got(Failed)


def test_after_an_unforeseen_error_the_next_labels_are_learned_again(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.do(bench.watch(0))
    bench.run()
    with monkeypatch.context() as broken:
        broken.setattr(InstantLearner, "update", _no_memory)
        bench.do(bench.labels(0, np.zeros((SIDE, SIDE), np.uint8), 2))
        bench.run()
    assert bench.got(Failed)[-1].during == "LearnLive"
    bench.events.clear()
    bench.do(bench.labels(0, np.ones((SIDE, SIDE), np.uint8), 3))
    bench.run()
    assert bench.got(Prediction)[-1].revision == 3
    assert not bench.got(Failed)


def _no_memory(_self: InstantLearner, **_: object) -> Iterator[object]:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_full_graphics_card_leaves_it_the_cpu(bench: EngineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker.instant_learner

    def scarce(*args: object, device: torch.device, **kwargs: object) -> InstantLearner:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return made(*args, device=device, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(maker, "instant_learner", scarce)
    monkeypatch.setattr(
        maker, "choose_device", lambda wanted: torch.device("cpu" if wanted == "cpu" else "cuda")
    )
    bench.do(bench.watch(0))
    bench.run()
    assert "memory is full" in bench.got(Notice)[0].text
    assert bench.got(Prediction)
    assert not bench.got(Failed)


def test_what_was_drawn_before_a_class_was_deleted_is_known_afterwards(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.do(bench.labels(0, np.ones((SIDE, SIDE), np.uint8), 7))
    bench.run()
    classes = bench.engine._store.classes  # type: ignore[union-attr] - as the window knows them
    assert classes.background == 0
    bench.do(ClassesChanged(classes=ClassList(tuple(classes))))  # all is read again, as after a deletion
    bench.events.clear()
    bench.run()
    assert bench.got(Prediction)[-1].revision == 7


def test_a_head_that_knows_nothing_yet_is_not_asked(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.run()
    classes = bench.engine._store.classes  # type: ignore[union-attr] - as the window knows them
    bench.do(ClassesChanged(classes=ClassList((*classes, LabelClass(5, "another", "#00ff00")), 0)))
    bench.events.clear()
    for _ in range(5):  # the head for three classes is there, and not fitted
        bench.engine.tick()
    bench.do(bench.watch(1))
    bench.run()
    squares = bench.entries[1]
    for prediction in bench.got(Prediction):
        assert prediction.key == squares.key
        assert _square(prediction)[16:34, 16:34].mean() > 0.9
        assert _square(prediction)[50:].mean() < 0.1
    assert bench.got(Prediction)
    assert not bench.got(Failed)


def test_a_look_that_takes_long_gives_way_to_another_image(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run()
    look = FeatureCache._tile

    def called_away(cache: FeatureCache, pixels: np.ndarray) -> list[torch.Tensor]:
        bench.inbox.put(bench.watch(0))
        return look(cache, pixels)

    bench.do(bench.watch(3))
    with monkeypatch.context() as patched:
        patched.setattr(FeatureCache, "_tile", called_away)
        assert bench.engine.tick()
    assert not bench.got(Prediction)
    waiting = bench.inbox.take()
    assert waiting is not None
    bench.do(waiting)
    bench.run()
    assert [prediction.key for prediction in bench.got(Prediction)] == [bench.entries[0].key]
    bench.do(bench.watch(3))
    bench.run()
    assert bench.got(Prediction)[-1].key == bench.entries[3].key
    assert not bench.got(Failed)


def test_while_a_run_trains_labels_are_still_learned_first(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.run()
    bench.do(Train(config=replace(TINY, steps=400)))
    bench.run(until=lambda: bool(bench.got(StepDone)))
    bench.events.clear()
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    nothing[:20, :20] = 1
    bench.do(bench.labels(0, nothing, 5))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    assert not bench.got(StepDone), "training waits meanwhile"
    assert "Instant learner" in bench.got(Prediction)[0].source


def test_what_a_network_without_a_say_learns_is_not_predicted_again_and_again(bench: EngineBench) -> None:
    bench.do(bench.watch(3))
    bench.run()
    shown = len(bench.got(Prediction))
    bench.do(Train(config=replace(TINY, steps=400, validate_every_s=1e9)))
    bench.run(until=lambda: len(bench.got(StepDone)) >= 20)
    assert len(bench.got(Prediction)) == shown  # the engine's clock would have let it at every step


def test_switched_off_it_neither_learns_nor_shows(bench: EngineBench) -> None:
    bench.do(bench.watch(0))
    bench.run()
    bench.events.clear()
    bench.do(LearnLive(on=False), bench.labels(0, np.zeros((SIDE, SIDE), np.uint8), 2))
    bench.run()
    assert not bench.got(Prediction)


def test_without_labels_it_waits(tmp_path: Path) -> None:
    bench = squares_bench(tmp_path / "squares", images=2, labelled=0)
    bench.do(LearnLive(on=True))
    bench.open()
    bench.do(bench.watch(0))
    bench.run()
    assert not bench.got(Failed)
    assert not bench.got(Prediction)


# --- shares -----------------------------------------------------------------------------------------------


def test_an_unscored_network_has_no_say_yet() -> None:
    assert instant_share(None, 0.5, learning=True) == 1.0
    assert instant_share(None, None, learning=False) == 1.0
    assert instant_share(0.3, None, learning=True) == 1.0, "its first scores say little"


def test_equals_speak_together_and_one_far_behind_is_silent() -> None:
    assert instant_share(0.6, 0.55, learning=True) == 0.5
    assert instant_share(0.8, 0.55, learning=True) == 0.0
    assert instant_share(0.3, 0.55, learning=False) == 1.0
    assert instant_share(0.3, None, learning=False) == 0.5
    assert instant_share(0.9, 0.55, learning=False, tested=False) == 0.5, "a score on its own training images"
    assert instant_share(0.9, 0.55, learning=True, tested=False) == 1.0


@pytest.mark.parametrize(
    ("instant", "compared"),
    [
        ({0: 0.98}, None),
        ({0: 0.98, 1: 0.7}, (0.75, 0.84)),
        ({0: 0.98, 1: 0.7, 2: 0.0}, (0.6, 0.56)),
        ({0: 0.98, 3: 0.9}, None),
        ({}, None),
    ],
)
def test_both_are_compared_on_classes_that_both_have_scores_for(
    instant: dict[int, float], compared: tuple[float, float] | None
) -> None:
    found = compared_mious({0: 0.9, 1: 0.6, 2: 0.3}, instant)
    assert found == (None if compared is None else pytest.approx(compared))


def test_a_mixture_is_the_geometric_mean() -> None:
    rng = np.random.default_rng(0)
    deep, quick = (rng.dirichlet(np.ones(3), size=(40, 50)).transpose(2, 0, 1) for _ in range(2))
    values = np.array([0, 3, 7], np.uint8)
    found = mixed(deep.astype(np.float16), quick.astype(np.float16), 0.25, values)
    mean = torch.from_numpy(deep**0.75 * quick**0.25)
    best = mean.argmax(dim=0).numpy()
    assert (found.classes == values[best]).mean() > 0.99
    share = (mean.max(dim=0).values / mean.sum(dim=0)).numpy() * 255
    assert np.abs(found.confidence - share).max() < 2


def test_it_is_scored_as_soon_as_a_second_image_is_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SCORE_EVERY_S", 1e9)
    bench = squares_bench(tmp_path / "squares", images=3, labelled=1)
    bench.do(LearnLive(on=True))
    square = np.zeros((SIDE, SIDE), np.uint8)
    square[11:40, 10:40] = 1
    for _ in range(2):  # a project that is opened after another has a time of its own
        bench.open()
        bench.run()
        assert bench.engine._instant.score is None
        bench.do(bench.labels(1, square, 2))
        bench.run()
        assert bench.engine._instant.score is not None
