"""Work in spare moments outlives what happens between two of its pieces."""

from __future__ import annotations

import signal
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from core.annotation.model import ClassList
from core.learning.commands import ClassesChanged, LearnLive, RateImages
from core.learning.engine import main
from core.learning.events import Failed, ImagesRated, Prediction
from core.learning.inbox import Inbox
from core.learning.instant import learner, live
from core.models.instant import CHEAPER_VIEWS, VIEWS
from core.project.project import Project
from tests.learning.engine_bench import SIDE, EngineBench, shrink_instant_learner, squares_bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineBench:
    """Five images of which two are done, and an instant learner at work."""
    shrink_instant_learner(monkeypatch, first_steps=30, more_fits=0, scored_steps=4)
    made = squares_bench(tmp_path / "squares", images=5, labelled=2)
    made.do(LearnLive(on=True))
    made.open()
    return made


def _without_square(bench: EngineBench) -> ClassList:
    """What is left when the project loses all its classes but the background."""
    with Project.open(bench.root) as project:
        square = next(c.index for c in project.classes if c.index != project.classes.background)
        project.delete_class(square)
        return project.classes


def test_a_class_that_is_deleted_in_the_middle_of_a_rating_ends_it_and_the_next_one_goes_well(
    bench: EngineBench,
) -> None:
    """The weights go with the class, between two pieces of the round."""
    bench.do(RateImages(images={entry.key: str(entry.image_path) for entry in bench.entries}))
    rater = bench.engine._guide._rater
    bench.run(until=lambda: rater._work is not None and bool(rater._rated))
    told = len(bench.got(ImagesRated))
    bench.do(ClassesChanged(classes=_without_square(bench)))
    bench.run()
    assert not bench.got(Failed)
    assert len(bench.got(ImagesRated)) == told, "nobody is left who could rate"
    with Project.open(bench.root) as project:
        project.add_class("square")
        classes = project.classes
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    drawn[10:40, 10:40] = classes.indices[-1]
    bench.do(ClassesChanged(classes=classes))
    bench.do(*(bench.labels(number, drawn, 2) for number in range(2)))
    bench.run()
    assert not bench.got(Failed)
    assert set(bench.got(ImagesRated)[-1].scores) == {entry.key for entry in bench.entries[2:]}


def test_work_whose_time_comes_while_the_person_only_looks_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command comes any more: the loop sees by itself that the score of the last strokes may be taken."""

    class Waiting:
        """An engine that has nothing to do until its third look."""

        def __init__(self, _send: object, _inbox: Inbox) -> None:
            self.leaving = False
            self._looks = 0

        def tick(self) -> bool:
            self._looks += 1
            self.leaving = self._looks == 3
            return self.leaving

    class Quiet(Inbox):
        """Into which nobody puts anything."""

        def wait(self, timeout_s: float | None = None) -> bool:
            assert timeout_s is not None, "it would sleep for ever"
            return False

    monkeypatch.setattr(main, "Engine", Waiting)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ours, theirs = Pipe()
    with ours, theirs:
        assert main.engine_main(theirs, Quiet()) == 0


@pytest.fixture
def hurried(bench: EngineBench, monkeypatch: pytest.MonkeyPatch) -> EngineBench:
    """A machine on which only the least close look fits into the first seconds."""
    monkeypatch.setattr(live, "FIRST_FEATURES_S", 0.0)
    monkeypatch.setattr(learner, "STEPS", 40)
    bench.do(bench.watch(4))
    bench.run(until=lambda: bool(bench.got(Prediction)))
    return bench


def test_a_quick_look_is_shown_until_a_closer_one_takes_its_place(hurried: EngineBench) -> None:
    instant = hurried.engine._instant
    assert instant.learner is not None
    assert instant.learner.network.views == CHEAPER_VIEWS[-1]
    first = hurried.got(Prediction)[-1]
    while hurried.engine.tick():
        assert instant.version, "there is always somebody to ask"
    assert instant.learner is not None
    assert instant.learner.network.views == VIEWS
    last = hurried.got(Prediction)[-1]
    assert last.weights_version > first.weights_version
    assert not hurried.got(Failed)


def test_what_is_drawn_during_the_closer_look_is_known_to_whoever_takes_over(hurried: EngineBench) -> None:
    instant = hurried.engine._instant
    hurried.run(until=lambda: instant._closer is not None)
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    drawn[:24, :24] = 1
    hurried.do(*(hurried.labels(number, drawn, 2) for number in range(2)))
    before = len(hurried.got(Prediction))
    hurried.run(until=lambda: len(hurried.got(Prediction)) > before)
    assert instant.learner is not None
    assert instant.learner.network.views == CHEAPER_VIEWS[-1], "the quick one answers at once"
    hurried.run()
    assert instant.learner.network.views == VIEWS
    assert all(instant.learner.points(hurried.entries[number].key) is not None for number in range(2))
    taught = instant.learner.predict_labelled(hurried.entries[0].key).classes
    assert (taught[4:20, 4:20] == 1).mean() > 0.8
    assert (taught[44:, 44:] == 1).mean() < 0.2


def test_a_rating_begins_again_when_the_closer_look_takes_over_in_the_middle_of_it(
    hurried: EngineBench,
) -> None:
    """Neither can be asked about what the other sees, nor can their images be compared."""
    instant, rater, store = hurried.engine._instant, hurried.engine._guide._rater, hurried.engine._store
    quick = instant.learner
    hurried.run()
    closer = instant.learner
    assert quick is not closer
    instant._learner = quick
    rater.consider({entry.key: str(entry.image_path) for entry in hurried.entries})
    while not set(rater._features).difference(store.labelled_keys()):
        assert rater.tick(store, training=False)
    instant._learner = closer
    told = len(hurried.got(ImagesRated))
    while rater.tick(store, training=False):
        pass
    assert len(hurried.got(ImagesRated)) > told
    assert set(hurried.got(ImagesRated)[-1].scores) == {entry.key for entry in hurried.entries[2:]}
