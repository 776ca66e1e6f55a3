"""What is on show is bent to its own labels, and keeps most of what was right there."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.annotation.model import UNLABELLED, AnnotationState
from core.errors import ImageFileError
from core.learning.commands import ImageRemoved, LabelsChanged, Predict
from core.learning.events import Failed, Prediction
from core.learning.instant import head, in_view
from core.learning.instant.features import FeatureCache, Features
from core.learning.instant.in_view import HeadInView, HeadsInView
from core.learning.instant.learner import InstantLearner
from core.learning.prediction.class_maps import PredictedMap
from core.models.instant import CHEAPER_VIEWS, InstantNetwork
from tests.learning.engine_bench import SIDE, EngineBench, live_squares_bench, shrink_instant_learner

BACKGROUND, DISC, SQUARE = 0, 3, 7
SHOWN = 4
"""The picture in view."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "BATCH", 256)


def _drained(pieces: Iterator[object]) -> None:
    for _ in pieces:
        pass


def _asked(learner: InstantLearner, key: str) -> PredictedMap:
    return learner.predict(learner.features(key), probabilities=True)


def _put(world, mask: NDArray[np.uint8]) -> None:
    picture = world.picture(SHOWN)
    world.store.put(picture.key, picture.path, mask, AnnotationState.IN_PROGRESS)


@pytest.fixture
def learned(world, learner) -> InstantLearner:
    """It has learned three pictures, and not the one in view, which nobody has labelled."""
    world.put_done(1, 2, 3)
    _put(world, np.full_like(world.picture(SHOWN).mask, UNLABELLED))
    learner.clock = lambda: 0.0  # however slow the machine is
    _drained(learner.update(steps=80))
    return learner


@pytest.fixture
def view(world, learned) -> HeadInView:
    return HeadInView(world.picture(SHOWN).key, world.store)


@pytest.fixture
def half(world) -> NDArray[np.bool_]:
    """The left half of the disc in view."""
    disc = world.picture(SHOWN).mask == DISC
    return disc & (np.arange(disc.shape[1]) < np.median(np.nonzero(disc)[1]))


def _contradict(world, half: NDArray[np.bool_]) -> None:
    """Half of the disc is drawn as a square's."""
    _put(world, np.where(half, SQUARE, UNLABELLED).astype(np.uint8))


def _says_square(learner: InstantLearner, key: str) -> NDArray[np.float16]:
    """How likely each pixel is a square's."""
    said = _asked(learner, key).probabilities
    assert said is not None
    return said[learner.channels.classes.indices.index(SQUARE)]


def test_it_follows_the_labels_of_its_image(world, learned, view, half) -> None:
    assert not view.waits(learned), "nothing is corrected"
    assert view.learner(learned) is learned
    _contradict(world, half)
    assert view.waits(learned)
    _drained(view.fitted(learned))
    assert not view.waits(learned)
    labels = world.store.get(view.key)
    assert view.knows(learned, labels)
    assert not view.knows(learned, replace(labels, version=labels.version + 1))
    bent = view.learner(learned)
    assert _says_square(learned, view.key)[half].mean() < 0.3
    assert _says_square(bent, view.key)[half].mean() > 0.6


def test_what_was_right_in_the_image_stays(world, learned, view, half, monkeypatch) -> None:
    _contradict(world, half)
    truth = world.picture(SHOWN).mask
    wrong = []
    for shares in (in_view.SHARES, (1.0, 0.0)):
        monkeypatch.setattr(in_view, "SHARES", shares)
        _drained(HeadInView(view.key, world.store).fitted(learned))
        other = HeadInView(view.key, world.store)
        _drained(other.fitted(learned))
        wrong.append((_asked(other.learner(learned), view.key).classes != truth)[~half].mean())
    assert wrong[0] < 0.1, "nearly as little as before"
    assert wrong[1] > 2 * wrong[0], "one class alone is drawn: with nothing but that, much becomes it"


