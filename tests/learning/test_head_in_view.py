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
from core.learning.instant.head import PointSet
from core.learning.instant.in_view import HeadInView, HeadsInView
from core.learning.instant.learner import InstantLearner
from core.learning.instant.points import Points, points_of_image
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
    """It has heard what the learner says of that picture."""
    shown = HeadInView(world.picture(SHOWN).key, world.store)
    shown.hear(_asked(learned, shown.key))
    return shown


@pytest.fixture
def half(world) -> NDArray[np.bool_]:
    """The left half of the disc in view."""
    disc = world.picture(SHOWN).mask == DISC
    return disc & (np.arange(disc.shape[1]) < np.median(np.nonzero(disc)[1]))


def _contradict(world, learned: InstantLearner, half: NDArray[np.bool_]) -> None:
    """Half of the disc is drawn as a square's, and the learner fits once more, briefly."""
    _put(world, np.where(half, SQUARE, UNLABELLED).astype(np.uint8))
    _drained(learned.update(steps=10))


def test_it_follows_the_labels_of_its_image_more_than_the_learner_does(world, learned, view, half) -> None:
    assert not view.waits(learned), "nothing is corrected"
    assert view.learner(learned) is learned
    _contradict(world, learned, half)
    assert view.waits(learned)
    _drained(view.fitted(learned))
    assert not view.waits(learned)
    bent = view.learner(learned)
    assert bent is not learned
    square = learned.channels.classes.indices.index(SQUARE)
    general, own = (_asked(each, view.key).probabilities[square][half].mean() for each in (learned, bent))
    assert own > general + 0.05


def test_what_was_right_in_the_image_stays(world, learned, view, half, monkeypatch) -> None:
    monkeypatch.setattr(in_view, "STEPS", 60)
    monkeypatch.setattr(in_view, "RATE", 5e-3)
    _contradict(world, learned, half)
    truth = world.picture(SHOWN).mask
    wrong = []
    for shares in (in_view.SHARES, (1.0, 0.0, 0.0)):
        monkeypatch.setattr(in_view, "SHARES", shares)
        learned.version += 1  # as after another fit
        _drained(view.fitted(learned))
        wrong.append((_asked(view.learner(learned), view.key).classes != truth)[~half].mean())
    assert wrong[0] < 0.06, "as little as before"
    assert wrong[1] > 0.12, "one class alone is drawn: with nothing but that, much becomes it"


def test_the_learner_itself_stays_as_it_is(world, learned, view, half) -> None:
    _contradict(world, learned, half)
    before = {name: value.clone() for name, value in learned.network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _drained(view.fitted(learned))
    assert torch.equal(torch.rand(3), expected), "nor does anything else draw other random numbers"
    assert all(torch.equal(before[name], value) for name, value in learned.network.state_dict().items())


def test_what_was_said_before_the_first_correction_counts(world, learned, view, half) -> None:
    before = _asked(learned, view.key)
    _contradict(world, learned, half)
    wrong = replace(before, classes=np.full_like(before.classes, SQUARE))
    view.hear(wrong)  # too late
    said = view._said_points(learned)
    assert len(said) > 500
    assert (said.targets != learned.channels.classes.indices.index(SQUARE)).float().mean() > 0.5


def test_only_what_is_sure_and_undrawn_is_held_to(world, learned, view, half) -> None:
    sure = np.zeros((3, *half.shape), np.float16)
    sure[0] = 0.6
    sure[0, :, : half.shape[1] // 2] = 0.9
    there = np.full(half.shape, learned.channels.classes.indices[0], np.uint8)
    view.hear(PredictedMap(there, there, sure))
    said = view._said
    assert said.columns.max() < half.shape[1] // 2
    _contradict(world, learned, half)
    everywhere = set(zip(said.rows.tolist(), said.columns.tolist(), strict=True))
    drawn = set(zip(*(axis.tolist() for axis in np.nonzero(half)), strict=True))
    assert drawn & everywhere
    assert len(view._said_points(learned)) == len(everywhere - drawn)


def test_it_ends_when_the_image_is_done_or_nothing_is_drawn_any_more(world, learned, view, half) -> None:
    for mask, state in (
        (world.picture(SHOWN).mask, AnnotationState.DONE),
        (np.full(half.shape, UNLABELLED, np.uint8), AnnotationState.IN_PROGRESS),
    ):
        _contradict(world, learned, half)
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
    view = HeadInView(world.picture(SHOWN).key, world.store)
    view.hear(_asked(learner, view.key))
    assert not view.waits(learner)


def test_another_learner_is_not_answered_for(world, learned, view, half) -> None:
    _contradict(world, learned, half)
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
    _contradict(world, learned, half)
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
    first.hear(_asked(learned, first.key))
    _contradict(world, learned, half)
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
    _contradict(world, learned, half)
    _drained(view.fitted(learned))

    def gone(_key: str) -> Features:
        raise ImageFileError(world.picture(SHOWN).path, "is gone")

    monkeypatch.setattr(learned, "features", gone)
    learned.version += 1
    _drained(view.fitted(learned))
    assert view.learner(learned) is learned


def test_an_image_that_has_become_another_one_is_left_to_the_learner(world, learned, view, half) -> None:
    _contradict(world, learned, half)
    small = PredictedMap(*(np.zeros((9, 9), np.uint8) for _ in range(2)), np.ones((3, 9, 9), np.float16))
    other = HeadInView(view.key, world.store)
    other.hear(small)
    assert view.waits(learned)
    assert not other.waits(learned)


def test_shares_are_of_every_draw() -> None:
    parts = [
        Points(torch.full((count, 1), float(number)), torch.arange(count) % 2, torch.ones(count), fresh)
        for number, count in enumerate((10, 0, 1000))
        for fresh in [torch.zeros(count, dtype=torch.bool)]
    ]
    points = PointSet(parts, device=torch.device("cpu"), shares=(0.4, 0.2, 0.4))
    drawn = points.features[points.draw(800)][:, 0]
    assert [int((drawn == number).sum()) for number in range(3)] == [400, 0, 400], (
        "the empty part's go to both"
    )
    quarters = [(part == 0).float().mean() for part in drawn.view(4, -1)]
    assert all(0.35 < share < 0.65 for share in quarters), "in every part of the batch"


def test_points_are_those_of_the_image_itself(learned, world) -> None:
    features = learned.features(world.picture(1).key)
    rows, columns = np.array([3, 30]), np.array([5, 60])
    there = points_of_image(features, rows, columns, np.array([0, 1], np.uint8))
    logits = learned.network.point_logits(there.features)
    classes = learned.channels.classes.indices
    shown = learned.predict(features).classes[rows, columns]
    assert [classes[channel] for channel in logits.argmax(dim=1).tolist()] == shown.tolist()
    assert there.targets.tolist() == [0, 1]


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