def test_the_learner_itself_stays_as_it_is(world, learned, view, half) -> None:
    _contradict(world, half)
    before = {name: value.clone() for name, value in learned.network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _drained(view.fitted(learned))
    assert torch.equal(torch.rand(3), expected), "nor does anything else draw other random numbers"
    assert all(torch.equal(before[name], value) for name, value in learned.network.state_dict().items())


def test_further_corrections_bend_what_spoke_before_the_first(world, learned, view, half) -> None:
    """A refit that has learned them errs elsewhere in the image at first."""
    before = learned.network.hidden.weight.detach().clone()
    _contradict(world, half)
    _drained(view.fitted(learned))
    _drained(learned.update(steps=10))
    assert not torch.equal(learned.network.hidden.weight, before)
    assert not view.waits(learned), "what it follows has not changed"
    _put(world, np.where(half, SQUARE, BACKGROUND).astype(np.uint8))
    assert view.waits(learned)
    _drained(view.fitted(learned))
    assert torch.equal(view.learner(learned).network.hidden.weight, before)
    assert not torch.equal(view.learner(learned).network.head.weight, learned.network.head.weight)


def test_opened_again_it_is_bent_from_what_the_learner_knows_by_then(world, learned, view, half) -> None:
    _contradict(world, half)
    _drained(view.fitted(learned))
    view.begin_anew(learned)
    assert not view.waits(learned), "the learner knows nothing more"
    _drained(learned.update(steps=10))
    shown = view.learner(learned)
    view.begin_anew(learned)
    assert view.waits(learned)
    assert view.learner(learned) is shown, "until another one is bent"
    _drained(view.fitted(learned))
    assert torch.equal(view.learner(learned).network.hidden.weight, learned.network.hidden.weight)


def test_it_ends_when_the_image_is_done_or_nothing_is_drawn_any_more(world, learned, view, half) -> None:
    for mask, state in (
        (world.picture(SHOWN).mask, AnnotationState.DONE),
        (np.full(half.shape, UNLABELLED, np.uint8), AnnotationState.IN_PROGRESS),
    ):
        _contradict(world, half)
        _drained(view.fitted(learned))
        assert view.learner(learned) is not learned
        world.store.put(view.key, world.picture(SHOWN).path, mask, state)
        _drained(learned.update(steps=1))
        assert view.waits(learned)
        _drained(view.fitted(learned))
        assert view.learner(learned) is learned
        assert not view.waits(learned)


def test_the_only_labelled_image_needs_no_head_of_its_own(world, learner, half) -> None:
    _put(world, np.where(half, DISC, UNLABELLED).astype(np.uint8))
    _drained(learner.update(steps=10))
    assert not HeadInView(world.picture(SHOWN).key, world.store).waits(learner)


def test_another_learner_is_not_answered_for(world, learned, view, half) -> None:
    _contradict(world, half)
    _drained(view.fitted(learned))
    other = learned.twin()
    assert view.learner(other) is other
    _drained(other.update(steps=5))
    assert view.waits(other)
    _drained(view.fitted(other))
    assert view.learner(other) not in (other, learned)


def test_while_it_is_bent_from_a_closer_look_the_quick_one_answers(
    world, learned, view, half, tmp_path
) -> None:
    """Of a closer look the head has other inputs: neither may be asked, or fitted, instead of the other."""
    _contradict(world, half)
    _drained(view.fitted(learned))
    quick = InstantNetwork.with_encoder_of(learned.network, CHEAPER_VIEWS[-1])
    other = InstantLearner(
        world.store,
        quick,
        FeatureCache(quick, learned.device, scale=1.0, folder=tmp_path / "quick"),
        learned.channels,
        learned.device,
        weak_background=0.1,
    )
    _drained(other.update(steps=5))
    bending = view.fitted(other)
    next(bending)
    assert _asked(view.learner(learned), view.key).classes.shape == half.shape
    bending.close()  # more was drawn
    _drained(learned.update(steps=5))
    _drained(view.fitted(learned))
    assert view.learner(learned) is not learned
    assert _asked(view.learner(learned), view.key).classes.shape == half.shape


def _bent_in_view(heads: HeadsInView, world, learned, half) -> HeadInView:
    """The head of the image in view, corrected and fitted, once these labels are followed."""
    heads.follow(world.store)
    first = heads.now
    assert first is not None
    _contradict(world, half)
    _drained(first.fitted(learned))
    return first


def test_heads_of_the_last_images_are_kept(world, learned, view, half) -> None:
    heads = HeadsInView()
    heads.watch(view.key)
    assert heads.now is None, "no project is open"
    first = _bent_in_view(heads, world, learned, half)
    bent = first.learner(learned)
    assert bent is not learned
    heads.watch("another.png")
    assert heads.of(view.key) is None, "only the image in view has a say of its own"
    heads.watch(view.key)
    assert heads.of(view.key) is first
    assert first.learner(learned) is bent
    for number in range(in_view.KEPT):
        heads.watch(f"other {number}.png")
    heads.watch(view.key)
    assert heads.now is not first
    heads.forget(view.key)
    heads.follow(None)
    assert heads.now is None


def test_nothing_keeps_a_learner_whose_place_another_one_took(world, learned, view, half) -> None:
    heads = HeadsInView()
    heads.watch(view.key)
    first = _bent_in_view(heads, world, learned, half)
    copy = weakref.ref(first.learner(learned))
    heads.watch("another.png")
    heads.drop_copies_of_others(learned)
    gc.collect()
    assert copy() is not None
    other = learned.twin()
    heads.drop_copies_of_others(other)
    gc.collect()
    assert copy() is None
    _drained(other.update(steps=5))
    heads.watch(view.key)
    assert heads.now is first
    assert first.waits(other), "what it has heard is known still"


def test_an_image_that_cannot_be_read_is_no_reason_to_stop(world, learned, view, half, monkeypatch) -> None:
    _contradict(world, half)

    def gone(_key: str) -> tuple[str, Features]:
        raise ImageFileError(world.picture(SHOWN).path, "is gone")

    monkeypatch.setattr(learned, "_looked_at", gone)
    _drained(view.fitted(learned))
    assert view.learner(learned) is learned
    assert not view.waits(learned)


# --- in the engine ----------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineBench:
    """The last of four images is on show, and the only one without labels."""
    shrink_instant_learner(monkeypatch, first_steps=80, more_fits=1, scored_steps=4)
    return live_squares_bench(tmp_path / "squares", watched=3)


def _square(bench: EngineBench, number: int) -> float:
    """Of the middle of an image's square, what the last prediction of that image takes for one."""
    key = bench.entries[number].key
    last = [prediction for prediction in bench.got(Prediction) if prediction.key == key][-1]
    return float((last.classes.unpack() == 1)[18:34, 18:34].mean())


def _no_square(bench: EngineBench, number: int, revision: int) -> LabelsChanged:
    """Somebody says that the upper half of the square is background."""
    mask = np.full((SIDE, SIDE), UNLABELLED, np.uint8)
    mask[10:26, 10:40] = 0
    return replace(bench.labels(number, mask, revision), state=AnnotationState.IN_PROGRESS)


def _asked_once(bench: EngineBench, number: int) -> float:
    entry = bench.entries[number]
    bench.do(Predict(key=entry.key, image_path=str(entry.image_path)))
    bench.run()
    return _square(bench, number)


def test_a_correction_counts_for_more_in_the_image_in_view(bench: EngineBench) -> None:
    assert _square(bench, 3) > 0.8
    bench.do(_no_square(bench, 3, 2))
    bench.run()
    in_sight = _square(bench, 3)
    bench.do(bench.watch(0))
    bench.run()
    out_of_sight = _asked_once(bench, 3)
    assert in_sight < out_of_sight - 0.1
    bench.do(bench.watch(3))
    bench.run()
    assert _square(bench, 3) < out_of_sight - 0.1, "it is still bent when somebody comes back"
    assert not bench.got(Failed)


def test_what_is_drawn_shows_before_the_learner_is_fitted_to_it(bench: EngineBench) -> None:
    learner = bench.engine._instant.learner
    assert learner is not None
    fits = learner.version
    bench.do(_no_square(bench, 3, 2))
    bench.run(until=lambda: bench.got(Prediction)[-1].revision == 2)
    assert learner.version == fits
    assert bench.got(Prediction)[-1].bent
    bench.run()
    assert learner.version > fits
    assert not learner.stale


@pytest.mark.parametrize(("on_show", "predicted"), [(3, 1), (2, 0)])
def test_it_is_predicted_again_when_what_is_said_of_it_changes(
    bench: EngineBench, on_show: int, predicted: int
) -> None:
    """The fit that follows a correction is news of every image but the one that was bent to it before."""
    learner = bench.engine._instant.learner
    assert learner is not None
    bench.do(bench.watch(on_show))
    bench.run()
    fits, before = learner.version, len(bench.got(Prediction))
    bench.do(_no_square(bench, 3, 2))
    bench.run(until=lambda: learner.version > fits)
    assert len(bench.got(Prediction)) == before + predicted
    bench.engine.tick()
    assert len(bench.got(Prediction)) == before + 1


def test_other_images_are_predicted_by_the_learner_itself(bench: EngineBench) -> None:
    bench.do(_no_square(bench, 3, 2))
    bench.run()
    watched_other = _asked_once(bench, 2)
    bench.do(bench.watch(2))
    bench.run()
    assert _square(bench, 2) == watched_other


def test_an_image_that_is_removed_is_forgotten(bench: EngineBench) -> None:
    bench.do(_no_square(bench, 3, 2))
    bench.run()
    bench.do(ImageRemoved(key=bench.entries[3].key), bench.watch(0))
    bench.run()
    assert not bench.got(Failed)
    bench.do(bench.watch(3))
    bench.run()
    assert _square(bench, 3) > 0.8, "nothing of its labels is left"
